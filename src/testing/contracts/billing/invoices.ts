import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { InvoiceCursor, InvoiceDueCursor } from "../../../platform/billing/Invoices.ts"
import { Users } from "../../../platform/users/Users.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import { passTime, unique } from "../../Contract.ts"
import {
  aDraft,
  again,
  aPlan,
  aPrice,
  aSubscription,
  aUser,
  at,
  credited,
  eur,
  failsWith,
  ids,
  inOurTime,
  keyOf,
  line,
  nothing,
  pages,
  payment,
  refuses,
  type Run,
  same,
  time,
  times,
  tokens,
  usage as used
} from "./support.ts"
import { findsById } from "../findsById.ts"

const start = time("2024-01-01T00:00:00Z")
const end = time("2024-02-01T00:00:00Z")
const january = { start, end }
const february = { start: end, end: time("2024-03-01T00:00:00Z") }

const seriesOf = Effect.map(unique("S"), (name) => `S${name.replace(/[^a-z0-9]/gi, "").toUpperCase()}`.slice(-20))

export const drafting: Record<string, Run> = {
  "invoices are found by id, one by one and many together": Effect.gen(function* () {
    const { invoices } = yield* Billing
    yield* findsById("Billing.invoices.findMany", aDraft(line(100)), invoices)
  }),
  "a draft comes to the sum of its lines, less discount, with tax": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const [user, price] = [yield* aUser, yield* aPrice()]
    const invoice = yield* invoices.create({
      userId: user.id,
      currency: "EUR",
      lines: [{ ...line(1999, 3, "Seats"), priceId: price.id }, line(500), line(-250, 2, "Given back")],
      discount: 497,
      tax: 1140
    })
    same(
      [
        invoice.state,
        invoice.number,
        invoice.subtotal,
        invoice.discount,
        invoice.tax,
        invoice.total,
        invoice.amountDue
      ],
      ["draft", null, eur(5997), eur(497), eur(1140), eur(6640), eur(6640)]
    )
    same([invoice.amountPaid, invoice.amountPending, invoice.creditApplied], [eur(0), eur(0), eur(0)])
    same([invoice.userId, invoice.subscriptionId, invoice.period, invoice.version], [user.id, null, null, 1])
    same(yield* invoices.find(invoice.id), Option.some(invoice))
    same(yield* invoices.lines(invoice.id), [
      { position: 1, priceId: price.id, description: "Seats", quantity: 3, unitAmount: eur(1999), amount: eur(5997) },
      { position: 2, priceId: null, description: "Work", quantity: 1, unitAmount: eur(500), amount: eur(500) },
      { position: 3, priceId: null, description: "Given back", quantity: 2, unitAmount: eur(-250), amount: eur(-500) }
    ])
    same(yield* invoices.lines(nothing()), [])
    assert.ok(Option.isNone(yield* invoices.find(nothing())))
  }),
  "lines below zero, and a discount beyond them, are refused": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const { id: userId } = yield* aUser
    const given = { userId, currency: "EUR" }
    const less = yield* failsWith(invoices.create({ ...given, lines: [line(10), line(-11)] }), "NegativeInvoice")
    same([less.subtotal, less.discount], [eur(-1), eur(0)])
    const beyond = invoices.create({ ...given, lines: [line(10)], discount: 11, tax: 50 })
    same((yield* failsWith(beyond, "NegativeInvoice")).discount, eur(11))
    const free = yield* invoices.create({ ...given, lines: [line(10)], discount: 10 })
    same(free.total, eur(0))
    same((yield* invoices.list({ userId })).items, [free])
  }),
  "amounts beyond what is exact are refused": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const { id: userId } = yield* aUser
    const most = Number.MAX_SAFE_INTEGER
    const given = { userId, currency: "EUR" }
    yield* failsWith(invoices.create({ ...given, lines: [line(most, 2)] }), "MoneyOverflow")
    yield* failsWith(invoices.create({ ...given, lines: [line(most), line(1)] }), "MoneyOverflow")
    yield* failsWith(invoices.create({ ...given, lines: [line(most)], tax: 1 }), "MoneyOverflow")
    const exact = yield* invoices.create({ ...given, lines: [line(most - 1), line(1)] })
    same((yield* again(exact)).total, eur(most))
  }),
  "an invoice is of somebody, and of prices that there are": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const lines = [{ ...line(1), priceId: nothing() }]
    yield* failsWith(invoices.create({ userId: nothing(), currency: "EUR", lines: [line(1)] }), "UserNotFound")
    const { id: userId } = yield* aUser
    yield* failsWith(invoices.create({ userId, currency: "EUR", lines }), "PriceNotFound")
    same((yield* invoices.list({ userId })).items, [])
  }),
  "a draft is changed at the version that was read: its lines all at once, or its sums": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const draft = yield* aDraft(line(100), line(200))
    const taxed = yield* invoices.update(draft.id, 1, { tax: 19 })
    same([taxed.subtotal, taxed.tax, taxed.total, taxed.version], [eur(300), eur(19), eur(319), 2])
    const lines = [line(7, 3, "Other")]
    const changed = yield* invoices.update(draft.id, 2, { lines, discount: 1 })
    same([changed.subtotal, changed.discount, changed.tax, changed.total], [eur(21), eur(1), eur(19), eur(39)])
    same(
      (yield* invoices.lines(draft.id)).map(({ amount, description, position }) => [position, description, amount]),
      [[1, "Other", eur(21)]]
    )
    yield* failsWith(invoices.update(draft.id, 2, { tax: 0 }), "VersionConflict")
    yield* failsWith(invoices.update(draft.id, 3, { discount: 22 }), "NegativeInvoice")
    yield* failsWith(invoices.update(draft.id, 3, { lines: [{ ...line(1), priceId: nothing() }] }), "PriceNotFound")
    yield* failsWith(invoices.update(nothing(), 1, { tax: 1 }), "InvoiceNotFound")
    same(yield* again(draft), changed)
    const emptied = yield* invoices.update(draft.id, 3, { lines: [], discount: 0, tax: 0 })
    same([emptied.total, yield* invoices.lines(draft.id)], [eur(0), []])
  }),
  "500 lines are one invoice": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const draft = yield* aDraft(...Array.from({ length: 500 }, (_, i) => line(i, 2)))
    same(draft.subtotal, eur(249_500))
    const lines = yield* invoices.lines(draft.id)
    same([lines.length, lines[499]?.amount, lines[499]?.position], [500, eur(998), 500])
  })
}

