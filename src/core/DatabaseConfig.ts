import * as Effect from "effect/Effect"
import {
  choice,
  ConfigInvalid,
  count,
  flag,
  longestTimer,
  optionalUrl,
  type Options,
  type Preset,
  password,
  section,
  type SettingProblem,
  text,
  time,
  url,
  type Values
} from "./Setting.ts"

const crossed = (
  option: string,
  min: { readonly variable: string },
  max: { readonly variable: string },
  least: number | undefined,
  most: number | undefined
): ReadonlyArray<SettingProblem> =>
  least === undefined || most === undefined || least <= most
    ? []
    : [
        {
          variable: min.variable,
          option,
          problem: `must not exceed ${max.variable}`,
          fix: `${least} connections cannot be kept open where ${most} may be opened`
        }
      ]

const never = "0: never"

/** Settings of the PostgreSQL client. */
export const postgresqlSettings = {
  url: url("DATABASE_URL", ["postgresql", "postgres"], "postgresql://user:password@localhost:5432/ai_core", {
    does: "Where PostgreSQL is and who connects, by TCP or a Unix socket (`?host=/folder`); `sslmode` in it (`require`, `verify-ca`, `verify-full`) asks for TLS, with `sslrootcert` as the file of the authority, and `sslcert` and `sslkey` as those of a certificate of one's own; a parameter that is not known is refused; may be an Effect, read for each new connection"
  }),
  maxConnections: count("DB_MAX_CONNECTIONS", 20, {
    min: 1,
    unit: "connections",
    does: "Most connections the pool opens"
  }),
  minConnections: count("DB_MIN_CONNECTIONS", 5, {
    min: 0,
    unit: "connections",
    does: "Connections kept open when idle"
  }),
  acquireTimeout: time("DB_ACQUIRE_TIMEOUT", "seconds", 10, {
    does: "Longest wait for a connection; then `PoolExhausted`, or `Unavailable` where the server is down"
  }),
  idleTimeout: time("DB_IDLE_TIMEOUT", "seconds", 600, {
    zero: never,
    does: "A connection idle this long is closed, down to the minimum"
  }),
  maxLifetime: time("DB_MAX_LIFETIME", "seconds", 1800, {
    zero: never,
    does: "A connection this old is lent no more, and replaced once all who have it are done"
  }),
  connectTimeout: time("DB_CONNECT_TIMEOUT", "seconds", 10, {
    does: "Start-up gives up after asking this long; also the limit of opening one connection"
  }),
  statementTimeout: time("DB_STATEMENT_TIMEOUT", "seconds", 30, {
    most: longestTimer,
    does: "Longest run of one statement: set in each session as `statement_timeout`, and kept by the client where the server is silent"
  }),
  leakDetectionThreshold: time("DB_LEAK_DETECTION_THRESHOLD", "seconds", 60, {
    zero: never,
    does: "A connection held this long is logged once, and named as leaked in `PoolExhausted`"
  }),
  pooler: choice("DB_POOLER", ["none", "transaction"], "none", {
    does: "`transaction`: a pooler in transaction mode (PgBouncer) stands in between. Statements are not prepared, sessions get no `statement_timeout`, and what needs a session says so"
  }),
  shutdownTimeout: time("DB_SHUTDOWN_TIMEOUT", "seconds", 10, {
    does: "How long closing waits for the statements under way"
  }),
  enableMigrations: flag("DB_ENABLE_MIGRATIONS", true, {
    does: "`DatabaseLive` runs the pending migrations before it gives out a capability, if `DB_AUTO_MIGRATE` says so too"
  })
}

