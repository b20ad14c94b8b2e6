import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { Subscription } from "../../../platform/billing/Subscriptions.ts"
import { type BillingPeriod, PeriodMismatch } from "../../../platform/billing/Usage.ts"
import { later } from "../users.ts"
import {
  aPlan,
  aPrice,
  aSubscription,
  at,
  eur,
  failsWith,
  failure,
  inOurTime,
  type Run,
  same,
  time,
  usage as used
} from "./support.ts"

const current = ({ currentPeriodEnd: end, currentPeriodStart: start }: Subscription): BillingPeriod => ({ start, end })

const priceOf = (plan: string, amount: number, metric: string) =>
  Effect.gen(function* () {
    const { id: planId } = yield* aPlan(plan)
    return yield* aPrice({ planId, amount: eur(amount), usage: { metric, unitAmount: 2, size: 1, included: 0 } })
  })

/** The period that began ten days ago, and those after it. */
const running = Effect.gen(function* () {
  yield* inOurTime
  const startAt = DateTime.subtract(yield* DateTime.now, { days: 10 })
  const calls = yield* priceOf("Calls", 1000, "calls")
  const tokens = yield* priceOf("Tokens", 5000, "tokens")
  const subscription = yield* aSubscription({ priceId: calls.id, startAt })
  const nth = (n: number): BillingPeriod => ({
    start: DateTime.add(startAt, { months: n }),
    end: DateTime.add(startAt, { months: n + 1 })
  })
  return { subscription, calls, tokens, nth, inside: (days: number) => DateTime.add(startAt, { days }) }
})

const days = (count: number) => later(count * 86_400_000)

const charged = (id: Subscription["id"], period: BillingPeriod) =>
  Effect.gen(function* () {
    const { invoices } = yield* Billing
    const lines = yield* invoices.lines((yield* invoices.invoiceSubscription(id, period)).id)
    return lines.map(({ amount, description, quantity }) => [description, quantity, amount.amount])
  }).pipe(days(400))

/** The field, and the nearest period, that the refusal of a period or a moment names. */
const nearest = <A, E, R>(call: Effect.Effect<A, E, R>) =>
  Effect.map(failure(call), (error) => {
    assert.ok(error instanceof PeriodMismatch, String(error))
    const { field, nearest } = error
    return [field, nearest && [nearest.start, nearest.end].map((at) => DateTime.formatIso(at).slice(0, 10))]
  })

const day = (text: string) => time(`${text}T00:00:00Z`)

