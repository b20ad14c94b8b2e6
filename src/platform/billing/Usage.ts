import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { type IdempotencyConflict, IdempotencyKey } from "../../core/Idempotency.ts"
import type { Page } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { RecentMoment, wholeFrom } from "../Checks.ts"
import { type ListOptions, type StreamOptions } from "../Lists.ts"
import { SubscriptionId, type SubscriptionNotFound } from "./Subscriptions.ts"

export const UsageRecordId = TimeOrderedId.pipe(Schema.brand("UsageRecordId"))
export type UsageRecordId = typeof UsageRecordId.Type

/** What was used. */
export const UsageRecord = Schema.Struct({
  id: UsageRecordId,
  subscriptionId: SubscriptionId,
  /** What is counted: `tokens`. */
  metric: Schema.String,
  quantity: Schema.Int,
  /** When it was used: what decides on its period. */
  usedAt: Schema.DateTimeUtc,
  idempotencyKey: IdempotencyKey,
  createdAt: Schema.DateTimeUtc
})
export type UsageRecord = typeof UsageRecord.Type

export const NewUsage = Schema.Struct({
  subscriptionId: SubscriptionId,
  metric: Slug,
  quantity: wholeFrom(1),
  usedAt: RecentMoment,
  /** Counts within the subscription. */
  idempotencyKey: IdempotencyKey
})
export type NewUsage = typeof NewUsage.Type

/** From a moment on, up to another one that is not in it. */
export const BillingPeriod = Schema.Struct({ start: RecentMoment, end: RecentMoment }).check(
  Schema.makeFilter(({ end, start }) =>
    start.epochMilliseconds < end.epochMilliseconds
      ? undefined
      : { path: ["end"], issue: "Expected a time after the start" }
  )
)
export type BillingPeriod = typeof BillingPeriod.Type

export const UsageCursor = Schema.String.pipe(Schema.brand("UsageCursor"))
export type UsageCursor = typeof UsageCursor.Type

export interface UsageFilter {
  readonly subscriptionId: SubscriptionId
  readonly metric?: string | undefined
  readonly period?: BillingPeriod | undefined
}

/** The time, or the period, was invoiced before. */
export class PeriodInvoiced extends Schema.TaggedError<PeriodInvoiced>("@ai-core/database/PeriodInvoiced")(
  "PeriodInvoiced",
  { subscriptionId: SubscriptionId, start: Schema.DateTimeUtc, end: Schema.DateTimeUtc }
) {
  override get message(): string {
    return `this period of subscription ${this.subscriptionId} was invoiced before`
  }
}

/** The period is none of the subscription's, or the moment is in none that has begun. */
export class PeriodMismatch extends Schema.TaggedError<PeriodMismatch>("@ai-core/database/PeriodMismatch")(
  "PeriodMismatch",
  {
    subscriptionId: SubscriptionId,
    /** What does not fit: `period.start`, `period.end` or `usedAt`. */
    field: Schema.Literals(["period.start", "period.end", "usedAt"]),
    /** The subscription's period that is nearest; null where it has none, because it was canceled before it began. */
    nearest: Schema.NullOr(Schema.Struct({ start: Schema.DateTimeUtc, end: Schema.DateTimeUtc }))
  }
) {
  override get message(): string {
    const told =
      this.nearest === null
        ? "it has none"
        : `the nearest is from ${DateTime.formatIso(this.nearest.start)} to ${DateTime.formatIso(this.nearest.end)}`
    return `${this.field} fits no period of subscription ${this.subscriptionId}: ${told}`
  }
}

/** The price of the period has no such metric, so that nobody would ever pay for it. */
export class MetricNotPriced extends Schema.TaggedError<MetricNotPriced>("@ai-core/database/MetricNotPriced")(
  "MetricNotPriced",
  {
    subscriptionId: SubscriptionId,
    metric: Schema.String,
    /** What is counted in the period; null where its price counts nothing. */
    priced: Schema.NullOr(Schema.String)
  }
) {
  override get message(): string {
    const told = this.priced === null ? "no usage" : `usage of ${this.priced}`
    return `subscription ${this.subscriptionId} is charged ${told} in this period, and none of ${this.metric}`
  }
}

type Refused =
  SubscriptionNotFound | PeriodInvoiced | PeriodMismatch | MetricNotPriced | IdempotencyConflict | StoreError

/** What is used of metered prices. */
export interface Usage {
  /**
   * Records usage, once per key: the same record sent again, also at once, gives back the first one.
   *
   * Fails with `IdempotencyConflict` where the key told something else, with `PeriodInvoiced` where the period of `usedAt` was
   * invoiced, with `PeriodMismatch` where it is in none of the subscription's that has begun, by the Clock, and with
   * `MetricNotPriced` where the price that holds in it counts something else: late usage is recorded in the period that runs, or
   * not at all, but never lost unsaid. A time to come in the period that runs is taken.
   * In a stricter transaction than `read committed` the invoice that its snapshot does not show is a `Conflict`, which
   * `transaction.run` repeats.
   */
  readonly record: (usage: NewUsage) => Effect.Effect<UsageRecord, Refused>
  /** Records up to 10,000 at once, in one statement: all of them, or none. Gives them in the order given. */
  readonly recordAll: (usage: ReadonlyArray<NewUsage>) => Effect.Effect<ReadonlyArray<UsageRecord>, Refused>
  /** Sum of what was used of a metric within a period. Fails with `InvalidData` where it is beyond 2^53 - 1. */
  readonly total: (
    subscriptionId: SubscriptionId,
    metric: string,
    period: BillingPeriod
  ) => Effect.Effect<number, StoreError>
  /** By the time of use. */
  readonly list: (
    options: UsageFilter & ListOptions<UsageCursor>
  ) => Effect.Effect<Page<UsageRecord, UsageCursor>, StoreError>
  /** Streams the records of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options: UsageFilter & StreamOptions) => Stream.Stream<UsageRecord, StoreError>
}
