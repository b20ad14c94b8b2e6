import { describe, it } from "@effect/vitest"
import assert from "node:assert"
import { median, operationsFor, ratios, rotated, spread } from "../../bench/statistics.ts"

describe("bench statistics", () => {
  it("takes the middle value, whatever the order", () => {
    assert.strictEqual(median([9, 1, 10]), 9)
    assert.strictEqual(median([10, 2, 9, 1]), 5.5)
    assert.ok(Number.isNaN(median([])))
  })

  it("keeps the values as they were", () => {
    const values = [3, 1, 2]
    assert.deepStrictEqual(spread(values), { min: 1, median: 2, max: 3 })
    assert.deepStrictEqual(values, [3, 1, 2])
  })

  it("compares rounds with themselves, and says more than 1 for better in every unit", () => {
    assert.deepStrictEqual(ratios([200, 30], [100, 60], "higher"), [2, 0.5])
    assert.deepStrictEqual(ratios([200, 30], [100, 60], "lower"), [0.5, 2])
    assert.throws(() => ratios([1], [1, 2], "higher"))
  })

  it("has every variant first, and last, equally often", () => {
    const orders = [0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""))
    assert.deepStrictEqual(orders, ["abc", "bca", "cab", "abc"])
    assert.deepStrictEqual(rotated([], 3), [])
  })

  it("asks for as many operations as fill the time, shared evenly by the callers", () => {
    const options = { tried: 1000, tookMillis: 10, targetMillis: 300 }
    assert.strictEqual(operationsFor({ ...options, multipleOf: 1 }), 30_000)
    assert.strictEqual(operationsFor({ ...options, multipleOf: 64 }), 30_016)
    assert.strictEqual(operationsFor({ tried: 8, tookMillis: 5000, targetMillis: 300, multipleOf: 64 }), 64)
  })
})
