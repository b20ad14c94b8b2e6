import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { isStoreError } from "../../../core/StoreError.ts"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { UsageCursor } from "../../../platform/billing/Usage.ts"
import {
  aPrice,
  aSubscription,
  failsWith,
  failure,
  ids,
  inOurTime,
  at,
  nothing,
  pages,
  refuses,
  type Run,
  same,
  time,
  times,
  tokens,
  usage as used
} from "./support.ts"

const start = time("2024-01-01T00:00:00Z")
const end = time("2024-02-01T00:00:00Z")
const january = { start, end }
const day = (n: number) => time(`2024-01-${String(n).padStart(2, "0")}T08:00:00Z`)

const meteredBy = (metric: string) =>
  Effect.gen(function* () {
    yield* inOurTime
    const price = yield* aPrice({ usage: { ...tokens, metric } })
    return yield* aSubscription({ priceId: price.id, startAt: start })
  })
const metered = meteredBy("tokens")

/** Charged for tokens in January, and for images from February on. */
const meteredTwice = Effect.gen(function* () {
  yield* inOurTime
  const { subscriptions } = yield* Billing
  const subscription = yield* metered
  const images = yield* aPrice({ usage: { ...tokens, metric: "images" } })
  yield* at(day(20))(subscriptions.change(subscription.id, 1, { priceId: images.id }))
  return subscription
})

