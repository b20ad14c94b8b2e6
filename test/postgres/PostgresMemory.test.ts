import { describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Option, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import * as assert from "node:assert/strict"
import { within } from "../../src/core/Deadline.ts"
import { isStoreError } from "../../src/core/StoreError.ts"
import type { MemoryReader } from "../../src/postgres/memory/MemoryDatabase.ts"
import { type MemoryTable, memoryTable } from "../../src/postgres/memory/MemoryTable.ts"
import * as PostgresMemory from "../../src/postgres/PostgresMemory.ts"

const fresh = Layer.fresh(PostgresMemory.layer)

interface Counter {
  readonly name: string
  readonly count: number
}
const counters = memoryTable<Counter>({ name: "counters", key: ({ name }) => name })

const counterOf = ({ read, write }: PostgresMemory.PostgresMemory["Service"], name: string) => {
  const countIn = (db: MemoryReader) =>
    Option.match(db.get(counters, name), { onNone: () => 0, onSome: ({ count }) => count })
  return {
    read: (operation: string) => read(operation, countIn),
    set: (count: number) => write("set", (db) => db.replace(counters, { name, count })),
    add: (n: number) => write("add", (db) => db.replace(counters, { name, count: countIn(db) + n }))
  }
}

const counter = Effect.gen(function* () {
  const memory = yield* PostgresMemory.PostgresMemory
  yield* memory.register(counters)
  return { a: counterOf(memory, "a"), b: counterOf(memory, "b"), transaction: memory.transaction }
})

/** Lets every other fiber go as far as it can. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

const stop = { _tag: "Stop" } as const

describe("PostgresMemory", () => {
  it.effect("a failed transaction rolls back every write", () =>
    Effect.gen(function* () {
      const { a, b, transaction } = yield* counter
      yield* a.add(1)
      yield* Effect.flip(transaction(Effect.all([a.add(10), b.add(10), Effect.fail(stop)])))
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
            yield* a.add(1)
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
        yield* a.set(seen + 1)
      })
      yield* Effect.all(
        [
          ...Array.from({ length: 10 }, () => transaction(readThenWrite)),
          ...Array.from({ length: 10 }, () => a.add(1))
        ],
        { concurrency: 20 }
      )
      assert.equal(yield* a.read("all"), 20)
    }).pipe(Effect.provide(fresh))
  )

  it.effect("a failed savepoint takes back its own writes, of several rows, and no others", () =>
    Effect.gen(function* () {
      const { a, b, transaction } = yield* counter
      yield* transaction(
        Effect.gen(function* () {
          yield* a.add(1)
          yield* Effect.flip(
            transaction(
              Effect.gen(function* () {
                yield* a.add(10)
                yield* transaction(b.add(100))
                yield* a.add(1000)
                return yield* Effect.fail(stop)
              })
            )
          )
          assert.deepEqual([yield* a.read("a"), yield* b.read("b")], [1, 0])
          yield* transaction(b.add(5))
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
                  yield* a.add(n)
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
      const patient = yield* Effect.forkChild(Effect.flip(a.add(1)))
      const hasty = yield* Effect.forkChild(Effect.flip(within("2 seconds")(transaction(a.add(1)))))
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
      yield* a.add(1)
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
        const waiters = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(transaction(a.add(1))))
        for (let i = 0; i < 10; i++) yield* settle
        yield* Deferred.succeed(go, undefined)
        for (let i = 0; i < round; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(waiters[0]!)
        yield* Fiber.join(holder)
        yield* Fiber.join(waiters[1]!)
        yield* Fiber.join(waiters[2]!)
        const before = yield* a.read("before")
        yield* a.add(1)
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
        Effect.forkDetach(Effect.andThen(Deferred.await(go), Effect.exit(Effect.all([a.add(1), a.read("a")]))))
      )
      yield* Deferred.succeed(go, undefined)
      assert.ok(Exit.isFailure(yield* Fiber.join(fiber)))
      assert.equal(yield* a.read("a"), 0)
    }).pipe(Effect.provide(fresh))
  )

  const registering = (table: MemoryTable<Counter>) =>
    Layer.effectDiscard(Effect.flatMap(PostgresMemory.PostgresMemory, ({ register }) => register(table)))

  it.effect("layers may share a table, but not its name with another table, and are told where they are built", () =>
    Effect.gen(function* () {
      const other = memoryTable<Counter>({ name: "counters", key: ({ name }) => name })
      const built = (one: MemoryTable<Counter>, two: MemoryTable<Counter>) =>
        Layer.merge(registering(one), registering(two)).pipe(
          Layer.provide(fresh),
          Layer.build,
          Effect.scoped,
          Effect.exit
        )
      assert.ok(Exit.isSuccess(yield* built(counters, counters)))
      const exit = yield* built(counters, other)
      assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.match(
        String(Cause.squash(exit.cause)),
        /^Error: two memory tables of one memory database are named "counters"\. Give one of them another name/
      )
    })
  )

  it.effect("a foreign key to a table of a layer that is not there is a defect, not a row that is not found", () =>
    Effect.gen(function* () {
      const { register, write } = yield* PostgresMemory.PostgresMemory
      const marks = memoryTable<Counter>({
        name: "marks",
        key: ({ name }) => name,
        references: { marks_name_fkey: { to: "counters", key: ({ name }) => name, onRemoval: "cascade" } }
      })
      yield* register(marks)
      const mark = write("mark", (db) => db.insert(marks, { name: "a", count: 1 }))
      const exit = yield* Effect.exit(mark)
      assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.match(String(Cause.squash(exit.cause)), /marks_name_fkey of the memory table "marks" refers to "counters"/)
      const { a } = yield* counter
      const refused = yield* Effect.flip(mark)
      assert.ok(isStoreError(refused) && refused.reason._tag === "ConstraintViolated", String(refused))
      yield* a.add(1)
      yield* mark
    }).pipe(Effect.provide(fresh))
  )
})
