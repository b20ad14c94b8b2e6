import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as ClickHouseClient from "../clickhouse/ClickHouseClient.ts"
import type { DatabaseConfig, PostgresConfig } from "../core/DatabaseConfig.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import type { StoreError } from "../core/StoreError.ts"
import type { MigrationError } from "../migrations/MigrationError.ts"
import * as Migrations from "../migrations/Migrations.ts"
import { migrateStores } from "../migrations/Stores.ts"
import * as PostgresClient from "../postgres/PostgresClient.ts"
import * as PostgresLease from "../postgres/PostgresLease.ts"
import * as AnalyticsMigrations from "./analytics/AnalyticsMigrations.ts"
import * as PlatformMigrations from "./PlatformMigrations.ts"

type Config = Pick<DatabaseConfig, "postgresql" | "clickhouse" | "migrations">

/** The client that PostgreSQL is migrated with. A URL of the migrations' own leads to the server itself, past any pooler. */
export const migrationClient = ({ migrations, postgresql }: Config): PostgresConfig => {
  const { migrationUrl } = migrations
  const isNone = Redacted.isRedacted(migrationUrl) && Redacted.value(migrationUrl) === ""
  return {
    ...postgresql,
    ...(isNone ? {} : { url: migrationUrl, pooler: "none" }),
    maxConnections: 2,
    minConnections: 0
  }
}

/**
 * Brings the platform's tables up to date in every store that has migrations, as the configuration says.
 *
 * Each store is given a client of its own for this: ClickHouse's statements may then run for as long as a migration, and
 * PostgreSQL may be migrated at another address than it is used at. ClickHouse is locked by a lease in PostgreSQL.
 */
export const migrate = (config: Config): Effect.Effect<void, ConfigInvalid | StoreError | MigrationError> => {
  const { backupBeforeMigration, continueOnError, dryRun, migrationTimeout } = config.migrations
  const options = migrationClient(config)
  const act = (migrations: Migrations.Migrations): Effect.Effect<unknown, MigrationError | StoreError> =>
    dryRun ? Migrations.dryRun(migrations) : migrations.run
  const postgres = PostgresClient.layer(options)
  return migrateStores(
    [
      {
        store: "postgresql",
        run: PlatformMigrations.migrations({
          ...config.migrations,
          backupUrl: backupBeforeMigration ? options.url : undefined
        }).pipe(Effect.flatMap(act), Effect.provide(postgres))
      },
      {
        store: "clickhouse",
        run: PostgresLease.make({ schema: PlatformMigrations.platformSchema }).pipe(
          Effect.flatMap((store) =>
            AnalyticsMigrations.migrations({
              ...config.migrations,
              lease: { store, name: `clickhouse/${config.clickhouse.database}` }
            })
          ),
          Effect.flatMap(act),
          Effect.provide(ClickHouseClient.layer({ ...config.clickhouse, timeout: migrationTimeout })),
          Effect.provide(postgres)
        )
      }
    ],
    { continueOnError }
  )
}
