import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { invalidData, type Subject } from "../core/Decode.ts"
import type { FieldProblem, StoreError } from "../core/StoreError.ts"

/** A span of time, to the millisecond; the start belongs to it and the end does not. */
export type TimeRange =
  | { readonly _tag: "Last"; readonly duration: Duration.Input }
  | { readonly _tag: "Between"; readonly from: DateTime.DateTime.Input; readonly to: DateTime.DateTime.Input }

/**
 * The time that has just passed, up to and with the present millisecond of the Clock, read when the range is used.
 *
 * @example
 * ```ts
 * analytics.workflowMetrics(TimeRange.last("15 minutes"))
 * ```
 */
export const last = (duration: Duration.Input): TimeRange => ({ _tag: "Last", duration })

/** The last 60 minutes; see {@link last}. */
export const lastHour = (): TimeRange => last("1 hour")

/** The last 24 hours; see {@link last}. */
export const lastDay = (): TimeRange => last("24 hours")

/** From the first moment on, and before the second; two equal moments make an empty range. */
export const between = (from: DateTime.DateTime.Input, to: DateTime.DateTime.Input): TimeRange => ({
  _tag: "Between",
  from,
  to
})

/** A range as it is now, in milliseconds since 1970. */
export interface ResolvedRange {
  readonly fromMillis: number
  /** The first millisecond after it. */
  readonly toMillis: number
}

const refused = (at: Omit<Subject, "subject">, problems: ReadonlyArray<FieldProblem>): StoreError =>
  invalidData({ ...at, subject: "input" }, problems)

// Years 1900 to 2299, what ClickHouse's DateTime64(3) can hold.
const earliest = -2_208_988_800_000
const latest = 10_413_791_999_999

/** Whether stores can hold this moment. */
export const holdable = (millis: number): boolean => millis >= earliest && millis <= latest

const momentOf = (
  field: string,
  input: DateTime.DateTime.Input
): { readonly millis: number; readonly problems: ReadonlyArray<FieldProblem> } => {
  const millis = Option.match(DateTime.make(input), { onNone: () => Number.NaN, onSome: DateTime.toEpochMillis })
  return holdable(millis)
    ? { millis, problems: [] }
    : { millis, problems: [{ field, problem: "must be a moment of the years 1900 to 2299" }] }
}

const isTimeRange = (range: unknown): range is TimeRange =>
  Predicate.isTagged(range, "Last") || Predicate.isTagged(range, "Between")

/**
 * Reads the Clock and checks a range.
 *
 * Fails with `StoreError` (`InvalidData`) naming `range`, `range.from`, `range.to` or `range.duration`; a range that its caller
 * calls otherwise, by that name.
 */
export const resolve = (
  at: Omit<Subject, "subject">,
  range: unknown,
  called = "range"
): Effect.Effect<ResolvedRange, StoreError> => {
  if (!isTimeRange(range)) return Effect.fail(refused(at, [{ field: called, problem: "must be a TimeRange" }]))
  if (range._tag === "Between") {
    const from = momentOf(`${called}.from`, range.from)
    const to = momentOf(`${called}.to`, range.to)
    const problems = [...from.problems, ...to.problems]
    if (problems.length > 0) return Effect.fail(refused(at, problems))
    return from.millis <= to.millis
      ? Effect.succeed({ fromMillis: from.millis, toMillis: to.millis })
      : Effect.fail(refused(at, [{ field: `${called}.to`, problem: `must not be before ${called}.from` }]))
  }
  const millis = Option.match(Duration.fromInput(range.duration), {
    onNone: () => Number.NaN,
    onSome: Duration.toMillis
  })
  return Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const toMillis = now + 1
    const fromMillis = Math.ceil(toMillis - millis)
    return millis > 0 && holdable(fromMillis)
      ? Effect.succeed({ fromMillis, toMillis })
      : Effect.fail(
          refused(at, [
            { field: `${called}.duration`, problem: "must be a length of time above 0, within the years from 1900" }
          ])
        )
  })
}
