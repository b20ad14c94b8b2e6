import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

const isDay = (text: string): boolean =>
  /^(?!0000)\d{4}-\d{2}-\d{2}$/.test(text) &&
  // The 30th of February is taken for a day of March, which is written otherwise.
  Option.exists(DateTime.make(`${text}T00:00:00Z`), (midnight) => DateTime.formatIsoDateUtc(midnight) === text)

/** A day of the calendar, without a time zone: `2026-05-01`, of the years 1 to 9999. What a column of type `date` holds. */
export const Day = Schema.String.check(Schema.makeFilter(isDay, { expected: "a day of the calendar, like 2026-05-01" }))
export type Day = typeof Day.Type
