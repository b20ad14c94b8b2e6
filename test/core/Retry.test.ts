import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import { within } from "../../src/core/Deadline.ts"
import { defaultRetryPolicy, makeRetryBudget, retrying } from "../../src/core/Retry.ts"
import * as E from "../../src/core/StoreError.ts"

const reasons: Record<E.Reason["_tag"], E.Reason> = {
  Unavailable: new E.Unavailable({ host: "db" }),
  PoolExhausted: new E.PoolExhausted({ limit: 1, waiting: 1, waitedMillis: 1 }),
  Overloaded: new E.Overloaded({}),
  AuthenticationFailed: new E.AuthenticationFailed({}),
  Forbidden: new E.Forbidden({}),
  ConnectionLost: new E.ConnectionLost({}),
  Timeout: new E.Timeout({ afterMillis: 1 }),
  CommitUnknown: new E.CommitUnknown({}),
  Conflict: new E.Conflict({}),
  NotPrimary: new E.NotPrimary({}),
  Backpressure: new E.Backpressure({}),
  ResourceExhausted: new E.ResourceExhausted({}),
  ConstraintViolated: new E.ConstraintViolated({ kind: "unique" }),
  InvalidStatement: new E.InvalidStatement({}),
  InvalidData: new E.InvalidData({ subject: "input", problems: [] }),
  LimitExceeded: new E.LimitExceeded({}),
  LeaseLost: new E.LeaseLost({}),
  Cancelled: new E.Cancelled({}),
  Raised: new E.Raised({}),
  Unclassified: new E.Unclassified({})
}

const failed = (reason: E.Reason, outcome: E.Outcome = "not-applied") =>
  new E.StoreError({ store: "redis", operation: "GET", outcome, reason })

/** An effect that fails so many times, and counts its runs and when they began. */
const flaky = (error: E.StoreError, times: number) => {
  const at: Array<number> = []
  return {
    at,
    effect: Effect.gen(function* () {
      at.push(yield* Clock.currentTimeMillis)
      if (at.length <= times) return yield* error
      return "done"
    })
  }
}

/** Runs with all the time it asks for. */
const atOnce = <A, Err>(effect: Effect.Effect<A, Err>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.await(fiber)
  })

const pausesOf = (reason: E.Reason) =>
  Effect.gen(function* () {
    const call = flaky(failed(reason), 100)
    yield* atOnce(retrying(makeRetryBudget({ capacity: 100 }), { attempts: 5, base: 100, cap: 400 })(call.effect))
    return call.at.slice(1).map((at, i) => at - call.at[i]!)
  })

describe("retrying", () => {
  it.effect("repeats what the table says may help, and nothing else", () =>
    Effect.gen(function* () {
      const repeated: Array<string> = []
      const idempotent: Array<string> = []
      for (const reason of Object.values(reasons)) {
        const plain = flaky(failed(reason), 1)
        yield* atOnce(retrying(makeRetryBudget())(plain.effect))
        if (plain.at.length === 2) repeated.push(reason._tag)
        const unknown = flaky(failed(reason, "unknown"), 1)
        yield* atOnce(retrying(makeRetryBudget())(unknown.effect))
        assert.equal(unknown.at.length, 1, `${reason._tag} of unknown outcome`)
        const harmless = flaky(failed(reason, "unknown"), 1)
        yield* atOnce(retrying(makeRetryBudget())(harmless.effect, { idempotent: true }))
        if (harmless.at.length === 2) idempotent.push(reason._tag)
      }
      const helps = [
        "Unavailable",
        "PoolExhausted",
        "Overloaded",
        "ConnectionLost",
        "Timeout",
        "CommitUnknown",
        "NotPrimary",
        "Backpressure",
        "ResourceExhausted"
      ]
      assert.deepEqual(repeated, helps)
      assert.deepEqual(idempotent, helps)
    })
  )

  it.effect("gives up after the policy's attempts, with the last failure", () =>
    Effect.gen(function* () {
      const call = flaky(failed(reasons.Unavailable), 100)
      const exit = yield* atOnce(retrying(makeRetryBudget())(call.effect))
      assert.equal(call.at.length, 1 + defaultRetryPolicy.attempts)
      assert.equal(exit._tag, "Failure")
    })
  )

  it.effect(
    "pauses grow twofold, between half and all of it, up to the cap, and are ten times that where room lacks",
    () =>
      Effect.gen(function* () {
        const full = [100, 200, 400, 400, 400]
        const between = (pauses: ReadonlyArray<number>, factor: number) =>
          pauses.forEach((pause, i) =>
            assert.ok(pause >= (full[i]! * factor) / 2 && pause <= full[i]! * factor, `${pauses} × ${factor}`)
          )
        const pauses = yield* pausesOf(reasons.Unavailable)
        assert.equal(pauses.length, 5)
        between(pauses, 1)
        between(yield* pausesOf(reasons.Backpressure), 10)
      }).pipe(Random.withSeed(7))
  )

  it.effect("a retry that does not fit before the deadline is not made, and takes no token", () =>
    Effect.gen(function* () {
      const budget = makeRetryBudget()
      const call = flaky(failed(reasons.Unavailable), 100)
      const exit = yield* atOnce(
        retrying(budget, { attempts: 5, base: "1 second", cap: "1 second" })(call.effect).pipe(within("400 millis"))
      )
      assert.equal(call.at.length, 1)
      assert.equal(exit._tag, "Failure")
      assert.equal(budget.tokens(), 20)
    })
  )

  it.effect("an outage ends the tokens, and then callers fail at once", () =>
    Effect.gen(function* () {
      const budget = makeRetryBudget({ capacity: 5 })
      let asked = 0
      const down = Effect.suspend(() => {
        asked++
        return Effect.fail(failed(reasons.Unavailable))
      })
      for (let i = 0; i < 10; i++) yield* atOnce(retrying(budget)(down))
      assert.equal(asked, 10 + 5)
      assert.equal(budget.tokens(), 0)
    })
  )

  it.effect("every success gives back a tenth of a token, up to the capacity", () =>
    Effect.gen(function* () {
      const budget = makeRetryBudget({ capacity: 2 })
      budget.withdraw()
      budget.withdraw()
      const again = retrying(budget)
      for (let i = 0; i < 9; i++) yield* again(Effect.void)
      assert.equal(budget.withdraw(), false)
      for (let i = 0; i < 2; i++) yield* again(Effect.void)
      assert.equal(budget.withdraw(), true)
      for (let i = 0; i < 100; i++) yield* again(Effect.void)
      assert.equal(budget.tokens(), 2)
    })
  )

  it.effect("reasons that the policy excepts are not retried, nor are errors that are no StoreError", () =>
    Effect.gen(function* () {
      const call = flaky(failed(reasons.Unavailable), 1)
      yield* atOnce(
        retrying(makeRetryBudget(), { ...defaultRetryPolicy, except: ({ _tag }) => _tag === "Unavailable" })(
          call.effect
        )
      )
      assert.equal(call.at.length, 1)
      let runs = 0
      const other = Effect.suspend(() => {
        runs++
        return Effect.fail("mine")
      })
      assert.equal(yield* Effect.flip(retrying(makeRetryBudget())(other)), "mine")
      assert.equal(runs, 1)
    })
  )

  it.effect("an interruption during the pause ends it", () =>
    Effect.gen(function* () {
      const call = flaky(failed(reasons.Unavailable), 100)
      const fiber = yield* Effect.forkChild(retrying(makeRetryBudget())(call.effect))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("10 minutes")
      assert.equal(call.at.length, 1)
    })
  )
})
