/** The platform's capabilities on PostgreSQL. Loads no driver but PostgreSQL's. */
export * as BillingLive from "./billing/BillingLive.ts"
export * as PlatformMigrations from "./PlatformMigrations.ts"
export * as UsersLive from "./UsersLive.ts"
