import * as assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { scriptRunner } from "../../src/redis/ScriptLive.ts"
import { slidingWindow } from "../../src/redis/SlidingWindow.ts"
import { describeLive, freshRedisPrefix } from "../servers/index.ts"
import { clientOf, read, write } from "./support.ts"

describeLive("redis", "a script", (url) => {
  it.live("an answer that does not fit is no proof that nothing was written", () =>
    Effect.gen(function* () {
      const key = `${yield* freshRedisPrefix}misread`
      const run = scriptRunner(yield* clientOf(url!), { ...slidingWindow, result: Schema.Never })
      for (const [call, outcome] of [
        [write, "unknown"],
        [read, "not-applied"]
      ] as const) {
        const error = yield* Effect.flip(run(call, { key, limit: 3, window: 1_000_000, cost: 1 }))
        assert.equal(error.reason._tag, "InvalidData")
        assert.equal(error.outcome, outcome)
      }
    })
  )
})
