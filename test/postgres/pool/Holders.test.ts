import { it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Redacted, Schema, Stream } from "effect"
import assert from "node:assert/strict"
import { within } from "../../../src/core/Deadline.ts"
import type { PoolExhausted } from "../../../src/core/StoreError.ts"
import { AdvisoryLocks } from "../../../src/postgres/AdvisoryLocks.ts"
import * as AdvisoryLocksLive from "../../../src/postgres/AdvisoryLocksLive.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import * as PostgresMigrations from "../../../src/postgres/PostgresMigrations.ts"
import { rowReader } from "../../../src/postgres/repository/Row.ts"
import { streamRows } from "../../../src/postgres/repository/StreamRows.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { until } from "../../until.ts"

const read = { operation: "Test.read", kind: "read" } as const

/** A client, and what it warns of. */
const scene = (maxConnections: number, leakDetectionThreshold: "1 second" | "1 hour" = "1 second") =>
  Effect.gen(function* () {
    const warnings: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      if (logLevel === "Warn") warnings.push(String(message))
    })
    const made = yield* Layer.build(
      AdvisoryLocksLive.layer.pipe(
        Layer.provideMerge(
          Postgres.layer({
            url: Redacted.make(yield* freshPostgres),
            minConnections: 0,
            maxConnections,
            acquireTimeout: "20 seconds",
            leakDetectionThreshold,
            shutdownTimeout: "1 second"
          })
        ),
        Layer.provide(Logger.layer([logger]))
      )
    )
    return { made, warnings }
  })

/** Takes what is left of the pool, and tells what the next caller is told. */
const exhaustion = (others: number) =>
  Effect.gen(function* () {
    const { query, sql, stats } = yield* Postgres.PostgresClient
    const busy = yield* Effect.forEach(Array.from({ length: others }), () =>
      Effect.forkChild(Effect.ignore(query(read, sql`select pg_sleep(20)`)))
    )
    yield* until(stats, ({ inUse, max }) => inUse === max)
    const { reason } = yield* Effect.flip(query(read, sql`select 1`).pipe(within("300 millis")))
    assert.ok(reason._tag === "PoolExhausted", reason._tag)
    yield* Fiber.interruptAll(busy)
    return reason
  })

const held = ({ holders }: PoolExhausted, operation: string) =>
  (holders ?? []).filter((holder) => holder.operation === operation)

describeLive("postgresql", "who holds a connection for long", () => {
  it.live("a lease is named, and is no leak however long it is held", () =>
    Effect.gen(function* () {
      const { made, warnings } = yield* scene(3)
      yield* Effect.gen(function* () {
        const locks = yield* AdvisoryLocks
        yield* locks.lease("nightly of alice@example.com")
        yield* locks.tryLease("weekly")
        yield* Effect.sleep("2500 millis")
        const reason = yield* exhaustion(1)
        assert.equal(reason.diagnosis, "saturated")
        assert.equal(reason.detail, "2 of 3 are kept for as long as their holders say")
        assert.equal(held(reason, "AdvisoryLocks.lease").length, 1)
        assert.equal(held(reason, "AdvisoryLocks.tryLease").length, 1)
        assert.ok(!JSON.stringify(reason).includes("alice"), "a key may be anybody's data")
        assert.deepEqual(warnings, [])
      }).pipe(Effect.scoped, Effect.provide(made))
    })
  )

  it.live("beside a lease, slow statements are told as slow", () =>
    Effect.gen(function* () {
      const { made } = yield* scene(3, "1 hour")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* Postgres.PostgresClient
        yield* Effect.flatMap(AdvisoryLocks, (locks) => locks.lease("nightly"))
        const slow = yield* Effect.forkChild(Effect.ignore(query(read, sql`select pg_sleep(20)`)))
        yield* until(stats, ({ inUse }) => inUse === 2)
        yield* Effect.sleep("1200 millis")
        const reason = yield* exhaustion(1)
        assert.deepEqual([reason.diagnosis, reason.detail], ["slow", "1 of 3 have been held for more than 1 s"])
        yield* Fiber.interrupt(slow)
      }).pipe(Effect.scoped, Effect.provide(made))
    })
  )

  it.live("beside a lease, a connection that is not given back is told as leaked", () =>
    Effect.gen(function* () {
      const { made, warnings } = yield* scene(3)
      yield* Effect.gen(function* () {
        const locks = yield* AdvisoryLocks
        const { sql } = yield* Postgres.PostgresClient
        yield* locks.lease("nightly")
        yield* sql.reserve
        yield* Effect.sleep("2500 millis")
        const reason = yield* exhaustion(1)
        assert.deepEqual([reason.diagnosis, reason.detail], ["leaked", "1 of 3 have been held for more than 1 s"])
        assert.equal(warnings.length, 1)
        assert.match(warnings[0]!, /^PostgreSQL sql\.reserve: /)
      }).pipe(Effect.scoped, Effect.provide(made))
    })
  )

  it.live("migrations are named, and are no leak", () =>
    Effect.gen(function* () {
      const { made, warnings } = yield* scene(2)
      yield* Effect.gen(function* () {
        const driver = yield* PostgresMigrations.make({ schema: "public" })
        const [begun, end] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const migrating = yield* Effect.forkChild(
          driver.locked(
            () => Effect.void,
            () => Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(end))
          )
        )
        yield* Deferred.await(begun)
        yield* Effect.sleep("2500 millis")
        const reason = yield* exhaustion(1)
        assert.equal(reason.diagnosis, "saturated")
        assert.equal(held(reason, "Migrations").length, 1)
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(migrating)
        assert.deepEqual(warnings, [])
      }).pipe(Effect.scoped, Effect.provide(made))
    })
  )

  it.live("a stream is named, and is a leak only where nobody takes its rows", () =>
    Effect.gen(function* () {
      const { made, warnings } = yield* scene(3)
      yield* Effect.gen(function* () {
        const client = yield* Postgres.PostgresClient
        const rows = rowReader(Schema.Struct({ n: Schema.Int }))
        const statement = client.sql`select generate_series(1, 10000000) as n`
        const numbers = streamRows(client, { operation: "Numbers.stream", rows, statement })
        const stalled = yield* Deferred.make<void>()
        const reading = yield* Effect.forkChild(
          Stream.runForEach(Stream.chunks(numbers), () =>
            Effect.flatMap(Deferred.isDone(stalled), (is) => (is ? Effect.never : Effect.sleep("20 millis")))
          )
        )
        yield* Effect.sleep("2500 millis")
        const flowing = yield* exhaustion(2)
        assert.equal(flowing.diagnosis, "saturated")
        assert.equal(held(flowing, "Numbers.stream").length, 1)
        assert.deepEqual(warnings, [])
        yield* Deferred.succeed(stalled, undefined)
        yield* Effect.sleep("2500 millis")
        assert.equal((yield* exhaustion(2)).diagnosis, "leaked")
        assert.equal(warnings.length, 1)
        assert.match(warnings[0]!, /^PostgreSQL Numbers\.stream: /)
        yield* Fiber.interrupt(reading)
      }).pipe(Effect.scoped, Effect.provide(made))
    })
  )
})