export const terms: Record<string, Run> = {
  "a period is charged the price and quantity that held when it began, and what was used of that price's metric":
    Effect.gen(function* () {
      const { subscriptions, usage } = yield* Billing
      const { calls, inside, nth, subscription, tokens } = yield* running
      const { id } = subscription
      yield* usage.record(yield* used(subscription, 100, inside(3), { metric: "calls" }))
      const changed = yield* subscriptions.change(id, 1, { priceId: tokens.id, quantity: 2 })
      same([changed.priceId, changed.quantity, changed.currentPeriodEnd], [calls.id, 1, nth(0).end])
      same(changed.next, { planId: tokens.planId, priceId: tokens.id, quantity: 2 })
      // The period that runs goes on as it began.
      yield* usage.record(yield* used(subscription, 10, inside(20), { metric: "calls" }))
      const early = yield* failsWith(
        usage.record(yield* used(subscription, 1, inside(9), { metric: "tokens" })),
        "MetricNotPriced"
      )
      same([early.subscriptionId, early.metric, early.priced], [id, "tokens", "calls"])
      yield* days(30)(usage.record(yield* used(subscription, 7, nth(1).start, { metric: "tokens" })))
      const late = yield* failsWith(
        days(30)(usage.record(yield* used(subscription, 1, nth(1).start, { metric: "calls" }))),
        "MetricNotPriced"
      )
      same([late.metric, late.priced], ["calls", "tokens"])
      same(yield* charged(id, nth(0)), [
        ["Calls", 1, 1000],
        ["Calls: calls", 110, 220]
      ])
      same(yield* charged(id, nth(1)), [
        ["Tokens", 2, 10_000],
        ["Tokens: tokens", 7, 14]
      ])
      yield* days(40)(subscriptions.change(id, 2, { priceId: calls.id }))
      same((yield* charged(id, nth(2)))[0], ["Calls", 2, 2000])
    }),
  "of several changes in a period the last one holds from the next on": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const { calls, nth, subscription, tokens } = yield* running
    const { id } = subscription
    yield* subscriptions.change(id, 1, { priceId: tokens.id, quantity: 9 })
    yield* subscriptions.change(id, 2, { quantity: 3 })
    const last = yield* subscriptions.change(id, 3, { priceId: calls.id })
    same(last.next, { planId: calls.planId, priceId: calls.id, quantity: 3 })
    same((yield* charged(id, nth(0)))[0], ["Calls", 1, 1000])
    same((yield* charged(id, nth(1)))[0], ["Calls", 3, 3000])
  }),
  "a change before a subscription begins holds from its beginning": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const startAt = DateTime.add(yield* DateTime.now, { days: 10 })
    const [calls, tokens] = [yield* priceOf("Calls", 1000, "calls"), yield* priceOf("Tokens", 5000, "tokens")]
    const { currentPeriodEnd, id } = yield* aSubscription({ priceId: calls.id, startAt })
    const changed = yield* subscriptions.change(id, 1, { priceId: tokens.id })
    same([changed.planId, changed.priceId, changed.next], [tokens.planId, tokens.id, null])
    same((yield* charged(id, { start: startAt, end: currentPeriodEnd }))[0], ["Tokens", 1, 5000])
  }),
  "a change of interval before a subscription begins is one of its first period too": Effect.gen(function* () {
    yield* inOurTime
    const { subscriptions } = yield* Billing
    const startAt = DateTime.add(yield* DateTime.now, { days: 10 })
    const monthly = yield* aPrice({ amount: eur(1000) })
    const yearly = yield* aPrice({ planId: monthly.planId, amount: eur(9000), interval: "year" })
    const month = { start: startAt, end: DateTime.add(startAt, { months: 1 }) }
    const year = { start: startAt, end: DateTime.add(startAt, { months: 12 }) }
    for (const [from, to, period, amount] of [
      [monthly, yearly, year, 9000],
      [yearly, monthly, month, 1000]
    ] as const) {
      const { id } = yield* aSubscription({ priceId: from.id, startAt })
      same(current(yield* subscriptions.change(id, 1, { priceId: to.id })), period)
      same(yield* charged(id, period), [["Pro", 1, amount]])
      const paused = yield* aSubscription({ priceId: from.id, startAt })
      yield* subscriptions.pause(paused.id)
      yield* subscriptions.change(paused.id, 2, { priceId: to.id })
      same(current(yield* subscriptions.activate(paused.id)), period)
      same(yield* charged(paused.id, period), [["Pro", 1, amount]])
    }
    const trialEnd = DateTime.add(startAt, { days: 14 })
    const tried = yield* aSubscription({ priceId: monthly.id, startAt, trialEnd })
    same(current(yield* subscriptions.change(tried.id, 1, { priceId: yearly.id })), { start: startAt, end: trialEnd })
  }),
  "a change to another interval holds from the end of the period that runs": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const { nth, subscription } = yield* running
    const { id } = subscription
    const { id: planId } = yield* aPlan("Yearly")
    const yearly = yield* aPrice({ planId, amount: eur(9900), interval: "year" })
    yield* subscriptions.change(id, 1, { priceId: yearly.id })
    const renewed = yield* days(40)(subscriptions.renew(id, nth(0).end))
    const year = { start: nth(0).end, end: nth(12).end }
    same([renewed.currentPeriodStart, renewed.currentPeriodEnd], [year.start, year.end])
    same((yield* charged(id, nth(0)))[0], ["Calls", 1, 1000])
    same(yield* charged(id, year), [["Yearly", 1, 9900]])
    yield* failsWith(charged(id, nth(1)), "PeriodInvoiced")
  }),
  "a renewal that is late renews by the price that held when its period began": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const { nth, subscription } = yield* running
    const { id } = subscription
    const { id: planId } = yield* aPlan("Yearly")
    const yearly = yield* aPrice({ planId, amount: eur(9900), interval: "year" })
    const changed = yield* days(65)(subscriptions.change(id, 1, { priceId: yearly.id }))
    same(changed.currentPeriodEnd, nth(0).end)
    same((yield* days(65)(subscriptions.renew(id, nth(0).end))).currentPeriodEnd, nth(1).end)
    same((yield* days(65)(subscriptions.renew(id, nth(1).end))).currentPeriodEnd, nth(2).end)
    same((yield* days(90)(subscriptions.renew(id, nth(2).end))).currentPeriodEnd, nth(14).end)
  }),
  "changes whose renewals are late come one after the other, and each keeps its plan meanwhile": Effect.gen(
    function* () {
      const { subscriptions } = yield* Billing
      const { calls, nth, subscription, tokens } = yield* running
      const { id, userId } = subscription
      yield* subscriptions.change(id, 1, { priceId: tokens.id })
      const back = yield* days(30)(subscriptions.change(id, 2, { priceId: calls.id }))
      same([back.priceId, back.next?.priceId], [calls.id, calls.id])
      yield* failsWith(subscriptions.create({ userId, priceId: tokens.id }), "AlreadySubscribed")
      const second = yield* days(70)(subscriptions.renew(id, nth(0).end))
      same([second.priceId, second.next?.priceId], [tokens.id, calls.id])
      const third = yield* days(70)(subscriptions.renew(id, nth(1).end))
      same([third.priceId, third.next], [calls.id, null])
      yield* subscriptions.create({ userId, priceId: tokens.id })
    }
  ),
  "a period that is none of the subscription's is refused, and the nearest that is one is told": Effect.gen(
    function* () {
      yield* inOurTime
      const { invoices, subscriptions } = yield* Billing
      const { id } = yield* aSubscription({ startAt: day("2024-01-31") })
      const refused = (start: string, end: string) =>
        nearest(invoices.invoiceSubscription(id, { start: day(start), end: day(end) }))
      const first = ["2024-01-31", "2024-02-29"]
      same(yield* refused("2023-06-01", "2023-06-02"), ["period.start", first])
      same(yield* refused("2024-01-30", "2024-02-29"), ["period.start", first])
      same(yield* refused("2024-02-01", "2024-02-29"), ["period.start", first])
      same(yield* refused("2024-01-31", "2024-02-28"), ["period.end", first])
      same(yield* refused("2024-01-31", "2024-03-31"), ["period.end", first])
      same(yield* refused("2024-02-29", "2024-03-29"), ["period.end", ["2024-02-29", "2024-03-31"]])
      same(yield* charged(id, { start: day("2024-02-29"), end: day("2024-03-31") }), [["Pro", 1, 2000]])
      const trial = yield* aSubscription({ startAt: day("2024-01-31"), trialEnd: day("2024-04-14") })
      const inTrial = (start: string, end: string) =>
        nearest(invoices.invoiceSubscription(trial.id, { start: day(start), end: day(end) }))
      same(yield* inTrial("2024-02-29", "2024-03-31"), ["period.start", ["2024-01-31", "2024-04-14"]])
      same(yield* inTrial("2024-04-14", "2024-05-31"), ["period.end", ["2024-04-14", "2024-05-14"]])
      const ended = yield* aSubscription({ startAt: day("2024-01-31") })
      yield* at(day("2024-02-10"))(subscriptions.cancel(ended.id, "at-period-end"))
      const after = nearest(
        invoices.invoiceSubscription(ended.id, { start: day("2024-02-29"), end: day("2024-03-31") })
      )
      same(yield* after, ["period.start", first])
      yield* subscriptions.renew(ended.id, ended.currentPeriodEnd)
      same(yield* after, ["period.start", first])
      same(yield* charged(ended.id, { start: ended.currentPeriodStart, end: ended.currentPeriodEnd }), [
        ["Pro", 1, 2000]
      ])
    }
  ),
  "usage before the beginning, and after the end, is refused": Effect.gen(function* () {
    const { subscriptions, usage } = yield* Billing
    const { inside, nth, subscription } = yield* running
    const recorded = (at: DateTime.Utc) => Effect.flatMap(used(subscription, 1, at, { metric: "calls" }), usage.record)
    const told = (period: BillingPeriod) => [
      "usedAt",
      [period.start, period.end].map((at) => DateTime.formatIso(at).slice(0, 10))
    ]
    same(yield* nearest(recorded(inside(-1))), told(nth(0)))
    yield* subscriptions.cancel(subscription.id, "now")
    // No part of a period is given back, so that all of it may be used.
    yield* recorded(inside(20))
    same(yield* nearest(recorded(nth(0).end)), told(nth(0)))
    // Nor later, when the period would have begun.
    same(yield* nearest(days(400)(recorded(nth(0).end))), told(nth(0)))
  }),
  "what is paused has no period until it is active again, and then one that begins at that time": Effect.gen(
    function* () {
      const { invoices, subscriptions, usage } = yield* Billing
      const { nth, subscription, tokens } = yield* running
      const { id } = subscription
      const paused = yield* subscriptions.pause(id)
      assert.ok(paused.pausedAt !== null)
      const recorded = (at: DateTime.Utc, metric: string) =>
        Effect.flatMap(used(subscription, 1, at, { metric }), usage.record)
      yield* recorded(nth(0).start, "calls")
      const gap = DateTime.add(nth(1).start, { days: 1 })
      same((yield* nearest(recorded(gap, "calls")))[0], "usedAt")
      yield* days(30)(subscriptions.change(id, 2, { priceId: tokens.id }))
      const active = yield* days(45)(subscriptions.activate(id))
      same([active.pausedAt, active.billingAnchor], [null, active.currentPeriodStart])
      same([active.priceId, active.next], [tokens.id, null])
      assert.ok(DateTime.isGreaterThan(active.currentPeriodStart, nth(1).start))
      same((yield* nearest(recorded(gap, "calls")))[0], "usedAt")
      same((yield* nearest(days(400)(invoices.invoiceSubscription(id, nth(1)))))[0], "period.start")
      yield* days(45)(recorded(active.currentPeriodStart, "tokens"))
      same(yield* charged(id, nth(0)), [
        ["Calls", 1, 1000],
        ["Calls: calls", 1, 2]
      ])
      same(yield* charged(id, { start: active.currentPeriodStart, end: active.currentPeriodEnd }), [
        ["Tokens", 1, 5000],
        ["Tokens: tokens", 1, 2]
      ])
    }
  ),
  "what was changed while it was paused holds from the next period on": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const { nth, subscription, tokens } = yield* running
    const { id } = subscription
    yield* subscriptions.pause(id)
    yield* subscriptions.change(id, 2, { priceId: tokens.id })
    const active = yield* subscriptions.activate(id)
    same([active.currentPeriodStart, active.pausedAt], [nth(0).start, null])
    same([active.priceId, active.next?.priceId], [subscription.priceId, tokens.id])
    same((yield* charged(id, nth(0)))[0], ["Calls", 1, 1000])
    same((yield* charged(id, nth(1)))[0], ["Tokens", 1, 5000])
  }),
  "a change that is taken back changes no price": Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const { nth, subscription, tokens } = yield* running
    const { id } = subscription
    yield* failsWith(subscriptions.change(id, 7, { priceId: tokens.id }), "VersionConflict")
    const other = yield* aSubscription({ userId: subscription.userId, priceId: tokens.id })
    yield* failsWith(subscriptions.change(id, 1, { priceId: tokens.id }), "AlreadySubscribed")
    assert.ok(Option.isSome(yield* subscriptions.find(other.id)))
    same((yield* charged(id, nth(1)))[0], ["Calls", 1, 1000])
  })
}
