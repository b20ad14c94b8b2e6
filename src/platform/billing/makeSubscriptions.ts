import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { cursor, defaultPageSize, pageOf, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import { decodeInput, invalidData } from "../../core/Decode.ts"
import type { IllegalTransition } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf, TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { expectVersion, Version } from "../../core/Version.ts"
import { UserId } from "../users/Users.ts"
import { RecentMoment } from "../Checks.ts"
import {
  live,
  plans,
  prices,
  renewable,
  subscriptionPlans,
  type SubscriptionRow,
  subscriptions
} from "./BillingTables.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import { isRecurring, nextStart, periodOf, termAt } from "./Periods.ts"
import { PlanArchived, PlanId, type PriceId, PriceNotFound } from "./Plans.ts"
import {
  AlreadySubscribed,
  CancelWhen,
  NewSubscription,
  PeriodConflict,
  PeriodNotOver,
  PriceNotOnSale,
  type Subscription,
  SubscriptionChanges,
  SubscriptionCursor,
  SubscriptionDueCursor,
  SubscriptionId,
  SubscriptionNotFound,
  SubscriptionNotRunning,
  type Subscriptions,
  SubscriptionState,
  subscriptionStates
} from "./Subscriptions.ts"
import { finders } from "../tables/finders.ts"
import { isSame, nextOf, noNext, subscriptionOf, wantedOf } from "./SubscriptionRows.ts"
import { makeTerms, standing } from "./Terms.ts"
import type { Tables } from "../tables/Tables.ts"

const cursors = timeCursor("subscriptions", SubscriptionCursor)
const dueCursors = cursor(
  "due-subscriptions",
  SubscriptionDueCursor,
  Schema.Struct({ dueAt: MomentFromMillis, id: TimeOrderedId })
)
const filters = {
  userId: Schema.optional(UserId),
  planId: Schema.optional(PlanId),
  state: Schema.optional(SubscriptionState)
}

const newSubscription = decodeInput(NewSubscription)
const idOnly = decodeInput(Schema.Struct({ id: SubscriptionId }))
const whose = decodeInput(Schema.Struct({ userId: UserId, planId: PlanId }))
const changed = decodeInput(
  Schema.Struct({ id: SubscriptionId, expectedVersion: Version, changes: SubscriptionChanges })
)
const renewed = decodeInput(Schema.Struct({ id: SubscriptionId, expectedPeriodEnd: RecentMoment }))
const canceled = decodeInput(Schema.Struct({ id: SubscriptionId, when: CancelWhen }))
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))
const dueOptions = decodeInput(
  Schema.Struct({
    at: Schema.optional(RecentMoment),
    limit: Schema.optional(PageSize),
    after: Schema.optional(dueCursors.key)
  })
)

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.subscriptions.${method}`, subject: "input" }) as const

/** The subscription after a change. */
const changedTo = (before: SubscriptionRow, next: SubscriptionRow, now: DateTime.Utc): SubscriptionRow => ({
  ...next,
  ...(live.holds(next) ? {} : noNext),
  version: before.version + 1,
  updatedAt: DateTime.max(before.updatedAt, now)
})

const isOver = (end: DateTime.Utc, now: DateTime.Utc): boolean => DateTime.isLessThanOrEqualTo(end, now)

export const makeSubscriptions = (tables: Tables): Subscriptions => {
  const { insertNew, lookup, many, one, present, remove, replace, run } = tables
  const nextId = makeIdsOf(SubscriptionId)
  const terms = makeTerms(tables)

  /** The terms of a subscription that is held, of which there is at least one. */
  const termsOf = (operation: string, id: SubscriptionId) =>
    Effect.flatMap(terms.of(operation, [id]), (found) => {
      const all = found.get(id) ?? []
      const last = all.at(-1)
      return last === undefined
        ? Effect.die(new Error(`the subscription ${id} has no term`))
        : Effect.succeed({ all, last })
    })

  /** A price that somebody may subscribe to; it and its plan stay on sale until the transaction ends. */
  const onSale = (operation: string, id: PriceId) =>
    Effect.gen(function* () {
      const found = yield* one(operation, prices, { where: { id }, lock: "share" })
      if (Option.isNone(found)) return yield* new PriceNotFound({ id })
      const { archivedAt, billingInterval, planId } = found.value
      if (archivedAt !== null) return yield* new PriceNotOnSale({ id, because: "archived" })
      if (!isRecurring(billingInterval)) return yield* new PriceNotOnSale({ id, because: "one-off" })
      const plan = yield* one(operation, plans, { where: { id: planId }, lock: "share" })
      if (Option.isNone(plan) || plan.value.archivedAt !== null) return yield* new PlanArchived({ id: planId })
      return { planId, interval: billingInterval }
    })

  const create: Subscriptions["create"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("create")
    const { priceId, quantity = 1, startAt, trialEnd, userId } = yield* newSubscription(at("create"), given)
    const now = yield* DateTime.now
    const start = startAt ?? now
    if (trialEnd !== undefined && isOver(trialEnd, start)) {
      return yield* invalidData(at("create"), [{ field: "trialEnd", problem: "must be after the start" }])
    }
    const id = yield* nextId
    return yield* run(
      Effect.gen(function* () {
        const { interval, planId } = yield* onSale(operation, priceId)
        yield* present(operation, userId)
        const anchor = trialEnd ?? start
        const subscription: SubscriptionRow = {
          id,
          userId,
          planId,
          priceId,
          quantity,
          ...noNext,
          state: trialEnd === undefined ? "active" : "trialing",
          startedAt: start,
          trialEnd: trialEnd ?? null,
          billingAnchor: anchor,
          currentPeriodStart: start,
          currentPeriodEnd: periodOf({ since: start, billingAnchor: anchor, interval }, start).end,
          cancelAtPeriodEnd: false,
          pausedAt: null,
          canceledAt: null,
          version: 1,
          createdAt: now,
          updatedAt: now
        }
        const insert = Effect.map(insertNew(operation, subscriptions, [subscription]), ([made]) => made)
        const made = (yield* insert) ?? ((yield* makeRoom(operation, userId, planId, now)) ? yield* insert : undefined)
        if (made === undefined) return yield* new AlreadySubscribed({ userId, planId })
        yield* holdPlans(operation, made, [planId], now)
        yield* terms.begin(operation, made)
        return subscriptionOf(made)
      })
    )
  })

  const { find, findMany } = finders(lookup(at("find").operation, subscriptions), SubscriptionId, subscriptionOf, at)

  const findLive: Subscriptions["findLive"] = Effect.fnUntraced(function* (givenUser, givenPlan) {
    const { planId, userId } = yield* whose(at("findLive"), { userId: givenUser, planId: givenPlan })
    const { operation } = at("findLive")
    const runs = yield* one(operation, subscriptions, { where: { userId, planId }, only: live })
    if (Option.isSome(runs)) return Option.map(runs, subscriptionOf)
    const comes = yield* one(operation, subscriptionPlans, { where: { userId, planId } })
    if (Option.isNone(comes)) return Option.none()
    const found = yield* one(operation, subscriptions, { where: { id: comes.value.subscriptionId }, only: live })
    return Option.map(found, subscriptionOf)
  })

  /** Changes a subscription under its lock; a change that is the subscription itself writes nothing. */
  const changing = <E>(
    operation: string,
    id: SubscriptionId,
    change: (subscription: SubscriptionRow, now: DateTime.Utc) => Effect.Effect<SubscriptionRow, E>,
    refused: (taken: AlreadySubscribed) => Effect.Effect<void, E> = Effect.die
  ): Effect.Effect<Subscription, E | SubscriptionNotFound | StoreError> =>
    run(
      Effect.gen(function* () {
        const found = yield* one(operation, subscriptions, { where: { id }, lock: "update" })
        if (Option.isNone(found)) return yield* new SubscriptionNotFound({ id })
        const subscription = found.value
        const now = yield* DateTime.now
        const next = yield* change(subscription, now)
        if (next === subscription) return subscriptionOf(subscription)
        const written = changedTo(subscription, next, now)
        if (!live.holds(written)) yield* letGo(operation, id)
        else if (next.planId !== subscription.planId || next.nextPlanId !== subscription.nextPlanId) {
          yield* Effect.catchTag(
            holdPlans(operation, written, yield* plansOf(operation, written), now),
            "AlreadySubscribed",
            refused
          )
        }
        yield* replace(operation, subscriptions, written)
        return subscriptionOf(written)
      })
    )

  /** The subscription in a later period, the one that a moment is in; canceled where it was to end with the one that it is in. */
  const advanced = (operation: string, subscription: SubscriptionRow, at: DateTime.Utc) =>
    Effect.gen(function* () {
      const { cancelAtPeriodEnd, currentPeriodEnd, id, state } = subscription
      if (cancelAtPeriodEnd) return { ...subscription, state: "canceled" as const, canceledAt: currentPeriodEnd }
      // Archived or not, a price that somebody has goes on.
      const { all, last } = yield* termsOf(operation, id)
      const { end, start } = periodOf(termAt(all, at) ?? last, at)
      return {
        ...standing({ ...subscription, currentPeriodStart: start }, all),
        state: state === "trialing" ? ("active" as const) : state,
        currentPeriodEnd: end
      }
    })

  /** The subscription as it would be had its renewals been on time: who ends them says with which period. */
  const caughtUp = (operation: string, subscription: SubscriptionRow, now: DateTime.Utc) =>
    renewable.holds(subscription) && isOver(subscription.currentPeriodEnd, now)
      ? advanced(operation, subscription, now)
      : Effect.succeed(subscription)

  /** Ends the user's subscription to a plan where that was to end with a period that is over; says whether none is left. */
  const makeRoom = (operation: string, userId: UserId, planId: PlanId, now: DateTime.Utc) =>
    Effect.gen(function* () {
      const taken = yield* one(operation, subscriptionPlans, { where: { userId, planId } })
      if (Option.isNone(taken)) return true
      const { subscriptionId: id } = taken.value
      const hasEnded = (found: SubscriptionRow) =>
        found.cancelAtPeriodEnd && renewable.holds(found) && isOver(found.currentPeriodEnd, now)
      // Looked at before it is held, so that those who come at once for different plans do not wait for each other.
      const seen = yield* one(operation, subscriptions, { where: { id } })
      if (Option.isSome(seen) && live.holds(seen.value) && !hasEnded(seen.value)) return false
      const held = yield* one(operation, subscriptions, { where: { id }, only: live, lock: "update" })
      if (Option.isNone(held)) return true
      if (!hasEnded(held.value)) return false
      const current = yield* caughtUp(operation, held.value, now)
      yield* replace(operation, subscriptions, changedTo(held.value, current, now))
      yield* letGo(operation, id)
      return true
    })

  const letGo = (operation: string, subscriptionId: SubscriptionId) =>
    remove(operation, subscriptionPlans, { subscriptionId })

  /** What a subscription is to and is to become, also by way of a change that a renewal that is overdue has not come to yet. */
  const plansOf = (operation: string, { currentPeriodStart, id, nextPlanId, planId, state }: SubscriptionRow) => {
    const told = nextPlanId === null ? [planId] : [planId, nextPlanId]
    // What it was to become before it was paused and changed is no longer to come.
    if (state === "paused") return Effect.succeed(told)
    return Effect.map(termsOf(operation, id), ({ all }) => [
      ...told,
      ...all
        .filter(({ until }) => until === null || DateTime.isGreaterThan(until, currentPeriodStart))
        .map(({ price }) => price.planId)
    ])
  }

  /** Takes these plans for a subscription, and lets go of the others that it had. */
  const holdPlans = (
    operation: string,
    { id: subscriptionId, userId }: SubscriptionRow,
    plans: ReadonlyArray<PlanId>,
    now: DateTime.Utc
  ) =>
    Effect.gen(function* () {
      const held = yield* many(operation, subscriptionPlans, { where: { subscriptionId } })
      for (const { planId } of held) {
        if (!plans.includes(planId)) yield* remove(operation, subscriptionPlans, { userId, planId })
      }
      const known = new Set(held.map(({ planId }) => planId))
      for (const planId of new Set(plans.filter((planId) => !known.has(planId)))) {
        const insert = Effect.map(
          insertNew(operation, subscriptionPlans, [{ userId, planId, subscriptionId }]),
          (made) => made.length === 1
        )
        if (yield* insert) continue
        if (!(yield* makeRoom(operation, userId, planId, now)) || !(yield* insert)) {
          return yield* new AlreadySubscribed({ userId, planId })
        }
      }
    })

  const change: Subscriptions["change"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { operation } = at("change")
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("change"), input)
    return yield* changing<Effect.Error<ReturnType<Subscriptions["change"]>>>(
      operation,
      id,
      (subscription, now) =>
        Effect.gen(function* () {
          yield* Effect.fromResult(
            expectVersion(id, expectedVersion, Option.some(subscription), () => new SubscriptionNotFound({ id }))
          )
          const { state } = yield* caughtUp(operation, subscription, now)
          if (state === "canceled") return yield* new SubscriptionNotRunning({ id, state })
          const before = wantedOf(subscription)
          const { priceId, quantity } = { ...before, ...changes }
          // What it has it may keep, sold or not.
          const had = [before, subscription].find((known) => known.priceId === priceId)
          const { planId } = had ?? (yield* onSale(operation, priceId))
          const wanted = { planId, priceId, quantity }
          // Nobody knows yet when the next period of a paused one begins.
          if (state === "paused")
            return { ...subscription, ...(isSame(subscription, wanted) ? noNext : nextOf(wanted)) }
          return yield* terms.follow(operation, subscription, wanted, (yield* termsOf(operation, id)).last, now)
        }),
      Effect.fail
    )
  })

  const renew: Subscriptions["renew"] = Effect.fnUntraced(function* (givenId, givenEnd) {
    const { operation } = at("renew")
    const { expectedPeriodEnd, id } = yield* renewed(at("renew"), { id: givenId, expectedPeriodEnd: givenEnd })
    return yield* changing(operation, id, (subscription, now) =>
      Effect.gen(function* () {
        const { currentPeriodEnd, state } = subscription
        if (!DateTime.Equivalence(currentPeriodEnd, expectedPeriodEnd)) {
          return yield* new PeriodConflict({ id, expected: expectedPeriodEnd, actual: currentPeriodEnd })
        }
        if (!renewable.holds(subscription)) return yield* new SubscriptionNotRunning({ id, state })
        if (!isOver(currentPeriodEnd, now)) return yield* new PeriodNotOver({ id, end: currentPeriodEnd })
        return yield* advanced(operation, subscription, currentPeriodEnd)
      })
    )
  })

  const markPastDue: Subscriptions["markPastDue"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("markPastDue")
    const { id } = yield* idOnly(at("markPastDue"), { id: given })
    return yield* changing(operation, id, (subscription) =>
      Effect.map(Effect.fromResult(subscriptionStates.go(id, subscription.state, "past_due")), (state) => ({
        ...subscription,
        state
      }))
    )
  })

  /** Ends the renewals of a subscription in the period that runs. */
  const stopping = (
    operation: string,
    id: SubscriptionId,
    to: SubscriptionState,
    fields: (now: DateTime.Utc) => Partial<SubscriptionRow>
  ): Effect.Effect<Subscription, SubscriptionNotFound | IllegalTransition | StoreError> =>
    changing<IllegalTransition | StoreError>(operation, id, (subscription, now) =>
      Effect.gen(function* () {
        const current = yield* caughtUp(operation, subscription, now)
        const state = yield* Effect.fromResult(subscriptionStates.go(id, current.state, to))
        return { ...current, ...fields(now), state }
      })
    )

  const pause: Subscriptions["pause"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* idOnly(at("pause"), { id: given })
    return yield* stopping(at("pause").operation, id, "paused", (now) => ({ pausedAt: now }))
  })

  const activate: Subscriptions["activate"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("activate")
    const { id } = yield* idOnly(at("activate"), { id: given })
    return yield* changing<SubscriptionNotFound | IllegalTransition | StoreError>(operation, id, (subscription, now) =>
      Effect.gen(function* () {
        const { cancelAtPeriodEnd, pausedAt } = subscription
        const wanted = wantedOf(subscription)
        // What was to end with a period that is over has ended; other renewals that are overdue stay so.
        const current = cancelAtPeriodEnd ? yield* caughtUp(operation, subscription, now) : subscription
        const state = yield* Effect.fromResult(subscriptionStates.go(id, current.state, "active"))
        if (pausedAt === null) return { ...subscription, state }
        const { last } = yield* termsOf(operation, id)
        const active = { ...subscription, state, pausedAt: null }
        const end = nextStart(last, pausedAt)
        if (!isOver(end, now)) return yield* terms.follow(operation, active, wanted, last, now)
        const interval = yield* intervalOf(operation, wanted.priceId)
        const anew = {
          ...active,
          ...wanted,
          ...noNext,
          billingAnchor: now,
          currentPeriodStart: now,
          currentPeriodEnd: periodOf({ since: now, billingAnchor: now, interval }, now).end
        }
        yield* terms.restart(operation, anew, last, end)
        return anew
      })
    )
  })

  const intervalOf = (operation: string, id: PriceId) =>
    Effect.flatMap(one(operation, prices, { where: { id } }), (price) =>
      Option.isSome(price) && isRecurring(price.value.billingInterval)
        ? Effect.succeed(price.value.billingInterval)
        : Effect.die(new Error("only a price that falls due again and again is subscribed to"))
    )

  const cancel: Subscriptions["cancel"] = Effect.fnUntraced(function* (givenId, givenWhen) {
    const { id, when } = yield* canceled(at("cancel"), { id: givenId, when: givenWhen })
    return when === "now"
      ? yield* stopping(at("cancel").operation, id, "canceled", (now) => ({ canceledAt: now }))
      : yield* marking("cancel", id, "canceled", true)
  })

  /** Says whether the next renewal cancels it; fails as a move to `to` would where it is canceled. */
  const marking = (method: string, id: SubscriptionId, to: SubscriptionState, cancelAtPeriodEnd: boolean) =>
    changing<IllegalTransition | StoreError>(at(method).operation, id, (subscription, now) =>
      Effect.gen(function* () {
        const current = yield* caughtUp(at(method).operation, subscription, now)
        if (current.state === "canceled") yield* Effect.fromResult(subscriptionStates.go(id, current.state, to))
        return subscription.cancelAtPeriodEnd === cancelAtPeriodEnd
          ? subscription
          : yield* caughtUp(at(method).operation, { ...current, cancelAtPeriodEnd }, now)
      })
    )

  const keep: Subscriptions["keep"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* idOnly(at("keep"), { id: given })
    return yield* marking("keep", id, "active", false)
  })

  const list: Subscriptions["list"] = Effect.fnUntraced(function* (given) {
    const input = yield* listed(at("list"), given ?? {})
    const { after, limit = defaultPageSize, order = "oldest-first", planId, state, userId } = input
    const rows = yield* many(at("list").operation, subscriptions, {
      where: { userId, planId, state },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(subscriptionOf), limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  const due: Subscriptions["due"] = Effect.fnUntraced(function* (given) {
    const { after, at: until, limit = defaultPageSize } = yield* dueOptions(at("due"), given ?? {})
    const time = until ?? (yield* DateTime.now)
    const rows = yield* many(at("due").operation, subscriptions, {
      only: renewable,
      below: { currentPeriodEnd: DateTime.add(time, { milliseconds: 1 }) },
      order: ["currentPeriodEnd", "id"],
      after: after && [after.dueAt, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(subscriptionOf), limit, ({ currentPeriodEnd, id }) =>
      dueCursors.after({ dueAt: currentPeriodEnd, id })
    )
  })

  return {
    create,
    find,
    findMany,
    findLive,
    change,
    renew,
    activate,
    markPastDue,
    pause,
    cancel,
    keep,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list),
    due
  }
}