export const finalizing: Record<string, Run> = {
  "an invoice gets the next number of its series when it is finalised": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const [series, other] = [yield* seriesOf, yield* seriesOf]
    const dueAt = time("2031-05-04T03:02:01.234Z")
    const first = yield* invoices.finalize((yield* aDraft(line(1))).id, { series, dueAt })
    same([first.number, first.state, first.dueAt, first.version], [`${series}-000001`, "open", dueAt, 2])
    assert.notEqual(first.finalizedAt, null)
    const second = yield* invoices.finalize((yield* aDraft(line(1))).id, { series })
    same([second.number, second.dueAt], [`${series}-000002`, second.finalizedAt])
    const elsewhere = yield* invoices.finalize((yield* aDraft(line(1))).id, { series: other })
    assert.equal(elsewhere.number, `${other}-000001`)
    same(yield* invoices.findByNumber(`${series}-000002`), Option.some(second))
    assert.ok(Option.isNone(yield* invoices.findByNumber(`${series}-000003`)))
    const plain = yield* invoices.finalize((yield* aDraft(line(1))).id)
    assert.match(plain.number ?? "", /^INV-\d{6}$/)
  }),
  "a finalised invoice is frozen": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const draft = yield* aDraft(line(100))
    const { id, version } = yield* invoices.finalize(draft.id)
    const frozen = yield* failsWith(invoices.update(id, version, { tax: 1 }), "InvoiceNotDraft")
    same([frozen.id, frozen.state], [id, "open"])
    const twice = yield* failsWith(invoices.finalize(id), "IllegalTransition")
    same([twice.subject, twice.from, twice.to], ["invoice", "open", "open"])
    yield* failsWith(invoices.finalize(nothing()), "InvoiceNotFound")
  }),
  "an invoice of nothing is paid at once": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const paid = yield* invoices.finalize((yield* aDraft(line(0))).id)
    same([paid.state, paid.paidAt], ["paid", paid.finalizedAt])
    assert.notEqual(paid.number, null)
    same((yield* failsWith(invoices.finalize(paid.id), "IllegalTransition")).from, "paid")
  }),
  "a number that was not kept is given again": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const series = yield* seriesOf
    const draft = yield* aDraft(line(1))
    const late = yield* aDraft(line(-1), line(1))
    yield* invoices.void(late.id)
    yield* failsWith(invoices.finalize(late.id, { series }), "IllegalTransition")
    assert.equal((yield* invoices.finalize(draft.id, { series })).number, `${series}-000001`)
  }),
  "a draft and an open invoice can be void, and nothing comes after": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const draft = yield* aDraft(line(100))
    const gone = yield* invoices.void(draft.id)
    same([gone.state, gone.number, gone.total], ["void", null, eur(100)])
    assert.notEqual(gone.voidedAt, null)
    const { id, number } = yield* invoices.finalize((yield* aDraft(line(100))).id)
    const open = yield* invoices.void(id)
    same([open.state, open.number], ["void", number])
    for (const move of [invoices.void(id), invoices.finalize(id), invoices.markUncollectible(id)]) {
      same((yield* failsWith(move, "IllegalTransition")).from, "void")
    }
    same((yield* failsWith(invoices.update(draft.id, 2, { tax: 1 }), "InvoiceNotDraft")).state, "void")
    yield* failsWith(invoices.void(nothing()), "InvoiceNotFound")
  }),
  "an invoice that money came for, or is under way to, cannot be void": Effect.gen(function* () {
    const { invoices, payments } = yield* Billing
    const invoice = yield* invoices.finalize((yield* aDraft(line(100))).id)
    const pending = yield* payments.create(yield* payment(invoice, 40))
    const waiting = yield* failsWith(invoices.void(invoice.id), "InvoiceHasPayments")
    same([waiting.pending, waiting.paid], [eur(40), eur(0)])
    yield* payments.succeed(pending.id)
    const partly = yield* failsWith(invoices.void(invoice.id), "InvoiceHasPayments")
    same([partly.pending, partly.paid], [eur(0), eur(40)])
    const other = yield* invoices.finalize((yield* aDraft(line(100))).id)
    const failed = yield* payments.create(yield* payment(other, 40))
    yield* payments.fail(failed.id, "declined")
    assert.equal((yield* invoices.void(other.id)).state, "void")
  }),
  "credit that was applied comes back when the invoice is void": Effect.gen(function* () {
    const { credit, invoices } = yield* Billing
    const invoice = yield* invoices.finalize((yield* aDraft(line(100))).id)
    const { userId } = invoice
    yield* credited(userId, 70)
    yield* credit.apply({ invoiceId: invoice.id, idempotencyKey: yield* keyOf("use") })
    const gone = yield* invoices.void(invoice.id)
    same([gone.state, gone.creditApplied, yield* credit.balance(userId, "EUR")], ["void", eur(0), eur(70)])
    const { items } = yield* credit.list({ userId, currency: "EUR" })
    same(
      items.map(({ amount, balanceAfter, invoiceId, sequence }) => [sequence, amount, balanceAfter, invoiceId]),
      [
        [1, eur(70), eur(70), null],
        [2, eur(-70), eur(0), invoice.id],
        [3, eur(70), eur(70), invoice.id]
      ]
    )
  }),
  "an uncollectible invoice takes what comes after all": Effect.gen(function* () {
    const { invoices, payments } = yield* Billing
    const draft = yield* aDraft(line(100))
    same((yield* failsWith(invoices.markUncollectible(draft.id), "IllegalTransition")).from, "draft")
    const { id } = yield* invoices.finalize(draft.id)
    const lost = yield* invoices.markUncollectible(id)
    same([lost.state, lost.amountDue], ["uncollectible", eur(100)])
    yield* failsWith(invoices.markUncollectible(id), "IllegalTransition")
    yield* payments.create(yield* payment(lost, 60, { state: "succeeded" }))
    same((yield* again(lost)).state, "uncollectible")
    yield* payments.create(yield* payment(lost, 40, { state: "succeeded" }))
    same((yield* again(lost)).state, "paid")
  })
}

