import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { NewSubscription, Subscription } from "../../../platform/billing/Subscriptions.ts"
import {
  aPrice,
  aSubscription,
  at,
  eur,
  failsWith,
  ids,
  inOurTime,
  type Run,
  same,
  time,
  usage as used
} from "./support.ts"

const day = (text: string) => time(`${text}T00:00:00Z`)
const on = (text: string) => at(day(text))

/** 10.00 EUR a month and 2 cents a call, from the first of January on. */
const calling = (given: Partial<NewSubscription> = {}) =>
  Effect.gen(function* () {
    yield* inOurTime
    const price = yield* aPrice({
      amount: eur(1000),
      usage: { metric: "calls", unitAmount: 2, size: 1, included: 0 }
    })
    return yield* aSubscription({ priceId: price.id, startAt: day("2024-01-01"), ...given })
  })

const called = (subscription: Subscription, quantity: number, when: string) =>
  Effect.gen(function* () {
    const { usage } = yield* Billing
    return yield* usage.record(yield* used(subscription, quantity, day(when), { metric: "calls" }))
  })

const told = ({ currentPeriodEnd, currentPeriodStart, state }: Subscription) => [
  state,
  ...[currentPeriodStart, currentPeriodEnd].map((at) => DateTime.formatIso(at).slice(0, 10))
]

/** What the subscription's periods cost, each from one of these days to the next. */
const costs = ({ id }: Subscription, ...days: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { invoices } = yield* Billing
    return yield* Effect.forEach(days.slice(1), (end, i) =>
      Effect.map(invoices.invoiceSubscription(id, { start: day(days[i]!), end: day(end) }), ({ total }) => total.amount)
    )
  })

const isDue = ({ id }: Subscription) =>
  Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    return ids((yield* subscriptions.due({ limit: 1000 })).items).includes(id)
  })

