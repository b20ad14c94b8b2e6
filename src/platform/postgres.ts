/** The platform's capabilities on PostgreSQL. Loads no driver but PostgreSQL's. */
export * as PlatformMigrations from "./PlatformMigrations.ts"
export * as UsersLive from "./UsersLive.ts"
export * as WorkflowsLive from "./workflows/WorkflowsLive.ts"