/** Settings of the ClickHouse client. */
export const clickhouseSettings = {
  url: url("CLICKHOUSE_URL", ["http", "https"], "http://localhost:8123", {
    does: "Address of ClickHouse's HTTP interface; may be an Effect, read again for each request"
  }),
  database: text("CLICKHOUSE_DATABASE", "automation_analytics", {
    does: "Database of every statement that names none"
  }),
  username: text("CLICKHOUSE_USER", "default", { does: "User of every request" }),
  password: password("CLICKHOUSE_PASSWORD", {
    does: "Password of every request; may be an Effect, read again for each request"
  }),
  poolSize: count("CLICKHOUSE_POOL_SIZE", 10, {
    min: 1,
    unit: "connections",
    does: "Most connections the client opens (its `max_open_connections`: a limit, nothing is kept warm)"
  }),
  timeout: time("CLICKHOUSE_TIMEOUT", "seconds", 30, {
    does: "Longest run of one request: the client's limit and the server's `max_execution_time`"
  }),
  compression: flag("CLICKHOUSE_COMPRESSION", true, {
    does: "Asks for compressed answers (gzip; the client has no LZ4). Requests stay uncompressed: compressing an insert costs more than a fast network saves"
  }),
  compressRequests: flag("CLICKHOUSE_COMPRESS_REQUESTS", false, {
    does: "Compresses inserts too (gzip), for slow networks"
  }),
  secure: flag("CLICKHOUSE_SECURE", false, { does: "HTTPS even where the URL says `http`" }),
  connectTimeout: time("CLICKHOUSE_CONNECT_TIMEOUT", "seconds", 10, {
    does: "Start-up gives up after asking this long"
  }),
  shutdownTimeout: time("CLICKHOUSE_SHUTDOWN_TIMEOUT", "seconds", 10, {
    does: "How long closing waits for the requests under way, and for collected events to be stored"
  })
}

/** Settings of the MongoDB client. */
export const mongodbSettings = {
  url: url("MONGODB_URL", ["mongodb", "mongodb+srv"], "mongodb://localhost:27017", {
    does: "Where MongoDB is and who connects; may be an Effect, read again when a new connection is not let in"
  }),
  database: text("MONGODB_DATABASE", "ai_core_content", { does: "Database of the platform's collections" }),
  maxPoolSize: count("MONGODB_MAX_POOL_SIZE", 20, {
    min: 1,
    unit: "connections",
    does: "The driver's `maxPoolSize`, per server"
  }),
  minPoolSize: count("MONGODB_MIN_POOL_SIZE", 5, { min: 0, unit: "connections", does: "The driver's `minPoolSize`" }),
  maxIdleTime: time("MONGODB_MAX_IDLE_TIME", "seconds", 600, { zero: never, does: "The driver's `maxIdleTimeMS`" }),
  connectTimeout: time("MONGODB_CONNECT_TIMEOUT", "seconds", 10, {
    most: longestTimer,
    does: "Start-up gives up after asking this long; also the driver's `connectTimeoutMS`"
  }),
  serverSelectionTimeout: time("MONGODB_SERVER_SELECTION_TIMEOUT", "seconds", 30, {
    most: longestTimer,
    does: "Longest wait for a usable server, never longer than the call's own limit; for `raw` the driver's `serverSelectionTimeoutMS`"
  }),
  waitQueueTimeout: time("MONGODB_WAIT_QUEUE_TIMEOUT", "seconds", 10, {
    most: longestTimer,
    does: "Longest wait for a connection, then `PoolExhausted`; for `raw` the driver's `waitQueueTimeoutMS`"
  }),
  timeout: time("MONGODB_TIMEOUT", "seconds", 30, {
    most: longestTimer,
    does: "Longest run of one operation: the client's limit, and the server's (`maxTimeMS`) for writes; a read ends there with its socket"
  }),
  shutdownTimeout: time("MONGODB_SHUTDOWN_TIMEOUT", "seconds", 10, {
    does: "How long closing waits for the operations under way"
  })
}

