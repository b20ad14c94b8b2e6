/** PostgreSQL: its client, embedded engine and memory, transactions, and the parts that repositories are made of. Loads `@effect/sql-pg` and no other driver. */
export { type Claims, type ClaimsSpec, makeClaims } from "./Claims.ts"
export { writeOrExplain } from "./Attempts.ts"
export { makeContained } from "./Contained.ts"
export { type Direction, type Keyset, keyset } from "./Keyset.ts"
export { type Lookup, type LookupSpec, makeLookup } from "./Lookup.ts"
export { type MemoryClaims, memoryClaims, type MemoryClaimsSpec } from "./MemoryClaims.ts"
export type { MemoryReader, MemoryWriter } from "./MemoryDatabase.ts"
export { type MemoryReference, type MemoryTable, memoryTable, type OnRemoval } from "./MemoryTable.ts"
export { onConstraint } from "./onConstraint.ts"
export { AdvisoryLocks, type LockLease, type LockOptions } from "./AdvisoryLocks.ts"
export * as AdvisoryLocksLive from "./AdvisoryLocksLive.ts"
export * as AdvisoryLocksMemory from "./AdvisoryLocksMemory.ts"
export * as PostgresClient from "./PostgresClient.ts"
export * as PostgresEmbedded from "./PostgresEmbedded.ts"
export * as PostgresInsight from "./PostgresInsight.ts"
export * as PostgresLease from "./PostgresLease.ts"
export * as PostgresMemory from "./PostgresMemory.ts"
export * as PostgresBackup from "./PostgresBackup.ts"
export * as PostgresMigrations from "./PostgresMigrations.ts"
export type { ListenEvent } from "./PostgresListener.ts"
export { type BulkColumns, type BulkInsert, type BulkInsertSpec, makeBulkInsert } from "./BulkInsert.ts"
export type { UnitResult, UnitResults } from "./PipelinedUnit.ts"
export { type RowReader, NullableSafeInteger, NullableTimestamp, rowReader, SafeInteger, Timestamp } from "./Row.ts"
export * as Tenant from "./Tenant.ts"
export {
  conflictRetry,
  type IsolationLevel,
  Transaction,
  type TransactionOptions,
  type TransactionOutcome
} from "./Transaction.ts"
export { streamRows, type StreamRowsSpec } from "./StreamRows.ts"
export * as TransactionLive from "./TransactionLive.ts"
export * as TransactionMemory from "./TransactionMemory.ts"
export * as WorkItem from "./WorkItem.ts"
