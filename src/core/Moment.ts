import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"

const isBetween = (first: number, last: number, expected: string) =>
  Schema.makeFilter(
    ({ epochMilliseconds }: DateTime.Utc) =>
      Number.isInteger(epochMilliseconds) && epochMilliseconds >= first && epochMilliseconds <= last,
    { expected }
  )

/** A moment in whole milliseconds, from `first` to `last` of the epoch; `expected` says of which years. */
export const momentBetween = (first: number, last: number, expected: string) =>
  Schema.DateTimeUtc.check(isBetween(first, last, expected))

const isStorable = isBetween(
  -210_866_803_200_000,
  8_640_000_000_000_000,
  "a moment in whole milliseconds, from the year 4713 BC on"
)

/**
 * A moment that a `timestamptz(3)` holds: whole milliseconds, from the year 4713 BC on.
 *
 * The first one is 4714-11-24 BC, day 0 of the Julian calendar; the last one is JavaScript's.
 */
export const Moment = Schema.DateTimeUtc.check(isStorable)

/** The same, written as a number: for the key of a cursor. */
export const MomentFromMillis = Schema.DateTimeUtcFromMillis.check(isStorable)
