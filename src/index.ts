/**
 * The front door: tags, schemas and errors of every capability. It loads no driver; layers come from `/live`, `/embedded`,
 * `/memory` and from each store's subpath.
 *
 * @module
 */
export type { Capabilities, DatabaseFailure } from "./Capabilities.ts"
export * as DatabaseConfig from "./core/DatabaseConfig.ts"
export { Deadline, within } from "./core/Deadline.ts"
export type { Page } from "./core/KeysetPage.ts"
export type { PoolStats } from "./core/Pool.ts"
export type { Probe } from "./core/Probe.ts"
export { IllegalTransition } from "./core/StateMachine.ts"
export { ConfigInvalid, SettingProblem } from "./core/Setting.ts"
export { displayName, Store } from "./core/Store.ts"
export * from "./core/StoreError.ts"
export { gracefulTeardown } from "./core/Teardown.ts"
export * as StoreErrorReport from "./core/StoreErrorReport.ts"
export { MigrationError } from "./migrations/MigrationError.ts"
export * from "./platform/index.ts"
export { AdvisoryLocks, type LockLease, type LockOptions } from "./postgres/AdvisoryLocks.ts"
export * as Tenant from "./postgres/Tenant.ts"
export { conflictRetry } from "./postgres/transactions/ConflictRetry.ts"
export {
  type IsolationLevel,
  Transaction,
  type TransactionOptions,
  type TransactionOutcome
} from "./postgres/Transaction.ts"
export * as CacheKey from "./redis/CacheKey.ts"
export * as RateLimit from "./redis/RateLimit.ts"
export * from "./redis/RateLimiter.ts"
export * from "./redis/SharedCache.ts"
