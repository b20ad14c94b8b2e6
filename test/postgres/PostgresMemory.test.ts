import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Result, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import * as assert from "node:assert/strict"
import { within } from "../../src/core/Deadline.ts"
import { isStoreError } from "../../src/core/StoreError.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"

const fresh = Layer.fresh(PostgresMemory.layer)

const add = (cell: PostgresMemory.MemoryCell<number>, n: number) =>
  cell.modify("add", (current) => Result.succeed([current, current + n] as const))

const counter = Effect.map(PostgresMemory.PostgresMemory, ({ cell, transaction }) => ({
  a: cell(0),
  b: cell(0),
  transaction
}))

/** Lets every other fiber go as far as it can. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

const stop = { _tag: "Stop" } as const

describe("PostgresMemory", () => {
  it.effect("a failed transaction rolls back every cell", () =>
    Effect.gen(function* () {
      const { a, b, transaction } = yield* counter
      yield* add(a, 1)
      yield* Effect.flip(transaction(Effect.all([add(a, 10), add(b, 10), Effect.fail(stop)])))
      assert.deepEqual([yield* a.read("a"), yield* b.read("b")], [1, 0])
    }).pipe(Effect.provide(fresh))
  )

  it.effect("an open transaction is seen by itself only", () =>
    Effect.gen(function* () {
      const { a, transaction } = yield* counter
      const written = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        transaction(
          Effect.gen(function* () {
            yield* add(a, 1)
            yield* Deferred.succeed(written, undefined)
            yield* Deferred.await(go)
            return yield* a.read("inside")
          })
        )
      )
      yield* Deferred.await(written)
      assert.equal(yield* a.read("outside"), 0)
      yield* Deferred.succeed(go, undefined)
      assert.equal(yield* Fiber.join(fiber), 1)
      assert.equal(yield* a.read("after"), 1)
    }).pipe(Effect.provide(fresh))
  )

  it.effect("writers follow each other: no update is lost", () =>
    Effect.gen(function* () {
      const { a, transaction } = yield* counter
      const readThenWrite = Effect.gen(function* () {
        const seen = yield* a.read("read")
        yield* settle
        yield* a.modify("write", () => Result.succeed([undefined, seen + 1] as const))
      })
      yield* Effect.all(
        [
          ...Array.from({ length: 10 }, () => transaction(readThenWrite)),
          ...Array.from({ length: 10 }, () => add(a, 1))
        ],
        { concurrency: 20 }
      )
      assert.equal(yield* a.read("all"), 20)
    }).pipe(Effect.provide(fresh))
  )

  it.effect("a failed savepoint takes back its own writes, in several cells, and no others", () =>
    Effect.gen(function* () {
      const { a, b, transaction } = yield* counter
      yield* transaction(
        Effect.gen(function* () {
          yield* add(a, 1)
          yield* Effect.flip(
            transaction(
              Effect.gen(function* () {
                yield* add(a, 10)
                yield* transaction(add(b, 100))
                yield* add(a, 1000)
                return yield* Effect.fail(stop)
              })
            )
          )
          assert.deepEqual([yield* a.read("a"), yield* b.read("b")], [1, 0])
          yield* transaction(add(b, 5))
        })
      )
      assert.deepEqual([yield* a.read("a"), yield* b.read("b")], [1, 5])
    }).pipe(Effect.provide(fresh))
  )

  it.effect("savepoints opened at once in one transaction follow each other", () =>
    Effect.gen(function* () {
      const { a, transaction } = yield* counter
      yield* transaction(
        Effect.forEach(
          [1, 2, 3, 4],
          (n) =>
            Effect.exit(
              transaction(
                Effect.gen(function* () {
                  yield* add(a, n)
                  yield* settle
                  if (n % 2 === 0) yield* Effect.fail(stop)
                })
              )
            ),
          { concurrency: 4 }
        )
      )
      assert.equal(yield* a.read("a"), 4)
    }).pipe(Effect.provide(fresh))
  )

  it.effect("a writer who waits too long is told that the one connection is taken", () =>
    Effect.gen(function* () {
      const { a, transaction } = yield* counter
      const holder = yield* Effect.forkChild(transaction(Effect.never))
      yield* settle
      const patient = yield* Effect.forkChild(Effect.flip(add(a, 1)))
      const hasty = yield* Effect.forkChild(Effect.flip(within("2 seconds")(transaction(add(a, 1)))))
      yield* settle
      yield* TestClock.adjust("2 seconds")
      const soon = yield* Fiber.join(hasty)
      assert.ok(isStoreError(soon) && soon.reason._tag === "PoolExhausted")
      assert.deepEqual([soon.outcome, soon.reason.limit, soon.reason.waiting], ["not-applied", 1, 2])
      yield* TestClock.adjust("8 seconds")
      const late = yield* Fiber.join(patient)
      assert.ok(isStoreError(late) && late.reason._tag === "PoolExhausted")
      assert.equal(late.reason.waitedMillis, 10_000)
      yield* Fiber.interrupt(holder)
      yield* add(a, 1)
      assert.equal(yield* a.read("a"), 1)
    }).pipe(Effect.provide(fresh))
  )

  it.effect("an interrupted waiter gives up its turn, also in the moment it is served", () =>
    Effect.gen(function* () {
      const { a, transaction } = yield* counter
      for (let round = 0; round < 40; round++) {
        const go = yield* Deferred.make<void>()
        const holder = yield* Effect.forkChild(transaction(Deferred.await(go)))
        yield* settle
        const waiters = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(transaction(add(a, 1))))
        for (let i = 0; i < 10; i++) yield* settle
        yield* Deferred.succeed(go, undefined)
        for (let i = 0; i < round; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(waiters[0]!)
        yield* Fiber.join(holder)
        yield* Fiber.join(waiters[1]!)
        yield* Fiber.join(waiters[2]!)
        const before = yield* a.read("before")
        yield* add(a, 1)
        assert.equal(yield* a.read("after"), before + 1)
      }
    }).pipe(
      // Fibers that give way after every step can be interrupted between any two.
      Effect.provideService(Scheduler.MaxOpsBeforeYield, 3),
      Effect.provide(fresh)
    )
  )

  it.effect("a fiber that outlives its transaction writes nothing", () =>
    Effect.gen(function* () {
      const { a, transaction } = yield* counter
      const go = yield* Deferred.make<void>()
      const fiber = yield* transaction(
        Effect.forkDetach(Effect.andThen(Deferred.await(go), Effect.exit(Effect.all([add(a, 1), a.read("a")]))))
      )
      yield* Deferred.succeed(go, undefined)
      assert.ok(Exit.isFailure(yield* Fiber.join(fiber)))
      assert.equal(yield* a.read("a"), 0)
    }).pipe(Effect.provide(fresh))
  )
})
