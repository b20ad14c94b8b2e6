import { it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, References, Stream } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import assert from "node:assert/strict"
import * as DatabaseConfig from "../../src/core/DatabaseConfig.ts"
import { isStoreError, type StoreError } from "../../src/core/StoreError.ts"
import * as DatabaseMigrations from "../../src/platform/DatabaseMigrations.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import { AdvisoryLocks } from "../../src/postgres/AdvisoryLocks.ts"
import * as AdvisoryLocksLive from "../../src/postgres/AdvisoryLocksLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresMigrations from "../../src/postgres/PostgresMigrations.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { TransactionContract } from "../../src/testing/contracts/TransactionContract.ts"
import { UsersContract } from "../../src/testing/contracts/UsersContract.ts"
import { runContract } from "../contracts/runContract.ts"
import { freshPostgres } from "../servers/index.ts"
import { until } from "../until.ts"
import { describePooled, pgbouncer } from "./pgbouncer.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

describePooled("PostgresClient behind PgBouncer in transaction mode", (url) => {
  const client = (options: Partial<Parameters<typeof PostgresClient.make>[0]> = {}) =>
    Effect.gen(function* () {
      const made = yield* Layer.build(
        TransactionLive.layer.pipe(
          Layer.provideMerge(
            PostgresClient.layer({
              url: Redacted.make(yield* pgbouncer(url)),
              pooler: "transaction",
              minConnections: 0,
              maxConnections: 10,
              ...options
            })
          )
        )
      )
      return {
        ...Context.get(made, PostgresClient.PostgresClient),
        transaction: Context.get(made, Transaction),
        made
      }
    })

  it.live("statements of many callers at once are answered, each with its own, over fewer sessions", () =>
    Effect.gen(function* () {
      const { keyed, query, sql, stats, transaction } = yield* client()
      const ask = (n: number) =>
        Effect.gen(function* () {
          const [row] = yield* query(
            read,
            (n % 2 === 0 ? keyed : sql)<{ n: number; pid: number }>`SELECT ${n}::int AS n, pg_backend_pid() AS pid`
          )
          return row!
        })
      const numbers = Array.from({ length: 400 }, (_, i) => i)
      const rows = yield* Effect.forEach(
        numbers,
        (n) => (n % 5 === 0 ? transaction.run(Effect.andThen(ask(n), ask(n))) : ask(n)),
        { concurrency: "unbounded" }
      )
      assert.deepEqual(
        rows.map(({ n }) => n),
        numbers
      )
      assert.ok(new Set(rows.map(({ pid }) => pid)).size <= 3)
      const { inUse, size } = yield* stats
      assert.ok(inUse === 0 && size <= 10)
    })
  )

  it.live("one that fails among many that share a connection fails alone", () =>
    Effect.gen(function* () {
      const { keyed, query, stats } = yield* client({ maxConnections: 1 })
      const results = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => i),
        (n) => Effect.result(query(write, keyed`SELECT 1 / (${n}::int % 4) AS n`)),
        { concurrency: "unbounded" }
      )
      assert.deepEqual(
        results.map((result) => (result._tag === "Failure" ? result.failure.reason._tag : "")),
        results.map((_, n) => (n % 4 === 0 ? "InvalidData" : ""))
      )
      assert.equal((yield* stats).inUse, 0)
    })
  )

  it.live("a statement that the server does not end is ended by the client, there too", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* client({ statementTimeout: "300 millis" })
      const error = yield* Effect.flip(query(write, sql`SELECT pg_sleep(30), 'behind-pgbouncer'`))
      assert.equal(error.reason._tag, "Timeout", error.message)
      const running = sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE query LIKE '%behind-pgbouncer%' AND state = 'active' AND pid <> pg_backend_pid()`
      assert.deepEqual(yield* until(running, ([row]) => row?.n === 0), [{ n: 0 }])
      assert.equal((yield* stats).inUse, 0)
    })
  )

  it.live(
    "what needs a session says so, and nothing is sent: LISTEN, leases, a session, what lasts in one, migrations",
    () =>
      Effect.gen(function* () {
        const { listen, made, query, session, sql, stats } = yield* client()
        const says = (operation: string, error: StoreError, past = "use a client that connects past it") => {
          assert.equal(error.operation, operation)
          assert.equal(error.outcome, "not-applied")
          assert.ok(error.reason._tag === "InvalidData", error.message)
          assert.deepEqual(error.reason.problems, [
            { field: "pooler", problem: `must be none: a pooler in transaction mode keeps no session; ${past}` }
          ])
        }
        const ours = (error: unknown): StoreError => {
          const found = isSqlError(error) ? error.reason.cause : error
          assert.ok(isStoreError(found), String(error))
          return found
        }
        says("listen", yield* Effect.flip(Stream.runDrain(listen("jobs"))))
        says("listen", ours(yield* Effect.flip(Effect.scoped(sql.listen("jobs")))))
        const locks = Context.get(yield* Layer.build(AdvisoryLocksLive.layer).pipe(Effect.provide(made)), AdvisoryLocks)
        says("AdvisoryLocks.lease", yield* Effect.flip(Effect.scoped(locks.lease("nightly"))))
        says("AdvisoryLocks.tryLease", yield* Effect.flip(Effect.scoped(locks.tryLease("nightly"))))
        says("session", yield* Effect.flip(Effect.scoped(session)))
        const driver = yield* Effect.provide(PostgresMigrations.make({ schema: "public" }), made)
        says(
          "Migrations.lock",
          ours(
            yield* Effect.flip(
              driver.locked(
                () => Effect.void,
                () => Effect.void
              )
            )
          ),
          "set DB_MIGRATION_URL, or migrate by a client that connects past it"
        )
        assert.equal((yield* stats).size, 1)

        // A reserved connection has a session for as long as a transaction.
        const kept = yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* sql.reserve
            const send = (text: string) => connection.executeUnprepared(text, [], undefined)
            for (const text of ["set search_path to x", "create temp table t (n int)", "listen jobs"]) {
              says("statement", ours(yield* Effect.flip(send(text))))
            }
            yield* send("begin")
            yield* send("set local statement_timeout = 0")
            const rows = yield* send("select current_setting('statement_timeout') as timeout")
            yield* send("commit")
            return rows
          })
        )
        assert.deepEqual(kept, [{ timeout: "0" }])
        assert.equal((yield* Effect.flip(query(write, sql`set search_path to x`))).reason._tag, "InvalidStatement")
      })
  )

  it.live("the platform is migrated past it, where DB_MIGRATION_URL says", () =>
    Effect.gen(function* () {
      const server = yield* freshPostgres
      const nowhere = Redacted.make("http://127.0.0.1:1")
      const config = yield* DatabaseConfig.make({
        postgresql: { url: Redacted.make(yield* pgbouncer(server)), pooler: "transaction" },
        clickhouse: { url: nowhere, connectTimeout: "100 millis" },
        mongodb: { url: Redacted.make("mongodb://127.0.0.1:1") },
        redis: { url: Redacted.make("redis://127.0.0.1:1") },
        migrations: { migrationUrl: Redacted.make(server), continueOnError: true }
      })
      const error = yield* Effect.flip(DatabaseMigrations.migrate(config)).pipe(
        Effect.provideService(References.MinimumLogLevel, "None")
      )
      assert.ok(isStoreError(error) && error.store === "clickhouse", error.message)
      const { sql } = yield* client({ url: Redacted.make(server), pooler: "none" })
      assert.deepEqual(yield* sql`SELECT to_regclass('ai_core.users')::text AS made`, [{ made: "ai_core.users" }])
    })
  )

  it.live("the server behind it is down: Unavailable in the pooler's own words, tried until the deadline", () =>
    Effect.gen(function* () {
      const down = new URL(url)
      down.port = "1"
      const pooled = new URL(yield* pgbouncer(down.href, { patience: 1 }))
      pooled.password = "hunter2"
      const error = yield* Effect.flip(client({ url: Redacted.make(pooled.href), connectTimeout: "4 seconds" }))
      assert.ok(isStoreError(error) && error.reason._tag === "Unavailable", String(error))
      assert.deepEqual(
        [error.reason.code, error.reason.detail, error.outcome, error.isRetryable()],
        ["08P01", "query_wait_timeout; asked for 4000 ms", "not-applied", true]
      )
      assert.ok(!JSON.stringify(error).includes("hunter2"))
    })
  )

  it.live("it lets in no more clients: callers wait for the connections that there are", () =>
    Effect.gen(function* () {
      const crowded = { url: Redacted.make(yield* pgbouncer(url, { clients: 3 })), maxConnections: 6 }
      const { query, sql, stats } = yield* client(crowded)
      const answers = yield* Effect.forEach(
        [1, 2, 3, 4, 5, 6],
        (n) => query(read, sql<{ n: number }>`SELECT ${n}::int AS n, pg_sleep(0.2)::text`),
        { concurrency: "unbounded" }
      )
      assert.deepEqual(
        answers.flat().map(({ n }) => n),
        [1, 2, 3, 4, 5, 6]
      )
      assert.equal((yield* stats).inUse, 0)
      const late = yield* Effect.flip(client({ ...crowded, connectTimeout: "300 millis" }))
      assert.ok(isStoreError(late) && late.reason._tag === "Unavailable", String(late))
      assert.match(late.reason.detail ?? "", /max_client_conn/)
    })
  )

  it.live("left unsaid, the first connection says what to set", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(client({ pooler: "none" }))
      assert.ok(isStoreError(error), String(error))
      assert.ok(error.reason._tag === "InvalidData", error.message)
      assert.equal(error.reason.code, "08P01")
      assert.equal(error.reason.detail, "unsupported startup parameter: statement_timeout")
      assert.deepEqual(error.reason.problems, [
        {
          field: "pooler",
          problem: "must be transaction: what answers at this URL takes no start-up parameters, as PgBouncer does"
        }
      ])
    })
  )

  it.live("left unsaid, one that is crowded is not told as the setting to make", () =>
    Effect.gen(function* () {
      const crowded = yield* pgbouncer(url, { clients: 0, ignores: "statement_timeout" })
      const error = yield* Effect.flip(
        client({ url: Redacted.make(crowded), pooler: "none", connectTimeout: "300 millis" })
      )
      assert.ok(isStoreError(error) && error.reason._tag === "Unavailable", String(error))
      assert.match(error.reason.detail ?? "", /max_client_conn/)
    })
  )

  const pooled = Layer.merge(UsersLive.layer, TransactionLive.layer).pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.gen(function* () {
          const own = yield* freshPostgres
          // Migrations need a session, so they go past the pooler.
          yield* Layer.build(
            PlatformMigrations.layerPostgres.pipe(
              Layer.provide(PostgresClient.layer({ url: Redacted.make(own), minConnections: 0 }))
            )
          ).pipe(Effect.scoped)
          const url = Redacted.make(yield* pgbouncer(own))
          return PostgresClient.layer({ url, pooler: "transaction", minConnections: 0, maxConnections: 8 })
        })
      )
    )
  )
  for (const contract of [UsersContract, TransactionContract]) {
    runContract(
      { ...contract, capability: `${contract.capability} behind PgBouncer` },
      { implementation: "live", stores: ["postgresql"], layer: pooled }
    )
  }
})
