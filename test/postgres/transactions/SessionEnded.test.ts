import { it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import assert from "node:assert/strict"
import { describe } from "vitest"
import { isStoreError, type StoreError } from "../../../src/core/StoreError.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { fromSqlError } from "../../../src/postgres/PostgresError.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

const write = { operation: "Test.write", kind: "write" } as const

const idle = "the transaction was idle for longer than the server allows (idle_in_transaction_session_timeout)"

const told = (error: unknown) => {
  assert.ok(isStoreError(error) && error.reason._tag === "ConnectionLost", String(error))
  return [error.operation, error.reason.code, error.reason.detail, error.outcome]
}

describeLive("postgresql", "a transaction whose session the server ends", () => {
  const live = Effect.provide(freshClient(2))

  const scene = Effect.gen(function* () {
    const { query, session, sql, stats, unit } = yield* PostgresClient.PostgresClient
    const { run } = yield* Transaction
    yield* sql`create table t (id int)`
    const insert = (id: number) => query(write, sql`insert into t values (${id})`)
    /** Waits for longer than its server lets it, until that has ended the session. */
    const dawdle = Effect.gen(function* () {
      const [row] = yield* sql<{ pid: number }>`select pg_backend_pid() as pid`
      yield* sql`set local idle_in_transaction_session_timeout = '100ms'`
      const beside = Effect.flatMap(session, (own) =>
        own.query(
          { operation: "Test.look", kind: "read" },
          sql<object>`select pid from pg_stat_activity where pid = ${row!.pid}`
        )
      )
      yield* Effect.repeat(Effect.scoped(beside), { until: (rows) => rows.length === 0 })
      yield* Effect.sleep("50 millis")
    })
    const stored = Effect.map(sql<{ n: number }>`select count(*)::int as n from t`, ([row]) => row?.n)
    const healthy = Effect.gen(function* () {
      assert.equal(yield* stored, 0)
      yield* run(insert(9))
      assert.equal(yield* stored, 1)
      assert.equal((yield* stats).inUse, 0)
    })
    return { dawdle, healthy, insert, run, sql, unit }
  })

  it.live("for being idle, before its next statement: ConnectionLost, not applied, says so", () =>
    Effect.gen(function* () {
      const { dawdle, healthy, insert, run } = yield* scene
      const error = yield* Effect.flip(run(insert(1).pipe(Effect.andThen(dawdle), Effect.andThen(insert(2)))))
      assert.deepEqual(told(error), ["Test.write", "25P03", idle, "not-applied"])
      yield* healthy
    }).pipe(live)
  )

  it.live("for being idle, before COMMIT: ConnectionLost, not applied, says so", () =>
    Effect.gen(function* () {
      const { dawdle, healthy, insert, run } = yield* scene
      const error = yield* Effect.flip(run(Effect.andThen(insert(1), dawdle)))
      assert.deepEqual(told(error), [
        "Transaction.commit",
        "25P03",
        `${idle}; it ended before COMMIT was sent`,
        "not-applied"
      ])
      yield* healthy
    }).pipe(live)
  )

  it.live("in a statement of it, or of a unit in it: ConnectionLost, not applied, because COMMIT was not sent", () =>
    Effect.gen(function* () {
      const { healthy, insert, run, sql, unit } = yield* scene
      const ending = sql`insert into t select 2 where pg_terminate_backend(pg_backend_pid())`
      const { query } = yield* PostgresClient.PostgresClient
      for (const end of [Effect.asVoid(query(write, ending)), Effect.asVoid(unit(write, [ending]))]) {
        const error: StoreError = yield* Effect.flip(run(Effect.andThen(insert(1), end)))
        assert.ok(isStoreError(error) && error.reason._tag === "ConnectionLost", String(error))
        assert.deepEqual([error.operation, error.outcome], ["Test.write", "not-applied"])
      }
      yield* healthy
    }).pipe(live)
  )

  it.live("outside of one the outcome of a write is unknown", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const error = yield* Effect.flip(query(write, sql`select pg_terminate_backend(pg_backend_pid())`))
      assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
    }).pipe(live)
  )
})

describe("a session that the server ended, by its code", () => {
  const ended = (code: string) =>
    fromSqlError(
      new SqlError({
        reason: new UnknownError({
          cause: Object.assign(new Error("terminating connection"), { code, severity: "FATAL" }),
          message: ""
        })
      }),
      write,
      { endpoint: { store: "postgresql", host: "db.example" }, elapsedMillis: 0, statementMillis: 1000 }
    )

  it("is a ConnectionLost, whatever the code is; not applied where it ended before it read the statement", () => {
    assert.deepEqual(
      ["25P03", "57P05", "25P04", "57P01", "XX000"].map((code) => {
        const { outcome, reason } = ended(code)
        return [code, reason._tag, outcome]
      }),
      [
        ["25P03", "ConnectionLost", "not-applied"],
        ["57P05", "ConnectionLost", "not-applied"],
        ["25P04", "ConnectionLost", "unknown"],
        ["57P01", "ConnectionLost", "unknown"],
        ["XX000", "ConnectionLost", "unknown"]
      ]
    )
    const { reason } = ended("25P04")
    assert.ok(reason._tag === "ConnectionLost")
    assert.equal(reason.detail, "the transaction took longer than the server allows (transaction_timeout)")
  })
})
