import { it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import type { Socket } from "node:net"
import { within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { untilAsleep } from "./activity.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

describeLive("postgresql", "PostgresClient over a network that fails", () => {
  /** A database of its own, a client that reaches it through the proxy, and one that goes past it to see what was stored. */
  const sceneOf = Effect.fnUntraced(function* (statementTimeout: Duration.Input) {
    const url = yield* freshPostgres
    const proxy = yield* TcpProxy.forUrl(url)
    const direct = yield* Layer.build(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0 }))
    const { sql } = yield* Effect.provide(PostgresClient.PostgresClient, direct)
    yield* sql`CREATE TABLE t (id int)`
    const stored = Effect.map(sql<{ n: number }>`SELECT count(*)::int AS n FROM t`, ([row]) => row?.n)
    const through = Effect.provide(
      TransactionLive.layer.pipe(
        Layer.provideMerge(
          PostgresClient.layer({
            url: Redacted.make(proxy.url),
            minConnections: 0,
            maxConnections: 2,
            statementTimeout,
            connectTimeout: "1 second",
            acquireTimeout: "3 seconds",
            shutdownTimeout: "1 second"
          })
        )
      )
    )
    return { proxy, sql, stored, through }
  })
  const scene = sceneOf("1 second")

  it.live("accepts and never answers at start: Timeout within the deadline", () =>
    Effect.gen(function* () {
      const { proxy, through } = yield* scene
      yield* proxy.hang
      const error = yield* Effect.flip(through(PostgresClient.PostgresClient))
      assert.ok(error._tag === "StoreError" && error.reason._tag === "Timeout", error.message)
      assert.equal(error.outcome, "not-applied")
    })
  )

  it.live("goes silent in a call: Timeout within the statement timeout, and works again afterwards", () =>
    Effect.gen(function* () {
      const { proxy, through } = yield* scene
      yield* Effect.gen(function* () {
        const { keyed, query, sql, stats } = yield* PostgresClient.PostgresClient
        yield* proxy.hang
        const errors = yield* Effect.all(
          [
            Effect.flip(query(write, sql`INSERT INTO t VALUES (1)`)),
            Effect.flip(query(write, keyed`INSERT INTO t VALUES (2)`))
          ],
          { concurrency: "unbounded" }
        )
        // The first had a connection; the second may have waited for one that could not be opened.
        assert.equal(errors[0].reason._tag, "Timeout", errors[0].message)
        assert.equal(errors[0].outcome, "unknown")
        yield* proxy.pass
        assert.deepEqual(yield* query(read, sql`SELECT 1 AS n`), [{ n: 1 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(through)
    })
  )

  it.live("goes silent, and a read is asked again on another connection", () =>
    Effect.gen(function* () {
      const { proxy, through } = yield* sceneOf("300 millis")
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        yield* query(read, sql`SELECT 1 AS n`)
        yield* proxy.hang
        const asking = yield* Effect.forkChild(query(read, sql`SELECT 5 AS n`))
        // Once the first connection is given up.
        yield* Effect.repeat(proxy.counts, { until: ({ accepted }) => accepted === 2 })
        yield* proxy.pass
        assert.deepEqual(yield* Fiber.join(asking), [{ n: 5 }])
      }).pipe(through)
    })
  )

  it.live("resets the connection in a call: ConnectionLost, unknown, and works again at once", () =>
    Effect.gen(function* () {
      const { proxy, sql: beside, through } = yield* sceneOf("1 minute")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const writing = yield* Effect.forkChild(
          Effect.flip(query(write, sql`INSERT INTO t SELECT 1 FROM pg_sleep(20)`))
        )
        yield* untilAsleep(beside)
        yield* proxy.reset()
        const error = yield* Fiber.join(writing)
        assert.equal(error.reason._tag, "ConnectionLost")
        assert.equal(error.outcome, "unknown")
        assert.deepEqual(yield* query(write, sql`SELECT 1 AS n`), [{ n: 1 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(through)
    })
  )

  it.live("a write into a connection that is gone already (EPIPE): unknown, also what was committed meanwhile", () =>
    Effect.gen(function* () {
      const { proxy, stored, through } = yield* scene
      // Node tells it by an errno of five letters, as many as a SQLSTATE has.
      const gone = () => Object.assign(new Error("write EPIPE"), { code: "EPIPE", errno: -32, syscall: "write" })
      const sockets: Array<Socket> = []
      const note = (message: unknown) => sockets.push((message as { readonly socket: Socket }).socket)
      yield* Effect.acquireRelease(
        Effect.sync(() => subscribe("net.client.socket", note)),
        () => Effect.sync(() => unsubscribe("net.client.socket", note))
      )
      const breaking = <A>(call: Effect.Effect<A, StoreError>) =>
        Effect.gen(function* () {
          const { stats } = yield* PostgresClient.PostgresClient
          const calling = yield* Effect.forkChild(Effect.result(call))
          yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 1 })
          yield* Effect.sleep("100 millis")
          for (const socket of sockets) if (socket.remotePort === proxy.port) socket.destroy(gone())
          return yield* Fiber.join(calling)
        })
      yield* Effect.gen(function* () {
        const { keyed, query, sql, stats, unit } = yield* PostgresClient.PostgresClient
        const slow = keyed`INSERT INTO t SELECT 1 FROM pg_sleep(0.5)`
        const lost = yield* Effect.flip(Effect.fromResult(yield* breaking(unit(write, [slow]))))
        assert.deepEqual([lost.reason._tag, lost.outcome], ["CommitUnknown", "unknown"])
        const alone = yield* Effect.flip(Effect.fromResult(yield* breaking(query(write, slow))))
        assert.ok(alone.reason._tag === "ConnectionLost" && alone.reason.code === "EPIPE", alone.message)
        assert.deepEqual([alone.outcome, alone.retry], ["unknown", "idempotent"])
        const read_ = yield* breaking(query(read, sql`SELECT 3 AS n, pg_sleep(0.5)::text AS slept`))
        assert.deepEqual(yield* Effect.fromResult(read_), [{ n: 3, slept: "" }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(through)
      // The server did not see that nobody waits.
      assert.equal(yield* Effect.repeat(stored, { until: (n) => n === 2, times: 100 }), 2)
    })
  )

  it.live("every connection reset at once: the next calls have as many as before", () =>
    Effect.gen(function* () {
      const { proxy, through } = yield* scene
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const both = Effect.all(
          [1, 2].map((n) => query(write, sql<{ n: number }>`SELECT ${n}::int AS n, pg_sleep(0.1)`)),
          {
            concurrency: "unbounded"
          }
        )
        const held = Effect.scoped(Effect.andThen(sql.reserve, Effect.andThen(sql.reserve, stats)))
        assert.equal((yield* held).size, 2)
        yield* proxy.reset()
        yield* Effect.sleep("50 millis")
        assert.deepEqual(
          (yield* both).flat().map(({ n }) => n),
          [1, 2]
        )
        assert.equal((yield* held).inUse, 2)
        const { inUse, size } = yield* stats
        assert.deepEqual({ inUse, size }, { inUse: 0, size: 2 })
      }).pipe(through)
    })
  )

  it.live("drops the reply to an INSERT: not sent again, outcome unknown, stored once", () =>
    Effect.gen(function* () {
      const { proxy, stored, through } = yield* scene
      yield* Effect.gen(function* () {
        const { keyed, query } = yield* PostgresClient.PostgresClient
        yield* proxy.dropReplies({ afterRequestMatching: "INSERT" })
        const error = yield* Effect.flip(query(write, keyed`INSERT INTO t VALUES (7)`))
        assert.equal(error.reason._tag, "ConnectionLost")
        assert.equal(error.outcome, "unknown")
      }).pipe(through)
      assert.equal(yield* stored, 1)
    })
  )

  it.live("drops the reply to a SELECT: a read is sent again and answered", () =>
    Effect.gen(function* () {
      const { proxy, through } = yield* scene
      yield* Effect.gen(function* () {
        const { keyed, query } = yield* PostgresClient.PostgresClient
        yield* proxy.dropReplies({ afterRequestMatching: "SELECT" })
        assert.deepEqual(yield* query(read, keyed`SELECT 6 AS n`), [{ n: 6 }])
        assert.equal((yield* proxy.counts).dropped, 1)
      }).pipe(through)
    })
  )

  it.live("drops the reply to COMMIT: CommitUnknown, and what was stored is there", () =>
    Effect.gen(function* () {
      const { proxy, stored, through } = yield* scene
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        yield* proxy.dropReplies({ afterRequestMatching: "COMMIT", replyMatching: "COMMIT" })
        const error = yield* Effect.flip(transaction.run(query(write, sql`INSERT INTO t VALUES (8)`)))
        assert.equal(error.reason._tag, "CommitUnknown")
        assert.equal(error.outcome, "unknown")
      }).pipe(through)
      assert.equal(yield* stored, 1)
    })
  )

  it.live("the connection ends before COMMIT is sent: ConnectionLost, not applied", () =>
    Effect.gen(function* () {
      const { proxy, stored, through } = yield* scene
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        const error = yield* Effect.flip(
          transaction.run(
            Effect.gen(function* () {
              yield* query(write, sql`INSERT INTO t VALUES (9)`)
              yield* proxy.reset()
              yield* Effect.sleep("500 millis")
            })
          )
        )
        assert.equal(error.reason._tag, "ConnectionLost")
        assert.equal(error.outcome, "not-applied")
      }).pipe(through)
      assert.equal(yield* stored, 0)
    })
  )

  it.live("goes silent in a transaction: over soon after its deadline, rollback included", () =>
    Effect.gen(function* () {
      const { proxy, stored, through } = yield* sceneOf("20 seconds")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        const hanging = transaction.run(
          Effect.gen(function* () {
            yield* query(write, sql`INSERT INTO t VALUES (10)`)
            yield* proxy.hang
            yield* query(write, sql`INSERT INTO t VALUES (11)`)
          })
        )
        const [elapsed, error] = yield* Effect.timed(Effect.flip(within("300 millis")(hanging)))
        assert.equal(error.reason._tag, "Timeout")
        assert.ok(Duration.toMillis(elapsed) < 10_000, `${Duration.toMillis(elapsed)} ms: not the statement timeout's`)
        yield* proxy.pass
        assert.deepEqual(yield* query(read, sql`SELECT 1 AS n`), [{ n: 1 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(through)
      assert.equal(yield* stored, 0)
    })
  )

  it.live("a server that accepts and closes: many callers make no storm of connections", () =>
    Effect.gen(function* () {
      const { proxy, through } = yield* scene
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        yield* proxy.reset({ alsoNew: true })
        const before = (yield* proxy.counts).accepted
        const errors = yield* Effect.forEach(
          Array.from({ length: 200 }),
          () => Effect.flip(within("2 seconds")(query(read, sql`SELECT 1`))),
          { concurrency: "unbounded" }
        )
        assert.ok(errors.every(({ reason }) => reason._tag === "Unavailable" || reason._tag === "ConnectionLost"))
        const opened = (yield* proxy.counts).accepted - before
        assert.ok(opened < 60, `${opened} connections in 2 s`)
        yield* proxy.pass
        assert.deepEqual(yield* query(read, sql`SELECT 1 AS n`), [{ n: 1 }])
      }).pipe(through)
    })
  )
})
