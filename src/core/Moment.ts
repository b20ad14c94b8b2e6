import type * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"

/** The first millisecond that a `timestamptz` holds: 4714-11-24 BC, day 0 of the Julian calendar. */
const first = -210_866_803_200_000

/** A moment that a `timestamptz(3)` holds: whole milliseconds, from the year 4713 BC on. */
export const Moment = Schema.DateTimeUtc.check(
  Schema.makeFilter(
    ({ epochMilliseconds }: DateTime.Utc) => Number.isInteger(epochMilliseconds) && epochMilliseconds >= first,
    { expected: "a moment in whole milliseconds, from the year 4713 BC on" }
  )
)
