import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import path from "node:path"
import type { Credential } from "../core/Credential.ts"
import type { MigrationConfig } from "../core/DatabaseConfig.ts"
import type { StoreError } from "../core/StoreError.ts"
import type { MigrationError } from "../migrations/MigrationError.ts"
import * as Migrations from "../migrations/Migrations.ts"
import * as PostgresBackup from "../postgres/migrations/PostgresBackup.ts"
import type { PostgresClient } from "../postgres/PostgresClient.ts"
import * as PostgresMigrations from "../postgres/PostgresMigrations.ts"
import { packageFolder } from "./packageFolder.ts"

/** The PostgreSQL schema that holds the platform's tables and their migration history, apart from the application's own. */
export const platformSchema = "ai_core"

/** The platform's PostgreSQL migrations, as this package ships them. */
export const postgresFolder: string = path.join(packageFolder, "migrations/postgres/")

/** How the platform's migrations are run; what is left out is as in the section `migrations` of the configuration. */
export interface PlatformMigrationsOptions extends Partial<
  Pick<MigrationConfig, "migrationTimeout" | "lockTimeout" | "outOfOrder" | "future" | "backupFolder">
> {
  /** Where `pg_dump` connects for the backup before migrating; without it none is made. */
  readonly backupUrl?: Credential | undefined
}

/** The platform's PostgreSQL migrations, and what can be done with them. */
export const migrations = (
  options: PlatformMigrationsOptions = {}
): Effect.Effect<Migrations.Migrations, StoreError, PostgresClient> =>
  Effect.map(
    PostgresMigrations.make({
      schema: platformSchema,
      lockTimeout: options.lockTimeout,
      backup:
        options.backupUrl === undefined
          ? undefined
          : PostgresBackup.make({ url: options.backupUrl, folder: options.backupFolder ?? "backups" })
    }),
    (driver) =>
      Migrations.make(driver, {
        folder: postgresFolder,
        outOfOrder: options.outOfOrder,
        future: options.future,
        timeout: options.migrationTimeout
      })
  )

/**
 * Brings the platform's PostgreSQL tables up to date.
 *
 * Programs that start at once wait for each other; one migrates. Fails with `MigrationError`, or `StoreError` where
 * PostgreSQL cannot be asked.
 */
export const postgres: Effect.Effect<Migrations.MigrationReport, MigrationError | StoreError, PostgresClient> =
  Effect.flatMap(migrations(), ({ run }) => run)

/** Migrates while the layer is built: provide it below the repositories that need the tables. */
export const layerPostgres: Layer.Layer<never, MigrationError | StoreError, PostgresClient> =
  Layer.effectDiscard(postgres)
