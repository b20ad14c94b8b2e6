/** A public name of the Rust crate, and what a program uses here in its place. */
export interface CrateName {
  readonly crate: string
  /** What a program writes here, as README shows it. */
  readonly here: string
  /** Subpath and dotted path of the export that must be there; undefined where it is still to come. */
  readonly target: readonly [subpath: string, path: string] | undefined
}

const planned = undefined

export const crateMap: ReadonlyArray<CrateName> = [
  {
    crate: "DatabaseManager::new(config)",
    here: "`DatabaseLive`, or `layer(options)`",
    target: ["./live", "DatabaseLive"]
  },
  {
    crate: "DatabaseManager::repositories()",
    here: "`yield* Users`: each repository is a tag",
    target: [".", "Users"]
  },
  { crate: "DatabaseManager::execute_transaction", here: "`Transaction.run`", target: [".", "Transaction"] },
  {
    crate: "DatabaseManager::health_check",
    here: "`ping` of each client; health checks to come",
    target: ["./postgres", "PostgresClient.PostgresClient"]
  },
  {
    crate: "DatabaseManager::shutdown",
    here: "the layer's scope; `gracefulTeardown`",
    target: [".", "gracefulTeardown"]
  },
  {
    crate: "DatabaseManager.postgres, .clickhouse, .redis",
    here: "`PostgresClient`, `ClickHouseClient`, `RedisClient`",
    target: ["./redis", "RedisClient.RedisClient"]
  },
  {
    crate: "DatabaseConfig",
    here: "`DatabaseConfig.make`, `DatabaseConfig.fromEnvironment`",
    target: [".", "DatabaseConfig.fromEnvironment"]
  },
  { crate: "PostgresConfig", here: "`PostgresOptions`", target: [".", "DatabaseConfig.sections.postgresql"] },
  { crate: "ClickHouseConfig", here: "`ClickHouseOptions`", target: [".", "DatabaseConfig.sections.clickhouse"] },
  { crate: "MongoConfig", here: "`MongoOptions`", target: [".", "DatabaseConfig.sections.mongodb"] },
  { crate: "RedisConfig", here: "`RedisOptions`", target: [".", "DatabaseConfig.sections.redis"] },
  {
    crate: "MonitoringConfig",
    here: "`DatabaseConfig.sections.monitoring`",
    target: [".", "DatabaseConfig.sections.monitoring"]
  },
  {
    crate: "MigrationConfig",
    here: "`DatabaseConfig.sections.migrations`",
    target: [".", "DatabaseConfig.sections.migrations"]
  },
  { crate: "HealthConfig", here: "`DatabaseConfig.sections.health`", target: [".", "DatabaseConfig.sections.health"] },
  { crate: "DatabaseError", here: "`StoreError` and the capabilities' own errors", target: [".", "StoreError"] },
  { crate: "DatabaseError::Postgres", here: '`StoreError` with `store: "postgresql"`', target: [".", "StoreError"] },
  {
    crate: "DatabaseError::Connection",
    here: "reasons `Unavailable`, `ConnectionLost`, `PoolExhausted`",
    target: [".", "Unavailable"]
  },
  { crate: "DatabaseError::Transaction", here: "reasons `Conflict`, `CommitUnknown`", target: [".", "CommitUnknown"] },
  { crate: "DatabaseError::Migration", here: "`MigrationError`", target: [".", "MigrationError"] },
  {
    crate: "DatabaseError::Validation",
    here: "reason `InvalidData`, naming each field; `ConfigInvalid`",
    target: [".", "InvalidData"]
  },
  {
    crate: "DatabaseError::Anyhow",
    here: "none: every failure is typed; a bug is a defect",
    target: [".", "Unclassified"]
  },
  {
    crate: "RepositoryFactory::postgres()",
    here: "`UsersLive.layer`",
    target: ["./platform/postgres", "UsersLive.layer"]
  },
  { crate: "PostgresRepository::users()", here: "`Users`", target: [".", "Users"] },
  { crate: "PostgresRepository::workflows()", here: "`Workflows`", target: [".", "Workflows"] },
  {
    crate: "PostgresRepository::health_check",
    here: "`PostgresClient.ping`",
    target: ["./postgres", "PostgresClient.PostgresClient"]
  },
  {
    crate: "PostgresRepository::pool_stats, PoolStats",
    here: "`PostgresClient.stats`, `PoolStats`",
    target: ["./postgres", "PostgresClient.PostgresClient"]
  },
  {
    crate: "PostgresRepository::pool()",
    here: "`PostgresClient.sql`, or Effect's `SqlClient`",
    target: ["./postgres", "PostgresClient.layer"]
  },
  { crate: "users().find_by_email", here: "`Users.findByEmail`", target: [".", "Users"] },
  {
    crate: "AnalyticsManager::new",
    here: "`AnalyticsLive.layer`",
    target: ["./platform/clickhouse", "AnalyticsLive.layer"]
  },
  { crate: "track_workflow_event", here: "`Analytics.trackWorkflowEvent`", target: [".", "Analytics"] },
  {
    crate: "batch_track_workflow_events, WorkflowEventData",
    here: "`Analytics.trackWorkflowEvents`, `NewWorkflowEvent`",
    target: [".", "NewWorkflowEvent"]
  },
  { crate: "get_workflow_metrics, WorkflowMetrics", here: "`Analytics.workflowMetrics`", target: [".", "Analytics"] },
  { crate: "WorkflowEventType", here: "`WorkflowEventType`", target: [".", "WorkflowEventType"] },
  { crate: "TimeRange::last_hour()", here: "`TimeRange.lastHour()`", target: [".", "TimeRange.lastHour"] },
  { crate: "track_api_request, get_api_metrics, ApiMetrics", here: "`Analytics` (to come)", target: planned },
  { crate: "get_top_users, UserActivity", here: "`Analytics` (to come)", target: planned },
  { crate: "create_dashboard_views, optimize_tables", here: "`Analytics` (to come)", target: planned },
  { crate: "HealthChecker, HealthStatus", here: "health checks (to come)", target: planned },
  {
    crate: "MigrationManager::new, initialize, run_migrations",
    here: "`PlatformMigrations.layerPostgres`; `Migrations.make(driver, { folder }).run` for your own folder",
    target: ["./migrations", "Migrations.make"]
  },
  {
    crate: "get_migration_history",
    here: "`Migrations.make(…).history`, a Stream",
    target: ["./migrations", "Migrations.make"]
  },
  {
    crate: "PostgreSQL connection manager",
    here: "`PostgresClient.layer`",
    target: ["./postgres", "PostgresClient.layer"]
  },
  {
    crate: "ClickHouseConnection",
    here: "`ClickHouseClient.layer`",
    target: ["./clickhouse", "ClickHouseClient.layer"]
  },
  { crate: "MongoConnection::new", here: "`MongoDbClient.layer`", target: ["./mongodb", "MongoDbClient.layer"] },
  {
    crate: "MongoConnection::typed_collection, DocumentOps, AggregationOps",
    here: "`MongoDatabase.collection(name, schema)`",
    target: ["./mongodb", "MongoDatabase"]
  },
  {
    crate: "MongoConnection::create_index",
    here: "indexes of a collection's schema",
    target: ["./mongodb", "MongoDatabase"]
  },
  {
    crate: "content::Campaign, CampaignStatus",
    here: "`Campaign`, `CampaignStatus`, `Campaigns`",
    target: [".", "Campaigns"]
  },
  {
    crate: "content::UserProfile, content templates",
    here: "`UserProfiles`, `ContentTemplates` (to come)",
    target: planned
  },
  { crate: "RedisConnection", here: "`RedisClient.layer`", target: ["./redis", "RedisClient.layer"] },
  { crate: "redis.get, set_with_ttl", here: "`SharedCache.get`, `set`, `getOrSet`", target: [".", "SharedCache"] },
  { crate: "redis.check_rate_limit", here: "`RateLimiter.check`", target: [".", "RateLimiter"] },
  { crate: "redis.publish, sessions", here: "`Channels`, `Sessions` (to come)", target: planned }
]
