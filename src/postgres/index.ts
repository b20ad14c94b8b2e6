/** PostgreSQL: client, transactions, and what repositories are made of. Loads `@effect/sql-pg` and no other driver. */
export * as PostgresClient from "./PostgresClient.ts"
export { Transaction } from "./Transaction.ts"
export * as TransactionLive from "./TransactionLive.ts"
