/** The platform's capabilities in memory. Loads no driver; mingo and bson for those of MongoDB. */
export * as AnalyticsMemory from "./AnalyticsMemory.ts"
export * as BillingMemory from "./billing/BillingMemory.ts"
export * as CampaignsMemory from "./CampaignsMemory.ts"
export * as UsersMemory from "./UsersMemory.ts"
