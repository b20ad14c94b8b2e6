import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Deadline, within } from "../../src/core/Deadline.ts"

describe("within", () => {
  it.effect("sets the moment by the Clock; there is none by default", () =>
    Effect.gen(function* () {
      assert.equal(yield* Deadline, Number.POSITIVE_INFINITY)
      yield* TestClock.setTime(5000)
      assert.equal(yield* Effect.service(Deadline).pipe(within("2 seconds")), 7000)
      assert.equal(yield* Deadline, Number.POSITIVE_INFINITY)
    })
  )

  it.effect("the sooner of two holds, whichever is outside", () =>
    Effect.gen(function* () {
      assert.equal(yield* Effect.service(Deadline).pipe(within("2 seconds"), within("1 second")), 1000)
      assert.equal(yield* Effect.service(Deadline).pipe(within("1 second"), within("2 seconds")), 1000)
    })
  )

  it.effect("begins when the effect runs, not when it is made", () =>
    Effect.gen(function* () {
      const bounded = Effect.service(Deadline).pipe(within("1 second"))
      yield* TestClock.setTime(3000)
      assert.equal(yield* bounded, 4000)
    })
  )
})
