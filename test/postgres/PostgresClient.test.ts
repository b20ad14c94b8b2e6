import { it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Redacted } from "effect"
import { PgClient } from "@effect/sql-pg"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { inspect } from "node:util"
import { describe } from "vitest"
import { Deadline, within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { describeLive } from "../servers/index.ts"
import { until } from "../until.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

describeLive("postgresql", "PostgresClient", (url) => {
  const client = (options: Omit<Parameters<typeof PostgresClient.make>[0], "url"> = {}) =>
    Effect.provide(
      TransactionLive.layer.pipe(
        Layer.provideMerge(
          PostgresClient.layer({ url: Redacted.make(url!), minConnections: 1, maxConnections: 4, ...options })
        )
      )
    )

  const failure = <A, R>(effect: Effect.Effect<A, StoreError, R>) => Effect.flip(effect)

  it.live("provides Effect's own tags beside ours", () =>
    Effect.gen(function* () {
      const ours = yield* PostgresClient.PostgresClient
      assert.equal(yield* PgClient.PgClient, ours.sql)
      const sql = yield* SqlClient.SqlClient
      assert.deepEqual(yield* sql`SELECT ${7}::int AS n`, [{ n: 7 }])
    }).pipe(client())
  )

  it.live("never opens more connections than its maximum, shared and exclusive together", () =>
    Effect.gen(function* () {
      const { keyed, sql, stats } = yield* PostgresClient.PostgresClient
      const backends = yield* Effect.forEach(
        Array.from({ length: 120 }, (_, i) => i),
        (i) => (i % 2 === 0 ? keyed : sql)<{ pid: number }>`SELECT pg_backend_pid() AS pid, pg_sleep(0.01)::text`,
        { concurrency: "unbounded" }
      )
      const pids = new Set(backends.map(([row]) => row?.pid))
      assert.ok(pids.size <= 4, `${pids.size} connections`)
      const { inUse, max, size, waiting } = yield* stats
      assert.deepEqual({ inUse, max, size, waiting }, { inUse: 0, max: 4, size: 4, waiting: 0 })
    }).pipe(client())
  )

  it.live("gives each session the statement timeout, so that a shared statement ends too", () =>
    Effect.gen(function* () {
      const { keyed, query } = yield* PostgresClient.PostgresClient
      const error = yield* failure(query(write, keyed`SELECT pg_sleep(30)`))
      assert.equal(error.reason._tag, "Timeout")
      assert.equal(error.outcome, "not-applied")
    }).pipe(client({ statementTimeout: "300 millis" }))
  )

  it.live("the longest statement timeout is one that the server takes", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      assert.deepEqual(yield* sql`SELECT current_setting('statement_timeout') AS t`, [{ t: "2147483647ms" }])
    }).pipe(client({ statementTimeout: 2_147_483_647 }))
  )

  it.live("tells a statement that somebody cancelled from one that took too long", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const sleeping = yield* Effect.forkChild(failure(query(write, sql`SELECT pg_sleep(30), 'cancel-me'`)))
      const cancel = sql<{ done: boolean }>`SELECT pg_cancel_backend(pid) AS done FROM pg_stat_activity
        WHERE query LIKE '%cancel-me%' AND state = 'active' AND pid <> pg_backend_pid()`
      yield* Effect.repeat(cancel, { until: (rows) => rows.length > 0 })
      const error = yield* Fiber.join(sleeping)
      assert.equal(error.reason._tag, "Cancelled")
    }).pipe(client())
  )

  it.live("says limit, waiting and waited where every connection is taken", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      const holders = yield* Effect.forEach([1, 2], () =>
        Effect.forkChild(Effect.scoped(Effect.andThen(sql.reserve, Effect.never)))
      )
      yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 2 })
      const error = yield* failure(query(read, sql`SELECT 1`).pipe(within("20 seconds")))
      assert.equal(error.operation, "Test.read")
      assert.equal(error.outcome, "not-applied")
      assert.ok(error.reason._tag === "PoolExhausted", error.message)
      assert.equal(error.reason.limit, 2)
      assert.equal(error.reason.waiting, 1)
      assert.ok(error.reason.waitedMillis >= 1000)
      yield* Fiber.interruptAll(holders)
      assert.deepEqual(yield* sql`SELECT 1 AS n`, [{ n: 1 }])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(client({ maxConnections: 2, acquireTimeout: "1 second" }))
  )

  it.live("ends a call by the Context's deadline and stops it on the server", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      const error = yield* failure(query(read, sql`SELECT pg_sleep(30), 'deadline'`).pipe(within("150 millis")))
      assert.equal(error.reason._tag, "Timeout")
      const running = sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE query LIKE '%deadline%' AND state = 'active' AND pid <> pg_backend_pid()`
      assert.deepEqual(yield* until(running, ([row]) => row?.n === 0), [{ n: 0 }])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(client())
  )

  it.live("says PoolExhausted, not applied, where the deadline ends the wait for a connection", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      const holder = yield* Effect.forkChild(Effect.scoped(Effect.andThen(sql.reserve, Effect.never)))
      yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 1 })
      const error = yield* failure(query(write, sql`SELECT 1`).pipe(within("150 millis")))
      assert.equal(error.reason._tag, "PoolExhausted")
      assert.equal(error.outcome, "not-applied")
      yield* Fiber.interrupt(holder)
      assert.equal((yield* stats).inUse, 0)
    }).pipe(client({ maxConnections: 1 }))
  )

  it.live("sends nothing once the deadline has passed, on its own, shared, or in a transaction", () =>
    Effect.gen(function* () {
      const { keyed, query, sql, stats } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`DROP TABLE IF EXISTS past_deadline`
      yield* sql`CREATE TABLE past_deadline (id int)`
      for (const statement of [sql, keyed]) {
        const error = yield* failure(
          query(write, statement`INSERT INTO past_deadline VALUES (1)`).pipe(Effect.provideService(Deadline, 0))
        )
        assert.equal(error.reason._tag, "Timeout")
        assert.equal(error.outcome, "not-applied")
      }
      const late = yield* failure(
        transaction.run(Effect.provideService(query(write, sql`INSERT INTO past_deadline VALUES (2)`), Deadline, 0))
      )
      assert.equal(late.outcome, "not-applied")
      assert.deepEqual(yield* sql`SELECT count(*)::int AS n FROM past_deadline`, [{ n: 0 }])
      yield* sql`DROP TABLE past_deadline`
      assert.equal((yield* stats).inUse, 0)
    }).pipe(client())
  )

  it.live("leaves a shared statement at the deadline, and gives its place back when the server is done", () =>
    Effect.gen(function* () {
      const { keyed, query, sql, stats } = yield* PostgresClient.PostgresClient
      const error = yield* failure(query(write, keyed`SELECT pg_sleep(2)`).pipe(within("100 millis")))
      assert.equal(error.reason._tag, "Timeout")
      assert.equal(error.outcome, "unknown")
      assert.equal((yield* stats).inUse, 1)
      assert.deepEqual(yield* sql`SELECT 6 AS n`, [{ n: 6 }])
      yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 0 })
    }).pipe(client({ maxConnections: 1 }))
  )

  it.live("fails typed where a statement inside a nested transaction had failed and was swallowed", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const broken = Effect.ignore(query(write, sql`SELECT 1 / 0`))
      const swallowed = yield* failure(transaction.run(transaction.run(broken)))
      assert.equal(swallowed.operation, "Transaction.commit")
      assert.equal(swallowed.outcome, "not-applied")
      const nested = yield* failure(transaction.run(Effect.andThen(broken, transaction.run(Effect.void))))
      assert.equal(nested.operation, "Transaction.begin")
      assert.deepEqual(yield* sql`SELECT 2 AS n`, [{ n: 2 }])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(client())
  )

  it.live("stops the query of an interrupted fiber on the server, and the pool is whole", () =>
    Effect.gen(function* () {
      const { sql, stats } = yield* PostgresClient.PostgresClient
      const fiber = yield* Effect.forkChild(sql`SELECT pg_sleep(30), 'interrupt-me'`)
      const active = sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE query LIKE '%interrupt-me%' AND state = 'active' AND pid <> pg_backend_pid()`
      yield* Effect.repeat(active, { until: ([row]) => row?.n === 1 })
      yield* Fiber.interrupt(fiber)
      assert.deepEqual(yield* until(active, ([row]) => row?.n === 0), [{ n: 0 }])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(client())
  )

  it.live("gives the place of an abandoned shared statement back once the server is done with it", () =>
    Effect.gen(function* () {
      const { keyed, sql, stats } = yield* PostgresClient.PostgresClient
      const fiber = yield* Effect.forkChild(keyed`SELECT pg_sleep(2)`)
      yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 1 })
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(fiber)
      assert.equal((yield* stats).inUse, 1)
      // One connection: an exclusive statement waits for the abandoned one to end, and is not mixed up with it.
      assert.deepEqual(yield* sql`SELECT 5 AS n`, [{ n: 5 }])
      yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 0 })
    }).pipe(client({ maxConnections: 1 }))
  )

  it.live("serves a caller that needs a connection of its own although short statements keep coming", () =>
    Effect.gen(function* () {
      const { keyed, sql } = yield* PostgresClient.PostgresClient
      const traffic = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => Effect.forever(keyed`SELECT pg_sleep(0.01)`), {
          concurrency: "unbounded"
        })
      )
      yield* Effect.sleep("100 millis")
      assert.deepEqual(yield* sql`SELECT 3 AS n`, [{ n: 3 }])
      yield* Fiber.interrupt(traffic)
    }).pipe(client({ maxConnections: 1, acquireTimeout: "5 seconds" }))
  )

  it.live("replaces a connection that has reached its greatest age", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      const pid = Effect.map(sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`, ([row]) => row!.pid)
      const first = yield* pid
      yield* Effect.sleep("400 millis")
      // The one that returns a connection too old finds it gone the next time.
      yield* pid
      assert.notEqual(yield* pid, first)
    }).pipe(client({ maxConnections: 1, minConnections: 0, maxLifetime: "300 millis" }))
  )

  it.live("replaces a connection that has reached its greatest age though it is never without a statement", () =>
    Effect.gen(function* () {
      const { keyed } = yield* PostgresClient.PostgresClient
      const pid = Effect.map(
        keyed<{ pid: number }>`SELECT pg_backend_pid() AS pid, pg_sleep(0.05)::text`,
        ([row]) => row!.pid
      )
      const first = yield* pid
      const traffic = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3, 4], () => Effect.forever(pid), { concurrency: "unbounded" })
      )
      const last = yield* Effect.repeat(pid, { until: (next) => next !== first, times: 30 })
      assert.notEqual(last, first)
      yield* Fiber.interrupt(traffic)
    }).pipe(client({ maxConnections: 1, minConnections: 0, maxLifetime: "300 millis" }))
  )

  it.live("closes idle connections down to its minimum", () =>
    Effect.gen(function* () {
      const { sql, stats } = yield* PostgresClient.PostgresClient
      yield* Effect.forEach([1, 2, 3, 4], () => sql`SELECT pg_sleep(0.5)`, { concurrency: "unbounded" })
      assert.equal((yield* stats).size, 4)
      assert.equal((yield* until(stats, ({ size }) => size <= 1)).size, 1)
    }).pipe(client({ idleTimeout: "2 seconds" }))
  )

  it.live("lets the statements under way end before it closes, up to the shutdown timeout", () =>
    Effect.gen(function* () {
      const rows = yield* Effect.gen(function* () {
        const { sql, stats } = yield* PostgresClient.PostgresClient
        const fiber = yield* Effect.forkDetach(sql`SELECT pg_sleep(0.4)::text, 9 AS n`)
        yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 1 })
        return fiber
      }).pipe(client())
      const [row] = yield* Fiber.join(rows)
      assert.equal(row?.["n"], 9)
    })
  )

  it.live("reads the URL anew for each new connection, so a rotated password needs no restart", () =>
    Effect.gen(function* () {
      let reads = 0
      const rotating = Effect.sync(() => {
        reads++
        return Redacted.make(url!)
      })
      yield* Effect.gen(function* () {
        const { sql } = yield* PostgresClient.PostgresClient
        // All at once, so that there are three connections.
        yield* Effect.scoped(Effect.forEach([1, 2, 3], () => sql.reserve))
      }).pipe(Effect.provide(PostgresClient.layer({ url: rotating, minConnections: 0, maxConnections: 3 })))
      assert.ok(reads >= 4, `${reads} readings`)
    })
  )

  describe("classification on a real server", () => {
    const cases: ReadonlyArray<readonly [name: string, sql: string, reason: string]> = [
      ["syntax", "SELEC 1", "InvalidStatement"],
      ["unknown table", "SELECT * FROM no_such_table", "InvalidStatement"],
      ["not a number", "SELECT 'x'::int", "InvalidData"],
      ["out of range", "SELECT 99999999999::bigint::int", "InvalidData"],
      ["division by zero", "SELECT 1 / 0", "InvalidData"],
      ["serialization failure", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$", "Conflict"],
      ["deadlock", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$", "Conflict"],
      ["too many connections", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '53300'; END $$", "Overloaded"],
      ["disk full", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '53100'; END $$", "ResourceExhausted"],
      ["read only", "DO $$ BEGIN SET TRANSACTION READ ONLY; CREATE TABLE t_ro (); END $$", "NotPrimary"],
      ["privilege", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '42501'; END $$", "Forbidden"],
      ["starting up", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '57P03'; END $$", "Unavailable"],
      ["something new", "SELECT (SELECT 1 UNION SELECT 2)", "Unclassified"],
      ["something raised", "DO $$ BEGIN RAISE EXCEPTION SQLSTATE 'XX999'; END $$", "Raised"]
    ]
    for (const [name, statement, reason] of cases) {
      it.live(`${name}: ${reason}`, () =>
        Effect.gen(function* () {
          const { query, sql, stats } = yield* PostgresClient.PostgresClient
          const error = yield* failure(query(write, sql.unsafe(statement)))
          assert.equal(error.reason._tag, reason, error.message)
          assert.deepEqual(yield* sql`SELECT 1 AS n`, [{ n: 1 }])
          assert.equal((yield* stats).inUse, 0)
        }).pipe(client())
      )
    }
  })

  it.live("keeps values out of the message and marks the place of a wrong statement", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const error = yield* failure(query(read, sql`SELECT wrong, ${"s3cret-value"}::text`))
      assert.equal(error.statement?.position, "SELECT ".length)
      assert.deepEqual(
        error.statement?.arguments?.map(({ type }) => type),
        ["text"]
      )
      assert.ok(!JSON.stringify(error).includes("s3cret-value"))
      assert.ok(!error.message.includes("s3cret-value"))
    }).pipe(client())
  )

  it.live("keeps the rows that PostgreSQL repeats out of the error and its cause", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* transaction.run(
        Effect.gen(function* () {
          yield* sql`CREATE TEMPORARY TABLE guarded (v text CHECK (v <> 'canary-value'), n int) ON COMMIT DROP`
          for (const statement of [
            sql`INSERT INTO guarded (v) VALUES (${"canary-value"})`,
            sql`INSERT INTO guarded (n) VALUES (${"canary-value"}::int)`
          ]) {
            const error = yield* failure(transaction.run(query(write, statement)))
            const told =
              JSON.stringify(error) + String(error) + Cause.pretty(Cause.fail(error)) + inspect(error, { depth: 9 })
            assert.ok(!told.includes("canary-value"), told)
          }
        })
      )
    }).pipe(client())
  )
})
