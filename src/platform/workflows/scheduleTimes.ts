import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"

/** When something runs. */
export interface Timing {
  readonly cron: string
  readonly timeZone: string
}

/**
 * Whether a cron text is of what is every so often: its minute or its hour begins with `*`.
 *
 * The rule of Vixie's cron: what has a fixed hour is of the day, and comes once in it; the rest comes as time passes.
 */
const isEverySoOften = (cron: string): boolean =>
  cron
    .trim()
    .split(/\s+/)
    .slice(-5, -3)
    .some((field) => field.startsWith("*"))

/** Looks from a time on in one direction, that time left out. Effect's search throws where no day of the text ever comes. */
interface Direction {
  readonly step: (cron: Cron.Cron, from: DateTime.DateTime.Input) => Date
  readonly nearer: (one: number, other: number) => boolean
}
const forwards: Direction = { step: Cron.next, nearer: (one, other) => one < other }
const backwards: Direction = { step: Cron.prev, nearer: (one, other) => one > other }

const day = 86_400_000

/**
 * The nearest time at which the clocks of a zone show what a text names.
 *
 * Where clocks stay at one offset, what they show is UTC moved by it. So the text is sought under each offset of the zone, and
 * the nearest time is it at which the zone has the offset under which it was found. Clocks are moved by less than a day, and
 * not twice in one: the offsets a day around tell of every change that matters.
 */
const nearestShown = (cron: Cron.Cron, zone: DateTime.TimeZone, from: number, { nearer, step }: Direction): number => {
  const offsetAt = (time: number) => DateTime.zonedOffset(DateTime.setZone(DateTime.makeUnsafe(time), zone))
  const found = new Map<number, number>()
  const seek = (offset: number, after: number) => found.set(offset, step(cron, after + offset).getTime() - offset)
  const know = (around: number) => {
    for (const time of [around - day, around, around + day]) {
      const offset = offsetAt(time)
      if (!found.has(offset)) seek(offset, from)
    }
  }
  const nearest = () => [...found].reduce((best, one) => (nearer(one[1], best[1]) ? one : best))
  know(from)
  while (true) {
    know(nearest()[1])
    const [offset, time] = nearest()
    if (offsetAt(time) === offset) return time
    seek(offset, time)
  }
}

const search = ({ cron, timeZone }: Timing, from: DateTime.Utc, direction: Direction): Option.Option<DateTime.Utc> =>
  Option.gen(function* () {
    const zone = yield* DateTime.zoneFromString(timeZone)
    const parsed = yield* Result.getSuccess(Cron.parse(cron, isEverySoOften(cron) ? "UTC" : zone))
    const find = Option.liftThrowable(() =>
      isEverySoOften(cron)
        ? nearestShown(parsed, zone, from.epochMilliseconds, direction)
        : direction.step(parsed, from).getTime()
    )
    return DateTime.makeUnsafe(yield* find())
  })

/** The first time after this one; none where the text names no day that ever comes, such as 30 February. */
export const nextRun = (timing: Timing, after: DateTime.Utc): Option.Option<DateTime.Utc> =>
  search(timing, after, forwards)

/** The last of the times from `due`, itself one of them, up to and with `now`. */
export const lastDue = (timing: Timing, due: DateTime.Utc, now: DateTime.Utc): DateTime.Utc =>
  Option.match(search(timing, DateTime.add(now, { milliseconds: 1 }), backwards), {
    onNone: () => due,
    onSome: (last) => DateTime.max(due, last)
  })
