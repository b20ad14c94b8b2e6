import { it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import assert from "node:assert/strict"
import { within } from "../../../src/core/Deadline.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import { rowReader } from "../../../src/postgres/repository/Row.ts"
import { streamRows } from "../../../src/postgres/repository/StreamRows.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

const rows = rowReader(Schema.Struct({ n: Schema.Int }))
const operation = "Numbers.stream"

const numbers = (client: Postgres.PostgresClient["Service"], count: number) =>
  streamRows(client, { operation, rows, statement: client.sql`select generate_series(1, ${count}::int) as n` })

/** Sessions that are at something, or in a transaction; asked over each of both connections, because none sees itself. */
const busy = ({ sql }: Postgres.PostgresClient["Service"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const both = [yield* sql.reserve, yield* sql.reserve]
      const seen = yield* Effect.forEach(both, (connection) =>
        connection.execute(
          `select pid from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'
              and backend_type = 'client backend'`,
          [],
          undefined
        )
      )
      return seen.flat().length
    })
  )

/** Both sessions of a pool of two: one that was left with something in it is replaced. */
const sessions = ({ sql }: Postgres.PostgresClient["Service"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const both = [yield* sql.reserve, yield* sql.reserve]
      const pids = yield* Effect.forEach(both, (connection) => connection.executeValues("select pg_backend_pid()", []))
      return pids.map(([row]) => Number(row?.[0])).toSorted((a, b) => a - b)
    })
  )

const sum = (total: number, { n }: { readonly n: number }) => total + n

