/** The platform's capabilities in memory. Loads no driver; mingo and bson for those of MongoDB. */
export * as AuditLogMemory from "./audit/AuditLogMemory.ts"
export * as AnalyticsMemory from "./AnalyticsMemory.ts"
export * as CampaignsMemory from "./CampaignsMemory.ts"
export * as PostgresRepositoriesMemory from "./PostgresRepositoriesMemory.ts"
export * as ApiKeysMemory from "./users/ApiKeysMemory.ts"
export * as RolesMemory from "./users/RolesMemory.ts"
export * as UserTokensMemory from "./users/UserTokensMemory.ts"
export * as UsersMemory from "./UsersMemory.ts"
