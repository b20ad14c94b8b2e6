import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import { type IllegalTransition, stateMachine } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import { UserId, type UserNotFound } from "../users/Users.ts"
import { RecentMoment, wholeFrom } from "../Checks.ts"
import { type ListOptions, type PageOptions, type StreamOptions } from "../Lists.ts"
import { type PlanArchived, PlanId, PriceId, type PriceNotFound } from "./Plans.ts"

export const SubscriptionId = TimeOrderedId.pipe(Schema.brand("SubscriptionId"))
export type SubscriptionId = typeof SubscriptionId.Type

/** The states of a subscription, and which lead to which. */
export const subscriptionStates = stateMachine("subscription", {
  trialing: ["active", "past_due", "paused", "canceled"],
  active: ["past_due", "paused", "canceled"],
  past_due: ["active", "paused", "canceled"],
  paused: ["active", "canceled"],
  canceled: []
})
export const SubscriptionState = subscriptionStates.schema
export type SubscriptionState = typeof SubscriptionState.Type

/** Who has which price since when, and the period that runs. */
export const Subscription = Schema.Struct({
  id: SubscriptionId,
  userId: UserId,
  /** The plan, price and quantity of the period from `currentPeriodStart` to `currentPeriodEnd`. */
  planId: PlanId,
  priceId: PriceId,
  /** Seats, licences: what a price is multiplied by. */
  quantity: Schema.Int,
  /** What the last change made of it, from a later period on; null where nothing else is to come. */
  next: Schema.NullOr(Schema.Struct({ planId: PlanId, priceId: PriceId, quantity: Schema.Int })),
  state: SubscriptionState,
  startedAt: Schema.DateTimeUtc,
  /** Until when it is tried for nothing. */
  trialEnd: Schema.NullOr(Schema.DateTimeUtc),
  /** Periods end whole months after this time: on its day, at the last one of shorter months. */
  billingAnchor: Schema.DateTimeUtc,
  currentPeriodStart: Schema.DateTimeUtc,
  /** The first moment that is no longer in the period. */
  currentPeriodEnd: Schema.DateTimeUtc,
  /** The next renewal cancels it. */
  cancelAtPeriodEnd: Schema.Boolean,
  /** Since when it is paused, or was when it was canceled. */
  pausedAt: Schema.NullOr(Schema.DateTimeUtc),
  canceledAt: Schema.NullOr(Schema.DateTimeUtc),
  /** 1 when made, one more with every change. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Subscription = typeof Subscription.Type

export const NewSubscription = Schema.Struct({
  userId: UserId,
  priceId: PriceId,
  /** 1 where nothing is said. */
  quantity: Schema.optional(wholeFrom(1)),
  /** Now, where nothing is said. */
  startAt: Schema.optional(RecentMoment),
  /** Until when it is tried for nothing: the end of its first period. */
  trialEnd: Schema.optional(RecentMoment)
})
export type NewSubscription = typeof NewSubscription.Type

