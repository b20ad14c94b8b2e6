import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { makeAcquireTimes } from "../../src/core/Pool.ts"

describe("how long callers waited", () => {
  it("count, mean and maximum are exact; percentiles are bounds, never above the maximum", () => {
    const times = makeAcquireTimes()
    for (let i = 0; i < 97; i++) times.lent(0)
    for (const millis of [3, 40, 500]) times.lent(millis)
    times.gaveUp()
    assert.deepEqual(times.stats(), {
      count: 100,
      timeouts: 1,
      meanMillis: 5.43,
      p50Millis: 0,
      p99Millis: 64,
      maxMillis: 500
    })
    for (let i = 0; i < 200; i++) times.lent(500)
    assert.equal(times.stats().p50Millis, 500)
  })

  it("begins with nothing, and forgets what is two minutes old", () => {
    const times = makeAcquireTimes()
    const nothing = { count: 0, timeouts: 0, meanMillis: 0, p50Millis: 0, p99Millis: 0, maxMillis: 0 }
    assert.deepEqual(times.stats(), nothing)
    times.lent(8)
    times.turn()
    assert.equal(times.stats().p99Millis, 8)
    times.turn()
    assert.deepEqual(times.stats(), nothing)
  })
})
