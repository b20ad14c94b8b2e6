import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import assert from "node:assert/strict"
import type { StoreError } from "../../../src/core/StoreError.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import { rowReader } from "../../../src/postgres/repository/Row.ts"
import { streamRows } from "../../../src/postgres/repository/StreamRows.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { sharedEngine } from "../sharedEngine.ts"

const Numbered = Schema.Struct({ n: Schema.Int, t: Schema.String })
const rows = rowReader(Numbered)

/** A table that transactions write to, and streams that a server has not sent when the first row is taken. */
const prepared = Effect.gen(function* () {
  const client = yield* Postgres.PostgresClient
  const { run } = yield* Transaction
  const { sql } = client
  yield* sql`create table if not exists kept (n int)`
  yield* sql`truncate kept`
  const many = sql<typeof Numbered.Type>`select n, repeat('x', 1000) as t from generate_series(1, 20001) n`
  const exported: Stream.Stream<typeof Numbered.Type, SqlError | StoreError> = streamRows(client, {
    operation: "Numbers.stream",
    rows,
    statement: many
  })
  return {
    run,
    sql,
    insert: (n: number) => sql`insert into kept values (${n})`,
    stored: Effect.map(sql<{ n: number }>`select n from kept order by n`, (found) => found.map(({ n }) => n)),
    streams: [exported, many.stream] as const
  }
})

const suite = (client: Layer.Layer<Postgres.PostgresTags, unknown>) => {
  const layer = TransactionLive.layer.pipe(Layer.provideMerge(client))

  it.live("a consumer that stops early leaves the transaction as it was, and what it writes is kept", () =>
    Effect.gen(function* () {
      const { insert, run, stored, streams } = yield* prepared
      for (const stream of streams) {
        yield* run(
          Effect.gen(function* () {
            yield* insert(1)
            assert.equal((yield* Stream.runHead(stream))._tag, "Some")
            assert.equal((yield* Stream.runCollect(Stream.take(stream, 3))).length, 3)
            const failing = Stream.runForEach(stream, () => Effect.fail("enough" as const))
            assert.equal(yield* Effect.flip(failing), "enough")
            yield* insert(2)
          })
        )
      }
      assert.deepEqual(yield* stored, [1, 1, 2, 2])
    }).pipe(Effect.provide(layer))
  )

  it.live("interrupted in a fiber of the transaction it leaves that as it was", () =>
    Effect.gen(function* () {
      const { insert, run, stored, streams } = yield* prepared
      for (const stream of streams) {
        yield* run(
          Effect.gen(function* () {
            yield* insert(1)
            const began = yield* Deferred.make<void>()
            const reading = yield* Effect.forkChild(
              Stream.runForEach(stream, () => Effect.andThen(Deferred.succeed(began, undefined), Effect.never))
            )
            yield* Deferred.await(began)
            yield* Fiber.interrupt(reading)
            yield* insert(2)
          })
        )
      }
      assert.deepEqual(yield* stored, [1, 1, 2, 2])
    }).pipe(Effect.provide(layer))
  )

  it.live("one that fails on the server is undone alone, where its failure is caught", () =>
    Effect.gen(function* () {
      const { insert, run, sql, stored } = yield* prepared
      yield* run(
        Effect.gen(function* () {
          yield* insert(1)
          const failing = Stream.runDrain(sql`select 1 / (n - 600) as n from generate_series(1, 900) n`.stream)
          assert.ok(Exit.isFailure(yield* Effect.exit(failing)))
          yield* insert(2)
        })
      )
      assert.deepEqual(yield* stored, [1, 2])
    }).pipe(Effect.provide(layer))
  )

  it.live(
    "what its statement wrote is kept where it came to its end, and undone where its consumer stopped before",
    () =>
      Effect.gen(function* () {
        const { run, sql, stored } = yield* prepared
        yield* run(Stream.runDrain(sql`insert into kept values (1), (2) returning n`.stream))
        yield* run(Stream.runHead(sql`insert into kept values (3), (4) returning n`.stream))
        assert.deepEqual(yield* stored, [1, 2])
      }).pipe(Effect.provide(layer))
  )

  it.live("in a nested transaction it is that one's: what fails is undone, and what goes on is kept", () =>
    Effect.gen(function* () {
      const { insert, run, stored, streams } = yield* prepared
      const [stream] = streams
      const inner = (n: number) => Effect.andThen(insert(n), Stream.runHead(stream))
      yield* run(
        Effect.gen(function* () {
          yield* inner(1)
          yield* run(Effect.andThen(inner(2), insert(3)))
          yield* Effect.exit(run(Effect.andThen(inner(4), Effect.fail("enough"))))
          yield* inner(5)
        })
      )
      assert.deepEqual(yield* stored, [1, 2, 3, 5])
    }).pipe(Effect.provide(layer))
  )

  it.live("one that is still open in another fiber when its transaction fails holds nobody up", () =>
    Effect.gen(function* () {
      const { insert, run, sql, stored, streams } = yield* prepared
      for (const stream of streams) {
        const began = yield* Deferred.make<void>()
        const failing = run(
          Effect.gen(function* () {
            yield* insert(1)
            yield* Effect.forkScoped(
              Stream.runForEach(stream, () => Effect.andThen(Deferred.succeed(began, undefined), Effect.never))
            )
            yield* Deferred.await(began)
            return yield* Effect.fail("enough" as const)
          }).pipe(Effect.scoped)
        )
        assert.equal(yield* Effect.flip(failing), "enough")
        yield* sql`insert into kept values (2)`
      }
      assert.deepEqual(yield* stored, [2, 2])
    }).pipe(Effect.provide(layer))
  )

  it.live("the transaction's own statement timeout holds again after it", () =>
    Effect.gen(function* () {
      const { run, sql, streams } = yield* prepared
      const timeout = Effect.map(
        sql<{ t: string }>`select current_setting('statement_timeout') as t`,
        ([found]) => found?.t
      )
      yield* run(
        Effect.gen(function* () {
          yield* sql`set local statement_timeout = '7s'`
          for (const stream of streams) {
            yield* Stream.runHead(stream)
            assert.equal(yield* timeout, "7s")
            yield* Stream.runDrain(stream)
            assert.equal(yield* timeout, "7s")
          }
        })
      )
    }).pipe(Effect.provide(layer))
  )

  return layer
}

