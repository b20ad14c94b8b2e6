import { it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Layer, Option, Redacted, References, Schema } from "effect"
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import { Analytics, isStoreError, MigrationError, TimeRange, Users } from "../../src/index.ts"
import * as Live from "../../src/live.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { describeLive, freshClickHouse, freshMongo, freshPostgres, serverUrl } from "../servers/index.ts"

describe("DatabaseLive and its configuration", () => {
  it.live("lists what is wrong or missing in all four stores, and opens none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Layer.build(Live.layerConfig()).pipe(Effect.scoped))
      assert.equal(error._tag, "ConfigInvalid")
      for (const variable of ["DATABASE_URL", "CLICKHOUSE_URL", "MONGODB_URL", "REDIS_URL", "DB_MAX_CONNECTIONS"]) {
        assert.ok(error.message.includes(variable), variable)
      }
      assert.ok(!error.message.includes("hunter2"))
    }).pipe(
      Effect.provide(
        ConfigProvider.layer(
          ConfigProvider.fromEnvRecord({ DATABASE_URL: "mysql://root:hunter2@localhost", DB_MAX_CONNECTIONS: "many" })
        )
      )
    )
  )
})

const stores = ["postgresql", "clickhouse", "mongodb", "redis"] as const

/** The environment of a program that has databases of its own. */
const environment = Effect.gen(function* () {
  const postgres = yield* freshPostgres
  const clickhouse = yield* freshClickHouse
  const mongodb = yield* freshMongo
  const server = new URL(clickhouse.url)
  return {
    DATABASE_URL: postgres,
    CLICKHOUSE_URL: server.origin,
    CLICKHOUSE_USER: decodeURIComponent(server.username) || "default",
    CLICKHOUSE_PASSWORD: decodeURIComponent(server.password),
    CLICKHOUSE_DATABASE: clickhouse.database,
    MONGODB_URL: mongodb.url,
    MONGODB_DATABASE: mongodb.database,
    REDIS_URL: serverUrl("redis")!
  }
})

/** `DatabaseLive` as the program sees it. */
const live = (env: Record<string, string>) =>
  Layer.provide(Live.layerConfig(), ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))

