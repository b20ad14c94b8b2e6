import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Redacted } from "effect"
import * as DatabaseConfig from "../../src/core/DatabaseConfig.ts"
import type { Setting } from "../../src/core/Setting.ts"

const urls = {
  DATABASE_URL: "postgresql://ann:secret-1@db:5432/shop",
  CLICKHOUSE_URL: "http://ch:8123",
  MONGODB_URL: "mongodb://ann:secret-2@mongo:27017",
  REDIS_URL: "redis://:secret-3@cache:6379"
}

const read = (env: Record<string, string>, preset?: DatabaseConfig.DatabasePreset) =>
  Effect.provideService(
    DatabaseConfig.fromEnvironment(preset),
    ConfigProvider.ConfigProvider,
    ConfigProvider.fromEnv({ env })
  )

const problemsOf = (env: Record<string, string>, preset?: DatabaseConfig.DatabasePreset) =>
  Effect.map(Effect.flip(read(env, preset)), ({ problems }) => problems.map((p) => `${p.variable} ${p.problem}`))

/** A value as a row of the table below can name it. */
const plain = (value: unknown): unknown =>
  Duration.isDuration(value)
    ? `${Duration.toMillis(value)} ms`
    : Redacted.isRedacted(value)
      ? Redacted.value(value)
      : value

const off = { text: "no", value: false }
const wrongFlag = ["2", "maybe"]
const wrongTime = ["0", "-1", "soon", "1s", "Infinity"]
const wrongTimeOrNever = wrongTime.slice(1)
const wrongCount = ["0", "-1", "2.5", "many", "1e3"]
const wrongCountOrNone = wrongCount.slice(1)
const seconds = (n: number) => ({ text: String(n), value: `${n * 1000} ms` })
const millis = (n: number) => ({ text: String(n), value: `${n} ms` })
const number = (n: number) => ({ text: String(n), value: n })