const metered = (
  given: { readonly quantity?: number; readonly trialEnd?: DateTime.Utc; readonly flat?: number } = {}
) =>
  Effect.gen(function* () {
    yield* inOurTime
    const plan = yield* aPlan("Team")
    const price = yield* aPrice({ planId: plan.id, amount: eur(given.flat ?? 2000), usage: tokens })
    const { quantity = 1, trialEnd } = given
    return yield* aSubscription({ priceId: price.id, startAt: start, quantity, trialEnd })
  })

const charged = (id: Parameters<Billing["Service"]["invoices"]["lines"]>[0]) =>
  Effect.gen(function* () {
    const { invoices } = yield* Billing
    const lines = yield* invoices.lines(id)
    return lines.map(({ amount, description, quantity }) => [description, quantity, amount.amount])
  })

export const periods: Record<string, Run> = {
  "a period is invoiced once: its price, and what was used beyond what is included": Effect.gen(function* () {
    const { invoices, usage } = yield* Billing
    const subscription = yield* metered({ quantity: 3 })
    const { id } = subscription
    yield* usage.recordAll([
      yield* used(subscription, 1500, start),
      yield* used(subscription, 2001, time("2024-01-31T23:59:59.999Z")),
      yield* used(subscription, 90_000, end)
    ])
    const invoice = yield* invoices.invoiceSubscription(id, january)
    // 3501 used, 3 times 500 included: 2001 are 3 begun thousands, at 2 cents each.
    same(yield* charged(invoice.id), [
      ["Team", 3, 6000],
      ["Team: tokens (1000 each)", 3, 6]
    ])
    same(
      [invoice.state, invoice.subscriptionId, invoice.period, invoice.userId, invoice.total],
      ["draft", id, january, subscription.userId, eur(6006)]
    )
    same(yield* invoices.invoiceSubscription(id, january), invoice)
    const finalized = yield* invoices.finalize(invoice.id)
    same(yield* invoices.invoiceSubscription(id, january), finalized)
    const next = yield* invoices.invoiceSubscription(id, february)
    same(yield* charged(next.id), [
      ["Team", 3, 6000],
      ["Team: tokens (1000 each)", 89, 178]
    ])
    same(ids((yield* invoices.list({ subscriptionId: id })).items), [invoice.id, next.id])
  }),
  "what is included costs nothing, to the last unit": Effect.gen(function* () {
    const { invoices, usage } = yield* Billing
    const within = yield* metered()
    yield* usage.record(yield* used(within, 500, start))
    same(yield* charged((yield* invoices.invoiceSubscription(within.id, january)).id), [["Team", 1, 2000]])
    const beyond = yield* metered({ flat: 0 })
    yield* usage.record(yield* used(beyond, 501, start))
    same(yield* charged((yield* invoices.invoiceSubscription(beyond.id, january)).id), [
      ["Team: tokens (1000 each)", 1, 2]
    ])
    const unused = yield* metered({ flat: 0 })
    same((yield* invoices.invoiceSubscription(unused.id, january)).total, eur(0))
  }),
  "periods that overlap are not invoiced twice, unless the first invoice is void": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const { id } = yield* metered()
    const first = yield* invoices.invoiceSubscription(id, january)
    for (const period of [
      { start, end: time("2024-01-15T00:00:00Z") },
      { start: time("2024-01-31T23:59:59.999Z"), end: february.end },
      { start: time("2023-01-01T00:00:00Z"), end: february.end }
    ]) {
      const refused = yield* failsWith(invoices.invoiceSubscription(id, period), "PeriodInvoiced")
      same([refused.subscriptionId, refused.start, refused.end], [id, start, end])
    }
    yield* invoices.void(first.id)
    const again = yield* invoices.invoiceSubscription(id, january)
    assert.notEqual(again.id, first.id)
    same(ids((yield* invoices.list({ subscriptionId: id })).items), [first.id, again.id])
  }),
  "a period is invoiced where what others record is seen, and nowhere else": Effect.gen(function* () {
    yield* inOurTime
    const { invoices, usage } = yield* Billing
    const { run } = yield* Transaction
    const price = yield* aPrice({ usage: tokens })
    const subscription = yield* aSubscription({ priceId: price.id, startAt: start })
    const invoice = invoices.invoiceSubscription(subscription.id, january)
    for (const isolation of ["repeatable read", "serializable"] as const) {
      yield* refuses(run(invoice, { isolation }), "invoices.invoiceSubscription", ["isolation"])
      yield* run(Effect.flatMap(used(subscription, 1000, start), usage.record), { isolation })
    }
    same((yield* invoices.list({ subscriptionId: subscription.id })).items, [])
    const made = yield* run(invoice, { isolation: "read committed" })
    same(made.total, eur(2004))
    same(yield* again(made), made)
  }),
  "a trial costs nothing, and its usage neither": Effect.gen(function* () {
    const { invoices, usage } = yield* Billing
    const subscription = yield* metered({ trialEnd: end, quantity: 2 })
    yield* usage.recordAll([yield* used(subscription, 99_000, start), yield* used(subscription, 1001, end)])
    const trial = yield* invoices.invoiceSubscription(subscription.id, january)
    same(yield* charged(trial.id), [["Team (trial)", 2, 0]])
    const first = yield* invoices.invoiceSubscription(subscription.id, february)
    same(yield* charged(first.id), [
      ["Team", 2, 4000],
      ["Team: tokens (1000 each)", 1, 2]
    ])
  }),
  "a metered period is not invoiced before it is over; a flat one may be": Effect.gen(function* () {
    const { invoices } = yield* Billing
    yield* inOurTime
    const price = yield* aPrice({ usage: tokens })
    const running = yield* aSubscription({ priceId: price.id })
    const period = { start: running.currentPeriodStart, end: running.currentPeriodEnd }
    same((yield* failsWith(invoices.invoiceSubscription(running.id, period), "PeriodNotOver")).end, period.end)
    const flat = yield* aSubscription()
    const ahead = { start: flat.currentPeriodStart, end: flat.currentPeriodEnd }
    same((yield* invoices.invoiceSubscription(flat.id, ahead)).total, eur(2000))
    yield* failsWith(invoices.invoiceSubscription(nothing(), january), "SubscriptionNotFound")
  }),
  "a period is not invoiced before it begins, since a change may still make another one of it": Effect.gen(
    function* () {
      yield* inOurTime
      const { invoices, subscriptions } = yield* Billing
      const price = yield* aPrice({ amount: eur(1000) })
      const { currentPeriodEnd: begin, currentPeriodStart, id } = yield* aSubscription({ priceId: price.id })
      // Two months after the start, not one after its end: what began on a 31st ends on the 31st again.
      const month = { start: begin, end: DateTime.add(currentPeriodStart, { months: 2 }) }
      const early = yield* failsWith(invoices.invoiceSubscription(id, month), "PeriodNotBegun")
      same([early.id, early.start], [id, begin])
      const yearly = yield* aPrice({ planId: price.planId, amount: eur(9000), interval: "year" })
      yield* subscriptions.change(id, 1, { priceId: yearly.id })
      const renewed = yield* at(begin)(subscriptions.renew(id, begin))
      const year = { start: begin, end: renewed.currentPeriodEnd }
      same((yield* at(begin)(invoices.invoiceSubscription(id, year))).total, eur(9000))
      const later = yield* aSubscription({ startAt: begin })
      const first = { start: later.currentPeriodStart, end: later.currentPeriodEnd }
      yield* failsWith(invoices.invoiceSubscription(later.id, first), "PeriodNotBegun")
      same((yield* at(begin)(invoices.invoiceSubscription(later.id, first))).total, eur(2000))
    }
  )
}

