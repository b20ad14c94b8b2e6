import { describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as assert from "node:assert/strict"
import * as Money from "../../src/platform/Money.ts"

const eur = (amount: number) => Money.make(amount, "EUR")
const most = Number.MAX_SAFE_INTEGER

const failureOf = (result: Result.Result<unknown, { readonly _tag: string }>): string =>
  Result.isFailure(result) ? result.failure._tag : "none"

describe("Money", () => {
  it("is whole minor units of a currency in upper case", () => {
    const is = Schema.is(Money.Money)
    assert.ok(is(eur(-5)))
    assert.ok(is(eur(most)))
    for (const wrong of [eur(0.5), eur(most + 1), eur(Number.NaN), Money.make(1, "eur"), Money.make(1, "EURO")]) {
      assert.ok(!is(wrong), JSON.stringify(wrong))
    }
  })

  it("is added and subtracted within one currency", () => {
    assert.deepEqual(Money.add(eur(19), eur(-20)), Result.succeed(eur(-1)))
    assert.deepEqual(Money.subtract(eur(19), eur(20)), Result.succeed(eur(-1)))
    assert.equal(failureOf(Money.add(eur(1), Money.make(1, "USD"))), "CurrencyMismatch")
    assert.equal(failureOf(Money.subtract(eur(1), Money.make(1, "USD"))), "CurrencyMismatch")
  })

  it("fails where the amount would not be exact", () => {
    assert.deepEqual(Money.add(eur(most - 1), eur(1)), Result.succeed(eur(most)))
    assert.equal(failureOf(Money.add(eur(most), eur(1))), "MoneyOverflow")
    assert.equal(failureOf(Money.subtract(eur(-most), eur(1))), "MoneyOverflow")
    assert.equal(failureOf(Money.multiply(eur(most), 2)), "MoneyOverflow")
    // As numbers these come to 2^53 - 1, off by one.
    assert.equal(failureOf(Money.multiply(eur(94_906_267), 94_906_267)), "MoneyOverflow")
  })

  it("is multiplied by whole numbers", () => {
    assert.deepEqual(Money.multiply(eur(199), -3), Result.succeed(eur(-597)))
    assert.deepEqual(Money.multiply(eur(-199), 0), Result.succeed(eur(0)))
    assert.equal(failureOf(Money.multiply(eur(1), 0.5)), "InvalidRatio")
  })

  it("rounds the half of a portion to the even neighbour", () => {
    const half = (amount: number) => Result.getOrThrow(Money.portion(eur(amount), 1, 2)).amount
    assert.deepEqual([1, 3, 5, 7, -1, -3, -5].map(half), [0, 2, 2, 4, 0, -2, -2])
    const tax = (amount: number) => Result.getOrThrow(Money.portion(eur(amount), 19, 100)).amount
    assert.deepEqual([1999, 50, 150, 2, 3].map(tax), [380, 10, 28, 0, 1])
    assert.deepEqual(Money.portion(eur(10_000), 77, 1000), Result.succeed(eur(770)))
  })

  it("takes portions of large amounts exactly", () => {
    assert.deepEqual(Money.portion(eur(most), most, most), Result.succeed(eur(most)))
    assert.deepEqual(Money.portion(eur(most), 1, 3), Result.succeed(eur(3_002_399_751_580_330)))
    assert.equal(failureOf(Money.portion(eur(most), 3, 2)), "MoneyOverflow")
    for (const [numerator, denominator] of [
      [1, 0],
      [-1, 2],
      [1, -2],
      [0.5, 1],
      [1, 1.5]
    ] as const) {
      assert.equal(failureOf(Money.portion(eur(1), numerator, denominator)), "InvalidRatio")
    }
  })

  it("is divided so that the parts add up", () => {
    const parts = (amount: number, weights: ReadonlyArray<number>) =>
      Result.getOrThrow(Money.allocate(eur(amount), weights)).map((part) => part.amount)
    assert.deepEqual(parts(100, [1, 1, 1]), [34, 33, 33])
    assert.deepEqual(parts(-100, [1, 1, 1]), [-34, -33, -33])
    assert.deepEqual(parts(5, [3, 7]), [2, 3])
    assert.deepEqual(parts(100, [50, 0, 30, 20]), [50, 0, 30, 20])
    // 1.1, 3.3, 5.6: what is left goes to the largest remainder, not to the first.
    assert.deepEqual(parts(10, [11, 33, 56]), [1, 3, 6])
    assert.deepEqual(parts(1, [1, 1, 1]), [1, 0, 0])
    assert.deepEqual(parts(-1, [1, 1]), [-1, 0])
    for (let amount = -50; amount <= 50; amount++) {
      const divided = parts(amount, [5, 11, 1, 13])
      assert.equal(
        divided.reduce((sum, part) => sum + part, 0),
        amount
      )
    }
    const large = parts(most, [1, 2, most])
    assert.equal(
      large.reduce((sum, part) => sum + BigInt(part), 0n),
      BigInt(most)
    )
  })

  it("is divided by at least one weight, none below zero", () => {
    for (const weights of [[], [0, 0], [1, -1], [0.5]]) {
      assert.equal(failureOf(Money.allocate(eur(1), weights)), "InvalidRatio")
    }
  })
})