/** What a change is of: at least one field. A price may be of another plan. */
export const SubscriptionChanges = Schema.Struct({
  priceId: Schema.optionalKey(PriceId),
  quantity: Schema.optionalKey(wholeFrom(1))
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type SubscriptionChanges = typeof SubscriptionChanges.Type

/** At once, or when the period that runs is over. */
export const CancelWhen = Schema.Literals(["now", "at-period-end"])
export type CancelWhen = typeof CancelWhen.Type

export const SubscriptionCursor = Schema.String.pipe(Schema.brand("SubscriptionCursor"))
export type SubscriptionCursor = typeof SubscriptionCursor.Type

/** Continues a list of subscriptions that are due. */
export const SubscriptionDueCursor = Schema.String.pipe(Schema.brand("SubscriptionDueCursor"))
export type SubscriptionDueCursor = typeof SubscriptionDueCursor.Type

export interface SubscriptionFilter {
  readonly userId?: UserId | undefined
  /** The plan of the period that runs. */
  readonly planId?: PlanId | undefined
  readonly state?: SubscriptionState | undefined
}

export class SubscriptionNotFound extends Schema.TaggedError<SubscriptionNotFound>(
  "@ai-core/database/SubscriptionNotFound"
)("SubscriptionNotFound", { id: SubscriptionId }) {
  override get message(): string {
    return `there is no subscription ${this.id}`
  }
}

/** The user has a subscription that is not canceled, and that is to this plan or is to become it. */
export class AlreadySubscribed extends Schema.TaggedError<AlreadySubscribed>("@ai-core/database/AlreadySubscribed")(
  "AlreadySubscribed",
  { userId: UserId, planId: PlanId }
) {
  override get message(): string {
    return `the user ${this.userId} has the plan ${this.planId}, or is to have it`
  }
}

/** The price cannot be subscribed to: it is archived, or falls due once. */
export class PriceNotOnSale extends Schema.TaggedError<PriceNotOnSale>("@ai-core/database/PriceNotOnSale")(
  "PriceNotOnSale",
  { id: PriceId, because: Schema.Literals(["archived", "one-off"]) }
) {
  override get message(): string {
    return `the price ${this.id} cannot be subscribed to: it is ${this.because}`
  }
}

/** The period that was to be renewed is not the one that runs: somebody else renewed it, or it was changed. */
export class PeriodConflict extends Schema.TaggedError<PeriodConflict>("@ai-core/database/PeriodConflict")(
  "PeriodConflict",
  {
    id: SubscriptionId,
    /** The end of the period that was to be renewed. */
    expected: Schema.DateTimeUtc,
    /** The end of the one that runs. */
    actual: Schema.DateTimeUtc
  }
) {
  override get message(): string {
    return `the period of subscription ${this.id} that runs is another one`
  }
}

/** The period is not over yet. */
export class PeriodNotOver extends Schema.TaggedError<PeriodNotOver>("@ai-core/database/PeriodNotOver")(
  "PeriodNotOver",
  { id: SubscriptionId, end: Schema.DateTimeUtc }
) {
  override get message(): string {
    return `the period of subscription ${this.id} is not over yet`
  }
}

/** The period has not begun yet, and a change may still make another one of it. */
export class PeriodNotBegun extends Schema.TaggedError<PeriodNotBegun>("@ai-core/database/PeriodNotBegun")(
  "PeriodNotBegun",
  { id: SubscriptionId, start: Schema.DateTimeUtc }
) {
  override get message(): string {
    return `the period of subscription ${this.id} begins at ${DateTime.formatIso(this.start)}`
  }
}

/** The subscription is paused or canceled, so it is neither renewed nor changed. */
export class SubscriptionNotRunning extends Schema.TaggedError<SubscriptionNotRunning>(
  "@ai-core/database/SubscriptionNotRunning"
)("SubscriptionNotRunning", { id: SubscriptionId, state: SubscriptionState }) {
  override get message(): string {
    return `the subscription ${this.id} is ${this.state}`
  }
}

type Moved = Effect.Effect<Subscription, SubscriptionNotFound | IllegalTransition | StoreError>

/** Who has which plan, and for how long. */
export interface Subscriptions {
  /**
   * Subscribes a user to a price: `trialing` until `trialEnd` where there is one, else `active` from `startAt` on.
   *
   * A user has one subscription to a plan that is not canceled, so that making it twice, also at once, fails with
   * `AlreadySubscribed`; one that was changed to the plan counts from the change on, and one that was changed from it until the
   * change holds. One that was to be canceled with a period that is over is in nobody's way. An erased user is `UserNotFound`.
   */
  readonly create: (
    subscription: NewSubscription
  ) => Effect.Effect<
    Subscription,
    UserNotFound | PriceNotFound | PriceNotOnSale | PlanArchived | AlreadySubscribed | StoreError
  >
  /** Finds a subscription by id; concurrent calls go together. */
  readonly find: (id: SubscriptionId) => Effect.Effect<Option.Option<Subscription>, StoreError>
  /** Finds subscriptions by id, each in the place of its id; none where there is no such subscription. */
  readonly findMany: (
    ids: ReadonlyArray<SubscriptionId>
  ) => Effect.Effect<ReadonlyArray<Option.Option<Subscription>>, StoreError>
  /**
   * The user's subscription that is not canceled, and that is to the plan or is to become it: `planId` and `next` tell which, and
   * `state` whether it runs.
   */
  readonly findLive: (userId: UserId, planId: PlanId) => Effect.Effect<Option.Option<Subscription>, StoreError>
  /**
   * Changes price or quantity of a subscription that still is at the version that the caller read.
   *
   * It holds from the period on that begins after the change, by the Clock, or while it is paused after its activation: the period
   * that runs keeps its end, its price and the metric of its usage, and nothing is prorated. Of several changes in a period the
   * last one holds. What is to come is `next`, and the renewal into its first period puts it into its place. The running price may
   * be changed back to, sold or not. Before the subscription begins it holds from its beginning, so that the first period's end may change.
   */
  readonly change: (
    id: SubscriptionId,
    expectedVersion: number,
    changes: SubscriptionChanges
  ) => Effect.Effect<
    Subscription,
    | SubscriptionNotFound
    | VersionConflict
    | SubscriptionNotRunning
    | PriceNotFound
    | PriceNotOnSale
    | PlanArchived
    | AlreadySubscribed
    | StoreError
  >
  /**
   * Advances a subscription by one period, exactly once: `expectedPeriodEnd` is the end of the period that the caller read.
   *
   * The new period is as long as the price says that holds from its start on. A trial becomes `active`; where it was to be canceled at the end of its period, it is `canceled` instead. Fails with
   * `PeriodConflict` where another period runs, and with `PeriodNotOver` before the period's end.
   */
  readonly renew: (
    id: SubscriptionId,
    expectedPeriodEnd: DateTime.Utc
  ) => Effect.Effect<
    Subscription,
    SubscriptionNotFound | PeriodConflict | SubscriptionNotRunning | PeriodNotOver | StoreError
  >
  /**
   * To `active`. Where the period in which it was paused is over, a new one begins now, and there was none in between.
   *
   * Renewals of what was not paused stay overdue. What was to be canceled with a period that is over is `canceled`, and refused
   * as such.
   */
  readonly activate: (id: SubscriptionId) => Moved
  /** To `past_due`: a payment is missing. Renewals that are overdue stay so. */
  readonly markPastDue: (id: SubscriptionId) => Moved
  /**
   * To `paused`, in the period that runs: it is not renewed until it is activated.
   *
   * Renewals that are overdue are made up for first, all at once: `currentPeriodStart` and `currentPeriodEnd` tell the period
   * that now is in, whether or not `renew` came in time. The periods in between are the subscription's own like any others, so
   * that usage in them counts, and they are invoiced (`invoiceSubscription`), each from the end of the one before it. What was
   * to be canceled with a period that is over is `canceled`, and refused as such.
   */
  readonly pause: (id: SubscriptionId) => Moved
  /**
   * To `canceled`, at once, or by the renewal of the period that runs, also where it is paused until then. The second way is
   * idempotent; of a paused subscription whose period is over it is the first one, as of that period's end.
   *
   * Renewals that are overdue are made up for first, as `pause` does it.
   */
  readonly cancel: (id: SubscriptionId, when: CancelWhen) => Moved
  /** Takes back a cancellation at the period's end, while that is to come: then it is canceled. Idempotent. */
  readonly keep: (id: SubscriptionId) => Moved
  /** Lists subscriptions page by page, by the time they were made; one that exists throughout is listed exactly once. */
  readonly list: (
    options?: SubscriptionFilter & ListOptions<SubscriptionCursor>
  ) => Effect.Effect<Page<Subscription, SubscriptionCursor>, StoreError>
  /** Streams the subscriptions of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: SubscriptionFilter & StreamOptions) => Stream.Stream<Subscription, StoreError>
  /**
   * Those whose period is over at a time (now, where nothing is said) and that may be renewed, the longest overdue first; paused
   * ones, too, where they were to be canceled at its end.
   */
  readonly due: (
    options?: { readonly at?: DateTime.Utc | undefined } & PageOptions<SubscriptionDueCursor>
  ) => Effect.Effect<Page<Subscription, SubscriptionDueCursor>, StoreError>
}
