import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Redacted, Schedule, Stream, Tracer } from "effect"
import assert from "node:assert/strict"
import { within } from "../../src/core/Deadline.ts"
import { isStoreError, type StoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, describeOwned, freshPostgres, ownServer } from "../servers/index.ts"
import { untilAsleep, untilIdle } from "./activity.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const clientOf = (url: string, options: Partial<Parameters<typeof PostgresClient.make>[0]> = {}) =>
  TransactionLive.layer.pipe(
    Layer.provideMerge(
      PostgresClient.layer({
        minConnections: 0,
        maxConnections: 4,
        acquireTimeout: "5 seconds",
        connectTimeout: "5 seconds",
        shutdownTimeout: "1 second",
        ...options,
        url: Redacted.make(url)
      })
    )
  )

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<StoreError, unknown, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), String(error))
    return error
  })

/** A table whose COMMIT takes this long, because a deferred trigger sleeps. */
const slowTable = (seconds: number) =>
  Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    yield* sql`CREATE TABLE slow (id int)`
    yield* sql`CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS ${sql.literal(
      `'BEGIN PERFORM pg_sleep(${seconds}); RETURN NULL; END'`
    )}`
    yield* sql`CREATE CONSTRAINT TRIGGER dozes AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION doze()`
  })

const insertSlow = Effect.flatMap(PostgresClient.PostgresClient, ({ query, sql }) =>
  query(write, sql`INSERT INTO slow VALUES (1)`)
)

const idOf = (error: StoreError): string => {
  assert.ok(error.reason._tag === "CommitUnknown", error.message)
  assert.equal(error.outcome, "unknown")
  assert.ok(error.reason.transactionId !== undefined, "the id is missing")
  return error.reason.transactionId
}

/** No connection is lent, and no transaction is left open on the server. */
const healthy = Effect.gen(function* () {
  const { sql, stats } = yield* PostgresClient.PostgresClient
  yield* untilIdle(sql)
  assert.equal((yield* stats).inUse, 0)
})

