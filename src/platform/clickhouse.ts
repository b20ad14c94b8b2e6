/** The platform's capabilities on ClickHouse. Loads no driver but ClickHouse's. */
export * as AnalyticsLive from "./AnalyticsLive.ts"
export * as AnalyticsMigrations from "./AnalyticsMigrations.ts"
