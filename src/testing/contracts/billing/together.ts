import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Deadline } from "../../../core/Deadline.ts"
import { isStoreError } from "../../../core/StoreError.ts"
import { Billing } from "../../../platform/billing/Billing.ts"
import { Users } from "../../../platform/users/Users.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import { unique } from "../../Contract.ts"
import {
  aDraft,
  again,
  anInvoice,
  aPayment,
  aPlan,
  aPrice,
  aSlug,
  aSubscription,
  aUser,
  credited,
  eur,
  failsWith,
  failure,
  inOurTime,
  keyOf,
  line,
  nothing,
  payment,
  type Run,
  same,
  stop,
  time,
  tokens,
  untyped,
  usage as used,
  refuses
} from "./support.ts"

const start = time("2024-01-01T00:00:00Z")
const end = time("2024-02-01T00:00:00Z")

const refundOf = (paymentId: never | Parameters<Billing["Service"]["payments"]["find"]>[0], amount: number) =>
  Effect.map(keyOf("refund"), (idempotencyKey) => ({ paymentId, amount: eur(amount), reason: "Asked", idempotencyKey }))

export const transacting: Record<string, Run> = {
  "a transaction over everything that fails leaves nothing behind": Effect.gen(function* () {
    yield* inOurTime
    const billing = yield* Billing
    const transaction = yield* Transaction
    const user = yield* aUser
    const series = "ROLLBACK"
    const slug = yield* aSlug
    const key = yield* keyOf("undone")
    const open = yield* anInvoice(100)
    yield* credited(open.userId, 60)
    const error = yield* failure(
      transaction.run(
        Effect.gen(function* () {
          const plan = yield* billing.plans.create({ slug, name: "Undone" })
          const price = yield* aPrice({ planId: plan.id, usage: tokens })
          const subscription = yield* aSubscription({ userId: user.id, priceId: price.id, startAt: start })
          yield* billing.usage.record(yield* used(subscription, 10, start))
          const draft = yield* billing.invoices.invoiceSubscription(subscription.id, { start, end })
          yield* billing.invoices.finalize(draft.id, { series })
          yield* billing.subscriptions.renew(subscription.id, end)
          yield* billing.credit.apply({ invoiceId: open.id, idempotencyKey: key })
          const paid = yield* billing.payments.create(yield* payment(open, 40, { state: "succeeded" }))
          yield* billing.refunds.create(yield* refundOf(paid.id, 5))
          assert.equal((yield* again(open)).state, "paid")
          return yield* Effect.fail(stop)
        })
      )
    )
    same(error, stop)
    assert.ok(Option.isNone(yield* billing.plans.findBySlug(slug)))
    same((yield* billing.subscriptions.list({ userId: user.id })).items, [])
    same((yield* billing.invoices.list({ userId: user.id })).items, [])
    same(yield* again(open), open)
    same((yield* billing.payments.list({ invoiceId: open.id })).items, [])
    same(yield* billing.credit.balance(open.userId, "EUR"), eur(60))
    assert.ok(Option.isNone(yield* billing.invoices.findByNumber(`${series}-000001`)))
    const used_ = yield* billing.credit.apply({ invoiceId: open.id, idempotencyKey: key })
    assert.equal(used_.sequence, 2)
    const users = yield* Users
    yield* users.delete(user.id)
  }),
  "a transaction goes on after every kind of failure": Effect.gen(function* () {
    yield* inOurTime
    const { credit, invoices, payments, plans, refunds, subscriptions, usage } = yield* Billing
    const users = yield* Users
    const transaction = yield* Transaction
    const [one, two] = [yield* aPlan(), yield* aPlan()]
    const { id: priceId } = yield* aPrice({ usage: tokens })
    const subscription = yield* aSubscription({ priceId, startAt: start })
    const invoice = yield* anInvoice(100)
    const reference = yield* unique("pi")
    const first = yield* payments.create(yield* payment(invoice, 10, { providerReference: reference }))
    const second = yield* payments.create(yield* payment(invoice, 10))
    const given = yield* used(subscription, 1, start)
    yield* usage.record(given)
    const tags = yield* transaction.run(
      Effect.gen(function* () {
        const failures = [
          yield* failure(plans.create({ slug: one.slug, name: "x" })),
          yield* failure(plans.update(two.id, 1, { slug: one.slug })),
          yield* failure(subscriptions.create({ userId: nothing(), priceId: subscription.priceId })),
          yield* failure(subscriptions.create({ userId: subscription.userId, priceId: subscription.priceId })),
          yield* failure(subscriptions.activate(subscription.id)),
          yield* failure(usage.record({ ...given, quantity: 2 })),
          yield* failure(invoices.create({ userId: nothing(), currency: "EUR", lines: [line(1)] })),
          yield* failure(payments.create(yield* payment(invoice, 1, { providerReference: reference }))),
          yield* failure(payments.succeed(second.id, { providerReference: reference })),
          yield* failure(refunds.create(yield* refundOf(first.id, 1))),
          yield* failure(
            credit.grant({ userId: nothing(), amount: eur(1), description: "x", idempotencyKey: yield* keyOf("x") })
          ),
          yield* failure(users.delete(subscription.userId))
        ]
        yield* payments.succeed(second.id)
        yield* plans.archive(two.id)
        return failures.map(({ _tag }) => _tag)
      })
    )
    same(tags, [
      "PlanSlugTaken",
      "PlanSlugTaken",
      "UserNotFound",
      "AlreadySubscribed",
      "IllegalTransition",
      "IdempotencyConflict",
      "UserNotFound",
      "ProviderReferenceTaken",
      "ProviderReferenceTaken",
      "PaymentNotSucceeded",
      "UserNotFound",
      "UserInUse"
    ])
    same((yield* again(invoice)).amountPaid, eur(10))
    assert.notEqual(Option.getOrThrow(yield* plans.find(two.id)).archivedAt, null)
  }),
  "renewing, invoicing and paying are one transaction": Effect.gen(function* () {
    yield* inOurTime
    const billing = yield* Billing
    const transaction = yield* Transaction
    const subscription = yield* aSubscription({ startAt: start })
    yield* credited(subscription.userId, 500)
    const paid = yield* transaction.run(
      Effect.gen(function* () {
        const { currentPeriodEnd, currentPeriodStart, id } = subscription
        yield* billing.subscriptions.renew(id, currentPeriodEnd)
        const draft = yield* billing.invoices.invoiceSubscription(id, {
          start: currentPeriodStart,
          end: currentPeriodEnd
        })
        const open = yield* billing.invoices.finalize(draft.id)
        yield* billing.credit.apply({ invoiceId: open.id, idempotencyKey: yield* keyOf("use") })
        yield* billing.payments.create(yield* payment(open, 1500, { state: "succeeded" }))
        return yield* again(open)
      })
    )
    same([paid.state, paid.creditApplied, paid.amountPaid], ["paid", eur(500), eur(1500)])
    same(yield* again(paid), paid)
  })
}

