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

type Refused = SubscriptionNotFound | PeriodInvoiced | IdempotencyConflict | StoreError

/** What is used of metered prices. */
export interface Usage {
  /**
   * Records usage, once per key: the same record sent again, also at once, gives back the first one.
   *
   * Fails with `IdempotencyConflict` where the key told something else, and with `PeriodInvoiced` where the period of `usedAt`
   * was invoiced: late usage is recorded in the period that runs, or not at all, but never lost unsaid.
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
