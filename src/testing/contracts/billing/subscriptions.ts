import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type {
  Subscription,
  SubscriptionCursor,
  SubscriptionDueCursor
} from "../../../platform/billing/Subscriptions.ts"
import { Users } from "../../../platform/users/Users.ts"
import { passTime } from "../../Contract.ts"
import {
  aPlan,
  aPrice,
  aSubscription,
  at,
  aUser,
  credited,
  eur,
  failsWith,
  ids,
  inOurTime,
  nothing,
  pages,
  type Run,
  same,
  time,
  times
} from "./support.ts"
import { findsById } from "../findsById.ts"

const january = time("2024-01-31T12:00:00Z")

const periodOf = ({ currentPeriodEnd, currentPeriodStart }: Subscription) =>
  [currentPeriodStart, currentPeriodEnd].map((at) => DateTime.formatIso(at).slice(0, 10))

/** Renews so many times; gives the periods. */
const renewed = (subscription: Subscription, count: number) =>
  Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const periods = [periodOf(subscription)]
    let current = subscription
    for (let i = 0; i < count; i++) {
      current = yield* subscriptions.renew(current.id, current.currentPeriodEnd)
      periods.push(periodOf(current))
    }
    return periods
  })

export const subscriptions: Record<string, Run> = {
  "subscriptions are found by id, one by one and many together": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    yield* findsById("Billing.subscriptions.findMany", aSubscription(), subscriptions)
  }),
  "a subscription is active from now on, for one interval": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const [user, price] = [yield* aUser, yield* aPrice()]
    const before = yield* DateTime.now
    const made = yield* subscriptions.create({ userId: user.id, priceId: price.id, quantity: 3 })
    same(
      [made.userId, made.planId, made.priceId, made.quantity, made.state, made.version, made.trialEnd],
      [user.id, price.planId, price.id, 3, "active", 1, null]
    )
    assert.ok(DateTime.isGreaterThanOrEqualTo(made.currentPeriodStart, before))
    same(made.currentPeriodEnd, DateTime.add(made.currentPeriodStart, { months: 1 }))
    same([made.cancelAtPeriodEnd, made.canceledAt], [false, null])
    same(yield* subscriptions.find(made.id), Option.some(made))
    same(yield* subscriptions.findLive(user.id, price.planId), Option.some(made))
    assert.ok(Option.isNone(yield* subscriptions.find(nothing())))
    assert.ok(Option.isNone(yield* subscriptions.findLive(nothing(), price.planId)))
  }),
  "a user has one live subscription to a plan, and may come back": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const plan = yield* aPlan()
    const [one, two] = [yield* aPrice({ planId: plan.id }), yield* aPrice({ planId: plan.id, amount: eur(1) })]
    const first = yield* aSubscription({ priceId: one.id })
    const { userId } = first
    const taken = yield* failsWith(subscriptions.create({ userId, priceId: two.id }), "AlreadySubscribed")
    same([taken.userId, taken.planId], [userId, plan.id])
    yield* aSubscription({ userId })
    yield* aSubscription({ priceId: one.id })
    yield* subscriptions.cancel(first.id, "now")
    assert.ok(Option.isNone(yield* subscriptions.findLive(userId, plan.id)))
    const back = yield* subscriptions.create({ userId, priceId: two.id })
    same(yield* subscriptions.findLive(userId, plan.id), Option.some(back))
  }),
  "what is not on sale cannot be subscribed to": Effect.gen(function* () {
    const { plans, subscriptions } = yield* Billing
    const { id: userId } = yield* aUser
    const gone = yield* aPrice()
    yield* plans.archivePrice(gone.id)
    const archived = yield* failsWith(subscriptions.create({ userId, priceId: gone.id }), "PriceNotOnSale")
    same([archived.id, archived.because], [gone.id, "archived"])
    const once = yield* aPrice({ interval: "one-off" })
    const oneOff = yield* failsWith(subscriptions.create({ userId, priceId: once.id }), "PriceNotOnSale")
    assert.equal(oneOff.because, "one-off")
    const closed = yield* aPrice()
    yield* plans.archive(closed.planId)
    yield* failsWith(subscriptions.create({ userId, priceId: closed.id }), "PlanArchived")
    yield* failsWith(subscriptions.create({ userId, priceId: nothing() }), "PriceNotFound")
    const { id: priceId } = yield* aPrice()
    yield* failsWith(subscriptions.create({ userId: nothing(), priceId }), "UserNotFound")
  }),
  "periods of what began on a 31st end on the last day of shorter months": Effect.gen(function* () {
    yield* inOurTime
    const subscription = yield* aSubscription({ startAt: january })
    same(yield* renewed(subscription, 4), [
      ["2024-01-31", "2024-02-29"],
      ["2024-02-29", "2024-03-31"],
      ["2024-03-31", "2024-04-30"],
      ["2024-04-30", "2024-05-31"],
      ["2024-05-31", "2024-06-30"]
    ])
  }),
  "years end on their day, also those of a leap day": Effect.gen(function* () {
    yield* inOurTime
    const price = yield* aPrice({ interval: "year" })
    const subscription = yield* aSubscription({ priceId: price.id, startAt: time("2020-02-29T00:00:00Z") })
    same(yield* renewed(subscription, 4), [
      ["2020-02-29", "2021-02-28"],
      ["2021-02-28", "2022-02-28"],
      ["2022-02-28", "2023-02-28"],
      ["2023-02-28", "2024-02-29"],
      ["2024-02-29", "2025-02-28"]
    ])
  }),
  "a trial is the first period; its renewal makes it active": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const trialEnd = time("2024-02-14T12:00:00Z")
    const trial = yield* aSubscription({ startAt: january, trialEnd })
    same([trial.state, trial.trialEnd, periodOf(trial)], ["trialing", trialEnd, ["2024-01-31", "2024-02-14"]])
    const active = yield* subscriptions.renew(trial.id, trialEnd)
    same([active.state, active.version, periodOf(active)], ["active", 2, ["2024-02-14", "2024-03-14"]])
  }),
  "a period is renewed once, and not before it is over": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const subscription = yield* aSubscription({ startAt: january })
    const { currentPeriodEnd, id } = subscription
    const next = yield* subscriptions.renew(id, currentPeriodEnd)
    const conflict = yield* failsWith(subscriptions.renew(id, currentPeriodEnd), "PeriodConflict")
    same([conflict.expected, conflict.actual], [currentPeriodEnd, next.currentPeriodEnd])
    same(yield* subscriptions.find(id), Option.some(next))
    const running = yield* aSubscription()
    const early = yield* failsWith(subscriptions.renew(running.id, running.currentPeriodEnd), "PeriodNotOver")
    same(early.end, running.currentPeriodEnd)
    same(yield* subscriptions.find(running.id), Option.some(running))
    yield* failsWith(subscriptions.renew(nothing(), january), "SubscriptionNotFound")
  }),
  "cancelled at the period's end it runs until then, unless it is kept": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const { currentPeriodEnd, id, planId, userId } = yield* aSubscription({ startAt: january })
    const within = at(time("2024-02-20T00:00:00Z"))
    const marked = yield* within(subscriptions.cancel(id, "at-period-end"))
    same([marked.state, marked.cancelAtPeriodEnd, marked.version], ["active", true, 2])
    same(yield* within(subscriptions.cancel(id, "at-period-end")), marked)
    const kept = yield* within(subscriptions.keep(id))
    same([kept.cancelAtPeriodEnd, kept.version], [false, 3])
    same(yield* within(subscriptions.keep(id)), kept)
    yield* within(subscriptions.cancel(id, "at-period-end"))
    const ended = yield* subscriptions.renew(id, currentPeriodEnd)
    same([ended.state, ended.canceledAt, ended.currentPeriodEnd], ["canceled", currentPeriodEnd, currentPeriodEnd])
    assert.ok(Option.isNone(yield* subscriptions.findLive(userId, planId)))
    yield* failsWith(subscriptions.renew(id, currentPeriodEnd), "SubscriptionNotRunning")
  }),
  "states lead where they may, and nowhere else": Effect.gen(function* () {
    const { subscriptions: s } = yield* Billing
    const { id } = yield* aSubscription()
    assert.equal((yield* s.markPastDue(id)).state, "past_due")
    const twice = yield* failsWith(s.markPastDue(id), "IllegalTransition")
    same([twice.from, twice.to, twice.subject, twice.id], ["past_due", "past_due", "subscription", id])
    assert.equal((yield* s.activate(id)).state, "active")
    yield* failsWith(s.activate(id), "IllegalTransition")
    assert.equal((yield* s.pause(id)).state, "paused")
    const owing = yield* failsWith(s.markPastDue(id), "IllegalTransition")
    same([owing.from, owing.to, owing.allowed], ["paused", "past_due", ["active", "canceled"]])
    yield* failsWith(s.pause(id), "IllegalTransition")
    const ended = yield* s.cancel(id, "now")
    same([ended.state, ended.canceledAt !== null, ended.version], ["canceled", true, 5])
    for (const move of [
      s.activate(id),
      s.markPastDue(id),
      s.pause(id),
      s.cancel(id, "now"),
      s.cancel(id, "at-period-end"),
      s.keep(id)
    ]) {
      const { allowed, from } = yield* failsWith(move, "IllegalTransition")
      same([from, allowed], ["canceled", []])
    }
    same(yield* s.find(id), Option.some(ended))
    for (const move of [
      s.activate(nothing()),
      s.markPastDue(nothing()),
      s.pause(nothing()),
      s.cancel(nothing(), "now"),
      s.cancel(nothing(), "at-period-end"),
      s.keep(nothing())
    ]) {
      yield* failsWith(move, "SubscriptionNotFound")
    }
  }),
  "a paused subscription is not renewed, and begins a new period where its old one is over": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const old = yield* aSubscription({ startAt: january })
    yield* at(time("2024-02-20T00:00:00Z"))(subscriptions.pause(old.id))
    const paused = yield* failsWith(subscriptions.renew(old.id, old.currentPeriodEnd), "SubscriptionNotRunning")
    assert.equal(paused.state, "paused")
    const before = yield* DateTime.now
    const resumed = yield* subscriptions.activate(old.id)
    assert.ok(DateTime.isGreaterThanOrEqualTo(resumed.currentPeriodStart, before))
    same(resumed.currentPeriodEnd, DateTime.add(resumed.currentPeriodStart, { months: 1 }))
    // Its renewals are late: what it was paused in is the period of that day.
    const late = yield* aSubscription({ startAt: january })
    yield* at(time("2024-03-20T00:00:00Z"))(subscriptions.pause(late.id))
    const going = yield* at(time("2024-03-30T00:00:00Z"))(subscriptions.activate(late.id))
    same(periodOf(going), ["2024-02-29", "2024-03-31"])
    const running = yield* aSubscription()
    yield* subscriptions.pause(running.id)
    const kept = yield* subscriptions.activate(running.id)
    same([kept.currentPeriodStart, kept.currentPeriodEnd], [running.currentPeriodStart, running.currentPeriodEnd])
  }),
  "a change needs the version that was read, and keeps the period": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const before = yield* aSubscription()
    const { id } = before
    const dearer = yield* aPrice({ planId: before.planId, amount: eur(9900), interval: "year" })
    const more = yield* subscriptions.change(id, 1, { quantity: 7 })
    same([more.quantity, more.priceId, more.version], [1, before.priceId, 2])
    same(more.next, { planId: before.planId, priceId: before.priceId, quantity: 7 })
    const conflict = yield* failsWith(subscriptions.change(id, 1, { quantity: 8 }), "VersionConflict")
    same([conflict.expected, conflict.actual], [1, 2])
    const moved = yield* subscriptions.change(id, 2, { priceId: dearer.id })
    same([moved.priceId, moved.quantity, moved.currentPeriodEnd], [before.priceId, 1, before.currentPeriodEnd])
    same(moved.next, { planId: before.planId, priceId: dearer.id, quantity: 7 })
    same(yield* subscriptions.find(id), Option.some(moved))
    yield* failsWith(subscriptions.change(id, 3, { priceId: nothing() }), "PriceNotFound")
    yield* failsWith(subscriptions.change(nothing(), 1, { quantity: 2 }), "SubscriptionNotFound")
    yield* subscriptions.cancel(id, "now")
    const ended = yield* failsWith(subscriptions.change(id, 4, { quantity: 2 }), "SubscriptionNotRunning")
    assert.equal(ended.state, "canceled")
    same((yield* subscriptions.list({ userId: before.userId })).items[0]?.next, null)
  }),
  "a change to another plan's price changes the plan, once for each user": Effect.gen(function* () {
    const { plans, subscriptions } = yield* Billing
    const { id: userId } = yield* aUser
    const [one, two, three] = [yield* aSubscription({ userId }), yield* aSubscription({ userId }), yield* aPrice()]
    const taken = yield* failsWith(subscriptions.change(one.id, 1, { priceId: two.priceId }), "AlreadySubscribed")
    same([taken.userId, taken.planId], [userId, two.planId])
    same(yield* subscriptions.find(one.id), Option.some(one))
    const moved = yield* subscriptions.change(one.id, 1, { priceId: three.id })
    same([moved.planId, moved.priceId, moved.next?.planId], [one.planId, one.priceId, three.planId])
    yield* plans.archivePrice(two.priceId)
    const kept = yield* subscriptions.change(two.id, 1, { priceId: two.priceId, quantity: 2 })
    assert.equal(kept.next?.quantity, 2)
    yield* failsWith(subscriptions.change(one.id, 2, { priceId: two.priceId }), "PriceNotOnSale")
  }),
  "until a change of plan holds the user has both plans, of this subscription": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const pro = yield* aSubscription({ startAt: january })
    const { currentPeriodEnd: end, id, userId } = pro
    const basic = yield* aPrice({ amount: eur(500) })
    const within = at(time("2024-02-10T00:00:00Z"))
    const changed = yield* within(subscriptions.change(id, 1, { priceId: basic.id }))
    same([changed.planId, changed.priceId], [pro.planId, pro.priceId])
    same(changed.next, { planId: basic.planId, priceId: basic.id, quantity: 1 })
    for (const planId of [pro.planId, basic.planId]) {
      same(yield* subscriptions.findLive(userId, planId), Option.some(changed))
    }
    for (const priceId of [pro.priceId, basic.id]) {
      yield* failsWith(subscriptions.create({ userId, priceId }), "AlreadySubscribed")
      const other = yield* aSubscription({ userId })
      yield* failsWith(subscriptions.change(other.id, 1, { priceId }), "AlreadySubscribed")
    }
    same(ids((yield* subscriptions.list({ userId, planId: pro.planId })).items), [id])
    same((yield* subscriptions.list({ userId, planId: basic.planId })).items, [])
    const renewed = yield* subscriptions.renew(id, end)
    same([renewed.planId, renewed.priceId, renewed.next], [basic.planId, basic.id, null])
    same(yield* subscriptions.findLive(userId, basic.planId), Option.some(renewed))
    assert.ok(Option.isNone(yield* subscriptions.findLive(userId, pro.planId)))
    yield* subscriptions.create({ userId, priceId: pro.priceId })
    yield* failsWith(subscriptions.change(id, renewed.version, { priceId: pro.priceId }), "AlreadySubscribed")
  }),
  "a change of plan that is taken back or canceled lets go of the plan": Effect.gen(function* () {
    const { plans, subscriptions } = yield* Billing
    const { id, priceId, userId } = yield* aSubscription()
    const basic = yield* aPrice({ amount: eur(500) })
    yield* plans.archivePrice(priceId)
    yield* subscriptions.change(id, 1, { priceId: basic.id })
    // No longer sold, but had.
    const back = yield* subscriptions.change(id, 2, { priceId })
    same([back.priceId, back.next], [priceId, null])
    const other = yield* subscriptions.create({ userId, priceId: basic.id })
    const third = yield* aPrice()
    yield* subscriptions.pause(id)
    yield* subscriptions.change(id, 4, { priceId: third.id })
    yield* failsWith(subscriptions.create({ userId, priceId: third.id }), "AlreadySubscribed")
    const kept = yield* subscriptions.change(id, 5, { priceId })
    same(kept.next, null)
    yield* subscriptions.change(other.id, 1, { priceId: third.id })
    const ended = yield* subscriptions.cancel(other.id, "now")
    same([ended.planId, ended.next], [basic.planId, null])
    yield* subscriptions.create({ userId, priceId: third.id })
    yield* subscriptions.create({ userId, priceId: basic.id })
    same((yield* subscriptions.activate(id)).priceId, priceId)
  }),
  "what has ended is in the way of nobody who changes to its plan": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const old = yield* aSubscription({ startAt: january })
    yield* at(time("2024-02-10T00:00:00Z"))(subscriptions.cancel(old.id, "at-period-end"))
    const other = yield* aSubscription({ userId: old.userId })
    const change = subscriptions.change(other.id, 1, { priceId: old.priceId })
    yield* at(time("2024-02-10T00:00:00Z"))(failsWith(change, "AlreadySubscribed"))
    same((yield* change).next?.planId, old.planId)
    same(Option.getOrThrow(yield* subscriptions.find(old.id)).state, "canceled")
  }),
  "what somebody has is renewed although it is no longer sold": Effect.gen(function* () {
    yield* inOurTime
    const { plans, subscriptions } = yield* Billing
    const subscription = yield* aSubscription({ startAt: january })
    yield* plans.archivePrice(subscription.priceId)
    yield* plans.archive(subscription.planId)
    const next = yield* subscriptions.renew(subscription.id, subscription.currentPeriodEnd)
    same(periodOf(next), ["2024-02-29", "2024-03-31"])
  }),
  "subscriptions are listed by user, plan and state, once each": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const { id: userId } = yield* aUser
    const price = yield* aPrice()
    const made = yield* times(5, () => aSubscription({ userId }))
    const others = yield* times(2, () => aSubscription({ priceId: price.id }))
    yield* subscriptions.pause(made[1]!.id)
    yield* subscriptions.pause(made[3]!.id)
    const all = yield* pages((after: SubscriptionCursor | undefined) => subscriptions.list({ userId, limit: 2, after }))
    same(all.map(ids), [ids(made.slice(0, 2)), ids(made.slice(2, 4)), ids(made.slice(4))])
    const paused = yield* subscriptions.list({ userId, state: "paused", order: "newest-first" })
    same(ids(paused.items), [made[3]!.id, made[1]!.id])
    same(ids((yield* subscriptions.list({ planId: price.planId })).items), ids(others))
    same((yield* subscriptions.list({ planId: price.planId, userId })).items, [])
    same(ids(yield* Stream.runCollect(subscriptions.stream({ userId, pageSize: 2 }))), ids(made))
  }),
  "due are those whose period is over, the longest overdue first": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const starts = ["2024-03-01", "2024-01-01", "2024-02-01", "2024-02-01"]
    const made = yield* times(4, (i) => aSubscription({ startAt: time(`${starts[i]}T00:00:00Z`) }))
    const [march, january_, one, two] = made
    const paused = yield* aSubscription({ startAt: january })
    yield* subscriptions.pause(paused.id)
    const ended = yield* aSubscription({ startAt: january })
    yield* subscriptions.cancel(ended.id, "now")
    const owing = yield* aSubscription({ startAt: time("2024-04-01T00:00:00Z") })
    yield* subscriptions.markPastDue(owing.id)
    const running = yield* aSubscription()
    const own = new Set(ids([...made, paused, ended, owing, running]))
    const due = (at: DateTime.Utc | undefined) =>
      Effect.map(
        pages((after: SubscriptionDueCursor | undefined) => subscriptions.due({ at, limit: 2, after })),
        (read) => ids(read.flat().filter(({ id }) => own.has(id)))
      )
    same(yield* due(undefined), ids([january_!, one!, two!, march!, owing]))
    same(yield* due(time("2024-03-01T00:00:00Z")), ids([january_!, one!, two!]))
    same(yield* due(time("2024-02-29T23:59:59.999Z")), ids([january_!]))
  }),
  "a user who has a subscription cannot be deleted, and one who has none can": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const users = yield* Users
    const { id, userId } = yield* aSubscription()
    assert.equal((yield* failsWith(users.delete(userId), "UserInUse")).id, userId)
    yield* subscriptions.cancel(id, "now")
    assert.equal((yield* failsWith(users.delete(userId), "UserInUse")).by, "subscriptions")
    assert.ok(Option.isSome(yield* users.findById(userId)))
    yield* users.delete((yield* aUser).id)
  }),
  "a user who was billed is erased, and what was billed stays": Effect.gen(function* () {
    yield* inOurTime
    const { credit, invoices, subscriptions } = yield* Billing
    const users = yield* Users
    const subscription = yield* aSubscription({ startAt: january })
    const { currentPeriodEnd: end, currentPeriodStart: start, id, userId } = subscription
    const invoice = yield* invoices.invoiceSubscription(id, { start, end })
    yield* credited(userId, 500)
    const erased = yield* users.erase(userId)
    assert.ok(erased.erasedAt !== null)
    same(yield* subscriptions.find(id), Option.some(subscription))
    same((yield* invoices.list({ userId })).items, [invoice])
    same(yield* credit.balance(userId, "EUR"), eur(500))
    yield* failsWith(users.delete(userId), "UserInUse")
    yield* subscriptions.cancel(id, "now")
    yield* invoices.finalize(invoice.id)
    same(yield* users.findById(userId), Option.some(erased))
  }),
  "an erased user is subscribed to nothing, and what it had goes on until it is canceled": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const users = yield* Users
    const subscription = yield* aSubscription({ startAt: january })
    const { id, priceId, userId } = subscription
    yield* users.erase(userId)
    yield* failsWith(subscriptions.create({ userId, priceId }), "UserNotFound")
    yield* failsWith(subscriptions.create({ userId, priceId: (yield* aPrice()).id }), "UserNotFound")
    same((yield* subscriptions.list({ userId })).items.length, 1)
    assert.equal((yield* renewed(subscription, 1)).length, 2)
    assert.equal((yield* subscriptions.cancel(id, "now")).state, "canceled")
  }),
  "times of change are told": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const made = yield* aSubscription()
    yield* passTime("5 millis")
    const paused = yield* subscriptions.pause(made.id)
    assert.ok(DateTime.isGreaterThan(paused.updatedAt, made.updatedAt))
    same(paused.createdAt, made.createdAt)
  })
}
