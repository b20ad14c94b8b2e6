import { describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as assert from "node:assert/strict"
import { decodeInput } from "../../src/core/Decode.ts"
import { durationBetween } from "../../src/core/DurationInput.ts"

const decode = decodeInput(durationBetween("1 second", "2 days"))
const at = { store: "postgresql", operation: "test", subject: "input" } as const

describe("durationBetween", () => {
  it.effect("takes a length of time however it is written, its bounds included", () =>
    Effect.gen(function* () {
      for (const [given, millis] of [
        ["1 second", 1000],
        ["90 seconds", 90_000],
        [2500, 2500],
        [Duration.hours(48), 172_800_000]
      ] as const) {
        assert.equal(Duration.toMillis(yield* decode(at, given)), millis)
      }
    })
  )

  it.effect("refuses what is longer, shorter, or no length of time, and says what would do", () =>
    Effect.gen(function* () {
      for (const given of [
        999,
        "172801 seconds",
        Number.POSITIVE_INFINITY,
        -1,
        Number.NaN,
        "soon",
        null,
        undefined,
        {}
      ]) {
        const { reason } = yield* Effect.flip(decode(at, given))
        assert.ok(reason._tag === "InvalidData", String(given))
        assert.deepEqual(reason.problems, [{ field: "", problem: "must be a length of time from 1s to 2d" }])
      }
    })
  )
})
