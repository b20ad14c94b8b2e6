import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { Money } from "./Money.ts"

/** A moment of business: whole milliseconds, of the years 1970 to 2999. */
export const RecentMoment = Schema.DateTimeUtc.check(
  Schema.makeFilter(
    ({ epochMilliseconds }: DateTime.Utc) =>
      Number.isInteger(epochMilliseconds) && epochMilliseconds >= 0 && epochMilliseconds < 32_503_680_000_000,
    { expected: "a time of the years 1970 to 2999, in whole milliseconds" }
  )
)

/** A whole number that a `bigint` and a number both hold: at least `minimum`, at most 2^53 - 1. */
export const wholeFrom = (minimum: number) =>
  Schema.Int.check(
    Schema.isBetween(
      { minimum, maximum: Number.MAX_SAFE_INTEGER },
      { expected: `a whole number from ${minimum} to 2^53 - 1` }
    )
  )

/** An amount of at least so many minor units. */
export const moneyFrom = (minimum: number) => Money.mapFields((fields) => ({ ...fields, amount: wholeFrom(minimum) }))