export const refusing: Record<string, Run> = {
  "text that looks like SQL is stored as text, through every parameter": Effect.gen(function* () {
    yield* inOurTime
    const { credit, invoices, payments, plans, refunds } = yield* Billing
    for (const attack of [`'; drop table ai_core.invoices; --`, `" or 1=1 /*`, `$$; \\x27 %s ?1 {} $1`]) {
      const key = untyped(`${attack}${yield* unique("k")}`)
      const plan = yield* aPlan(attack)
      same(Option.getOrThrow(yield* plans.find(plan.id)).name, attack)
      assert.ok(Option.isNone(yield* plans.findBySlug("or-1.1:drop_table")))
      const invoice = yield* invoices.finalize((yield* aDraft(line(100, 1, attack))).id)
      same((yield* invoices.lines(invoice.id))[0]?.description, attack)
      assert.ok(Option.isNone(yield* invoices.findByNumber(attack)))
      const given = yield* payment(invoice, 50, { providerReference: `${attack}${yield* unique("r")}` })
      const paid = yield* payments.create({ ...given, idempotencyKey: key, state: "succeeded" })
      same(yield* payments.find(paid.id), Option.some(paid))
      same(yield* payments.findByReference("stripe", given.providerReference ?? ""), Option.some(paid))
      const pending = yield* payments.create(yield* payment(invoice, 50))
      same((yield* payments.fail(pending.id, attack)).failure, attack)
      const refund = yield* refunds.create({ ...(yield* refundOf(paid.id, 1)), reason: attack, idempotencyKey: key })
      same((yield* refunds.fail(refund.id, attack)).reason, attack)
      const moved = { userId: invoice.userId, amount: eur(1), description: attack, idempotencyKey: key }
      same((yield* credit.grant(moved)).description, attack)
      const { usage } = yield* Billing
      const { id: priceId } = yield* aPrice({ usage: tokens })
      const subscription = yield* aSubscription({ priceId, startAt: start })
      const record = yield* usage.record(yield* used(subscription, 1, start, { idempotencyKey: key }))
      same((yield* usage.list({ subscriptionId: subscription.id })).items, [record])
      for (const call of [
        plans.find(untyped(attack)),
        plans.findBySlug(attack),
        usage.total(subscription.id, attack, { start, end }),
        invoices.finalize(invoice.id, { series: attack }),
        invoices.list({ state: untyped(attack) }),
        invoices.list({ after: untyped(attack) }),
        credit.balance(invoice.userId, attack)
      ]) {
        const error = yield* failure(call as Effect.Effect<unknown, unknown>)
        assert.ok(isStoreError(error) && error.reason._tag === "InvalidData", String(error))
      }
      yield* refuses(plans.prices(untyped(attack)), "plans.prices", ["planId"])
    }
  }),
  "amounts that are none are refused, each field named": Effect.gen(function* () {
    const { credit, invoices, payments, plans, refunds } = yield* Billing
    const [plan, invoice, paid] = [yield* aPlan(), yield* anInvoice(100), yield* aPayment(10)]
    const wrongs = [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1", null]
    for (const amount of wrongs) {
      const wrong = untyped({ amount, currency: "EUR" })
      const add = plans.addPrice({ planId: plan.id, amount: wrong, interval: "month" })
      yield* refuses(add, "plans.addPrice", ["amount.amount"])
      const pay = payments.create({ ...(yield* payment(invoice, 1)), amount: wrong })
      yield* refuses(pay, "payments.create", ["amount.amount"])
      const refund = refunds.create({ ...(yield* refundOf(paid.id, 1)), amount: wrong })
      yield* refuses(refund, "refunds.create", ["amount.amount"])
      const grant = { userId: invoice.userId, amount: wrong, description: "x", idempotencyKey: yield* keyOf("x") }
      yield* refuses(credit.grant(grant), "credit.grant", ["amount.amount"])
      yield* refuses(credit.deduct(grant), "credit.deduct", ["amount.amount"])
      const draft = {
        userId: invoice.userId,
        currency: "EUR",
        lines: [],
        discount: untyped(amount),
        tax: untyped(amount)
      }
      yield* refuses(invoices.create(draft), "invoices.create", ["discount", "tax"])
    }
    for (const currency of ["eur", "EURO", "E", "", " EUR", "€", 978]) {
      const wrong = { amount: 1, currency: untyped(currency) }
      const pay = payments.create({ ...(yield* payment(invoice, 1)), amount: wrong })
      yield* refuses(pay, "payments.create", ["amount.currency"])
      yield* refuses(credit.balance(invoice.userId, untyped(currency)), "credit.balance", ["currency"])
    }
    yield* refuses(payments.create(yield* payment(invoice, 0)), "payments.create", ["amount.amount"])
    yield* refuses(refunds.create(yield* refundOf(paid.id, 0)), "refunds.create", ["amount.amount"])
    same(yield* again(invoice), invoice)
  }),
  "texts, keys and ids that are none are refused": Effect.gen(function* () {
    const { credit, invoices, payments, plans, refunds, subscriptions, usage } = yield* Billing
    yield* refuses(plans.create({ slug: "Not A Slug", name: " x " }), "plans.create", ["slug", "name"])
    yield* refuses(plans.create(untyped({ slug: "a", name: "b", id: "c" })), "plans.create", ["id"])
    yield* refuses(plans.update(nothing(), 0, {}), "plans.update", ["changes", "expectedVersion"])
    const oneOff = plans.addPrice({ planId: nothing(), amount: eur(1), interval: "one-off", usage: tokens })
    yield* refuses(oneOff, "plans.addPrice", ["usage"])
    const zero = { ...tokens, size: 0, included: -1 }
    const sized = plans.addPrice({ planId: nothing(), amount: eur(1), interval: "month", usage: zero })
    yield* refuses(sized, "plans.addPrice", ["usage.size", "usage.included"])
    const invoice = yield* anInvoice(100)
    for (const idempotencyKey of ["", "k".repeat(201), "a\0b", "\ud800", 7]) {
      const wrong = { idempotencyKey: untyped(idempotencyKey) }
      yield* refuses(payments.create({ ...(yield* payment(invoice, 1)), ...wrong }), "payments.create", [
        "idempotencyKey"
      ])
      yield* refuses(refunds.create({ ...(yield* refundOf(nothing(), 1)), ...wrong }), "refunds.create", [
        "idempotencyKey"
      ])
      yield* refuses(credit.apply({ invoiceId: invoice.id, ...wrong }), "credit.apply", ["idempotencyKey"])
      const record = { subscriptionId: nothing(), metric: "tokens", quantity: 1, usedAt: start, ...wrong }
      yield* refuses(usage.record(record), "usage.record", ["idempotencyKey"])
      yield* refuses(usage.recordAll([record]), "usage.recordAll", ["usage[0].idempotencyKey"])
    }
    yield* refuses(payments.fail(nothing(), ""), "payments.fail", ["failure"])
    yield* refuses(payments.fail(nothing(), "a\0b"), "payments.fail", ["failure"])
    yield* refuses(invoices.find(untyped("1")), "invoices.find", ["id"])
    yield* refuses(invoices.void(untyped(invoice.id.toUpperCase())), "invoices.void", ["id"])
    yield* refuses(invoices.finalize(invoice.id, { series: "lower" }), "invoices.finalize", ["options.series"])
    const lines = [line(1), { ...line(1), quantity: 0 }, line(1, 1, "")]
    yield* refuses(invoices.create({ userId: invoice.userId, currency: "EUR", lines }), "invoices.create", [
      "lines[1].quantity",
      "lines[2].description"
    ])
    yield* refuses(subscriptions.cancel(nothing(), untyped("soon")), "subscriptions.cancel", ["when"])
    yield* refuses(subscriptions.renew(nothing(), untyped("2024")), "subscriptions.renew", ["expectedPeriodEnd"])
  }),
  "periods and times that are none are refused": Effect.gen(function* () {
    yield* inOurTime
    const { invoices, subscriptions, usage } = yield* Billing
    const backwards = { start: end, end: start }
    const empty = { start, end: start }
    for (const period of [backwards, empty]) {
      yield* refuses(invoices.invoiceSubscription(nothing(), period), "invoices.invoiceSubscription", ["period.end"])
      yield* refuses(usage.total(nothing(), "tokens", period), "usage.total", ["period.end"])
    }
    const far = DateTime.makeUnsafe(32_503_680_000_000)
    const record = { subscriptionId: nothing(), metric: "tokens", quantity: 1, idempotencyKey: yield* keyOf("x") }
    yield* refuses(usage.record({ ...record, usedAt: far }), "usage.record", ["usedAt"])
    yield* refuses(usage.record({ ...record, usedAt: DateTime.makeUnsafe(-1) }), "usage.record", ["usedAt"])
    const [user, price] = [yield* aUser, yield* aPrice()]
    const trial = { userId: user.id, priceId: price.id, startAt: end, trialEnd: end }
    yield* refuses(subscriptions.create(trial), "subscriptions.create", ["trialEnd"])
    const past = { userId: user.id, priceId: price.id, trialEnd: end }
    yield* refuses(subscriptions.create(past), "subscriptions.create", ["trialEnd"])
    const none = { userId: user.id, priceId: price.id, quantity: 0 }
    yield* refuses(subscriptions.create(none), "subscriptions.create", ["quantity"])
  }),
  "page sizes and cursors that are none are refused": Effect.gen(function* () {
    const { credit, invoices, payments, plans, refunds, subscriptions, usage } = yield* Billing
    const account = { userId: (yield* aUser).id, currency: "EUR" }
    yield* credited(account.userId, 1)
    yield* credited(account.userId, 1)
    for (const limit of [0, 1001, 1.5]) {
      yield* refuses(plans.list({ limit }), "plans.list", ["limit"])
      yield* refuses(subscriptions.list({ limit }), "subscriptions.list", ["limit"])
      yield* refuses(subscriptions.due({ limit }), "subscriptions.due", ["limit"])
      yield* refuses(usage.list({ subscriptionId: nothing(), limit }), "usage.list", ["limit"])
      yield* refuses(invoices.list({ limit }), "invoices.list", ["limit"])
      yield* refuses(invoices.overdue({ limit }), "invoices.overdue", ["limit"])
      yield* refuses(payments.list({ limit }), "payments.list", ["limit"])
      yield* refuses(refunds.list({ limit }), "refunds.list", ["limit"])
      yield* refuses(credit.list({ ...account, limit }), "credit.list", ["limit"])
    }
    const after = untyped("page-2")
    yield* refuses(plans.list({ after }), "plans.list", ["after"])
    yield* refuses(subscriptions.due({ after }), "subscriptions.due", ["after"])
    yield* refuses(invoices.overdue({ after }), "invoices.overdue", ["after"])
    const page = yield* credit.list({ ...account, limit: 1 })
    const oldest = Option.getOrThrow(page.next)
    yield* refuses(credit.list({ ...account, after: oldest, order: "newest-first" }), "credit.list", ["after"])
    yield* refuses(invoices.list({ after: untyped(oldest) }), "invoices.list", ["after"])
  }),
  "a call whose deadline has passed does nothing": Effect.gen(function* () {
    const { invoices, payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const given = yield* payment(invoice, 100)
    const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      payments.create(given),
      invoices.void(invoice.id),
      invoices.list()
    ]
    for (const late of calls) {
      const error = yield* failure(Effect.provideService(late, Deadline, 0))
      assert.ok(isStoreError(error) && error.reason._tag === "Timeout", String(error))
      assert.equal(error.outcome, "not-applied")
    }
    same(yield* again(invoice), invoice)
    yield* failsWith(payments.find(untyped("x")), "StoreError")
  })
}