/** Every setting that has a default: variable, default, a text for it and what it means, texts that are wrong. */
const expected: {
  readonly [K in keyof DatabaseConfig.DatabaseConfig]: Record<
    string,
    readonly [
      variable: string,
      fallback: unknown,
      given: { text: string; value: unknown },
      wrong: ReadonlyArray<string>
    ]
  >
} = {
  postgresql: {
    maxConnections: ["DB_MAX_CONNECTIONS", 20, number(7), wrongCount],
    minConnections: ["DB_MIN_CONNECTIONS", 5, number(0), wrongCountOrNone],
    acquireTimeout: ["DB_ACQUIRE_TIMEOUT", "10000 ms", seconds(3), wrongTime],
    idleTimeout: ["DB_IDLE_TIMEOUT", "600000 ms", seconds(0), wrongTimeOrNever],
    maxLifetime: ["DB_MAX_LIFETIME", "1800000 ms", seconds(0), wrongTimeOrNever],
    connectTimeout: ["DB_CONNECT_TIMEOUT", "10000 ms", { text: "0.5", value: "500 ms" }, wrongTime],
    statementTimeout: ["DB_STATEMENT_TIMEOUT", "30000 ms", seconds(4), wrongTime],
    leakDetectionThreshold: ["DB_LEAK_DETECTION_THRESHOLD", "60000 ms", seconds(0), wrongTimeOrNever],
    pooler: ["DB_POOLER", "none", { text: "Transaction", value: "transaction" }, ["session", "pgbouncer"]],
    shutdownTimeout: ["DB_SHUTDOWN_TIMEOUT", "10000 ms", seconds(4), wrongTime],
    enableMigrations: ["DB_ENABLE_MIGRATIONS", true, off, wrongFlag]
  },
  clickhouse: {
    database: ["CLICKHOUSE_DATABASE", "automation_analytics", { text: "other", value: "other" }, [" "]],
    username: ["CLICKHOUSE_USER", "default", { text: "ann", value: "ann" }, [" "]],
    password: ["CLICKHOUSE_PASSWORD", "", { text: "secret-4", value: "secret-4" }, []],
    poolSize: ["CLICKHOUSE_POOL_SIZE", 10, number(3), wrongCount],
    timeout: ["CLICKHOUSE_TIMEOUT", "30000 ms", seconds(3), wrongTime],
    compression: ["CLICKHOUSE_COMPRESSION", true, off, wrongFlag],
    compressRequests: ["CLICKHOUSE_COMPRESS_REQUESTS", false, { text: "on", value: true }, wrongFlag],
    secure: ["CLICKHOUSE_SECURE", false, { text: "1", value: true }, wrongFlag],
    connectTimeout: ["CLICKHOUSE_CONNECT_TIMEOUT", "10000 ms", seconds(3), wrongTime],
    shutdownTimeout: ["CLICKHOUSE_SHUTDOWN_TIMEOUT", "10000 ms", seconds(3), wrongTime]
  },
  mongodb: {
    database: ["MONGODB_DATABASE", "ai_core_content", { text: "other", value: "other" }, [" "]],
    maxPoolSize: ["MONGODB_MAX_POOL_SIZE", 20, number(7), wrongCount],
    minPoolSize: ["MONGODB_MIN_POOL_SIZE", 5, number(0), wrongCountOrNone],
    maxIdleTime: ["MONGODB_MAX_IDLE_TIME", "600000 ms", seconds(0), wrongTimeOrNever],
    connectTimeout: ["MONGODB_CONNECT_TIMEOUT", "10000 ms", seconds(3), wrongTime],
    serverSelectionTimeout: ["MONGODB_SERVER_SELECTION_TIMEOUT", "30000 ms", seconds(3), wrongTime],
    waitQueueTimeout: ["MONGODB_WAIT_QUEUE_TIMEOUT", "10000 ms", seconds(3), wrongTime],
    timeout: ["MONGODB_TIMEOUT", "30000 ms", seconds(3), wrongTime],
    shutdownTimeout: ["MONGODB_SHUTDOWN_TIMEOUT", "10000 ms", seconds(3), wrongTime]
  },
  redis: {
    maxConnections: ["REDIS_MAX_CONNECTIONS", 20, number(7), wrongCount],
    minConnections: ["REDIS_MIN_CONNECTIONS", 5, number(0), wrongCountOrNone],
    connectionTimeout: ["REDIS_CONNECTION_TIMEOUT", "10000 ms", seconds(3), wrongTime],
    responseTimeout: ["REDIS_RESPONSE_TIMEOUT", "5000 ms", seconds(3), wrongTime],
    retryAttempts: ["REDIS_RETRY_ATTEMPTS", 3, number(0), wrongCountOrNone],
    enableCluster: ["REDIS_ENABLE_CLUSTER", false, { text: "TRUE", value: true }, wrongFlag],
    defaultTtl: ["REDIS_DEFAULT_TTL", "3600000 ms", seconds(60), wrongTime],
    maxPoolSize: ["REDIS_MAX_POOL_SIZE", 50, number(7), wrongCount],
    maxPending: ["REDIS_MAX_PENDING", 10_000, number(7), wrongCount],
    shutdownTimeout: ["REDIS_SHUTDOWN_TIMEOUT", "10000 ms", seconds(3), wrongTime]
  },
  migrations: {
    autoMigrate: ["DB_AUTO_MIGRATE", true, off, wrongFlag],
    continueOnError: ["DB_MIGRATION_CONTINUE_ON_ERROR", false, { text: "yes", value: true }, wrongFlag],
    backupBeforeMigration: ["DB_BACKUP_BEFORE_MIGRATION", true, off, wrongFlag],
    backupFolder: ["DB_BACKUP_FOLDER", "backups", { text: "/var/backups", value: "/var/backups" }, [" "]],
    migrationTimeout: ["DB_MIGRATION_TIMEOUT", "300000 ms", seconds(3), wrongTime],
    lockTimeout: ["DB_MIGRATION_LOCK_TIMEOUT", "60000 ms", seconds(3), wrongTime],
    outOfOrder: ["DB_MIGRATION_OUT_OF_ORDER", "error", { text: "Skip", value: "skip" }, ["later", "allowed"]],
    future: ["DB_MIGRATION_FUTURE", "allow", { text: "Error", value: "error" }, ["warn", "skip"]],
    migrationUrl: [
      "DB_MIGRATION_URL",
      "",
      { text: "postgresql://owner:secret-9@db/app", value: "postgresql://owner:secret-9@db/app" },
      ["mysql://owner:secret-9@db/app"]
    ],
    dryRun: ["DB_MIGRATION_DRY_RUN", false, { text: "yes", value: true }, wrongFlag]
  },
  health: {
    timeout: ["DB_HEALTH_TIMEOUT", "5000 ms", seconds(3), wrongTime],
    maxResponseTime: ["DB_HEALTH_MAX_RESPONSE_TIME_MS", "1000 ms", millis(3), wrongTime],
    detailedChecks: ["DB_HEALTH_DETAILED_CHECKS", true, off, wrongFlag]
  },
  monitoring: {
    enabled: ["DB_ENABLE_MONITORING", true, off, wrongFlag],
    metricsInterval: ["DB_METRICS_INTERVAL", "60000 ms", seconds(3), wrongTime],
    slowQueryThreshold: ["DB_SLOW_QUERY_THRESHOLD_MS", "1000 ms", millis(3), wrongTime],
    healthCheckInterval: ["DB_HEALTH_CHECK_INTERVAL", "30000 ms", seconds(3), wrongTime]
  }
}

