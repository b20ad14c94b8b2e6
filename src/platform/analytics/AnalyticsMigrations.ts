import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import path from "node:path"
import type { ClickHouseClient } from "../../clickhouse/ClickHouseClient.ts"
import * as ClickHouseMigrations from "../../clickhouse/ClickHouseMigrations.ts"
import type { MigrationConfig } from "../../core/DatabaseConfig.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { MigrationError } from "../../migrations/MigrationError.ts"
import * as Migrations from "../../migrations/Migrations.ts"
import { packageFolder } from "../packageFolder.ts"

/** The platform's ClickHouse migrations, as this package ships them. */
export const clickhouseFolder: string = path.join(packageFolder, "migrations/clickhouse/")

/** How they are run; what is left out is as in the section `migrations` of the configuration. */
export interface AnalyticsMigrationsOptions extends Partial<
  Pick<MigrationConfig, "migrationTimeout" | "lockTimeout" | "outOfOrder" | "future">
> {
  /** Leases in another store, in the place of a lock in ClickHouse. */
  readonly lease?: ClickHouseMigrations.MigrationOptions["lease"]
}

/** The platform's ClickHouse migrations, in the database of the client, and what can be done with them. */
export const migrations = (
  options: AnalyticsMigrationsOptions = {}
): Effect.Effect<Migrations.Migrations, StoreError, ClickHouseClient> =>
  Effect.map(
    ClickHouseMigrations.make({
      journal: "platform_migrations",
      lockTimeout: options.lockTimeout,
      lease: options.lease
    }),
    (driver) =>
      Migrations.make(driver, {
        folder: clickhouseFolder,
        outOfOrder: options.outOfOrder,
        future: options.future,
        timeout: options.migrationTimeout
      })
  )

/**
 * Brings the platform's ClickHouse tables up to date, in the database of the client.
 *
 * Programs that start at once wait for each other; one migrates. Fails with `MigrationError`, or `StoreError` where
 * ClickHouse cannot be asked.
 */
export const clickhouse: Effect.Effect<Migrations.MigrationReport, MigrationError | StoreError, ClickHouseClient> =
  Effect.flatMap(migrations(), ({ run }) => run)

/** Migrates while the layer is built: provide it below `AnalyticsLive.layer`, which needs the tables. */
export const layerClickHouse: Layer.Layer<never, MigrationError | StoreError, ClickHouseClient> =
  Layer.effectDiscard(clickhouse)