/** Settings of the Redis client. */
export const redisSettings = {
  url: url("REDIS_URL", ["redis", "rediss"], "redis://localhost:6379", {
    does: "Where Redis is and who connects; `rediss` asks for TLS; may be an Effect, read for each new connection (in a cluster, when the client is made)"
  }),
  maxConnections: count("REDIS_MAX_CONNECTIONS", 20, {
    min: 1,
    unit: "connections",
    does: "Most connections reserved for blocking commands and transactions. Plain commands share one: ioredis has no pool"
  }),
  minConnections: count("REDIS_MIN_CONNECTIONS", 5, {
    min: 0,
    unit: "connections",
    does: "Accepted without effect: reserved connections open on demand, plain commands need one"
  }),
  connectionTimeout: time("REDIS_CONNECTION_TIMEOUT", "seconds", 10, {
    most: longestTimer,
    does: "Start-up gives up after asking this long; ioredis's `connectTimeout` is 80 % of it, so that an unreachable host is told from a silent one; also the longest wait for a reserved connection"
  }),
  responseTimeout: time("REDIS_RESPONSE_TIMEOUT", "seconds", 5, {
    most: longestTimer,
    does: "Longest run of one command, its retries included; then `Timeout`. A connection silent that long is replaced"
  }),
  retryAttempts: count("REDIS_RETRY_ATTEMPTS", 3, {
    min: 0,
    does: "Times a failed command is sent again, where that is safe"
  }),
  enableCluster: flag("REDIS_ENABLE_CLUSTER", false, {
    does: "Talks to a Redis Cluster, whose first node the URL names"
  }),
  defaultTtl: time("REDIS_DEFAULT_TTL", "seconds", 3600, { does: "Life of a cached value that is set without one" }),
  maxPoolSize: count("REDIS_MAX_POOL_SIZE", 50, {
    min: 1,
    unit: "connections",
    does: "Accepted without effect: ioredis has no pool; `REDIS_MAX_CONNECTIONS` is the limit"
  }),
  maxPending: count("REDIS_MAX_PENDING", 10_000, {
    min: 1,
    does: "Most plain commands under way, those nobody waits for any more included; nothing waits for a reconnect. The next one fails with `PoolExhausted`"
  }),
  shutdownTimeout: time("REDIS_SHUTDOWN_TIMEOUT", "seconds", 10, {
    does: "How long closing waits for the commands under way"
  })
}

/** Settings of the migration engine. */
export const migrationSettings = {
  autoMigrate: flag("DB_AUTO_MIGRATE", true, {
    does: "`DatabaseLive` runs the pending migrations, if `DB_ENABLE_MIGRATIONS` says so too"
  }),
  continueOnError: flag("DB_MIGRATION_CONTINUE_ON_ERROR", false, {
    does: "A failed migration halts only the stores that depend on its own: the others are still migrated, and then the start fails all the same"
  }),
  backupBeforeMigration: flag("DB_BACKUP_BEFORE_MIGRATION", true, {
    does: "Before pending migrations run, `pg_dump` backs up the PostgreSQL schema that they change, if it holds tables; where that fails nothing is migrated"
  }),
  backupFolder: text("DB_BACKUP_FOLDER", "backups", { does: "Folder of the backups, made where it is missing" }),
  migrationTimeout: time("DB_MIGRATION_TIMEOUT", "seconds", 300, {
    does: "Longest run of all pending migrations of a store, and of one statement in them"
  }),
  lockTimeout: time("DB_MIGRATION_LOCK_TIMEOUT", "seconds", 60, {
    does: "Longest wait for another program that migrates the same store"
  }),
  outOfOrder: choice("DB_MIGRATION_OUT_OF_ORDER", ["error", "allow", "skip"], "error", {
    does: "What becomes of a pending migration that is older than one that was applied: the start fails, it is applied all the same, or it is left out with a warning"
  }),
  future: choice("DB_MIGRATION_FUTURE", ["allow", "error"], "allow", {
    does: "What becomes of an applied migration that is newer than every one that this program has, because a newer program has migrated: the start goes on with a warning, or it fails"
  }),
  dryRun: flag("DB_MIGRATION_DRY_RUN", false, {
    does: "`DatabaseLive` writes nothing, and logs what it would run"
  }),
  migrationUrl: optionalUrl(
    "DB_MIGRATION_URL",
    ["postgresql", "postgres"],
    "postgresql://owner:password@localhost:5432/ai_core",
    {
      does: "Where and as whom PostgreSQL is migrated, in place of `DATABASE_URL`: past a pooler in transaction mode, or as the owner of the tables"
    }
  )
}