type SectionName = keyof DatabaseConfig.DatabaseConfig
const sectionNames = Object.keys(expected) as ReadonlyArray<SectionName>
const settingsOf = (name: SectionName): Record<string, Setting<unknown, never>> =>
  DatabaseConfig.sections[name].settings
const valueIn = (config: DatabaseConfig.DatabaseConfig, section: SectionName, key: string): unknown =>
  plain(new Map<string, unknown>(Object.entries(config[section])).get(key))

describe("DatabaseConfig", () => {
  it("the table below names every setting", () => {
    for (const name of sectionNames) {
      const keys = Object.keys(settingsOf(name)).filter((key) => key !== "url")
      assert.deepEqual(keys.sort(), Object.keys(expected[name]).sort(), name)
    }
  })

  it("no two settings read the same variable, and each says what it does", () => {
    const all = sectionNames.flatMap((name) => Object.values(settingsOf(name)))
    assert.equal(new Set(all.map(({ variable }) => variable)).size, all.length)
    for (const { does, variable } of all) assert.ok(does.length > 10, variable)
  })

  for (const name of sectionNames) {
    for (const [key, [variable, fallback, given, wrong]] of Object.entries(expected[name])) {
      it.effect(`${variable}: its default, what is given, what is wrong`, () =>
        Effect.gen(function* () {
          assert.deepEqual(valueIn(yield* read(urls), name, key), fallback)
          const low = variable === "DB_MAX_CONNECTIONS" || variable === "MONGODB_MAX_POOL_SIZE"
          const room: Record<string, string> = low ? { DB_MIN_CONNECTIONS: "1", MONGODB_MIN_POOL_SIZE: "1" } : {}
          assert.deepEqual(valueIn(yield* read({ ...urls, ...room, [variable]: given.text }), name, key), given.value)
          for (const text of wrong) {
            const problems = yield* problemsOf({ ...urls, [variable]: text })
            assert.equal(problems.length, 1, `${variable}=${text}: ${problems.join()}`)
            assert.match(problems[0]!, new RegExp(`^${variable} must be `))
          }
        })
      )
    }
  }

  it.effect("the four URLs have no default, and only their own schemes", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* problemsOf({}), [
        "DATABASE_URL is missing",
        "CLICKHOUSE_URL is missing",
        "MONGODB_URL is missing",
        "REDIS_URL is missing"
      ])
      const swapped = {
        DATABASE_URL: urls.REDIS_URL,
        CLICKHOUSE_URL: "ch:8123",
        MONGODB_URL: urls.DATABASE_URL,
        REDIS_URL: "redis://"
      }
      assert.deepEqual(yield* problemsOf(swapped), [
        "DATABASE_URL must be a URL such as postgresql://user:password@localhost:5432/ai_core",
        "CLICKHOUSE_URL must be a URL such as http://localhost:8123",
        "MONGODB_URL must be a URL such as mongodb://localhost:27017",
        "REDIS_URL must be a URL such as redis://localhost:6379"
      ])
    })
  )

  it.effect("one error lists every problem of every section, with expectation and fix", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        read({
          CLICKHOUSE_URL: urls.CLICKHOUSE_URL,
          REDIS_URL: urls.REDIS_URL,
          DATABASE_URL: urls.DATABASE_URL,
          DB_MAX_CONNECTIONS: "many",
          REDIS_DEFAULT_TTL: "-5",
          DB_ENABLE_MONITORING: "perhaps"
        })
      )
      assert.equal(
        error.message,
        [
          "4 settings are wrong or missing:",
          "  DB_MAX_CONNECTIONS (maxConnections) must be a whole number, 1 or more. What it sets: Most connections the pool opens",
          "  MONGODB_URL (url) is missing. Set it to a URL such as mongodb://localhost:27017",
          "  REDIS_DEFAULT_TTL (defaultTtl) must be a number of seconds above 0. What it sets: Life of a cached value that is set without one",
          "  DB_ENABLE_MONITORING (enabled) must be true or false. What it sets: Metrics are collected; accepted without effect until telemetry reads it"
        ].join("\n")
      )
    })
  )

  it.effect("a minimum above the maximum is named, also beside other problems", () =>
    Effect.gen(function* () {
      const crossed = { DB_MIN_CONNECTIONS: "9", DB_MAX_CONNECTIONS: "8", MONGODB_MIN_POOL_SIZE: "21" }
      assert.deepEqual(yield* problemsOf({ ...urls, ...crossed }), [
        "DB_MIN_CONNECTIONS must not exceed DB_MAX_CONNECTIONS",
        "MONGODB_MIN_POOL_SIZE must not exceed MONGODB_MAX_POOL_SIZE"
      ])
      assert.deepEqual(yield* problemsOf({ ...urls, ...crossed, MONGODB_TIMEOUT: "x", DB_IDLE_TIMEOUT: "x" }), [
        "DB_IDLE_TIMEOUT must be a number of seconds from 0 (0: never)",
        "DB_MIN_CONNECTIONS must not exceed DB_MAX_CONNECTIONS",
        "MONGODB_TIMEOUT must be a number of seconds above 0, 2147483.647 at most",
        "MONGODB_MIN_POOL_SIZE must not exceed MONGODB_MAX_POOL_SIZE"
      ])
    })
  )

  it.effect("a time that a server or a driver keeps is no longer than it can keep", () =>
    Effect.gen(function* () {
      const bounded = [
        ["postgresql", "statementTimeout"],
        ["mongodb", "connectTimeout"],
        ["mongodb", "serverSelectionTimeout"],
        ["mongodb", "waitQueueTimeout"],
        ["mongodb", "timeout"],
        ["redis", "connectionTimeout"],
        ["redis", "responseTimeout"]
      ] as const
      for (const [name, option] of bounded) {
        const { variable } = settingsOf(name)[option]!
        const longest = yield* read({ ...urls, [variable]: "2147483.647" })
        assert.equal(valueIn(longest, name, option), "2147483647 ms")
        assert.deepEqual(yield* problemsOf({ ...urls, [variable]: "2147483.648" }), [
          `${variable} must be a number of seconds above 0, 2147483.647 at most`
        ])
      }
      const url = Redacted.make(urls.DATABASE_URL)
      const error = yield* Effect.flip(DatabaseConfig.sections.postgresql.make({ url, statementTimeout: "30 days" }))
      assert.deepEqual(
        error.problems.map(({ option }) => option),
        ["statementTimeout"]
      )
    })
  )

  it.effect("an empty variable counts as missing, so that a default holds", () =>
    Effect.gen(function* () {
      const config = yield* read({ ...urls, CLICKHOUSE_PASSWORD: "", DB_MAX_CONNECTIONS: "" })
      assert.equal(config.postgresql.maxConnections, 20)
      assert.equal(plain(config.clickhouse.password), "")
    })
  )

  it.effect("no secret is printed, neither of a configuration that is right nor of one that is wrong", () =>
    Effect.gen(function* () {
      const right = yield* read({ ...urls, CLICKHOUSE_PASSWORD: "secret-4" })
      const wrong = yield* Effect.flip(
        read({ ...urls, MONGODB_URL: "postgres://secret-5", DB_MAX_CONNECTIONS: "secret-6" })
      )
      for (const printed of [
        JSON.stringify(right),
        String(right),
        JSON.stringify(wrong),
        String(wrong),
        wrong.stack ?? ""
      ]) {
        assert.doesNotMatch(printed, /secret-/)
      }
      assert.equal(plain(right.redis.url), urls.REDIS_URL)
    })
  )

  it.effect("a program writes what it wants otherwise, and every wrong part is named by its variable", () =>
    Effect.gen(function* () {
      const written: DatabaseConfig.DatabaseOptions = {
        postgresql: { url: Redacted.make(urls.DATABASE_URL), acquireTimeout: "2 seconds", idleTimeout: 0 },
        clickhouse: { url: Redacted.make(urls.CLICKHOUSE_URL), secure: true },
        mongodb: { url: Effect.succeed(Redacted.make(urls.MONGODB_URL)) },
        redis: { url: Redacted.make(urls.REDIS_URL), maxPending: 5 }
      }
      const config = yield* DatabaseConfig.make(written)
      assert.equal(plain(config.postgresql.acquireTimeout), "2000 ms")
      assert.equal(plain(config.postgresql.idleTimeout), "0 ms")
      assert.equal(config.clickhouse.secure, true)
      assert.equal(config.redis.maxPending, 5)
      assert.equal(config.postgresql.maxConnections, 20)
      assert.ok(Effect.isEffect(config.mongodb.url))

      const error = yield* Effect.flip(
        DatabaseConfig.make({
          ...written,
          postgresql: { url: Redacted.make("mysql://secret-7"), maxConnections: 0, acquireTimeout: -1 },
          redis: { ...written.redis, defaultTtl: "0 seconds", retryAttempts: Number.NaN }
        })
      )
      assert.deepEqual(
        error.problems.map(({ variable }) => variable),
        ["DATABASE_URL", "DB_MAX_CONNECTIONS", "DB_ACQUIRE_TIMEOUT", "REDIS_RETRY_ATTEMPTS", "REDIS_DEFAULT_TTL"]
      )
      assert.doesNotMatch(JSON.stringify(error) + error.message, /secret-/)
    })
  )

  it.effect("presets take the place of defaults, and a variable wins over them", () =>
    Effect.gen(function* () {
      const busy = yield* read(urls, DatabaseConfig.highConcurrency)
      assert.deepEqual(
        ["maxConnections", "minConnections", "acquireTimeout", "idleTimeout", "maxLifetime", "enableMigrations"].map(
          (key) => valueIn(busy, "postgresql", key)
        ),
        [50, 10, "5000 ms", "300000 ms", "900000 ms", true]
      )
      assert.deepEqual([busy.clickhouse.poolSize, plain(busy.clickhouse.timeout)], [20, "60000 ms"])
      const quick = yield* read(urls, DatabaseConfig.lowLatency)
      assert.deepEqual(
        ["maxConnections", "minConnections", "acquireTimeout", "idleTimeout", "maxLifetime"].map((key) =>
          valueIn(quick, "postgresql", key)
        ),
        [20, 20, "1000 ms", "0 ms", "3600000 ms"]
      )
      const mixed = yield* read({ ...urls, DB_MAX_CONNECTIONS: "33" }, DatabaseConfig.lowLatency)
      assert.deepEqual([mixed.postgresql.maxConnections, mixed.postgresql.minConnections], [33, 20])
      assert.deepEqual(yield* problemsOf({ ...urls, DB_MAX_CONNECTIONS: "3" }, DatabaseConfig.lowLatency), [
        "DB_MIN_CONNECTIONS must not exceed DB_MAX_CONNECTIONS"
      ])
    })
  )
})
