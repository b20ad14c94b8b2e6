import { it } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted, Stream } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import assert from "node:assert/strict"
import { within } from "../../../src/core/Deadline.ts"
import { isStoreError, type StoreError } from "../../../src/core/StoreError.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { untilIdle } from "../activity.ts"

/** Fails unless the stream failed with a Timeout, at the latest after so long, and its connection has come back. */
const timesOut = (stream: Effect.Effect<void, SqlError | StoreError, never>, millis: number) =>
  Effect.gen(function* () {
    const { stats } = yield* Postgres.PostgresClient
    const startedAt = yield* Clock.currentTimeMillis
    const error = yield* Effect.flip(stream)
    const elapsed = (yield* Clock.currentTimeMillis) - startedAt
    const failure = isStoreError(error) ? error : error.reason.cause
    assert.ok(isStoreError(failure) && failure.reason._tag === "Timeout", String(error))
    assert.ok(elapsed < millis, `${elapsed} ms`)
    assert.equal((yield* stats).inUse, 0)
    return failure.reason
  })

describeLive("postgresql", "a statement's stream", () => {
  const behindProxy = (statementTimeout: "1 second" | "1 hour") =>
    Effect.gen(function* () {
      const proxy = yield* TcpProxy.forUrl(yield* freshPostgres)
      const made = yield* Layer.build(
        TransactionLive.layer.pipe(
          Layer.provideMerge(
            Postgres.layer({
              url: Redacted.make(proxy.url),
              minConnections: 0,
              maxConnections: 2,
              statementTimeout,
              shutdownTimeout: "100 millis"
            })
          ),
          Layer.fresh
        )
      )
      return { proxy, made }
    })

  it.live("a server that falls silent in it is given up after the statement timeout, and the pool is whole", () =>
    Effect.gen(function* () {
      const { made, proxy } = yield* behindProxy("1 second")
      yield* Effect.gen(function* () {
        const { sql } = yield* Postgres.PostgresClient
        const transaction = yield* Transaction
        const endless = sql<{ n: number }>`select generate_series(1, 100000000) as n`.stream
        const read = Stream.runForEach(endless, ({ n }) => (n === 1 ? proxy.hang : Effect.void))
        for (const stream of [read, transaction.run(read)]) {
          const { detail } = yield* timesOut(stream, 20_000)
          assert.match(detail ?? "", /^no row came within \d+ ms$/)
          yield* proxy.pass
          assert.equal(yield* Stream.runCount(sql`select generate_series(1, 2000)`.stream), 2000)
        }
      }).pipe(Effect.provide(made))
    })
  )

  it.live(
    "it ends by the Context's Deadline: on a silent server, in the middle of its rows, and before it is sent",
    () =>
      Effect.gen(function* () {
        const { made, proxy } = yield* behindProxy("1 hour")
        yield* Effect.gen(function* () {
          const { sql } = yield* Postgres.PostgresClient
          const endless = sql<{ n: number }>`select generate_series(1, 100000000) as n`.stream
          yield* timesOut(Stream.runDrain(endless).pipe(within("300 millis")), 20_000)
          // Whoever takes his time with each row asks for the next ones when it is too late.
          const slow = Stream.runForEach(endless, ({ n }) => (n % 1000 === 0 ? Effect.sleep("50 millis") : Effect.void))
          yield* timesOut(slow.pipe(within("300 millis")), 20_000)
          yield* timesOut(Stream.runDrain(endless).pipe(within("0 millis")), 20_000)
          yield* timesOut(
            Stream.runForEach(endless, ({ n }) => (n === 1 ? proxy.hang : Effect.void)).pipe(within("300 millis")),
            20_000
          )
          yield* proxy.pass
          assert.equal(yield* Stream.runCount(sql`select generate_series(1, 2000)`.stream), 2000)
          yield* untilIdle(sql)
        }).pipe(Effect.provide(made))
      })
  )

  it.live(
    "its consumer may take longer for the rows than the statement timeout, and past the deadline has those that came",
    () =>
      Effect.gen(function* () {
        const { made } = yield* behindProxy("1 second")
        yield* Effect.gen(function* () {
          const { sql } = yield* Postgres.PostgresClient
          const rows = sql<{ n: number }>`select generate_series(1, 3000) as n`.stream
          const slowly = Stream.tap(rows, ({ n }) => (n === 1 ? Effect.sleep("2500 millis") : Effect.void))
          assert.equal(yield* Stream.runCount(slowly), 3000)
          const few = sql<{ n: number }>`select generate_series(1, 3) as n`.stream
          yield* Stream.runForEach(few, () => Effect.sleep("500 millis")).pipe(within("1 second"))
        }).pipe(Effect.provide(made))
      })
  )
})
