import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { textOf } from "../core/Text.ts"

const mostOffset = 14 * 3_600_000

const isTimeZone = (zone: DateTime.TimeZone): boolean => zone._tag === "Named" || Math.abs(zone.offset) <= mostOffset

/** `Europe/Berlin`, `UTC`, `+02:00`. */
export const TimeZoneName = textOf(1, 64).check(
  Schema.makeFilter((zone: string) => Option.exists(DateTime.zoneFromString(zone), isTimeZone), {
    expected: "a time zone"
  })
)
