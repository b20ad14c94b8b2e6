import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Duration from "effect/Duration"
import { durationBetween } from "../../core/DurationInput.ts"
import { cursor, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import { Name, storable } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version } from "../../core/Version.ts"
import { StorableJsonObject } from "../../core/StorableJson.ts"
import { TimeZoneName } from "../TimeZoneName.ts"
import { lastDue, nextRun } from "./scheduleTimes.ts"
import { WorkflowId } from "./WorkflowDefinition.ts"
import type { WorkflowExecution } from "./WorkflowExecution.ts"

/** A schedule's id: a UUIDv7 in lower case. */
export const ScheduleId = TimeOrderedId.pipe(Schema.brand("ScheduleId"))
export type ScheduleId = typeof ScheduleId.Type

/** What becomes of a run whose time passed while nobody asked: it is left out, or made up for once, however many there were. */
export const MissedRuns = Schema.Literals(["skip", "catch-up"])
export type MissedRuns = typeof MissedRuns.Type

const short = (maximum: number) =>
  Schema.String.check(Schema.isBetweenCodePoints(1, maximum, { expected: `1 to ${maximum} characters long` }), storable)

/**
 * Five fields (minute, hour, day of month, month, day of week), or six with the second before them.
 *
 * Where the clocks are changed, the rule of Vixie's cron holds. What is every so often (minute or hour begins with `*`) runs as
 * time passes: `0 * * * *` every hour, of which the clocks show one twice and jump over another. A fixed hour runs once a day:
 * the first time that the clocks show it, and after the change where they jump over it (`30 2 * * *` at 03:30).
 */
export const CronText = short(200).check(
  Schema.makeFilter((cron: string) => Result.isSuccess(Cron.parse(cron)), {
    expected: "a cron text of five fields, or six with seconds"
  }).abort(),
  Schema.makeFilter((cron: string) => Option.isSome(nextRun({ cron, timeZone: "UTC" }, DateTime.makeUnsafe(0))), {
    expected: "a cron text that names a day that comes"
  })
)

