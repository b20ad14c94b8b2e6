import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import type { StoreError } from "../core/StoreError.ts"
import type { MigrationError } from "../migrations/MigrationError.ts"
import { migrate, type MigrationReport } from "../migrations/Migrator.ts"
import type { PostgresClient } from "../postgres/PostgresClient.ts"
import * as PostgresMigrations from "../postgres/PostgresMigrations.ts"

/** The PostgreSQL schema that holds the platform's tables and their migration history, apart from the application's own. */
export const platformSchema = "ai_core"

/** The platform's PostgreSQL migrations, as this package ships them. */
export const postgresFolder: string = fileURLToPath(new URL("../../migrations/postgres/", import.meta.url))

/**
 * Brings the platform's PostgreSQL tables up to date.
 *
 * Programs that start at once wait for each other; one migrates. Fails with `MigrationError`, or `StoreError` where
 * PostgreSQL cannot be asked.
 */
export const postgres: Effect.Effect<MigrationReport, MigrationError | StoreError, PostgresClient> = Effect.flatMap(
  PostgresMigrations.make({ schema: platformSchema }),
  (driver) => migrate(driver, postgresFolder)
)

/** Migrates while the layer is built: provide it below the repositories that need the tables. */
export const layerPostgres: Layer.Layer<never, MigrationError | StoreError, PostgresClient> =
  Layer.effectDiscard(postgres)
