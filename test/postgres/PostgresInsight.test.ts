import { it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresInsight from "../../src/postgres/PostgresInsight.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { refuses, untyped } from "../../src/testing/Expectations.ts"
import { describeLive, describeOwned, freshPostgres, ownServer } from "../servers/index.ts"

const onDatabase =
  (url: string) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.scoped(
      Effect.flatMap(
        Layer.build(
          TransactionLive.layer.pipe(
            Layer.provideMerge(
              PostgresClient.layer({
                url: Redacted.make(`${url}?application_name=insight`),
                minConnections: 0,
                maxConnections: 5
              })
            )
          )
        ),
        (made) => Effect.provide(work, made)
      )
    )

const onFreshDatabase = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.flatMap(freshPostgres, (url) => onDatabase(url)(work))

describeLive("postgresql", "what PostgreSQL is busy with", () => {
  it.live("lock waits name the blocker, what it does, and for how long; long transactions name it too", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        yield* sql`CREATE TABLE accounts (id int PRIMARY KEY, note text)`
        yield* sql`INSERT INTO accounts VALUES (1, '')`
        assert.deepEqual(yield* PostgresInsight.lockWaits, [])
        const written = yield* Deferred.make<void>()
        const blocker = yield* Effect.forkChild(
          transaction.run(
            sql`UPDATE accounts SET note = 'a secret' WHERE id = 1`.pipe(
              Effect.andThen(Deferred.succeed(written, undefined)),
              Effect.andThen(Effect.never)
            )
          )
        )
        yield* Deferred.await(written)
        yield* Effect.sleep("200 millis")
        const blocked = yield* Effect.forkChild(sql`UPDATE accounts SET note = 'another' WHERE id = 1`)
        const [wait] = yield* Effect.repeat(PostgresInsight.lockWaits, { until: (waits) => waits.length > 0 })
        assert.ok(wait !== undefined)
        assert.equal(wait.statement, "UPDATE accounts SET note = '…' WHERE id = …")
        assert.equal(wait.mode, "ShareLock")
        assert.equal(wait.blockers.length, 1)
        const [{ application, idleMillis, state, statement, transactionMillis }] = wait.blockers as [
          (typeof wait.blockers)[number]
        ]
        assert.deepEqual(
          { application, state, statement },
          {
            application: "insight",
            state: "idle in transaction",
            statement: "UPDATE accounts SET note = '…' WHERE id = …"
          }
        )
        assert.ok(idleMillis >= 150 && transactionMillis >= idleMillis, `${idleMillis} ${transactionMillis}`)

        const [longest] = yield* PostgresInsight.longTransactions("150 millis")
        assert.equal(longest?.pid, wait.blockers[0]?.pid)
        assert.ok(longest!.ageMillis >= 150)
        assert.deepEqual(yield* PostgresInsight.longTransactions("1 hour"), [])

        const states = new Map((yield* PostgresInsight.connections).map((one) => [one.state, one]))
        assert.equal(states.get("idle in transaction")?.count, 1)
        assert.equal(states.get("active")?.count, 2)
        assert.ok(states.get("idle in transaction")!.longestMillis >= 150)
        yield* Fiber.interruptAll([blocker, blocked])
      })
    )
  )

  it.live("what is no number of rows, or no length of time, is refused by its name", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        for (const limit of [-1, Number.NaN, 1.5, Infinity, 2_147_483_648, untyped("10"), untyped(null)]) {
          yield* refuses(PostgresInsight.tables(limit), "PostgresInsight.tables", ["limit"])
          yield* refuses(PostgresInsight.indexes(limit), "PostgresInsight.indexes", ["limit"])
          yield* refuses(PostgresInsight.bloat(limit), "PostgresInsight.bloat", ["limit"])
          yield* refuses(PostgresInsight.slowStatements(limit), "PostgresInsight.slowStatements", ["limit"])
        }
        for (const atLeast of [untyped("abc"), "-1 seconds", Infinity, "4000000 days"] as const) {
          yield* refuses(PostgresInsight.longTransactions(atLeast), "PostgresInsight.longTransactions", ["atLeast"])
        }
        assert.deepEqual(yield* PostgresInsight.tables(0), [])
        assert.deepEqual(yield* PostgresInsight.longTransactions("36500 days"), [])
      })
    )
  )

  it.live("tables and indexes tell their rows, sizes and scans; bloat is what deleted rows left behind", () =>
    onFreshDatabase(
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient.PostgresClient
        // A session tells how many rows it has changed a second later, or more; told after VACUUM, they would count twice.
        const counted = sql`SELECT pg_stat_force_next_flush()`
        yield* sql`CREATE TABLE "Events" (id int PRIMARY KEY, kind text, payload text)`
        yield* sql`CREATE INDEX unread ON "Events" (kind)`
        yield* sql`CREATE TABLE small (id int)`
        yield* sql`INSERT INTO "Events" SELECT i, 'k', repeat('x', 100) FROM generate_series(1, 20000) i`
        yield* sql`SELECT * FROM "Events" WHERE id = 7`
        yield* counted
        yield* sql`VACUUM ANALYZE "Events"`
        yield* sql`VACUUM ANALYZE small`
        const [whole] = yield* PostgresInsight.bloat()
        assert.equal(whole?.table, `"Events"`)
        assert.ok(whole!.share < 0.1, `${whole!.share}`)

        // Its last row stays, so that no page can be given back.
        yield* sql`DELETE FROM "Events" WHERE id < 20000 AND id % 10 > 0`
        yield* counted
        yield* sql`VACUUM ANALYZE "Events"`
        const [holed] = yield* PostgresInsight.bloat()
        assert.equal(holed?.bytes, whole!.bytes)
        assert.ok(holed!.share > 0.8 && holed!.share < 1, `${holed!.share}`)
        assert.ok(Math.abs(holed!.bloatBytes - holed!.share * holed!.bytes) < 1)

        const used = Effect.repeat(PostgresInsight.tables(1), {
          until: ([table]) => table !== undefined && table.rows > 0 && table.lastVacuum !== null
        })
        const [table] = yield* used
        assert.equal(table?.table, `"Events"`)
        assert.ok(table!.rows > 1500 && table!.rows < 2500, `${table!.rows}`)
        assert.ok(table!.bytes > whole!.bytes)
        const indexes = yield* Effect.repeat(PostgresInsight.indexes(), {
          until: (all) => all.some(({ scans }) => scans > 0)
        })
        assert.deepEqual(
          indexes
            .map(({ index, scans, table: of, unique }) => ({ index, of, scans: scans > 0, unique }))
            .toSorted((a, b) => a.index.localeCompare(b.index)),
          [
            { index: `"Events_pkey"`, of: `"Events"`, scans: true, unique: true },
            { index: "unread", of: `"Events"`, scans: false, unique: false }
          ]
        )
      })
    )
  )
})

