import * as BigDecimal from "effect/BigDecimal"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { StoreError } from "../../core/StoreError.ts"
import { shallow } from "../../core/JsonDepth.ts"
import { holdable, type TimeRange } from "../TimeRange.ts"

const wellFormed = Schema.makeFilter((text: string) => text.isWellFormed(), {
  expected: "text without broken Unicode"
})

const Name = Schema.String.check(
  Schema.isBetweenCodePoints(1, 200, { expected: "1 to 200 characters long" }),
  wellFormed
)

/** An event's id: a UUID in lower case. The same event told twice under one id counts once. */
export const EventId = Schema.String.check(
  Schema.isPattern(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, {
    expected: "a UUID in lower case"
  })
).pipe(Schema.brand("EventId"))
export type EventId = typeof EventId.Type

/** What happened to the workflow. */
export const WorkflowEventType = Schema.Literals(["started", "step_completed", "completed", "failed", "cancelled"])
export type WorkflowEventType = typeof WorkflowEventType.Type

const mostDollars = 1_000_000_000

const acceptable = (amount: number | BigDecimal.BigDecimal): boolean =>
  typeof amount === "number"
    ? amount >= 0 && amount <= mostDollars
    : BigDecimal.between(amount, { minimum: none, maximum: most }) && BigDecimal.normalize(amount).scale <= 6

const none = BigDecimal.fromBigInt(0n)
const most = BigDecimal.fromBigInt(BigInt(mostDollars))

/**
 * Dollars, kept exactly in micro-dollars: a `number` is rounded to the nearest one, a `BigDecimal` must have no more than
 * six decimals.
 */
export const UsdAmount = Schema.Union([Schema.Number, Schema.BigDecimal]).check(
  Schema.makeFilter(acceptable, { expected: "dollars from 0 to 1 000 000 000 with at most 6 decimals" })
)
export type UsdAmount = typeof UsdAmount.Type

const tenYears = 315_360_000_000

const Millis = Schema.Int.check(
  Schema.isBetween(
    { minimum: 0, maximum: tenYears },
    { expected: "a whole number of milliseconds, from 0 to 10 years" }
  )
)

const Moment = Schema.DateTimeUtc.check(
  Schema.makeFilter((moment) => holdable(DateTime.toEpochMillis(moment)), {
    expected: "a moment of the years 1900 to 2299"
  })
)

const Metadata = Schema.JsonObject.check(shallow)

const common = {
  workflowId: Name,
  userId: Name,
  /** The part of the platform that ran it: `content_generator`. */
  service: Name,
  eventType: WorkflowEventType,
  /** How long it took, 10 years at most, where the event says so: events without it count in no mean or quantile. */
  durationMillis: Schema.optionalKey(Millis),
  /** Whether it ended well, where the event says so: events without it do not count in the success rate. */
  success: Schema.optionalKey(Schema.Boolean)
}

/** What a program tells of a workflow. */
export const NewWorkflowEvent = Schema.Struct({
  ...common,
  /** Random where nothing is said; give one of your own and the event may be told again after an unknown outcome. */
  eventId: Schema.optionalKey(EventId),
  /** 0 where nothing is said. */
  costUsd: Schema.optionalKey(UsdAmount),
  /** Whatever else belongs to it, as JSON of at most 64 levels; empty where nothing is said. */
  metadata: Schema.optionalKey(Metadata),
  /** The Clock's now where nothing is said; kept to the millisecond. */
  occurredAt: Schema.optionalKey(Moment)
})
export type NewWorkflowEvent = Omit<typeof NewWorkflowEvent.Type, "eventId"> & { readonly eventId?: string }

/** An event as it is kept. */
export const WorkflowEvent = Schema.Struct({
  ...common,
  eventId: EventId,
  costUsd: Schema.BigDecimal,
  metadata: Metadata,
  occurredAt: Schema.DateTimeUtc
})
export type WorkflowEvent = typeof WorkflowEvent.Type

/** Which events of a range. */
export const WorkflowEventFilter = Schema.Struct({ service: Schema.optional(Name) })
export interface WorkflowEventFilter {
  readonly service?: string | undefined
}

/** Figures of the events of a range. Each rate and mean is none where no event carries what it is made of. */
export interface WorkflowMetrics {
  readonly totalEvents: number
  /** Share of the events with `success` that say true, from 0 to 1. */
  readonly successRate: Option.Option<number>
  readonly meanDurationMillis: Option.Option<number>
  /** 95 % took no longer; between two durations interpolated (as PostgreSQL's `percentile_cont`, Excel's `PERCENTILE.INC`). */
  readonly p95DurationMillis: Option.Option<number>
  /** Exact. */
  readonly totalCostUsd: BigDecimal.BigDecimal
}

/**
 * Counts what happens in workflows.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent.
 *
 * @example
 * ```ts
 * const analytics = yield* Analytics
 * yield* analytics.trackWorkflowEvent({
 *   workflowId, userId, service: "content_generator", eventType: "completed",
 *   durationMillis: 1840, success: true, costUsd: 0.05
 * })
 * const { successRate, p95DurationMillis } = yield* analytics.workflowMetrics(TimeRange.lastHour())
 * ```
 */
export class Analytics extends Context.Service<
  Analytics,
  {
    /**
     * Stores one event and returns its id; success means stored.
     *
     * Events of concurrent callers are stored together, so one of them costs little; one caller after the other is better
     * served by a batch. After an unknown outcome, tell it again under the same `eventId`.
     */
    readonly trackWorkflowEvent: (event: NewWorkflowEvent) => Effect.Effect<EventId, StoreError>
    /**
     * Stores a batch at once and returns how many events it held; at most 100 000 (`LimitExceeded`).
     *
     * A lost answer is asked for again under the batch's token, so that the batch is stored once. Of events with one id the
     * first is kept. Events of one month (UTC) are stored together or not at all; a failed batch of several months may be
     * stored in part (`unknown`), and may be told again where its events have ids of their own.
     */
    readonly trackWorkflowEvents: (events: ReadonlyArray<NewWorkflowEvent>) => Effect.Effect<number, StoreError>
    /** Figures of the events that occurred in a range. */
    readonly workflowMetrics: (
      range: TimeRange,
      filter?: WorkflowEventFilter
    ) => Effect.Effect<WorkflowMetrics, StoreError>
    /** The events that occurred in a range, oldest first, in constant memory; those of one millisecond by id. */
    readonly workflowEvents: (
      range: TimeRange,
      filter?: WorkflowEventFilter
    ) => Stream.Stream<WorkflowEvent, StoreError>
  }
>()("@ai-core/database/platform/Analytics") {}
