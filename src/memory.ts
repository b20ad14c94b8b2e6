/** Every capability in this process's memory, for unit tests: no server, no engine, time by the Clock. */
import * as Layer from "effect/Layer"
import type { Capabilities } from "./Capabilities.ts"
import * as AnalyticsMemory from "./platform/analytics/AnalyticsMemory.ts"
import * as CampaignsMemory from "./platform/campaigns/CampaignsMemory.ts"
import * as PostgresRepositoriesMemory from "./platform/PostgresRepositoriesMemory.ts"
import * as RateLimiterMemory from "./redis/RateLimiterMemory.ts"
import * as SharedCacheMemory from "./redis/SharedCacheMemory.ts"

/**
 * Every capability in memory, empty.
 *
 * Repositories of PostgreSQL share one transactional state: a failed transaction undoes the work of all of them. Layers are
 * shared within a program; `Layer.fresh(DatabaseMemory)` gives a test its own.
 *
 * @example
 * ```ts
 * it.effect("greets", () => greet("alice").pipe(Effect.provide(Layer.fresh(DatabaseMemory))))
 * ```
 */
export const DatabaseMemory: Layer.Layer<Capabilities> = Layer.mergeAll(
  PostgresRepositoriesMemory.layer,
  AnalyticsMemory.layer,
  CampaignsMemory.layer,
  SharedCacheMemory.layer(),
  RateLimiterMemory.layer
)
