import type { ConfigInvalid } from "./core/Setting.ts"
import type { StoreError } from "./core/StoreError.ts"
import type { MigrationError } from "./migrations/MigrationError.ts"
import type { Analytics } from "./platform/analytics/Analytics.ts"
import type { Campaigns } from "./platform/campaigns/Campaigns.ts"
import type { PostgresRepositories } from "./platform/PostgresRepositories.ts"
import type { RateLimiter } from "./redis/RateLimiter.ts"
import type { SharedCache } from "./redis/SharedCache.ts"

/** What `DatabaseLive`, `DatabaseEmbedded` and `DatabaseMemory` give a program. */
export type Capabilities = PostgresRepositories | Analytics | Campaigns | SharedCache | RateLimiter

/** How building one of them can fail. */
export type DatabaseFailure = ConfigInvalid | StoreError | MigrationError