describeLive("postgresql", "streamRows", (url) => {
  const live = Effect.provide(freshClient(2))

  it.live("gives every row once and in order, decoded, and then its connection back", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const before = yield* sessions(client)
      const found = yield* Stream.runCollect(numbers(client, 5000))
      assert.deepEqual(
        found,
        Array.from({ length: 5000 }, (_, i) => ({ n: i + 1 }))
      )
      assert.deepEqual(yield* Stream.runCollect(numbers(client, 0)), [])
      assert.equal((yield* client.stats).inUse, 0)
      assert.equal(yield* busy(client), 0)
      assert.deepEqual(yield* sessions(client), before)
    }).pipe(live)
  )

  it.live("the consumer may query, and has no transaction by it", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const total = yield* numbers(client, 30).pipe(
        Stream.mapEffect(({ n }) => client.sql<{ n: number }>`select ${n}::int as n`),
        Stream.runFold(
          () => 0,
          (all, [row]) => all + (row?.n ?? 0)
        )
      )
      assert.equal(total, 465)
    }).pipe(live)
  )

  it.live("a consumer that stops early, or is slow, leaves no statement and no transaction behind", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      for (let round = 0; round < 3; round++) {
        const first = yield* Stream.runCollect(Stream.take(numbers(client, 10_000_000), 3))
        assert.deepEqual(first, [{ n: 1 }, { n: 2 }, { n: 3 }])
      }
      assert.equal((yield* client.stats).inUse, 0)
      assert.equal(yield* busy(client), 0)
    }).pipe(live)
  )

  it.live("interrupted it ends at once, on the server too", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const began = yield* Deferred.make<void>()
      const reading = yield* numbers(client, 100_000_000).pipe(
        Stream.tap(() => Deferred.succeed(began, undefined)),
        Stream.runDrain,
        Effect.forkChild
      )
      yield* Deferred.await(began)
      yield* Fiber.interrupt(reading)
      assert.equal((yield* client.stats).inUse, 0)
      assert.equal(yield* busy(client), 0)
      assert.deepEqual(yield* Stream.runFold(numbers(client, 100), () => 0, sum), 5050)
    }).pipe(live)
  )

  it.live("interrupted while it waits for a connection it waits no more, and too long a wait names who asked", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* client.sql.reserve
          yield* client.sql.reserve
          const reading = yield* Effect.forkChild(Stream.runDrain(numbers(client, 5)))
          yield* Effect.repeat(client.stats, { until: ({ waiting }) => waiting === 1 })
          const [time] = yield* Effect.timed(Fiber.interrupt(reading))
          assert.ok(Duration.toMillis(time) < 5000)
          assert.equal((yield* client.stats).waiting, 0)
          const error = yield* Effect.flip(Stream.runDrain(numbers(client, 5))).pipe(within("50 millis"))
          assert.deepEqual(
            [error.reason._tag, error.operation, error.outcome],
            ["PoolExhausted", operation, "not-applied"]
          )
        })
      )
      assert.equal(yield* Stream.runFold(numbers(client, 100), () => 0, sum), 5050)
    }).pipe(live)
  )

  it.live("a consumer that fails ends it, with its own failure", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const failing = Stream.runForEach(numbers(client, 100_000_000), ({ n }) =>
        n === 700 ? Effect.fail("enough" as const) : Effect.void
      )
      assert.equal(yield* Effect.flip(failing), "enough")
      assert.equal((yield* client.stats).inUse, 0)
      assert.equal(yield* busy(client), 0)
    }).pipe(live)
  )

  it.live("only reads: a statement that writes is refused", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      yield* client.sql`create table t (n integer)`
      const statement = client.sql`insert into t values (1) returning n`
      const error = yield* Effect.flip(Stream.runDrain(streamRows(client, { operation, rows, statement })))
      assert.equal(error.reason._tag, "NotPrimary")
      assert.deepEqual(yield* client.sql`select * from t`, [])
    }).pipe(live)
  )

  it.live("may last longer than the session lets a statement", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const slow = client.sql`select n, pg_sleep(0.1)::text from generate_series(1, 8) n`
      const total = yield* Stream.runFold(streamRows(client, { operation, rows, statement: slow }), () => 0, sum)
      assert.equal(total, 36)
      const settings = yield* client.sql`select current_setting('statement_timeout') as timeout`
      assert.deepEqual(settings, [{ timeout: "300ms" }], "and the session has its timeout still")

      const cancelled = client.sql`select n, case when n = 600 then pg_sleep(0.5) end::text,
        case when n = 600 then pg_cancel_backend(pg_backend_pid()) end from generate_series(1, 900) n`
      const read = Stream.runDrain(streamRows(client, { operation, rows, statement: cancelled }))
      assert.equal((yield* Effect.flip(read)).reason._tag, "Cancelled", "not its timeout, which does not hold for it")
    }).pipe(
      Effect.provide(
        Postgres.layer({
          url: Redacted.make(url!),
          minConnections: 0,
          maxConnections: 1,
          statementTimeout: "300 millis"
        })
      )
    )
  )

  it.live("ends by the deadline", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const startedAt = yield* Clock.currentTimeMillis
      const error = yield* Stream.runDrain(numbers(client, 1_000_000_000)).pipe(within("300 millis"), Effect.flip)
      assert.equal(error.reason._tag, "Timeout")
      assert.equal(error.operation, operation)
      // Node's timers may ring a millisecond before the clock says so.
      assert.ok((yield* Clock.currentTimeMillis) - startedAt >= 299)
      // Rows that came in time are a late consumer's all the same, and then the transaction ends though it is late.
      const before = yield* sessions(client)
      yield* Stream.runForEach(numbers(client, 5), () => Effect.sleep("300 millis")).pipe(within("1 second"))
      assert.equal((yield* client.stats).inUse, 0)
      assert.deepEqual(yield* sessions(client), before)
      assert.equal(yield* busy(client), 0)
    }).pipe(live)
  )

  it.live("inside a transaction it sees what that has written, and leaves it open", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const transaction = yield* Transaction
      yield* client.sql`create table t (n integer)`
      const statement = client.sql`select n from t order by n`
      yield* transaction.run(
        Effect.gen(function* () {
          yield* client.sql`insert into t select generate_series(1, 2000)`
          const read = streamRows(client, { operation, rows, statement })
          assert.equal(yield* Stream.runFold(read, () => 0, sum), 2_001_000)
          yield* Stream.runDrain(Stream.take(read, 1))
          yield* client.sql`insert into t values (0)`
        })
      )
      assert.equal(yield* Stream.runCount(streamRows(client, { operation, rows, statement })), 2001)
    }).pipe(live)
  )

  it.live("fails as a StoreError that shows the statement, or names the column", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      const before = yield* sessions(client)
      const broken = streamRows(client, {
        operation,
        rows,
        statement: client.sql`select 1 / (n - 600) as n from generate_series(1, 900) n`
      })
      const error = yield* Effect.flip(Stream.runDrain(broken))
      assert.equal(error.operation, operation)
      assert.equal(error.outcome, "not-applied")
      assert.match(error.statement?.text ?? "", /^select 1/)
      const odd = streamRows(client, { operation, rows, statement: client.sql`select 'x' as n` })
      const wrong = yield* Effect.flip(Stream.runDrain(odd))
      assert.ok(wrong.reason._tag === "InvalidData" && wrong.reason.problems[0]?.field.endsWith("n"), wrong.message)
      assert.equal((yield* client.stats).inUse, 0)
      assert.equal(yield* busy(client), 0)
      assert.deepEqual(yield* sessions(client), before)
    }).pipe(live)
  )

  it.live("a server that falls silent is given up after the timeout", () =>
    Effect.gen(function* () {
      const own = yield* freshPostgres
      const proxy = yield* TcpProxy.forUrl(own)
      yield* Effect.gen(function* () {
        const client = yield* Postgres.PostgresClient
        const read = streamRows(client, {
          operation,
          rows,
          statement: client.sql`select generate_series(1, 100000000) as n`,
          timeout: "300 millis"
        })
        const error = yield* Stream.runForEach(read, ({ n }) => (n === 1 ? proxy.hang : Effect.void)).pipe(Effect.flip)
        assert.equal(error.reason._tag, "Timeout")
      }).pipe(
        Effect.provide(
          Postgres.layer({ url: Redacted.make(proxy.url), minConnections: 0, shutdownTimeout: "100 millis" }).pipe(
            Layer.fresh
          )
        )
      )
    })
  )

  it.live("a consumer that takes longer than the timeout has its rows all the same", () =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      // More than is on its way at once.
      const statement = client.sql`select generate_series(1, 200000) as n`
      const total = yield* streamRows(client, { operation, rows, statement, timeout: "1 second" }).pipe(
        Stream.tap(({ n }) => (n % 100_000 === 0 ? Effect.sleep("1500 millis") : Effect.void)),
        Stream.runFold(() => 0, sum)
      )
      assert.equal(total, 20_000_100_000)
    }).pipe(live)
  )

  it.live("the connection is lost in the middle: ConnectionLost, not applied, and the pool is whole", () =>
    Effect.gen(function* () {
      const proxy = yield* TcpProxy.forUrl(yield* freshPostgres)
      yield* Effect.gen(function* () {
        const client = yield* Postgres.PostgresClient
        const error = yield* Effect.flip(
          Stream.runForEach(numbers(client, 100_000_000), ({ n }) => (n === 1 ? proxy.reset() : Effect.void))
        )
        assert.deepEqual(
          [error.reason._tag, error.operation, error.outcome],
          ["ConnectionLost", operation, "not-applied"]
        )
        assert.equal((yield* client.stats).inUse, 0)
        assert.equal(yield* Stream.runFold(numbers(client, 100), () => 0, sum), 5050)
      }).pipe(Effect.provide(Postgres.layer({ url: Redacted.make(proxy.url), minConnections: 0 }).pipe(Layer.fresh)))
    })
  )
})
