import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"

/** A moment in whole milliseconds, from `first` to `last` of the epoch; `expected` says of which years. */
export const momentBetween = (first: number, last: number, expected: string) =>
  Schema.DateTimeUtc.check(
    Schema.makeFilter(
      ({ epochMilliseconds }: DateTime.Utc) =>
        Number.isInteger(epochMilliseconds) && epochMilliseconds >= first && epochMilliseconds <= last,
      { expected }
    )
  )

/**
 * A moment that a `timestamptz(3)` holds: whole milliseconds, from the year 4713 BC on.
 *
 * The first one is 4714-11-24 BC, day 0 of the Julian calendar; the last one is JavaScript's.
 */
export const Moment = momentBetween(
  -210_866_803_200_000,
  8_640_000_000_000_000,
  "a moment in whole milliseconds, from the year 4713 BC on"
)