/** Settings of health checks. */
export const healthSettings = {
  timeout: time("DB_HEALTH_TIMEOUT", "seconds", 5, {
    does: "Longest check of one store; accepted without effect until health checks read it"
  }),
  maxResponseTime: time("DB_HEALTH_MAX_RESPONSE_TIME_MS", "milliseconds", 1000, {
    does: "A slower answer is `degraded`; accepted without effect until health checks read it"
  }),
  detailedChecks: flag("DB_HEALTH_DETAILED_CHECKS", true, {
    does: "Reads the server's own figures too; accepted without effect until health checks read it"
  })
}

/** Settings of monitoring. */
export const monitoringSettings = {
  enabled: flag("DB_ENABLE_MONITORING", true, {
    does: "Metrics are collected; accepted without effect until telemetry reads it"
  }),
  metricsInterval: time("DB_METRICS_INTERVAL", "seconds", 60, {
    does: "Pause between two readings of the pools; accepted without effect until telemetry reads it"
  }),
  slowQueryThreshold: time("DB_SLOW_QUERY_THRESHOLD_MS", "milliseconds", 1000, {
    does: "A slower call to PostgreSQL is logged as a warning with its summary"
  }),
  healthCheckInterval: time("DB_HEALTH_CHECK_INTERVAL", "seconds", 30, {
    does: "Pause between two health checks; accepted without effect until health checks read it"
  })
}

/** The sections, each with its settings and the two ways to fill it. */
export const sections = {
  postgresql: section(postgresqlSettings, (c) =>
    crossed(
      "minConnections",
      postgresqlSettings.minConnections,
      postgresqlSettings.maxConnections,
      c.minConnections,
      c.maxConnections
    )
  ),
  clickhouse: section(clickhouseSettings),
  mongodb: section(mongodbSettings, (c) =>
    crossed("minPoolSize", mongodbSettings.minPoolSize, mongodbSettings.maxPoolSize, c.minPoolSize, c.maxPoolSize)
  ),
  redis: section(redisSettings),
  migrations: section(migrationSettings),
  health: section(healthSettings),
  monitoring: section(monitoringSettings)
}

type SettingsOf = { readonly [K in keyof typeof sections]: (typeof sections)[K]["settings"] }

/** The whole configuration: what `DatabaseLive` reads. */
export type DatabaseConfig = { readonly [K in keyof SettingsOf]: Values<SettingsOf[K]> }

type StoreSection = "postgresql" | "clickhouse" | "mongodb" | "redis"

/** What a program writes: the four URLs, and whatever it wants otherwise than the defaults. */
export type DatabaseOptions = { readonly [K in StoreSection]: Options<SettingsOf[K]> } & {
  readonly [K in Exclude<keyof SettingsOf, StoreSection>]?: Options<SettingsOf[K]> | undefined
}

/** Other defaults than ours. */
export type DatabasePreset = { readonly [K in keyof SettingsOf]?: Preset<SettingsOf[K]> | undefined }