export const listing: Record<string, Run> = {
  "invoices are listed by user and state, once each": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const { id: userId } = yield* aUser
    const made = yield* times(5, () => invoices.create({ userId, currency: "EUR", lines: [line(1)] }))
    yield* invoices.finalize(made[1]!.id)
    yield* invoices.finalize(made[4]!.id)
    const read = yield* pages((after: InvoiceCursor | undefined) => invoices.list({ userId, limit: 2, after }))
    same(read.map(ids), [ids(made.slice(0, 2)), ids(made.slice(2, 4)), ids(made.slice(4))])
    const open = yield* invoices.list({ userId, state: "open", order: "newest-first" })
    same(ids(open.items), [made[4]!.id, made[1]!.id])
    same(ids(yield* Stream.runCollect(invoices.stream({ userId, state: "draft", pageSize: 1 }))), [
      made[0]!.id,
      made[2]!.id,
      made[3]!.id
    ])
  }),
  "overdue are open invoices that were due before, the longest overdue first": Effect.gen(function* () {
    yield* inOurTime
    const { invoices, payments } = yield* Billing
    const due = (iso: string) =>
      Effect.flatMap(aDraft(line(10)), ({ id }) => invoices.finalize(id, { dueAt: time(iso) }))
    const march = yield* due("2024-03-01T00:00:00Z")
    const january_ = yield* due("2024-01-01T00:00:00Z")
    const one = yield* due("2024-02-01T00:00:00Z")
    const two = yield* due("2024-02-01T00:00:00Z")
    const paid = yield* due("2024-01-02T00:00:00Z")
    yield* payments.create(yield* payment(paid, 10, { state: "succeeded" }))
    const lost = yield* due("2024-01-03T00:00:00Z")
    yield* invoices.markUncollectible(lost.id)
    const later = yield* due("2999-01-01T00:00:00Z")
    const own = new Set(ids([march, january_, one, two, paid, lost, later]))
    const overdue = (at: DateTime.Utc | undefined) =>
      Effect.map(
        pages((after: InvoiceDueCursor | undefined) => invoices.overdue({ at, limit: 2, after })),
        (read) => ids(read.flat().filter(({ id }) => own.has(id)))
      )
    same(yield* overdue(undefined), ids([january_, one, two, march]))
    same(yield* overdue(time("2024-03-01T00:00:00Z")), ids([january_, one, two]))
    yield* passTime("2 millis")
    const now = yield* invoices.finalize((yield* aDraft(line(10))).id)
    yield* passTime("2 millis")
    own.add(now.id)
    assert.ok((yield* overdue(undefined)).includes(now.id))
  }),
  "a user who has an invoice cannot be deleted, not even a void one": Effect.gen(function* () {
    const { invoices } = yield* Billing
    const users = yield* Users
    const draft = yield* aDraft(line(1))
    yield* invoices.void(draft.id)
    const kept = yield* failsWith(users.delete(draft.userId), "UserInUse")
    same([kept.id, kept.by], [draft.userId, "invoices"])
  })
}