export const usage: Record<string, Run> = {
  "usage is recorded once for each key, and given back as it was recorded": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* metered
    const given = yield* used(subscription, 120, day(3))
    const record = yield* usage.record(given)
    same({ ...given, id: record.id, createdAt: record.createdAt }, record)
    same(yield* usage.record({ ...given }), record)
    assert.equal(yield* usage.total(subscription.id, "tokens", january), 120)
  }),
  "the same key with other usage is refused, and changes nothing": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* metered
    const given = yield* used(subscription, 120, day(3))
    yield* usage.record(given)
    for (const other of [{ quantity: 121 }, { metric: "images" }, { usedAt: day(4) }]) {
      const conflict = yield* failsWith(usage.record({ ...given, ...other }), "IdempotencyConflict")
      same([conflict.subject, conflict.key], ["usage record", given.idempotencyKey])
    }
    assert.equal(yield* usage.total(subscription.id, "tokens", january), 120)
    assert.equal(yield* usage.total(subscription.id, "images", january), 0)
  }),
  "a key counts within its subscription": Effect.gen(function* () {
    const { usage } = yield* Billing
    const [one, two] = [yield* metered, yield* metered]
    const given = yield* used(one, 5, day(3))
    const [first, second] = [yield* usage.record(given), yield* usage.record({ ...given, subscriptionId: two.id })]
    assert.notEqual(first.id, second.id)
  }),
  "many records at once are all stored, in the order given, or none": Effect.gen(function* () {
    const { usage } = yield* Billing
    const [one, two] = [yield* metered, yield* metered]
    const known = yield* used(one, 1, day(1))
    const stored = yield* usage.record(known)
    const given = [...(yield* times(150, (i) => used(i % 2 === 0 ? one : two, i + 1, day((i % 28) + 1)))), known]
    const records = yield* usage.recordAll(given)
    same(
      records.map(({ idempotencyKey }) => idempotencyKey),
      given.map(({ idempotencyKey }) => idempotencyKey)
    )
    same(records[150], stored)
    same(yield* usage.recordAll(given), records)
    // 1 + 3 + … + 149, and the one that was there; 2 + 4 + … + 150.
    assert.equal(yield* usage.total(one.id, "tokens", january), 5626)
    assert.equal(yield* usage.total(two.id, "tokens", january), 5700)
    const fresh = yield* used(one, 1000, day(2))
    const conflict = [fresh, { ...known, quantity: 2 }]
    yield* failsWith(usage.recordAll(conflict), "IdempotencyConflict")
    yield* failsWith(
      usage.recordAll([fresh, yield* used({ ...one, id: nothing() }, 1, day(1))]),
      "SubscriptionNotFound"
    )
    assert.equal(yield* usage.total(one.id, "tokens", january), 5626)
    same(yield* usage.recordAll([]), [])
  }),
  "one key twice in a list is one record, unless they differ": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* metered
    const given = yield* used(subscription, 9, day(3))
    const [one, two] = yield* usage.recordAll([given, { ...given }])
    same(one, two)
    const other = yield* used(subscription, 9, day(3))
    yield* failsWith(usage.recordAll([other, { ...other, quantity: 10 }]), "IdempotencyConflict")
    assert.equal(yield* usage.total(subscription.id, "tokens", january), 9)
  }),
  "a total is of one metric and one period, its end not in it": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* meteredTwice
    const other = yield* metered
    yield* usage.recordAll([
      yield* used(subscription, 1, start),
      yield* used(subscription, 20, time("2024-01-31T23:59:59.999Z")),
      yield* used(subscription, 300, end, { metric: "images" }),
      yield* used(other, 50_000, day(9)),
      yield* used(other, 6000, end)
    ])
    const february = { start: end, end: time("2024-03-01T00:00:00Z") }
    const both = { start, end: february.end }
    assert.equal(yield* usage.total(subscription.id, "tokens", january), 21)
    assert.equal(yield* usage.total(subscription.id, "images", january), 0)
    assert.equal(yield* usage.total(subscription.id, "tokens", both), 21)
    assert.equal(yield* usage.total(subscription.id, "images", both), 300)
    assert.equal(yield* usage.total(other.id, "tokens", february), 6000)
    assert.equal(yield* usage.total(nothing(), "tokens", january), 0)
  }),
  "a total that no number holds exactly is refused": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* metered
    const { id } = subscription
    const most = Number.MAX_SAFE_INTEGER
    const record = (quantity: number) => Effect.flatMap(used(subscription, quantity, day(3)), usage.record)
    yield* record(most - 1)
    yield* record(1)
    assert.equal(yield* usage.total(id, "tokens", january), most)
    yield* record(most)
    const beyond = () =>
      Effect.map(failure(usage.total(id, "tokens", january)), (error) => {
        assert.ok(isStoreError(error) && error.reason._tag === "InvalidData", String(error))
        return [error.operation, error.reason.subject, error.reason.problems.map(({ field }) => field)]
      })
    const refused = yield* beyond()
    assert.equal(refused[0], "Billing.usage.total")
    // Beyond 2^63, too.
    yield* usage.recordAll(yield* times(1025, () => used(subscription, most, day(3))))
    same(yield* beyond(), refused)
    const { invoices } = yield* Billing
    const error = yield* failsWith(invoices.invoiceSubscription(id, january), "StoreError")
    assert.equal(error.reason._tag, "InvalidData")
  }),
  "usage of nobody's subscription is refused": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* metered
    const lost = yield* used({ ...subscription, id: nothing() }, 1, day(1))
    yield* failsWith(usage.record(lost), "SubscriptionNotFound")
  }),
  "usage of an invoiced period is refused, but for what was recorded before": Effect.gen(function* () {
    const { invoices, usage } = yield* Billing
    const subscription = yield* metered
    const early = yield* used(subscription, 10, day(3))
    const record = yield* usage.record(early)
    const invoice = yield* invoices.invoiceSubscription(subscription.id, january)
    const late = yield* used(subscription, 10, day(4))
    const refused = yield* failsWith(usage.record(late), "PeriodInvoiced")
    same([refused.subscriptionId, refused.start, refused.end], [subscription.id, start, end])
    same(yield* usage.record(early), record)
    yield* usage.record(yield* used(subscription, 10, end))
    yield* usage.record(yield* used(yield* metered, 10, day(4)))
    yield* invoices.void(invoice.id)
    yield* usage.record(late)
    assert.equal(yield* usage.total(subscription.id, "tokens", january), 20)
  }),
  "usage of a period that has not begun is refused, and the one that runs is told": Effect.gen(function* () {
    const { invoices, subscriptions, usage } = yield* Billing
    const subscription = yield* metered
    const { id } = subscription
    const recorded = (usedAt: DateTime.Utc) => Effect.flatMap(used(subscription, 1, usedAt), usage.record)
    const february = time("2024-02-01T00:00:00Z")
    const refused = yield* at(day(20))(failsWith(recorded(february), "PeriodMismatch"))
    same([refused.subscriptionId, refused.field, refused.nearest], [id, "usedAt", january])
    // Clocks differ by a little, and within a period it matters to nobody.
    yield* at(day(20))(recorded(day(21)))
    const images = yield* aPrice({ usage: { ...tokens, metric: "images" } })
    yield* at(day(20))(subscriptions.change(id, 1, { priceId: images.id }))
    yield* failsWith(recorded(february), "MetricNotPriced")
    yield* invoices.invoiceSubscription(id, january)
    const late = yield* aSubscription({ priceId: images.id, startAt: DateTime.add(yield* DateTime.now, { days: 9 }) })
    const soon = yield* used(late, 1, late.startedAt, { metric: "images" })
    const first = { start: late.currentPeriodStart, end: late.currentPeriodEnd }
    same((yield* failsWith(usage.record(soon), "PeriodMismatch")).nearest, first)
    yield* at(late.startedAt)(usage.record(soon))
  }),
  "usage is listed by the time of use, by metric and period": Effect.gen(function* () {
    const { usage } = yield* Billing
    const subscription = yield* meteredTwice
    const subscriptionId = subscription.id
    const days = [5, 1, 9, 3, 7]
    const records = yield* usage.recordAll(yield* times(5, (i) => used(subscription, 1, day(days[i]!))))
    yield* usage.record(yield* used(subscription, 1, end, { metric: "images" }))
    const [five, one, nine, three, seven] = ids(records)
    const read = yield* pages((after: UsageCursor | undefined) =>
      usage.list({ subscriptionId, metric: "tokens", limit: 2, after })
    )
    same(read.map(ids), [[one, three], [five, seven], [nine]])
    const period = { start: day(3), end: day(9) }
    const within = yield* usage.list({ subscriptionId, metric: "tokens", period, order: "newest-first" })
    same(ids(within.items), [seven, five, three])
    assert.equal((yield* usage.list({ subscriptionId })).items.length, 6)
    const streamed = yield* Stream.runCollect(usage.stream({ subscriptionId, metric: "tokens", pageSize: 2 }))
    same(ids(streamed), [one, three, five, seven, nine])
    const after = Option.getOrThrow((yield* usage.list({ subscriptionId, limit: 1 })).next)
    yield* refuses(usage.list({ subscriptionId: (yield* metered).id, after }), "usage.list", ["after"])
  })
}
