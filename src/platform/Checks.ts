import * as Schema from "effect/Schema"
import { momentBetween } from "../core/Moment.ts"
import { Money } from "./Money.ts"

/** A moment of business: whole milliseconds, of the years 1970 to 2999. */
export const RecentMoment = momentBetween(
  0,
  32_503_679_999_999,
  "a time of the years 1970 to 2999, in whole milliseconds"
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
