/** PostgreSQL: its client, embedded engine and memory, transactions, and the parts that repositories are made of. Loads `@effect/sql-pg` and no other driver. */
export { type Claims, type ClaimsSpec, makeClaims } from "./repository/Claims.ts"
export { writeOrExplain } from "./repository/Attempts.ts"
export { makeContained } from "./repository/Contained.ts"
export { type Direction, type Keyset, keyset } from "./repository/Keyset.ts"
export { type LookupSpec, makeComposedLookup, makeLookup } from "./repository/Lookup.ts"
export type { ComposedLookupSpec, Lookup } from "./repository/LookupShape.ts"
export { type MemoryClaims, memoryClaims, type MemoryClaimsSpec } from "./memory/MemoryClaims.ts"
export type { MemoryReader, MemoryWriter } from "./memory/MemoryDatabase.ts"
export { type MemoryReference, type MemoryTable, memoryTable, type OnRemoval } from "./memory/MemoryTable.ts"
export { onConstraint } from "./repository/onConstraint.ts"
export { AdvisoryLocks, type LockLease, type LockOptions } from "./AdvisoryLocks.ts"
export * as AdvisoryLocksLive from "./AdvisoryLocksLive.ts"
export * as AdvisoryLocksMemory from "./AdvisoryLocksMemory.ts"
export * as PostgresClient from "./PostgresClient.ts"
export * as PostgresEmbedded from "./PostgresEmbedded.ts"
export * as PostgresInsight from "./PostgresInsight.ts"
export * as PostgresLease from "./PostgresLease.ts"
export * as PostgresMemory from "./PostgresMemory.ts"
export * as PostgresBackup from "./migrations/PostgresBackup.ts"
export * as PostgresMigrations from "./PostgresMigrations.ts"
export type { ListenEvent } from "./PostgresListener.ts"
export { type BulkColumns, type BulkInsert, type BulkInsertSpec, makeBulkInsert } from "./repository/BulkInsert.ts"
export type { RunUnit, UnitResult, UnitResults } from "./statements/PipelinedUnit.ts"
export {
  Decimal,
  NullableDecimal,
  NullableSafeInteger,
  NullableTimestamp,
  type RowReader,
  rowReader,
  SafeInteger,
  Timestamp
} from "./repository/Row.ts"
export * as Tenant from "./Tenant.ts"
export { conflictRetry } from "./transactions/ConflictRetry.ts"
export { type IsolationLevel, Transaction, type TransactionOptions, type TransactionOutcome } from "./Transaction.ts"
export { streamRows, type StreamRowsSpec } from "./repository/StreamRows.ts"
export * as TransactionLive from "./TransactionLive.ts"
export * as TransactionMemory from "./TransactionMemory.ts"
export * as WorkItem from "./repository/WorkItem.ts"
