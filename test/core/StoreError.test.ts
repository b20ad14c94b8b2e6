import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as E from "../../src/core/StoreError.ts"

const error = new E.StoreError({
  store: "redis",
  operation: "SharedCache.get",
  outcome: "not-applied",
  reason: new E.PoolExhausted({ limit: 20, waiting: 1, waitedMillis: 10 }),
  cause: new Error("password=secret")
})

const of = (reason: E.Reason, outcome: E.Outcome) =>
  new E.StoreError({ store: "redis", operation: "x", reason, outcome })

describe("StoreError", () => {
  it.effect("one reason is handled, the others are left", () =>
    Effect.gen(function* () {
      const handled = yield* Effect.fail(error).pipe(
        Effect.catchReason("StoreError", "PoolExhausted", (reason) => Effect.succeed(reason.limit))
      )
      assert.equal(handled, 20)
      const left = yield* Effect.flip(
        Effect.fail(error).pipe(Effect.catchReason("StoreError", "Timeout", () => Effect.succeed(0)))
      )
      assert.equal(left, error)
    })
  )

  it("its message names store, operation, reason and outcome, and holds nothing of the cause", () => {
    assert.equal(
      error.message,
      "Redis SharedCache.get: all 20 connections were in use for 10 ms, 1 waiting (not-applied)"
    )
    assert.ok(E.isStoreError(error))
    assert.ok(!E.isStoreError(new Error("x")))
  })

  it("during tells the same failure by another method's name", () => {
    const told = error.during("Users.create")
    assert.equal(told.operation, "Users.create")
    assert.equal(told.reason, error.reason)
    assert.equal(told.outcome, error.outcome)
    assert.equal(told.cause, error.cause)
  })

  it("what may be retried follows from reason, outcome and idempotence", () => {
    const lost = new E.ConnectionLost({})
    assert.equal(of(lost, "not-applied").isRetryable(), true)
    assert.equal(of(lost, "unknown").isRetryable(), false)
    assert.equal(of(lost, "unknown").isRetryable({ idempotent: true }), true)
    assert.equal(of(new E.Conflict({}), "not-applied").isRetryable({ idempotent: true }), false)
    assert.equal(of(new E.Conflict({}), "not-applied").retry, "transaction")
    assert.equal(of(new E.Forbidden({}), "not-applied").isRetryable({ idempotent: true }), false)
  })
})
