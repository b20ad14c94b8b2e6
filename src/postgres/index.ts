/** PostgreSQL: its client, embedded engine and memory, and transactions. Loads `@effect/sql-pg` and no other driver. */
export * as MemoryTable from "./MemoryTable.ts"
export * as PostgresClient from "./PostgresClient.ts"
export * as PostgresEmbedded from "./PostgresEmbedded.ts"
export * as PostgresMemory from "./PostgresMemory.ts"
export * as PostgresMigrations from "./PostgresMigrations.ts"
export { Transaction } from "./Transaction.ts"
export * as TransactionLive from "./TransactionLive.ts"
export * as TransactionMemory from "./TransactionMemory.ts"
