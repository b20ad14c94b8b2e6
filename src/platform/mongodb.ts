/** The platform's capabilities on MongoDB. Loads no driver but MongoDB's, and mingo for memory. */
export * as CampaignsLive from "./CampaignsLive.ts"
export * as CampaignsMemory from "./CampaignsMemory.ts"
