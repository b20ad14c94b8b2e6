import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { TimeZoneName } from "../TimeZoneName.ts"
import { OutsideChannel } from "./Channel.ts"

/** A time of day: `07:30`. */
const LocalTime = Schema.String.check(
  Schema.isPattern(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, { expected: "a time of day from 00:00 to 23:59" })
)

/** When a user wants quiet; from the evening to the next morning where the start is the later time of day. */
export const QuietHours = Schema.Struct({
  /** The first minute of quiet, by the clock on the wall: `22:00`. */
  start: LocalTime,
  /** The first minute after it. */
  end: LocalTime,
  timeZone: TimeZoneName,
  /** The channels that keep quiet. */
  channels: Schema.Array(OutsideChannel).check(Schema.isMinLength(1, { expected: "at least one channel" }))
}).check(
  Schema.makeFilter(({ end, start }: { readonly end: string; readonly start: string }) =>
    start === end ? { path: ["end"], issue: "Expected another time than the start" } : undefined
  )
)
export type QuietHours = typeof QuietHours.Type

type Hours = Pick<QuietHours, "start" | "end" | "timeZone">

const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))

const isQuiet = (start: number, end: number, minutes: number): boolean =>
  start < end ? start <= minutes && minutes < end : minutes >= start || minutes < end

/**
 * When quiet hours that a time falls into are over; nothing where it falls into none, or the zone is unknown here.
 *
 * Where the clocks go back, the end is the first time that they show it after the time that is asked for; where they go
 * forward over the end, it is the moment in which they do.
 */
export const quietUntil = ({ end, start, timeZone }: Hours, at: DateTime.Utc): Option.Option<DateTime.Utc> =>
  Option.flatMap(DateTime.zoneFromString(timeZone), (zone) => {
    const [from, to] = [minutesOf(start), minutesOf(end)]
    const wall = (time: DateTime.Utc) => {
      const { day, hour, minute, month, year } = DateTime.toParts(DateTime.setZone(time, zone))
      return { day, month, year, minutes: hour * 60 + minute }
    }
    const { day, minutes, month, year } = wall(at)
    if (!isQuiet(from, to, minutes)) return Option.none()
    const ending = (disambiguation: DateTime.Disambiguation) =>
      Option.map(
        DateTime.makeZoned(
          { year, month, day: day + (minutes < to ? 0 : 1), hour: Math.floor(to / 60), minute: to % 60 },
          { timeZone: zone, adjustForTimeZone: true, disambiguation }
        ),
        DateTime.toUtc
      )
    return Option.map(Option.all([ending("earlier"), ending("later")]), ([earlier, later]) => {
      if (wall(later).minutes === to) return DateTime.isGreaterThan(earlier, at) ? earlier : later
      // The clocks never show the end: they jump over it, somewhere between the two readings of it.
      let over = DateTime.max(earlier, at)
      while (isQuiet(from, to, wall(over).minutes)) {
        over = DateTime.startOf(DateTime.add(over, { minutes: 1 }), "minute")
      }
      return over
    })
  })
