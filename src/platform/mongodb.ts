/** The platform's capabilities on MongoDB. Loads no driver but MongoDB's. */
export * as CampaignsLive from "./campaigns/CampaignsLive.ts"