/** Starts a workflow at the times of a cron text. */
export const WorkflowSchedule = Schema.Struct({
  id: ScheduleId,
  workflowId: WorkflowId,
  /** The version that is started; the latest one where `null`. */
  versionNumber: Schema.NullOr(Version),
  name: Schema.String,
  cron: Schema.String,
  timeZone: Schema.String,
  /** What each execution is given. */
  input: Schema.JsonObject,
  missedRuns: MissedRuns,
  enabled: Schema.Boolean,
  /** `null` where it is not enabled. */
  nextRunAt: Schema.NullOr(Schema.DateTimeUtc),
  /** The time that it last started an execution for. */
  lastRunAt: Schema.NullOr(Schema.DateTimeUtc),
  /** 1 when made, one more with every edit; runs are none. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type WorkflowSchedule = typeof WorkflowSchedule.Type

/** What a new schedule is made of. */
export const NewSchedule = Schema.Struct({
  workflowId: WorkflowId,
  /** The latest version at the time of each run where nothing is said. */
  versionNumber: Schema.optionalKey(Version),
  name: Name,
  cron: CronText,
  /** `UTC` where nothing is said. */
  timeZone: Schema.optionalKey(TimeZoneName),
  /** An empty object where nothing is said. */
  input: Schema.optionalKey(StorableJsonObject),
  /** `skip` where nothing is said. */
  missedRuns: Schema.optionalKey(MissedRuns),
  /** `true` where nothing is said. */
  enabled: Schema.optionalKey(Schema.Boolean)
})
export type NewSchedule = typeof NewSchedule.Type

/** What an edit changes: at least one field. A new cron text or time zone, and enabling it, make the next run anew. */
export const ScheduleChanges = Schema.Struct({
  /** `null` for the latest version at the time of each run. */
  versionNumber: Schema.optionalKey(Schema.NullOr(Version)),
  name: Schema.optionalKey(Name),
  cron: Schema.optionalKey(CronText),
  timeZone: Schema.optionalKey(TimeZoneName),
  input: Schema.optionalKey(StorableJsonObject),
  missedRuns: Schema.optionalKey(MissedRuns),
  enabled: Schema.optionalKey(Schema.Boolean)
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type ScheduleChanges = typeof ScheduleChanges.Type

/** A schedule as an edit leaves it; its next run is made anew only where its times change, or where it begins to run again. */
export const changedSchedule = (
  schedule: WorkflowSchedule,
  changes: ScheduleChanges,
  now: DateTime.Utc
): WorkflowSchedule => {
  const changed = { ...schedule, ...changes }
  const sameTimes = changed.cron === schedule.cron && changed.timeZone === schedule.timeZone
  const next = sameTimes && schedule.enabled ? schedule.nextRunAt : Option.getOrNull(nextRun(changed, now))
  return {
    ...changed,
    ...resting(changed.enabled ? next : null),
    version: schedule.version + 1,
    updatedAt: DateTime.max(schedule.updatedAt, now)
  }
}

/** A schedule without a next run is not enabled. */
const resting = (nextRunAt: DateTime.Utc | null) => ({ enabled: nextRunAt !== null, nextRunAt })

/** Whether a run of this time is missed, and left out. */
const isLeftOut = (missedRuns: MissedRuns, scheduledFor: DateTime.Utc, grace: Duration.Duration, now: DateTime.Utc) =>
  missedRuns === "skip" && DateTime.isGreaterThan(now, DateTime.addDuration(scheduledFor, grace))

/** What becomes of a schedule whose time has come: what is run for which time, and the schedule after it. */
export const dueSchedule = (schedule: WorkflowSchedule, grace: Duration.Duration, now: DateTime.Utc) => {
  const scheduledFor = lastDue(schedule, schedule.nextRunAt ?? now, now)
  const leftOut = isLeftOut(schedule.missedRuns, scheduledFor, grace, now)
  const after: WorkflowSchedule = { ...schedule, ...resting(Option.getOrNull(nextRun(schedule, now))) }
  return { scheduledFor, leftOut, after: leftOut ? after : { ...after, lastRunAt: scheduledFor } }
}

/** A new schedule, with its first run. */
export const newSchedule = (id: ScheduleId, given: NewSchedule, now: DateTime.Utc): WorkflowSchedule => {
  const {
    cron,
    enabled = true,
    input = {},
    missedRuns = "skip",
    name,
    timeZone = "UTC",
    versionNumber,
    workflowId
  } = given
  return {
    id,
    workflowId,
    versionNumber: versionNumber ?? null,
    name,
    cron,
    timeZone,
    input,
    missedRuns,
    ...resting(enabled ? Option.getOrNull(nextRun({ cron, timeZone }, now)) : null),
    lastRunAt: null,
    version: 1,
    createdAt: now,
    updatedAt: now
  }
}

/** Continues a list of schedules. */
export const ScheduleCursor = Schema.String.pipe(Schema.brand("ScheduleCursor"))
export type ScheduleCursor = typeof ScheduleCursor.Type

export const scheduleCursor = cursor(
  "workflow-schedules",
  ScheduleCursor,
  Schema.Struct({ createdAt: MomentFromMillis, id: ScheduleId })
)
export const scheduleCursorAfter = ({ createdAt, id }: WorkflowSchedule): ScheduleCursor =>
  scheduleCursor.after({ createdAt, id })

/** Which schedules a page lists. */
export const ScheduleList = Schema.Struct({
  workflowId: Schema.optional(WorkflowId),
  enabled: Schema.optional(Schema.Boolean),
  limit: Schema.optional(PageSize),
  after: Schema.optional(scheduleCursor.key)
})
export interface ScheduleListOptions {
  readonly workflowId?: WorkflowId | undefined
  readonly enabled?: boolean | undefined
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: ScheduleCursor | undefined
}

/** Which due schedules are taken. */
export const DueSchedules = Schema.Struct({
  limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })),
  grace: Schema.optional(durationBetween(0, "365 days"))
})
export interface ClaimDueSchedulesOptions {
  /** 1 to 1000. */
  readonly limit: number
  /** A run that is later than this is missed; 1 minute where nothing is said. */
  readonly grace?: Duration.Input | undefined
}

/** How late a run may be where nothing is said. */
export const defaultGrace = Duration.minutes(1)

/** What became of a schedule whose time had come. */
export interface FiredSchedule {
  /** With its next run. */
  readonly schedule: WorkflowSchedule
  /** The last of the times that had come. */
  readonly scheduledFor: DateTime.Utc
  /** `null` where the run was missed, and is left out. */
  readonly execution: WorkflowExecution | null
}

/** There is no schedule with this id. */
export class ScheduleNotFound extends Schema.TaggedError<ScheduleNotFound>("@ai-core/database/ScheduleNotFound")(
  "ScheduleNotFound",
  { id: ScheduleId }
) {
  override get message(): string {
    return `there is no workflow schedule ${this.id}`
  }
}