describeLive("postgresql", "Transaction on a server", () => {
  /** A client through a proxy, and one beside it that sees what became of things. */
  const scene = (seconds: number) =>
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const proxy = yield* TcpProxy.forUrl(url)
      const direct = yield* Layer.build(clientOf(url))
      yield* Effect.provide(slowTable(seconds), direct)
      const beside = Effect.provide(direct)
      const stored = beside(
        Effect.flatMap(PostgresClient.PostgresClient, ({ sql }) =>
          Effect.map(sql<{ n: number }>`SELECT count(*)::int AS n FROM slow`, ([row]) => row?.n)
        )
      )
      const outcomeOf = (id: string) => beside(Effect.flatMap(Transaction, (transaction) => transaction.outcomeOf(id)))
      const settled = (id: string) =>
        Effect.repeat(outcomeOf(id), { schedule: Schedule.spaced("20 millis"), while: (o) => o === "in progress" })
      /** COMMIT has been sent, and is at its trigger. */
      const committing = beside(Effect.flatMap(PostgresClient.PostgresClient, ({ sql }) => untilAsleep(sql)))
      return { proxy, beside, stored, outcomeOf, settled, committing, through: Effect.provide(clientOf(proxy.url)) }
    })

  it.live("reply to COMMIT dropped: CommitUnknown with the id, and the server says committed", () =>
    Effect.gen(function* () {
      const { outcomeOf, proxy, stored, through } = yield* scene(0.1)
      const log: Array<string> = []
      const error = yield* Effect.gen(function* () {
        const transaction = yield* Transaction
        yield* proxy.dropReplies({ afterRequestMatching: "COMMIT", replyMatching: "COMMIT" })
        return yield* failure(
          transaction.run(Effect.andThen(insertSlow, transaction.afterCommit(Effect.sync(() => log.push("told")))))
        )
      }).pipe(through)
      assert.equal(yield* outcomeOf(idOf(error)), "committed")
      assert.equal(yield* stored, 1)
      assert.deepEqual(log, [])
    })
  )

  it.live("connection lost while COMMIT works: in progress, and then committed", () =>
    Effect.gen(function* () {
      const { committing, outcomeOf, proxy, settled, stored, through } = yield* scene(3)
      const error = yield* Effect.gen(function* () {
        const transaction = yield* Transaction
        const running = yield* Effect.forkChild(failure(transaction.run(insertSlow)))
        yield* committing
        yield* proxy.reset()
        return yield* Fiber.join(running)
      }).pipe(through)
      const id = idOf(error)
      assert.equal(yield* outcomeOf(id), "in progress")
      assert.equal(yield* settled(id), "committed")
      assert.equal(yield* stored, 1)
    })
  )

  it.live("session ended while COMMIT works: CommitUnknown, and the server says aborted", () =>
    Effect.gen(function* () {
      const { beside, committing, settled, stored, through } = yield* scene(20)
      const error = yield* Effect.gen(function* () {
        const transaction = yield* Transaction
        const running = yield* Effect.forkChild(failure(transaction.run(insertSlow)))
        yield* committing
        yield* beside(
          Effect.flatMap(
            PostgresClient.PostgresClient,
            ({ sql }) =>
              sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event = 'PgSleep'`
          )
        )
        const ended = yield* Fiber.join(running)
        yield* healthy
        return ended
      }).pipe(through)
      assert.equal(yield* settled(idOf(error)), "aborted")
      assert.equal(yield* stored, 0)
    })
  )

  it.live("every answer lost from COMMIT on: CommitUnknown without an id; one that was asked for before tells", () =>
    Effect.gen(function* () {
      const { proxy, settled, stored, through } = yield* scene(0)
      let id = ""
      const error = yield* Effect.gen(function* () {
        const transaction = yield* Transaction
        yield* proxy.dropReplies({ afterRequestMatching: "COMMIT" })
        return yield* failure(
          transaction.run(
            Effect.gen(function* () {
              id = yield* transaction.id
              yield* insertSlow
            })
          )
        )
      }).pipe(through)
      assert.ok(error.reason._tag === "CommitUnknown")
      assert.equal(error.reason.transactionId, undefined)
      assert.equal((yield* settled(id)) === "committed" ? 1 : 0, yield* stored)
    })
  )

  const on = (options: Partial<Parameters<typeof PostgresClient.make>[0]> = {}) =>
    Layer.unwrap(Effect.map(freshPostgres, (url) => clientOf(url, options)))

  it.live("storms of 64 on one row, by serialization failure: all finish and the sum is right", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`CREATE TABLE counter (id int PRIMARY KEY, n int)`
      yield* sql`INSERT INTO counter VALUES (1, 0)`
      let attempts = 0
      for (const isolation of ["repeatable read", "serializable"] as const) {
        const increment = transaction.run(
          Effect.gen(function* () {
            attempts++
            const [row] = yield* query(read, sql<{ n: number }>`SELECT n FROM counter WHERE id = 1`)
            yield* query(write, sql`UPDATE counter SET n = ${(row?.n ?? 0) + 1} WHERE id = 1`)
          }),
          { isolation }
        )
        yield* Effect.forEach(Array.from({ length: 64 }), () => increment, { concurrency: "unbounded" })
      }
      assert.deepEqual(yield* query(read, sql`SELECT n FROM counter`), [{ n: 128 }])
      assert.ok(attempts > 128, "no attempt collided")
      assert.equal((yield* stats).max, 10)
      yield* healthy
    }).pipe(Effect.provide(on({ maxConnections: 10, acquireTimeout: "30 seconds" })))
  )

  it.live("two that deadlock both finish", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`CREATE TABLE account (id int PRIMARY KEY, n int)`
      yield* sql`INSERT INTO account VALUES (1, 0), (2, 0)`
      let attempts = 0
      let firsts = 0
      const bothAreAtIt = yield* Deferred.make<void>()
      const both = (order: ReadonlyArray<number>) =>
        transaction.run(
          Effect.suspend(() => {
            attempts++
            return Effect.forEach(order, (id) =>
              Effect.andThen(
                query(write, sql`UPDATE account SET n = n + 1 WHERE id = ${id}`),
                // Each has its first row before either asks for the other's.
                Effect.suspend(() => {
                  if (++firsts === 2) Deferred.doneUnsafe(bothAreAtIt, Effect.void)
                  return Deferred.await(bothAreAtIt)
                })
              )
            )
          })
        )
      yield* Effect.all([both([1, 2]), both([2, 1])], { concurrency: 2 })
      assert.equal(attempts, 3)
      assert.deepEqual(yield* query(read, sql`SELECT n FROM account`), [{ n: 2 }, { n: 2 }])
    }).pipe(Effect.provide(on()))
  )

  it.live("raw statements are run again after a serialization failure too", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`CREATE TABLE raw (n int)`
      yield* sql`INSERT INTO raw VALUES (0)`
      let attempts = 0
      yield* transaction.run(
        Effect.gen(function* () {
          attempts++
          yield* sql`SELECT n FROM raw`
          if (attempts === 1) yield* sql`DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$`
        }),
        { isolation: "repeatable read" }
      )
      assert.equal(attempts, 2)
    }).pipe(Effect.provide(on()))
  )

  it.live("the level is the server's own, and ends with its transaction", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const level = Effect.map(
        sql<{ isolation: string; readOnly: string }>`SELECT current_setting('transaction_isolation') AS isolation,
          current_setting('transaction_read_only') AS "readOnly"`,
        ([row]) => `${row?.isolation}, ${row?.readOnly}`
      )
      const seen: Array<string> = []
      yield* transaction.run(
        Effect.gen(function* () {
          seen.push(yield* level)
          yield* transaction.run(Effect.map(level, (nested) => seen.push(nested)))
          yield* transaction.afterCommit(Effect.ignore(transaction.run(Effect.map(level, (after) => seen.push(after)))))
        }),
        { isolation: "serializable", readOnly: true }
      )
      seen.push(yield* transaction.run(level))
      assert.deepEqual(seen, ["serializable, on", "serializable, on", "read committed, off", "read committed, off"])
    }).pipe(Effect.provide(on({ maxConnections: 1 })))
  )

  it.live("a tracer sees the transaction and what is in it; one that the effect brings, what is in it", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const spans: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          const above = Option.map(options.parent, (parent) => (parent._tag === "Span" ? parent.name : ""))
          spans.push(`${options.name} in ${Option.getOrElse(above, () => "nothing")}`)
          return new Tracer.NativeSpan(options)
        }
      })
      const inside = Effect.withSpan(query(read, sql`SELECT 1`), "work")
      yield* Effect.withTracer(transaction.run(inside), tracer)
      assert.deepEqual(spans.splice(0, 2), ["sql.transaction in nothing", "work in sql.transaction"])
      spans.length = 0
      yield* transaction.run(Effect.withTracer(inside, tracer))
      assert.equal(spans[0], "work in nothing")
      spans.length = 0
      yield* Effect.withTracerEnabled(Effect.withTracer(transaction.run(inside), tracer), false)
      yield* Effect.withTracerEnabled(transaction.run(Effect.withTracer(inside, tracer)), false)
      assert.deepEqual(spans, [])
    }).pipe(Effect.provide(on()))
  )

  it.live("isolation, read only and deferrable are set as asked for, and the server's own where nothing is", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const settings = Effect.map(
        sql<{ all: string }>`SELECT concat_ws(', ', current_setting('transaction_isolation'),
          current_setting('transaction_read_only'), current_setting('transaction_deferrable')) AS all`,
        ([row]) => row?.all
      )
      for (const [options, expected] of [
        [{}, "read committed, off, off"],
        [{ isolation: "repeatable read" }, "repeatable read, off, off"],
        [{ isolation: "serializable", readOnly: true, deferrable: true }, "serializable, on, on"],
        [{ deferrable: true }, "read committed, off, on"],
        [{ readOnly: true, deferrable: false }, "read committed, on, off"]
      ] as const) {
        assert.equal(yield* transaction.run(settings, options), expected)
      }
    }).pipe(Effect.provide(on({ maxConnections: 1 })))
  )

  it.live("a deadline that passes before COMMIT: Timeout, not applied, and no transaction is left open", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`CREATE TABLE late (id int)`
      const busy = Effect.sync(() => {
        const until = Date.now() + 1200
        while (Date.now() < until);
      })
      const error = yield* failure(
        within("1 second")(transaction.run(Effect.andThen(query(write, sql`INSERT INTO late VALUES (1)`), busy)))
      )
      assert.equal(error.reason._tag, "Timeout")
      assert.equal(error.outcome, "not-applied")
      assert.deepEqual(yield* query(read, sql`SELECT count(*)::int AS n FROM late`), [{ n: 0 }])
      yield* healthy
    }).pipe(Effect.provide(on()))
  )

  it.live(
    "what would wait for itself is refused with a clear error: a query in a stream's consumer, a joined fiber",
    () =>
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        const inConsumer = transaction.run(
          Stream.runForEach(sql`SELECT generate_series(1, 3) AS n`.stream, () => query(read, sql`SELECT 1`))
        )
        const joined = transaction.run(
          Effect.gen(function* () {
            const gate = yield* Deferred.make<void>()
            const fiber = yield* Effect.forkChild(Effect.andThen(Deferred.await(gate), query(read, sql`SELECT 1`)))
            yield* transaction.run(Effect.andThen(Deferred.succeed(gate, undefined), Fiber.join(fiber)))
          })
        )
        for (const hopeless of [inConsumer, joined]) {
          const error = yield* failure(hopeless)
          assert.ok(error.reason._tag === "Timeout", error.message)
          assert.match(error.reason.detail ?? "", /still open/)
          assert.equal(error.outcome, "not-applied")
        }
        yield* healthy
      }).pipe(Effect.provide(on({ acquireTimeout: "1 second" })))
  )

  it.live("a nested one that is still open in another fiber at the end keeps the transaction from COMMIT", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`CREATE TABLE outlived (id int)`
      const error = yield* failure(
        transaction.run(
          Effect.gen(function* () {
            yield* query(write, sql`INSERT INTO outlived VALUES (1)`)
            yield* Effect.forkDetach(
              transaction.run(Effect.andThen(query(write, sql`INSERT INTO outlived VALUES (2)`), Effect.never))
            )
            yield* Effect.sleep("100 millis")
          })
        )
      )
      assert.ok(error.reason._tag === "Timeout", error.message)
      assert.deepEqual(yield* query(read, sql`SELECT * FROM outlived`), [])
    }).pipe(Effect.provide(on({ acquireTimeout: "1 second" })))
  )

  it.live("interrupted in a long statement: cancelled on the server, rolled back, the connection free", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      yield* sql`CREATE TABLE slept (id int)`
      const fiber = yield* Effect.forkChild(
        transaction.run(
          Effect.gen(function* () {
            yield* query(write, sql`INSERT INTO slept VALUES (1)`)
            yield* transaction.run(query(write, sql`INSERT INTO slept SELECT 2 FROM pg_sleep(30)`))
          })
        )
      )
      yield* untilAsleep(sql)
      const exit = yield* Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber))
      assert.ok(Exit.isFailure(exit))
      assert.deepEqual(yield* query(read, sql`SELECT * FROM slept`), [])
      yield* healthy
    }).pipe(Effect.provide(on()))
  )
})

describeOwned("postgresql", "Transaction and a server that is killed", () => {
  it.live("killed while COMMIT works: CommitUnknown, and once it is back it says aborted", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        yield* slowTable(20)
        const running = yield* Effect.forkChild(failure(transaction.run(insertSlow)))
        yield* untilAsleep(sql)
        yield* server.kill
        const id = idOf(yield* Fiber.join(running))
        yield* server.restart
        assert.equal(yield* transaction.outcomeOf(id), "aborted")
        assert.deepEqual(yield* query(read, sql`SELECT * FROM slow`), [])
        assert.deepEqual(yield* transaction.run(query(read, sql`SELECT 1 AS n`)), [{ n: 1 }])
        yield* healthy
      }).pipe(Effect.provide(clientOf(server.url)))
    })
  )
})