describeLive("postgresql", "a stream inside a transaction", () => {
  const layer = suite(
    Layer.unwrap(
      Effect.map(freshPostgres, (url) =>
        Postgres.layer({
          url: Redacted.make(url),
          minConnections: 0,
          maxConnections: 1,
          statementTimeout: "500 millis"
        })
      )
    )
  )

  it.live("its consumer may take longer than the statement timeout", () =>
    Effect.gen(function* () {
      const { insert, run, stored, streams } = yield* prepared
      for (const stream of streams) {
        yield* run(
          Effect.gen(function* () {
            yield* insert(1)
            const slowly = Stream.tap(stream, ({ n }) => (n % 10_000 === 1 ? Effect.sleep("700 millis") : Effect.void))
            assert.equal(yield* Stream.runCount(slowly), 20_001)
          })
        )
      }
      assert.deepEqual(yield* stored, [1, 1])
    }).pipe(Effect.provide(layer))
  )

  it.live("streamRows waits for rows as long as its own timeout says", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const { run } = yield* prepared
      const read = (timeout: "100 millis" | "10 seconds") =>
        streamRows(client, {
          operation: "Numbers.stream",
          rows,
          statement: client.sql`select n, pg_sleep(1)::text as t from generate_series(1, 1) n`,
          timeout
        })
      assert.equal(yield* run(Stream.runCount(read("10 seconds"))), 1)
      const error = yield* Effect.flip(run(Stream.runCount(read("100 millis"))))
      assert.equal(error.reason._tag, "Timeout")
    }).pipe(Effect.provide(layer))
  )
})

describe("a stream inside a transaction of the embedded engine", () => {
  suite(sharedEngine)
})
