import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** A currency by its code of ISO 4217 in upper case: `EUR`. */
export const Currency = Schema.String.check(
  Schema.isPattern(/^[A-Z]{3}$/, { expected: "a currency code of three upper-case letters" })
)
export type Currency = typeof Currency.Type

/** Minor units of a currency, such as cents: a whole number between -(2^53 - 1) and 2^53 - 1. */
export const MinorUnits = Schema.Int

/** An amount of money: whole minor units of a currency. `{ amount: 1999, currency: "EUR" }` is 19.99 €. */
export const Money = Schema.Struct({ amount: MinorUnits, currency: Currency })
export type Money = typeof Money.Type

/** Two amounts that were to be one are of two currencies. */
export class CurrencyMismatch extends Schema.TaggedError<CurrencyMismatch>("@ai-core/database/CurrencyMismatch")(
  "CurrencyMismatch",
  { expected: Schema.String, actual: Schema.String }
) {
  override get message(): string {
    return `${this.actual} is not ${this.expected}`
  }
}

/** An amount is too large to be exact: beyond 2^53 - 1 minor units. */
export class MoneyOverflow extends Schema.TaggedError<MoneyOverflow>("@ai-core/database/MoneyOverflow")(
  "MoneyOverflow",
  { currency: Schema.String }
) {
  override get message(): string {
    return `the amount of ${this.currency} is too large to be exact`
  }
}

/** What money is divided by is none: no weight is above zero, or a number is not whole. */
export class InvalidRatio extends Schema.TaggedError<InvalidRatio>("@ai-core/database/InvalidRatio")(
  "InvalidRatio",
  {}
) {
  override get message(): string {
    return "money is divided by whole numbers, at least one of them above zero and none below"
  }
}

const exact = (amount: bigint, currency: Currency): Result.Result<Money, MoneyOverflow> => {
  const number = Number(amount)
  return Number.isSafeInteger(number)
    ? Result.succeed({ amount: number, currency })
    : Result.fail(new MoneyOverflow({ currency }))
}

export const make = (amount: number, currency: Currency): Money => ({ amount, currency })

export const zero = (currency: Currency): Money => ({ amount: 0, currency })

const together = (one: Money, other: Money, amount: bigint): Result.Result<Money, CurrencyMismatch | MoneyOverflow> =>
  one.currency === other.currency
    ? exact(amount, one.currency)
    : Result.fail(new CurrencyMismatch({ expected: one.currency, actual: other.currency }))

export const add = (one: Money, other: Money): Result.Result<Money, CurrencyMismatch | MoneyOverflow> =>
  together(one, other, BigInt(one.amount) + BigInt(other.amount))

export const subtract = (one: Money, other: Money): Result.Result<Money, CurrencyMismatch | MoneyOverflow> =>
  together(one, other, BigInt(one.amount) - BigInt(other.amount))

/** Multiplies by a whole number. */
export const multiply = (money: Money, by: number): Result.Result<Money, InvalidRatio | MoneyOverflow> =>
  Number.isSafeInteger(by) ? exact(BigInt(money.amount) * BigInt(by), money.currency) : Result.fail(new InvalidRatio())

/**
 * The part of an amount that a fraction of whole numbers names, a half rounded to the even neighbour.
 *
 * @example
 * ```ts
 * Money.portion(net, 19, 100) // 19 % tax
 * Money.portion(net, 77, 1000) // 7.7 %
 * ```
 */
export const portion = (
  money: Money,
  numerator: number,
  denominator: number
): Result.Result<Money, InvalidRatio | MoneyOverflow> => {
  if (!Number.isSafeInteger(numerator) || !Number.isSafeInteger(denominator) || numerator < 0 || denominator <= 0) {
    return Result.fail(new InvalidRatio())
  }
  const product = BigInt(money.amount) * BigInt(numerator)
  const by = BigInt(denominator)
  const size = product < 0n ? -product : product
  const below = size / by
  const twice = (size % by) * 2n
  const rounded = twice > by || (twice === by && below % 2n === 1n) ? below + 1n : below
  return exact(product < 0n ? -rounded : rounded, money.currency)
}

/**
 * Divides an amount by weights, so that the parts add up to it: each gets its share rounded towards zero, and what is left goes
 * one by one to the largest remainders, the first of equal ones.
 *
 * @example
 * ```ts
 * Money.allocate({ amount: 100, currency: "EUR" }, [1, 1, 1]) // 34, 33, 33
 * ```
 */
export const allocate = (
  money: Money,
  weights: ReadonlyArray<number>
): Result.Result<ReadonlyArray<Money>, InvalidRatio> => {
  if (!weights.every((weight) => Number.isSafeInteger(weight) && weight >= 0)) return Result.fail(new InvalidRatio())
  const sum = weights.reduce((total, weight) => total + BigInt(weight), 0n)
  if (sum === 0n) return Result.fail(new InvalidRatio())
  const size = BigInt(Math.abs(money.amount))
  const shares = weights.map((weight, at) => {
    const product = size * BigInt(weight)
    return { at, whole: product / sum, remainder: product % sum }
  })
  const left = Number(size - shares.reduce((total, { whole }) => total + whole, 0n))
  const favoured = new Set(
    shares
      .toSorted((a, b) => (a.remainder === b.remainder ? a.at - b.at : a.remainder > b.remainder ? -1 : 1))
      .slice(0, left)
      .map(({ at }) => at)
  )
  const sign = money.amount < 0 ? -1 : 1
  return Result.succeed(
    shares.map(({ at, whole }) => {
      const part = Number(whole) + (favoured.has(at) ? 1 : 0)
      // Not -0, which is equal to 0 and prints otherwise.
      return { amount: part === 0 ? 0 : sign * part, currency: money.currency }
    })
  )
}
