import { it } from "@effect/vitest"
import { Effect } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import assert from "node:assert/strict"
import { isStoreError } from "../../../src/core/StoreError.ts"
import { render } from "../../../src/core/StoreErrorReport.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as Tenant from "../../../src/postgres/Tenant.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const
const connections = 3

describeLive("postgresql", "after a migration, statements that were prepared before it", () => {
  const live = Effect.provide(freshClient(connections))

  const scene = Effect.gen(function* () {
    const { query, sql, stats, unit } = yield* PostgresClient.PostgresClient
    const { run } = yield* Transaction
    yield* sql`CREATE TABLE t (id int)`
    yield* sql`CREATE TABLE log (n int)`
    yield* sql`INSERT INTO t VALUES (1)`
    let runs = 0
    const note = Effect.suspend(() => {
      runs++
      return query(write, sql`INSERT INTO log SELECT ${1}::int`)
    })
    const all = query(read, sql`SELECT * FROM t`)
    /** Runs it on every connection at once: each holds its own. */
    const everywhere = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
      Effect.forEach(Array.from({ length: connections }), () => effect, { concurrency: "unbounded" })
    const migrate = Effect.andThen(
      sql`ALTER TABLE t ADD COLUMN more text DEFAULT 'x'`,
      Effect.sync(() => {
        runs = 0
      })
    )
    const logged = Effect.map(sql<{ n: number }>`SELECT count(*)::int AS n FROM log`, ([row]) => row?.n)
    return { all, everywhere, logged, migrate, note, query, run, runs: () => runs, sql, stats, unit }
  })
  const slept = Effect.sleep("50 millis")
  const migrated = [{ id: 1, more: "x" }]

  it.live("the whole transaction is run again, on every connection, and is applied once", () =>
    Effect.gen(function* () {
      const { all, everywhere, logged, migrate, note, run, runs, sql, stats } = yield* scene
      const work = run(note.pipe(Effect.andThen(all), Effect.tap(slept)))
      const raw = run(note.pipe(Effect.andThen(sql`SELECT * FROM t WHERE true`), Effect.tap(slept)))
      for (const transaction of [work, raw]) {
        yield* sql`ALTER TABLE t DROP COLUMN IF EXISTS more`
        yield* everywhere(transaction)
        const before = (yield* logged) ?? 0
        yield* migrate
        assert.deepEqual(
          yield* everywhere(transaction),
          Array.from({ length: connections }, () => migrated)
        )
        assert.equal(runs(), connections * 2)
        assert.equal(yield* logged, before + connections)
      }
      assert.equal((yield* stats).inUse, 0)
    }).pipe(live)
  )

  it.live("one that is nested in another has both run again", () =>
    Effect.gen(function* () {
      const { all, everywhere, logged, migrate, note, run, runs } = yield* scene
      const work = run(Effect.andThen(note, run(Effect.andThen(note, all))).pipe(Effect.tap(slept)))
      yield* everywhere(work)
      yield* migrate
      assert.deepEqual(
        yield* everywhere(work),
        Array.from({ length: connections }, () => migrated)
      )
      assert.equal(runs(), connections * 4)
      assert.equal(yield* logged, connections * 4)
    }).pipe(live)
  )

  it.live("one that is not to be repeated says that it may be, and was not applied", () =>
    Effect.gen(function* () {
      const { all, everywhere, logged, migrate, note, run } = yield* scene
      const once = run(note.pipe(Effect.andThen(all), Effect.tap(slept)), { retry: false })
      yield* everywhere(once)
      yield* migrate
      const error = yield* Effect.flip(once)
      assert.ok(isStoreError(error) && error.reason._tag === "Conflict", String(error))
      assert.deepEqual([error.reason.code, error.outcome, error.retry], ["0A000", "not-applied", "transaction"])
      assert.match(
        render(error),
        /Problem {2}a prepared statement no longer holds\n {2}Detail {3}the columns of a table have changed since \(code 0A000\)\n {2}Hint {5}Run the whole transaction again\.\n/
      )
      assert.equal(yield* logged, connections)
    }).pipe(live)
  )

  it.live(
    "under a tenant, where each statement has a transaction of its own, they are sent again, and so is a unit",
    () =>
      Effect.gen(function* () {
        const { everywhere, migrate, query, sql, unit } = yield* scene
        const asked = query(read, sql`SELECT *, pg_sleep(0.05)::text AS slept FROM t`)
        const raw = sql`SELECT *, pg_sleep(0.05)::text AS raw FROM t`
        const whole = unit(read, [sql<object>`SELECT *, pg_sleep(0.05)::text AS unit FROM t`])
        const each = Effect.gen(function* () {
          return [yield* everywhere(asked), yield* everywhere(raw), yield* everywhere(whole)] as const
        }).pipe(Tenant.within("acme"))
        yield* each
        yield* migrate
        const [askedRows, rawRows, units] = yield* each
        for (const rows of [...askedRows, ...rawRows, ...units.map(([{ rows }]) => rows)]) {
          assert.deepEqual(
            rows.map((row) => (row as { readonly more?: unknown }).more),
            ["x"]
          )
        }
      }).pipe(live)
  )

  it.live("what the server cannot do at all is refused once, and not as stale", () =>
    Effect.gen(function* () {
      const { note, query, run, runs, sql } = yield* scene
      const cannot = sql.unsafe("SELECT DISTINCT id FROM t FOR UPDATE")
      const error = yield* Effect.flip(run(Effect.andThen(note, query(write, cannot))))
      assert.ok(isStoreError(error) && error.reason._tag === "InvalidStatement", String(error))
      assert.equal(error.reason.code, "0A000")
      const raw = yield* Effect.flip(run(Effect.andThen(note, cannot)))
      assert.ok(isSqlError(raw), String(raw))
      assert.equal(runs(), 2)
    }).pipe(live)
  )
})
