/** The platform's capabilities on ClickHouse. Loads no driver but ClickHouse's. */
export * as AnalyticsLive from "./analytics/AnalyticsLive.ts"
export * as AnalyticsMigrations from "./analytics/AnalyticsMigrations.ts"
