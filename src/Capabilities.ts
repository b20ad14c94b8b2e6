import type { Analytics } from "./platform/Analytics.ts"
import type { Campaigns } from "./platform/Campaigns.ts"
import type { Users } from "./platform/Users.ts"
import type { Transaction } from "./postgres/Transaction.ts"
import type { RateLimiter } from "./redis/RateLimiter.ts"
import type { SharedCache } from "./redis/SharedCache.ts"

/** What `DatabaseLive`, `DatabaseEmbedded` and `DatabaseMemory` give a program. */
export type Capabilities = Users | Transaction | Analytics | Campaigns | SharedCache | RateLimiter