export type PostgresConfig = DatabaseConfig["postgresql"]
export type PostgresOptions = Options<typeof postgresqlSettings>
export type PostgresPreset = Preset<typeof postgresqlSettings>
export type ClickHouseConfig = DatabaseConfig["clickhouse"]
export type ClickHouseOptions = Options<typeof clickhouseSettings>
export type ClickHousePreset = Preset<typeof clickhouseSettings>
export type MongoConfig = DatabaseConfig["mongodb"]
export type MongoOptions = Options<typeof mongodbSettings>
export type MongoPreset = Preset<typeof mongodbSettings>
export type RedisConfig = DatabaseConfig["redis"]
export type RedisOptions = Options<typeof redisSettings>
export type RedisPreset = Preset<typeof redisSettings>
export type MigrationConfig = DatabaseConfig["migrations"]
export type HealthConfig = DatabaseConfig["health"]
export type MonitoringConfig = DatabaseConfig["monitoring"]

/** For many concurrent callers: larger pools that give up sooner and rotate connections. */
export const highConcurrency: DatabasePreset = {
  postgresql: {
    maxConnections: 50,
    minConnections: 10,
    acquireTimeout: "5 seconds",
    idleTimeout: "300 seconds",
    maxLifetime: "900 seconds"
  },
  clickhouse: { poolSize: 20, timeout: "60 seconds", compression: true }
}

/** For few callers that must not wait: every connection stays open. */
export const lowLatency: DatabasePreset = {
  postgresql: {
    maxConnections: 20,
    minConnections: 20,
    acquireTimeout: "1 second",
    idleTimeout: 0,
    maxLifetime: "3600 seconds"
  }
}

/** Reads every section, so that one error lists what is wrong in any of them. */
const gather = (read: {
  readonly [K in keyof DatabaseConfig]: Effect.Effect<DatabaseConfig[K], ConfigInvalid>
}): Effect.Effect<DatabaseConfig, ConfigInvalid> =>
  Effect.gen(function* () {
    const problems: Array<SettingProblem> = []
    for (const one of Object.values<Effect.Effect<unknown, ConfigInvalid>>(read)) {
      yield* Effect.catch(one, (error) => Effect.sync(() => problems.push(...error.problems)))
    }
    if (problems.length > 0) return yield* new ConfigInvalid({ problems })
    return yield* Effect.all(read)
  })

/**
 * Checks a configuration that a program wrote and fills in the defaults; `preset` takes their place.
 *
 * Fails with `ConfigInvalid`, which lists every wrong or missing setting.
 */
export const make = (
  options: DatabaseOptions,
  preset: DatabasePreset = {}
): Effect.Effect<DatabaseConfig, ConfigInvalid> =>
  gather({
    postgresql: sections.postgresql.make({ ...preset.postgresql, ...options.postgresql }),
    clickhouse: sections.clickhouse.make({ ...preset.clickhouse, ...options.clickhouse }),
    mongodb: sections.mongodb.make({ ...preset.mongodb, ...options.mongodb }),
    redis: sections.redis.make({ ...preset.redis, ...options.redis }),
    migrations: sections.migrations.make({ ...preset.migrations, ...options.migrations }),
    health: sections.health.make({ ...preset.health, ...options.health }),
    monitoring: sections.monitoring.make({ ...preset.monitoring, ...options.monitoring })
  })

/**
 * Reads the configuration from the environment, or from the ConfigProvider in the Context.
 *
 * `preset` takes the place of the defaults; a variable wins over it. Fails with `ConfigInvalid`, which lists every wrong or
 * missing variable, what was expected, and the fix, and never a value.
 */
export const fromEnvironment = (preset: DatabasePreset = {}): Effect.Effect<DatabaseConfig, ConfigInvalid> =>
  gather({
    postgresql: sections.postgresql.fromEnvironment(preset.postgresql),
    clickhouse: sections.clickhouse.fromEnvironment(preset.clickhouse),
    mongodb: sections.mongodb.fromEnvironment(preset.mongodb),
    redis: sections.redis.fromEnvironment(preset.redis),
    migrations: sections.migrations.fromEnvironment(preset.migrations),
    health: sections.health.fromEnvironment(preset.health),
    monitoring: sections.monitoring.fromEnvironment(preset.monitoring)
  })
