import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseMemory } from "../../src/memory.ts"
import { Billing } from "../../src/platform/billing/Billing.ts"
import type { Subscription } from "../../src/platform/billing/Subscriptions.ts"
import { aPlan, aPrice, aSubscription, eur, time, usage as used } from "../../src/testing/contracts/billing/support.ts"
import { randomOf } from "../random.ts"
import { type ModelPeriod, type ModelPrice, SubscriptionModel } from "./billing/SubscriptionModel.ts"

const histories = 60
const steps = 25
const hour = 3_600_000
const day = 24 * hour

const modelPrices: ReadonlyArray<ModelPrice> = [
  { amount: 1000, months: 1, metric: "calls" },
  { amount: 9000, months: 12, metric: "calls" },
  { amount: 500, months: 1, metric: "tokens" },
  { amount: 7777, months: 12, metric: null },
  { amount: 300, months: 1, metric: null }
]
const starts = ["2026-01-31T10:00:00Z", "2028-02-29T00:00:00Z", "2026-03-30T23:59:59.999Z", "2026-05-15T12:00:00Z"]
const acts = ["change", "change", "usage", "usage", "usage", "usage", "invoice", "pause", "activate", "activate"]
const rareActs = ["end", "end", "keep", "owe", "cancel"]

/** One random history of a subscription, told to the store and to the model. */
const history = (seed: number) =>
  Effect.gen(function* () {
    const random = randomOf(seed)
    const below = (n: number) => Math.floor(random() * n)
    const pick = <A>(values: ReadonlyArray<A>): A => values[below(values.length)]!
    const { invoices, subscriptions, usage } = yield* Billing
    const told: Array<string> = [`seed ${seed}`]
    const check = (holds: boolean, problem: string): void =>
      assert.isTrue(holds, [problem, ...told, ...model.periods.map(named)].join("\n"))
    const named = ({ end, price, quantity, start }: ModelPeriod): string =>
      `${iso(start)} to ${iso(end)}: ${quantity} x ${price.amount}`
    const iso = (at: number): string => new Date(at).toISOString()

    const { id: planId } = yield* aPlan()
    const priceIds = yield* Effect.forEach(modelPrices, ({ amount, metric, months }) =>
      Effect.map(
        aPrice({
          planId,
          amount: eur(amount),
          interval: months === 1 ? "month" : "year",
          ...(metric === null ? {} : { usage: { metric, unitAmount: 1, size: 1, included: 0 } })
        }),
        ({ id }) => id
      )
    )
    let now = Math.max(yield* Effect.map(DateTime.now, DateTime.toEpochMillis), time(pick(starts)).epochMilliseconds)
    yield* TestClock.setTime(now)

    const start = now + pick([0, 0, 0, 10 * day, 40 * day])
    const trialEnd = random() < 0.3 ? start + pick([3, 14, 31]) * day : null
    const [first, quantity] = [below(modelPrices.length), 1 + below(3)]
    const model = new SubscriptionModel(start, trialEnd, modelPrices[first]!, quantity)
    const { id } = yield* aSubscription({
      priceId: priceIds[first]!,
      quantity,
      startAt: DateTime.makeUnsafe(start),
      ...(trialEnd === null ? {} : { trialEnd: DateTime.makeUnsafe(trialEnd) })
    })
    const stored = Effect.map(subscriptions.find(id), Option.getOrThrow)

    const accepted: Array<{ readonly at: number; readonly metric: string; readonly quantity: number }> = []
    const invoiced = new Set<number>()
    const usedIn = ({ end, price, start }: ModelPeriod): number =>
      accepted
        .filter(({ at, metric }) => start <= at && at < end && metric === price.metric)
        .reduce((sum, { quantity }) => sum + quantity, 0)
    const costOf = (period: ModelPeriod): number =>
      period.isFree ? 0 : period.price.amount * period.quantity + usedIn(period)
    const invoice = ({ end, start }: ModelPeriod) =>
      invoices.invoiceSubscription(id, { start: DateTime.makeUnsafe(start), end: DateTime.makeUnsafe(end) })

    /** Renews all that is overdue, as a worker does that comes when it comes. */
    const renewAll = Effect.gen(function* () {
      for (;;) {
        const { currentPeriodEnd } = yield* stored
        if (Exit.isFailure(yield* Effect.exit(subscriptions.renew(id, currentPeriodEnd)))) return
      }
    })
    const agrees = <A, E>(act: string, call: Effect.Effect<A, E>, expected: boolean) =>
      Effect.map(Effect.exit(call), (exit) => {
        told.push(`${iso(now)} ${act}: ${Exit.isSuccess(exit) ? "done" : "refused"}`)
        check(Exit.isSuccess(exit) === expected, `${act} is ${expected ? "refused" : "done"}: ${String(exit)}`)
        return expected
      })

    const runs = () => model.state === "running"
    const lives = () => model.state !== "canceled"
    const isPeriodOf = ({ currentPeriodEnd, currentPeriodStart }: Subscription): boolean =>
      model.periods.some(
        ({ end, start }) => start === currentPeriodStart.epochMilliseconds && end === currentPeriodEnd.epochMilliseconds
      )

    /** What it tells is what its period costs, and what comes is what it was changed to last. */
    const checkTold = ({ currentPeriodStart, next, priceId, quantity, state }: Subscription): void => {
      const running = model.periods.find(({ start }) => start === currentPeriodStart.epochMilliseconds)
      const told = (price: string, count: number) =>
        `${count} x ${modelPrices[priceIds.findIndex((id) => id === price)]?.amount}`
      if (running !== undefined) {
        const expected = `${running.quantity} x ${running.price.amount}`
        check(told(priceId, quantity) === expected, `it tells ${told(priceId, quantity)}, not ${expected}`)
      }
      if (state === "canceled") return check(next === null, "what has ended becomes something else")
      const wanted = next === null ? told(priceId, quantity) : told(next.priceId, next.quantity)
      check(wanted === model.wanted, `it is to become ${wanted}, not ${model.wanted}`)
    }

    const play = Effect.fnUntraced(function* (act: string) {
      switch (act) {
        case "change": {
          const [price, quantity] = [below(modelPrices.length), 1 + below(3)]
          const { version } = yield* stored
          const call = subscriptions.change(id, version, { priceId: priceIds[price]!, quantity })
          const done = yield* agrees(`change to ${quantity} x ${modelPrices[price]?.amount}`, call, lives())
          if (done) model.change(now, modelPrices[price]!, quantity)
          return
        }
        case "usage": {
          const at = now + pick([0, -hour, hour, -below(40) * day, below(40) * day])
          const [metric, quantity] = [pick(["calls", "tokens"]), 1 + below(5)]
          const period = model.begun(now).find(({ end, start }) => start <= at && at < end)
          const isCharged = period !== undefined && period.price.metric === metric && !invoiced.has(period.start)
          const given = yield* used(yield* stored, quantity, DateTime.makeUnsafe(at), { metric })
          const done = yield* agrees(`${quantity} ${metric} at ${iso(at)}`, usage.record(given), isCharged)
          if (done) accepted.push({ at, metric, quantity })
          return
        }
        case "invoice": {
          const period = pick(model.periods)
          const isOpen = model.begun(now).includes(period) && (period.price.metric === null || period.end <= now)
          if (yield* agrees(`invoice of ${named(period)}`, invoice(period), isOpen)) invoiced.add(period.start)
          return
        }
        case "pause":
          if (yield* agrees(act, subscriptions.pause(id), runs())) model.pause(now)
          return
        case "activate":
          // One that runs may owe something or be tried, which makes no difference to what is charged.
          if (model.state !== "paused") return yield* Effect.exit(subscriptions.activate(id))
          yield* agrees(act, subscriptions.activate(id), true)
          return model.activate(now)
        case "owe":
          return yield* Effect.exit(subscriptions.markPastDue(id))
        case "cancel":
          if (yield* agrees(act, subscriptions.cancel(id, "now"), lives())) model.cancel(now)
          return
        case "end":
          if (yield* agrees(act, subscriptions.cancel(id, "at-period-end"), lives())) model.mark(now, true)
          return
        default:
          if (yield* agrees(act, subscriptions.keep(id), lives())) model.mark(now, false)
      }
    })
    const passTo = (at: number) =>
      Effect.suspend(() => {
        now = at
        model.passTo(now)
        return TestClock.setTime(now)
      })

    const isPunctual = random() < 0.5
    for (let step = 0; step < steps; step++) {
      const at = now + pick([0, 1, hour, 5 * day, 13 * day, 29 * day, 31 * day, 100 * day])
      // Often to the very moment at which a period ends.
      yield* passTo(runs() && model.last.end > now && random() < 0.2 ? model.last.end : at)
      if (isPunctual || random() < 0.1) yield* renewAll
      yield* play(random() < 0.15 ? pick(rareActs) : pick(acts))
      checkTold(yield* stored)
      check(isPeriodOf(yield* stored) || model.begun(now).length === 0, "the period that runs is none of its own")
    }

    if (lives()) yield* play("end")
    yield* passTo(Math.max(now, model.last.end))
    yield* renewAll
    const periods = model.begun(now)
    for (const period of periods) {
      const made = yield* Effect.exit(invoice(period))
      const cost = Exit.isSuccess(made) ? made.value.total.amount : String(made)
      check(cost === costOf(period), `${named(period)} costs ${cost}, not ${costOf(period)}`)
    }
    const made = (yield* invoices.list({ subscriptionId: id, limit: 1000 })).items
    check(made.length === periods.length, `${made.length} invoices for ${periods.length} periods`)
    const charged = periods.reduce((sum, period) => sum + usedIn(period), 0)
    const all = accepted.reduce((sum, { quantity }) => sum + quantity, 0)
    check(charged === all, `${charged} used of ${all} are in a period`)
    return { periods: periods.length, used: accepted.length }
  })

describe("histories of subscriptions", () => {
  it.effect("what is charged is what a subscription costs whose renewals are always on time", () =>
    Effect.gen(function* () {
      const seeds = Array.from({ length: histories }, (_, i) => i + 1)
      const played = yield* Effect.forEach(seeds, (seed) =>
        history(seed).pipe(Effect.provide(Layer.fresh(DatabaseMemory)), Effect.provide(TestClock.layer()))
      )
      assert.isAbove(
        played.reduce((sum, { periods }) => sum + periods, 0),
        histories * 5
      )
      assert.isAbove(
        played.reduce((sum, { used }) => sum + used, 0),
        histories
      )
    })
  )
})
