/** The platform's capabilities in memory. Loads mingo and bson, for those of MongoDB. */
export * as AnalyticsMemory from "./analytics/AnalyticsMemory.ts"
export * as CampaignsMemory from "./campaigns/CampaignsMemory.ts"
export * from "./postgresMemory.ts"
