import * as assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as BatchedWriter from "../../src/clickhouse/BatchedWriter.ts"
import { within } from "../../src/core/Deadline.ts"
import { ConnectionLost, StoreError } from "../../src/core/StoreError.ts"

const endpoint = { store: "clickhouse", host: "test" } as const

/** A sink that remembers its batches. */
const recorder = (write: Effect.Effect<void, StoreError> = Effect.void) => {
  const batches: Array<ReadonlyArray<number>> = []
  const tokens: Array<string> = []
  return {
    batches,
    tokens,
    write: (rows: ReadonlyArray<number>, token: string) =>
      Effect.andThen(
        Effect.sync(() => {
          batches.push(rows)
          tokens.push(token)
        }),
        write
      )
  }
}

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i)

describe("BatchedWriter", () => {
  it.effect("rows of concurrent callers go together, each answered when its batch is stored", () =>
    Effect.gen(function* () {
      const sink = recorder(Effect.sleep("1 second"))
      const writer = yield* BatchedWriter.make(endpoint, sink.write)
      const all = yield* Effect.forkChild(
        Effect.forEach(numbers(1000), (n) => writer.add("test", n), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("20 millis")
      assert.deepEqual(sink.batches, [numbers(1000)])
      assert.equal(all.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(all)
    })
  )

  it.effect("a full batch does not wait, and the next one is another", () =>
    Effect.gen(function* () {
      const sink = recorder()
      const writer = yield* BatchedWriter.make(endpoint, sink.write, { size: 10, linger: "1 hour" })
      const all = yield* Effect.forkChild(
        Effect.forEach(numbers(25), (n) => writer.add("test", n), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      assert.deepEqual(
        sink.batches.map((rows) => rows.length),
        [10, 10]
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(all)
      assert.deepEqual(sink.batches.flat(), numbers(25))
      assert.equal(new Set(sink.tokens).size, 3)
    })
  )

  it.effect("the failure of a batch is that of its callers, and the writer goes on", () =>
    Effect.gen(function* () {
      let broken = true
      const lost = new StoreError({
        store: "clickhouse",
        operation: "test",
        outcome: "unknown",
        reason: new ConnectionLost({})
      })
      const sink = recorder(Effect.suspend(() => (broken ? Effect.fail(lost) : Effect.void)))
      const writer = yield* BatchedWriter.make(endpoint, sink.write)
      const failing = yield* Effect.forkChild(
        Effect.forEach([1, 2], (n) => Effect.flip(writer.add("test", n)), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("20 millis")
      assert.deepEqual(yield* Fiber.join(failing), [lost, lost])
      broken = false
      const fine = yield* Effect.forkChild(writer.add("test", 3))
      yield* TestClock.adjust("20 millis")
      yield* Fiber.join(fine)
      assert.deepEqual(sink.batches, [[1, 2], [3]])
    })
  )

  it.effect("closing stores what waits, and refuses what comes after", () =>
    Effect.gen(function* () {
      const sink = recorder(Effect.sleep("1 second"))
      const scope = yield* Scope.make()
      const writer = yield* Scope.provide(BatchedWriter.make(endpoint, sink.write, { linger: "1 hour" }), scope)
      const waiting = yield* Effect.forkChild(
        Effect.forEach(numbers(5), (n) => writer.add("test", n), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      assert.deepEqual(sink.batches, [])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("10 millis")
      const refused = yield* Effect.flip(writer.add("test", 9))
      assert.deepEqual([refused.reason._tag, refused.outcome], ["Unavailable", "not-applied"])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waiting)
      yield* Fiber.join(closing)
      assert.deepEqual(sink.batches, [numbers(5)])
    })
  )

  it.effect("closing is bounded: what was sent is unknown, what was not is not applied, and the send is ended", () =>
    Effect.gen(function* () {
      let ended = 0
      const sink = recorder(Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++)))
      const scope = yield* Scope.make()
      const options = { size: 10, shutdownTimeout: "3 seconds" } as const
      const writer = yield* Scope.provide(BatchedWriter.make(endpoint, sink.write, options), scope)
      const waiting = yield* Effect.forkChild(
        Effect.forEach(numbers(35), (n) => Effect.flip(writer.add(`test ${n}`, n)), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("2999 millis")
      assert.deepEqual([waiting.pollUnsafe(), closing.pollUnsafe()], [undefined, undefined])
      yield* TestClock.adjust("1 millis")
      const errors = yield* Fiber.join(waiting)
      yield* Fiber.join(closing)
      assert.deepEqual(
        errors.map(({ operation, outcome, reason }) => [operation, reason._tag, outcome]),
        numbers(35).map((n) =>
          n < 10 ? [`test ${n}`, "Timeout", "unknown"] : [`test ${n}`, "Unavailable", "not-applied"]
        )
      )
      assert.deepEqual(sink.batches, [numbers(10)])
      assert.equal(ended, 1)
    })
  )

  it.effect("closing gives all it accepted its time, however many batches that takes", () =>
    Effect.gen(function* () {
      const sink = recorder(Effect.sleep("500 millis"))
      const scope = yield* Scope.make()
      const options = { size: 10, shutdownTimeout: "3 seconds" } as const
      const writer = yield* Scope.provide(BatchedWriter.make(endpoint, sink.write, options), scope)
      const waiting = yield* Effect.forkChild(
        Effect.forEach(numbers(45), (n) => writer.add("test", n), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 millis")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("2500 millis")
      yield* Fiber.join(closing)
      yield* Fiber.join(waiting)
      assert.deepEqual(sink.batches.flat(), numbers(45))
    })
  )

  it.effect("an interrupted caller takes its row along, and holds up nobody", () =>
    Effect.gen(function* () {
      const sink = recorder()
      const scope = yield* Scope.make()
      const writer = yield* Scope.provide(BatchedWriter.make(endpoint, sink.write), scope)
      const leaving = yield* Effect.forkChild(writer.add("test", 1))
      yield* TestClock.adjust("5 millis")
      const staying = yield* Effect.forkChild(writer.add("test", 2))
      yield* Fiber.interrupt(leaving)
      yield* TestClock.adjust("20 millis")
      yield* Fiber.join(staying)
      assert.deepEqual(sink.batches, [[2]])
      const alone = yield* Effect.forkChild(writer.add("test", 3))
      yield* TestClock.adjust("5 millis")
      yield* Fiber.interrupt(alone)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepEqual(sink.batches, [[2]])
    })
  )

  it.effect("the Context's Deadline ends the waiting", () =>
    Effect.gen(function* () {
      const sink = recorder(Effect.never)
      const scope = yield* Scope.make()
      const writer = yield* Scope.provide(BatchedWriter.make(endpoint, sink.write), scope)
      const late = yield* Effect.forkChild(Effect.flip(writer.add("test", 1).pipe(within("200 millis"))))
      yield* TestClock.adjust("200 millis")
      const error = yield* Fiber.join(late)
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "unknown"])
      const unsent = yield* Effect.forkChild(Effect.flip(writer.add("test", 2).pipe(within("200 millis"))))
      yield* TestClock.adjust("200 millis")
      const { outcome, reason } = yield* Fiber.join(unsent)
      assert.deepEqual([reason._tag, outcome], ["Timeout", "not-applied"])
      assert.deepEqual(sink.batches, [[1]])
    })
  )
})