/** Acts of a subscription whose renewals are late. */
export const overdue: Record<string, Run> = {
  "canceled while renewals are overdue it ends with the period that runs, and those before are charged": Effect.gen(
    function* () {
      const { subscriptions } = yield* Billing
      const subscription = yield* calling()
      const { id } = subscription
      yield* on("2024-03-10")(called(subscription, 500, "2024-02-10"))
      yield* on("2024-03-10")(called(subscription, 7, "2024-03-10"))
      const marked = yield* on("2024-03-10")(subscriptions.cancel(id, "at-period-end"))
      same([told(marked), marked.cancelAtPeriodEnd], [["active", "2024-03-01", "2024-04-01"], true])
      const ended = yield* on("2024-04-01")(subscriptions.renew(id, marked.currentPeriodEnd))
      same([told(ended), ended.canceledAt], [["canceled", "2024-03-01", "2024-04-01"], day("2024-04-01")])
      same(yield* costs(ended, "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"), [1000, 2000, 1014])
      yield* failsWith(costs(ended, "2024-04-01", "2024-05-01"), "PeriodMismatch")
    }
  ),
  "canceled at once while renewals are overdue it tells the period of its end": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const subscription = yield* calling()
    yield* on("2024-02-01")(called(subscription, 500, "2024-02-01"))
    // The end of a period is the next one's.
    const ended = yield* on("2024-02-01")(subscriptions.cancel(subscription.id, "now"))
    same(told(ended), ["canceled", "2024-02-01", "2024-03-01"])
    same(yield* costs(ended, "2024-01-01", "2024-02-01", "2024-03-01"), [1000, 2000])
  }),
  "paused while renewals are overdue it tells the period of the pause, and goes on from there": Effect.gen(
    function* () {
      const { subscriptions } = yield* Billing
      const subscription = yield* calling({ trialEnd: day("2024-01-15") })
      yield* on("2024-03-20")(called(subscription, 500, "2024-03-20"))
      const paused = yield* on("2024-03-20")(subscriptions.pause(subscription.id))
      same(told(paused), ["paused", "2024-03-15", "2024-04-15"])
      const soon = yield* on("2024-04-14")(subscriptions.activate(subscription.id))
      same(told(soon), ["active", "2024-03-15", "2024-04-15"])
      yield* on("2024-04-14")(subscriptions.pause(subscription.id))
      const late = yield* on("2024-06-20")(subscriptions.activate(subscription.id))
      same(told(late), ["active", "2024-06-20", "2024-07-20"])
      same(
        yield* costs(late, "2024-01-01", "2024-01-15", "2024-02-15", "2024-03-15", "2024-04-15"),
        [0, 1000, 1000, 2000]
      )
    }
  ),
  "what renewals that are overdue are caught up with is as long as the price of its time says": Effect.gen(
    function* () {
      const { subscriptions } = yield* Billing
      const subscription = yield* calling()
      const { id: priceId } = yield* aPrice({ amount: eur(9000), interval: "year" })
      yield* on("2024-01-20")(subscriptions.change(subscription.id, 1, { priceId }))
      const marked = yield* on("2025-03-10")(subscriptions.cancel(subscription.id, "at-period-end"))
      same(told(marked), ["active", "2025-02-01", "2026-02-01"])
    }
  ),
  "what was to end with a period that is over has ended, though its renewal is overdue": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const subscription = yield* calling()
    const { id } = subscription
    const marked = yield* on("2024-01-20")(subscriptions.cancel(id, "at-period-end"))
    for (const act of [
      subscriptions.keep(id),
      subscriptions.pause(id),
      subscriptions.cancel(id, "now"),
      subscriptions.cancel(id, "at-period-end")
    ]) {
      same((yield* on("2024-02-01")(failsWith(act, "IllegalTransition"))).from, "canceled")
    }
    const changed = on("2024-02-01")(subscriptions.change(id, 2, { quantity: 2 }))
    same((yield* failsWith(changed, "SubscriptionNotRunning")).state, "canceled")
    assert.ok(yield* isDue(subscription))
    const ended = yield* on("2024-02-20")(subscriptions.renew(id, marked.currentPeriodEnd))
    same([told(ended), ended.canceledAt], [["canceled", "2024-01-01", "2024-02-01"], day("2024-02-01")])
  }),
  "paused after it was canceled at its period's end it ends with that period, and makes room": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const subscription = yield* calling()
    const { currentPeriodEnd, id, priceId, userId } = subscription
    yield* on("2024-01-10")(subscriptions.cancel(id, "at-period-end"))
    const paused = yield* on("2024-01-20")(subscriptions.pause(id))
    same([paused.state, paused.cancelAtPeriodEnd], ["paused", true])
    const early = yield* on("2024-01-31")(failsWith(subscriptions.renew(id, currentPeriodEnd), "PeriodNotOver"))
    same(early.end, currentPeriodEnd)
    yield* on("2024-01-31")(failsWith(subscriptions.create({ userId, priceId }), "AlreadySubscribed"))
    assert.ok(yield* isDue(subscription))
    for (const act of [
      subscriptions.activate(id),
      subscriptions.keep(id),
      subscriptions.cancel(id, "now"),
      subscriptions.cancel(id, "at-period-end")
    ]) {
      same((yield* on("2024-02-01")(failsWith(act, "IllegalTransition"))).from, "canceled")
    }
    const changed = on("2024-02-01")(subscriptions.change(id, 3, { quantity: 2 }))
    same((yield* failsWith(changed, "SubscriptionNotRunning")).state, "canceled")
    // Nobody has renewed it, and it is over all the same.
    const anew = yield* on("2024-03-10")(subscriptions.create({ userId, priceId, startAt: day("2024-03-10") }))
    same(yield* subscriptions.findLive(userId, anew.planId), Option.some(anew))
    const ended = Option.getOrThrow(yield* subscriptions.find(id))
    same([ended.state, ended.canceledAt, ended.version], ["canceled", currentPeriodEnd, 4])
    assert.ok(!(yield* isDue(subscription)))
    same(yield* costs(ended, "2024-01-01", "2024-02-01"), [1000])
    yield* failsWith(costs(ended, "2024-02-01", "2024-03-01"), "PeriodMismatch")
  }),
  "paused and canceled at its period's end it is renewed to its end, or activated and kept before": Effect.gen(
    function* () {
      const { subscriptions } = yield* Billing
      const [one, two, three] = [yield* calling(), yield* calling(), yield* calling()]
      for (const { id } of [one, two, three]) yield* on("2024-01-10")(subscriptions.pause(id))
      for (const { id } of [one, two]) yield* on("2024-01-20")(subscriptions.cancel(id, "at-period-end"))
      const ended = yield* on("2024-02-20")(subscriptions.renew(one.id, one.currentPeriodEnd))
      same([told(ended), ended.canceledAt], [["canceled", "2024-01-01", "2024-02-01"], day("2024-02-01")])
      const active = yield* on("2024-01-31")(subscriptions.activate(two.id))
      same([told(active), active.cancelAtPeriodEnd], [["active", "2024-01-01", "2024-02-01"], true])
      // Its period was over before it was to end with it.
      const late = yield* on("2024-03-10")(subscriptions.cancel(three.id, "at-period-end"))
      same([told(late), late.canceledAt], [["canceled", "2024-01-01", "2024-02-01"], day("2024-02-01")])
    }
  ),
  "what was to end with a period that is over makes room for a new subscription, though its renewal is overdue":
    Effect.gen(function* () {
      const { subscriptions } = yield* Billing
      const { id, priceId, userId } = yield* calling()
      yield* on("2024-01-20")(subscriptions.cancel(id, "at-period-end"))
      const create = subscriptions.create({ userId, priceId, startAt: day("2024-02-01") })
      yield* on("2024-01-31")(failsWith(create, "AlreadySubscribed"))
      same((yield* on("2024-02-01")(create)).state, "active")
      same(Option.getOrThrow(yield* subscriptions.find(id)).state, "canceled")
    }),
  "what leaves the renewals to come leaves those that are overdue": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const subscription = yield* calling()
    const { id } = subscription
    const first = ["2024-01-01", "2024-02-01"]
    const acts = [subscriptions.keep(id), subscriptions.markPastDue(id), subscriptions.activate(id)]
    for (const act of acts) same(told(yield* on("2024-03-10")(act)).slice(1), first)
    assert.ok(yield* isDue(subscription))
  })
}
