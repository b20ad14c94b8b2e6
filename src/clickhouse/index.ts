/** ClickHouse: the client, its embedded engine, and what is built on them. */
export * as BatchedWriter from "./BatchedWriter.ts"
export * as ClickHouseClient from "./ClickHouseClient.ts"
export * as ClickHouseEmbedded from "./ClickHouseEmbedded.ts"
export * as ClickHouseMigrations from "./ClickHouseMigrations.ts"
