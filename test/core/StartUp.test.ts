import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { startUp, unavailable } from "../../src/core/StartUp.ts"
import * as E from "../../src/core/StoreError.ts"

const endpoint = { store: "postgresql", host: "db", port: 5432 } as const
const down = new E.StoreError({
  store: "postgresql",
  operation: "connect",
  outcome: "not-applied",
  reason: unavailable(endpoint, { code: "ECONNREFUSED" })
})
const failedBy = (reason: E.Reason) =>
  new E.StoreError({ store: "postgresql", operation: "connect", outcome: "not-applied", reason })

const run = <A>(ask: Effect.Effect<A, E.StoreError>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(startUp(endpoint, "10 seconds", ask))
    yield* TestClock.adjust("11 seconds")
    return yield* Fiber.await(fiber)
  })

const errorOf = (exit: Exit.Exit<unknown, E.StoreError>): E.StoreError => {
  assert.ok(Exit.isFailure(exit) && exit.cause.reasons[0]?._tag === "Fail")
  return exit.cause.reasons[0].error
}

describe("startUp", () => {
  it.effect("a store that comes up before the deadline lets the program start", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const exit = yield* run(
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          asked.push(now)
          return now < 6000 ? yield* down : "up"
        })
      )
      assert.deepEqual(exit, Exit.succeed("up"))
      const pauses = asked.slice(1).map((at, i) => at - asked[i]!)
      assert.ok(pauses[0]! <= 50, `${pauses}`)
      assert.ok(pauses.every((pause) => pause <= 1000) && pauses.length < 30, `${pauses}`)
    })
  )

  it.effect("one that stays down is Unavailable, with store, host, port and code, within the deadline", () =>
    Effect.gen(function* () {
      const error = errorOf(yield* run(Effect.fail(down)))
      assert.equal(error.message, "PostgreSQL connect: db:5432 cannot be reached: asked for 10000 ms (not-applied)")
      assert.ok(error.reason._tag === "Unavailable" && error.reason.code === "ECONNREFUSED")
    })
  )

  it.effect("one that accepts and never answers is a Timeout that names it", () =>
    Effect.gen(function* () {
      for (const silent of [
        Effect.never,
        Effect.andThen(Effect.sleep("3 seconds"), failedBy(new E.Timeout({ afterMillis: 3000 })))
      ]) {
        const error = errorOf(yield* run(silent))
        assert.ok(error.reason._tag === "Timeout")
        assert.equal(error.reason.afterMillis, 10_000)
        assert.match(error.reason.detail ?? "", /db:5432/)
        assert.equal(error.outcome, "not-applied")
      }
    })
  )

  it.effect("what time does not mend ends it at once", () =>
    Effect.gen(function* () {
      for (const reason of [
        new E.AuthenticationFailed({ code: "28P01" }),
        new E.Forbidden({}),
        new E.InvalidStatement({ code: "3D000" }),
        new E.InvalidData({ subject: "configuration", problems: [] })
      ]) {
        let asked = 0
        const ask = Effect.suspend(() => {
          asked++
          return Effect.fail(failedBy(reason))
        })
        const error = yield* Effect.flip(startUp(endpoint, "10 seconds", ask))
        assert.equal(error.reason, reason)
        assert.equal(asked, 1)
      }
    })
  )
})
