/** The platform's capabilities on PostgreSQL. Loads no driver but PostgreSQL's. */
export * as AuditLogLive from "./audit/AuditLogLive.ts"
export * as PlatformMigrations from "./PlatformMigrations.ts"
export * as PostgresRepositoriesLive from "./PostgresRepositoriesLive.ts"
export * as ApiKeysLive from "./users/ApiKeysLive.ts"
export * as RolesLive from "./users/RolesLive.ts"
export * as UserTokensLive from "./users/UserTokensLive.ts"
export * as UsersLive from "./UsersLive.ts"
