/** Every capability without any server: real engines where there are any, memory elsewhere. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Capabilities, DatabaseFailure } from "./Capabilities.ts"
import * as ClickHouseEmbedded from "./clickhouse/ClickHouseEmbedded.ts"
import type { Analytics } from "./platform/analytics/Analytics.ts"
import * as AnalyticsLive from "./platform/analytics/AnalyticsLive.ts"
import * as AnalyticsMemory from "./platform/analytics/AnalyticsMemory.ts"
import * as AnalyticsMigrations from "./platform/analytics/AnalyticsMigrations.ts"
import * as CampaignsMemory from "./platform/campaigns/CampaignsMemory.ts"
import * as PlatformMigrations from "./platform/PlatformMigrations.ts"
import * as PostgresRepositoriesLive from "./platform/PostgresRepositoriesLive.ts"
import * as PostgresEmbedded from "./postgres/PostgresEmbedded.ts"
import * as RateLimiterMemory from "./redis/RateLimiterMemory.ts"
import * as SharedCacheMemory from "./redis/SharedCacheMemory.ts"

/** Where the embedded engines keep their data. */
export interface EmbeddedOptions {
  /** Folders that keep the data, made where they are missing; without them it is gone at the end. */
  readonly postgresFolder?: string | undefined
  readonly clickhouseFolder?: string | undefined
}

const analytics = (dataFolder: string | undefined): Layer.Layer<Analytics, DatabaseFailure> =>
  Layer.unwrap(
    Effect.map(ClickHouseEmbedded.available, (available) =>
      available
        ? AnalyticsLive.layer.pipe(
            Layer.provide(AnalyticsMigrations.layerClickHouse),
            Layer.provide(ClickHouseEmbedded.layer({ dataFolder }))
          )
        : AnalyticsMemory.layer
    )
  )

/**
 * Every capability without a server: PostgreSQL by PGlite in this process, ClickHouse by its engine in a child process, MongoDB
 * and Redis in memory.
 *
 * Where the platform has no ClickHouse engine a warning says so, and analytics are kept in memory. Starts in about 3 s. Fails
 * with `StoreError` (`Unavailable`) where an engine's package is missing or the engine does not start.
 */
export const layer = (options: EmbeddedOptions = {}): Layer.Layer<Capabilities, DatabaseFailure> =>
  Layer.mergeAll(
    PostgresRepositoriesLive.layer.pipe(
      Layer.provide(PlatformMigrations.layerPostgres),
      Layer.provide(PostgresEmbedded.layer({ dataFolder: options.postgresFolder }))
    ),
    analytics(options.clickhouseFolder),
    CampaignsMemory.layer,
    SharedCacheMemory.layer(),
    RateLimiterMemory.layer
  )

/** Every capability without a server, its data gone at the end; see {@link layer}. */
export const DatabaseEmbedded: Layer.Layer<Capabilities, DatabaseFailure> = layer()
