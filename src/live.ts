/** Every capability on four servers. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Capabilities, DatabaseFailure } from "./Capabilities.ts"
import * as ClickHouseClient from "./clickhouse/ClickHouseClient.ts"
import * as DatabaseConfig from "./core/DatabaseConfig.ts"
import { SlowQueryThreshold } from "./core/Instrumentation.ts"
import { displayName, type Store } from "./core/Store.ts"
import * as MongoDbClient from "./mongodb/MongoDbClient.ts"
import * as AnalyticsLive from "./platform/analytics/AnalyticsLive.ts"
import * as CampaignsLive from "./platform/campaigns/CampaignsLive.ts"
import * as DatabaseMigrations from "./platform/DatabaseMigrations.ts"
import * as PostgresRepositoriesLive from "./platform/PostgresRepositoriesLive.ts"
import * as PostgresClient from "./postgres/PostgresClient.ts"
import * as RateLimiterLive from "./redis/RateLimiterLive.ts"
import * as RedisClient from "./redis/RedisClient.ts"
import * as SharedCacheLive from "./redis/SharedCacheLive.ts"

/** Says that a store is closed, below its client so that it speaks after it. */
const closing = (store: Store): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.addFinalizer(() => Effect.logDebug(`Closed ${displayName[store]}`)))

const fromConfig = (config: DatabaseConfig.DatabaseConfig): Layer.Layer<Capabilities, DatabaseFailure> => {
  const postgres = PostgresRepositoriesLive.layer.pipe(
    Layer.provide(PostgresClient.layer(config.postgresql)),
    Layer.provide(Layer.succeed(SlowQueryThreshold, config.monitoring.slowQueryThreshold)),
    Layer.provide(closing("postgresql"))
  )
  const mongodb = CampaignsLive.layer.pipe(
    Layer.provide(MongoDbClient.layer(config.mongodb)),
    Layer.provide(closing("mongodb"))
  )
  const redis = Layer.mergeAll(SharedCacheLive.layer(), RateLimiterLive.layer()).pipe(
    Layer.provide(RedisClient.layer(config.redis)),
    Layer.provide(closing("redis"))
  )
  const clickhouse = AnalyticsLive.layer.pipe(
    Layer.provide(ClickHouseClient.layer(config.clickhouse)),
    Layer.provide(closing("clickhouse"))
  )
  // Each store is built after the one below it, and so closed before it: what is counted, what may be lost, what changes shape,
  // and last what must be true.
  const all = clickhouse.pipe(Layer.provideMerge(redis), Layer.provideMerge(mongodb), Layer.provideMerge(postgres))
  return config.postgresql.enableMigrations && config.migrations.autoMigrate
    ? Layer.provide(all, Layer.effectDiscard(DatabaseMigrations.migrate(config)))
    : all
}

/**
 * Every capability on four servers, as a program configures them; `preset` takes the place of the defaults.
 *
 * The stores open in the order PostgreSQL, MongoDB, Redis, ClickHouse and close in the reverse one; each waits for the work
 * under way, up to its shutdown timeout, and events accepted before are stored. The platform's migrations run first where
 * `enableMigrations` and `autoMigrate` say so; where one fails no capability is given out.
 *
 * Fails with `ConfigInvalid`, which lists every wrong setting; with `StoreError` naming the store that cannot be used; with
 * `MigrationError`.
 */
export const layer = (
  options: DatabaseConfig.DatabaseOptions,
  preset?: DatabaseConfig.DatabasePreset
): Layer.Layer<Capabilities, DatabaseFailure> =>
  Layer.unwrap(Effect.map(DatabaseConfig.make(options, preset), fromConfig))

/** Every capability on four servers, from the environment; `preset` takes the place of the defaults. See {@link layer}. */
export const layerConfig = (preset?: DatabaseConfig.DatabasePreset): Layer.Layer<Capabilities, DatabaseFailure> =>
  Layer.unwrap(Effect.map(DatabaseConfig.fromEnvironment(preset), fromConfig))

/** Every capability on the four servers that the environment names; see {@link layer}. */
export const DatabaseLive: Layer.Layer<Capabilities, DatabaseFailure> = layerConfig()