describeLive(stores, "DatabaseLive on four servers", () => {
  it.live("migrates, and gives every capability", () =>
    Effect.gen(function* () {
      const env = yield* environment
      const program = Effect.gen(function* () {
        const users = yield* Users
        const analytics = yield* Analytics
        const user = yield* users.create({ email: "a@example.com", username: "a", passwordHash: Redacted.make("hash") })
        yield* analytics.trackWorkflowEvent({ workflowId: "w", userId: user.id, service: "s", eventType: "completed" })
        const { totalEvents } = yield* analytics.workflowMetrics(TimeRange.lastHour())
        return { found: Option.isSome(yield* users.findById(user.id)), totalEvents }
      })
      assert.deepEqual(yield* Effect.provide(program, live(env)), { found: true, totalEvents: 1 })
      // A second program finds the tables there.
      assert.ok(
        yield* Effect.provide(
          Effect.map(Users, () => true),
          live(env)
        )
      )
    })
  )

  it.live("a migration that fails fails the layer, and no capability is given out", () =>
    Effect.gen(function* () {
      const env = yield* environment
      const started = (more: Record<string, string> = {}) =>
        Effect.exit(
          Effect.provide(
            Effect.map(Users, () => true),
            live({ ...env, DB_BACKUP_BEFORE_MIGRATION: "false", ...more })
          )
        )
      const clickhouseTables = Effect.provide(
        Effect.flatMap(ClickHouseClient.ClickHouseClient, (client) =>
          client.query("test", { query: "SHOW TABLES", schema: Schema.Struct({ name: Schema.String }) })
        ),
        ClickHouseClient.layer({
          url: Redacted.make(env.CLICKHOUSE_URL),
          database: env.CLICKHOUSE_DATABASE,
          username: env.CLICKHOUSE_USER,
          password: Redacted.make(env.CLICKHOUSE_PASSWORD)
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { PostgresClient: tag, layer } = PostgresClient
          // Somebody has a table there by the name of ours.
          yield* Effect.provide(
            Effect.flatMap(tag, ({ sql }) =>
              Effect.andThen(sql`create schema ai_core`, sql`create table ai_core.users (n int)`)
            ),
            layer({ url: Redacted.make(env.DATABASE_URL), minConnections: 0 })
          )
        })
      )
      const dry = yield* started({ DB_MIGRATION_DRY_RUN: "true" })
      assert.ok(Exit.isSuccess(dry))
      const failed = yield* started()
      assert.ok(Exit.isFailure(failed))
      const error = Cause.squash(failed.cause)
      assert.ok(error instanceof MigrationError && error.reason._tag === "StatementFailed")
      assert.deepEqual(yield* clickhouseTables, [])
      // The other store is migrated all the same, and still the failure is told.
      const continued = yield* started({ DB_MIGRATION_CONTINUE_ON_ERROR: "true" })
      assert.ok(Exit.isFailure(continued) && Cause.squash(continued.cause) instanceof MigrationError)
      assert.ok((yield* clickhouseTables).some(({ name }) => name === "workflow_events"))
      const notAsked = yield* started({ DB_ENABLE_MIGRATIONS: "false" })
      assert.ok(Exit.isSuccess(notAsked))
      // Where it is migrated may be elsewhere than where it is used.
      const elsewhere = yield* started({
        DB_MIGRATION_URL: "postgresql://owner@127.0.0.1:1/app",
        DB_CONNECT_TIMEOUT: "0.5"
      })
      assert.ok(Exit.isFailure(elsewhere))
      const unreachable = Cause.squash(elsewhere.cause)
      assert.ok(isStoreError(unreachable) && unreachable.reason._tag === "Unavailable" && unreachable.reason.port === 1)
      // The table holds data that a backup would have to keep.
      const unsafe = yield* started({ DB_BACKUP_BEFORE_MIGRATION: "true", DB_BACKUP_FOLDER: "/dev/null/backups" })
      assert.ok(Exit.isFailure(unsafe))
      const refused = Cause.squash(unsafe.cause)
      assert.ok(refused instanceof MigrationError && refused.reason._tag === "BackupFailed")
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )

  it.live("an older program starts on what a newer one has migrated, in either store, unless it is strict", () =>
    Effect.gen(function* () {
      const env = yield* environment
      const started = (more: Record<string, string> = {}) =>
        Effect.exit(
          Effect.provide(
            Effect.map(Users, () => true),
            live({ ...env, ...more })
          )
        )
      const refused = Effect.map(started({ DB_MIGRATION_FUTURE: "error" }), (exit) => {
        assert.ok(Exit.isFailure(exit))
        const error = Cause.squash(exit.cause)
        assert.ok(error instanceof MigrationError && error.reason._tag === "FutureApplied", String(error))
        return error.reason.name
      })
      assert.ok(Exit.isSuccess(yield* started({ DB_MIGRATION_FUTURE: "error" })))
      yield* Effect.provide(
        Effect.flatMap(ClickHouseClient.ClickHouseClient, (client) =>
          client.insert("test", "platform_migrations", [
            {
              version: "20991231235959",
              name: "counts_of_the_future",
              checksum: "0",
              statement: 1,
              statements: 1,
              applied_at: "2099-12-31 23:59:59",
              elapsed_ms: 1
            }
          ])
        ),
        ClickHouseClient.layer({
          url: Redacted.make(env.CLICKHOUSE_URL),
          database: env.CLICKHOUSE_DATABASE,
          username: env.CLICKHOUSE_USER,
          password: Redacted.make(env.CLICKHOUSE_PASSWORD)
        })
      )
      assert.ok(Exit.isSuccess(yield* started()))
      assert.equal(yield* refused, "counts_of_the_future")
      yield* Effect.provide(
        Effect.flatMap(
          PostgresClient.PostgresClient,
          ({ sql }) => sql`insert into ai_core.schema_migrations (version, name, checksum, elapsed_ms)
            values (20991231235959, 'users_of_the_future', '0', 1)`
        ),
        PostgresClient.layer({ url: Redacted.make(env.DATABASE_URL), minConnections: 0 })
      )
      assert.ok(Exit.isSuccess(yield* started()))
      assert.equal(yield* refused, "users_of_the_future")
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
  )

  it.live("ends on SIGTERM: drains, closes in order, exit code 0, and every accepted event is stored", () =>
    Effect.gen(function* () {
      const env = yield* environment
      const child = spawn(
        process.execPath,
        ["--conditions=@ai-core/source", fileURLToPath(new URL("./worker.ts", import.meta.url))],
        { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "inherit"] }
      )
      const lines: Array<string> = []
      createInterface({ input: child.stdout }).on("line", (line) => lines.push(line))
      const said = (word: string) =>
        Effect.repeat(
          Effect.delay(
            Effect.sync(() => lines.filter((line) => line.startsWith(word))),
            "20 millis"
          ),
          { until: (found) => found.length > 0, times: 2000 }
        )
      // Not its exit, at which its last lines may still be on their way.
      const ended = Effect.promise(() => once(child, "close"))
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))

      assert.ok((yield* said("working")).length > 0, lines.join("\n"))
      yield* Effect.sleep("400 millis")
      child.kill("SIGTERM")
      const [code, signal] = yield* ended
      assert.deepEqual([code, signal], [0, null], lines.join("\n"))

      const closed = lines.filter((line) => line.startsWith("closed ")).map((line) => line.slice("closed ".length))
      assert.deepEqual(closed, ["ClickHouse", "Redis", "MongoDB", "PostgreSQL"])

      const acknowledged = Number(lines.find((line) => line.startsWith("acknowledged "))?.split(" ")[1])
      const offered = Number(lines.find((line) => line.startsWith("offered "))?.split(" ")[1])
      const stored = yield* Effect.provide(
        Effect.flatMap(Analytics, (analytics) => analytics.workflowMetrics(TimeRange.lastDay())),
        live(env)
      )
      assert.ok(acknowledged > 0)
      assert.ok(
        stored.totalEvents >= acknowledged && stored.totalEvents <= offered,
        `acknowledged ${acknowledged}, stored ${stored.totalEvents}, offered ${offered}`
      )
    })
  )
})