describeOwned("postgresql", "slow statements", () => {
  it.live("tells how to get pg_stat_statements, step by step; then the statements, slowest in all first", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      const seen = onDatabase(server.url)(PostgresInsight.slowStatements())
      assert.deepEqual(yield* seen, {
        _tag: "NotInstalled",
        fix: "shared_preload_libraries = 'pg_stat_statements' and restart the server"
      })
      yield* onDatabase(server.url)(
        Effect.flatMap(
          PostgresClient.PostgresClient,
          ({ sql }) => sql`ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`
        )
      )
      yield* server.restart
      assert.deepEqual(yield* seen, { _tag: "NotInstalled", fix: "create extension pg_stat_statements" })
      yield* onDatabase(server.url)(
        Effect.gen(function* () {
          const { sql } = yield* PostgresClient.PostgresClient
          yield* sql`CREATE SCHEMA extensions`
          yield* sql`CREATE EXTENSION pg_stat_statements SCHEMA extensions`
          yield* Effect.forEach([1, 2, 3], (n) => sql`SELECT pg_sleep(0.05), ${n}::int`)
          yield* sql`SELECT 'a secret'`
        })
      )
      const found = yield* seen
      assert.ok(found._tag === "Statements")
      const [slowest] = found.statements
      assert.equal(slowest?.statement, "SELECT pg_sleep($2), $1::int")
      assert.equal(slowest?.calls, 3)
      assert.ok(slowest!.totalMillis >= 150 && slowest!.meanMillis >= 50 && slowest!.rows === 3)
      assert.ok(!JSON.stringify(found).includes("a secret"))
    })
  )
})
