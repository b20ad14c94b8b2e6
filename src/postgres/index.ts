/** PostgreSQL: its client, embedded engine and memory, and transactions. Loads `@effect/sql-pg` and no other driver. */
export { AdvisoryLocks, type LockLease, type LockOptions } from "./AdvisoryLocks.ts"
export * as AdvisoryLocksLive from "./AdvisoryLocksLive.ts"
export * as AdvisoryLocksMemory from "./AdvisoryLocksMemory.ts"
export * as MemoryTable from "./MemoryTable.ts"
export * as PostgresClient from "./PostgresClient.ts"
export * as PostgresEmbedded from "./PostgresEmbedded.ts"
export * as PostgresMemory from "./PostgresMemory.ts"
export * as PostgresMigrations from "./PostgresMigrations.ts"
export * as Tenant from "./Tenant.ts"
export {
  conflictRetry,
  type IsolationLevel,
  Transaction,
  type TransactionOptions,
  type TransactionOutcome
} from "./Transaction.ts"
export * as TransactionLive from "./TransactionLive.ts"
export * as TransactionMemory from "./TransactionMemory.ts"
