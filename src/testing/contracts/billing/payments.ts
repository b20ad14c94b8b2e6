import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { PaymentCursor, RefundCursor } from "../../../platform/billing/Payments.ts"
import { passTime, unique } from "../../Contract.ts"
import {
  aDraft,
  again,
  anInvoice,
  aPayment,
  eur,
  failsWith,
  ids,
  keyOf,
  line,
  nothing,
  pages,
  payment,
  type Run,
  same,
  times
} from "./support.ts"

const refundOf = (paymentId: Parameters<Billing["Service"]["payments"]["find"]>[0], amount: number) =>
  Effect.map(keyOf("refund"), (idempotencyKey) => ({
    paymentId,
    amount: eur(amount),
    reason: "Asked for",
    idempotencyKey
  }))

export const payments: Record<string, Run> = {
  "payments that cover an invoice make it paid, and not one cent sooner": Effect.gen(function* () {
    const { payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const first = yield* payments.create(yield* payment(invoice, 60))
    same([first.state, first.amount, first.amountRefunded, first.settledAt], ["pending", eur(60), eur(0), null])
    const waiting = yield* again(invoice)
    same(
      [waiting.state, waiting.amountPending, waiting.amountPaid, waiting.amountDue],
      ["open", eur(60), eur(0), eur(100)]
    )
    const came = yield* payments.succeed(first.id, { providerReference: yield* unique("pi") })
    assert.equal(came.state, "succeeded")
    assert.notEqual(came.settledAt, null)
    const partly = yield* again(invoice)
    same([partly.state, partly.amountPending, partly.amountPaid, partly.amountDue], ["open", eur(0), eur(60), eur(40)])
    yield* payments.create(yield* payment(invoice, 39, { state: "succeeded" }))
    same((yield* again(invoice)).state, "open")
    const last = yield* payments.create(yield* payment(invoice, 1, { state: "succeeded" }))
    same([last.state, last.settledAt], ["succeeded", last.createdAt])
    const paid = yield* again(invoice)
    same([paid.state, paid.amountPaid, paid.amountDue, paid.version], ["paid", eur(100), eur(0), 6])
    assert.notEqual(paid.paidAt, null)
    same(yield* payments.find(came.id), Option.some(came))
  }),
  "a payment is made once for each key, and given back in the state that it has": Effect.gen(function* () {
    const { payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const given = yield* payment(invoice, 100)
    const made = yield* payments.create(given)
    same(yield* payments.create({ ...given, amount: { ...given.amount } }), made)
    same(yield* payments.create({ ...given, state: "pending", providerReference: undefined }), made)
    same((yield* again(invoice)).amountPending, eur(100))
    const came = yield* payments.succeed(made.id)
    same(yield* payments.create(given), came)
    same((yield* payments.list({ invoiceId: invoice.id })).items, [came])
  }),
  "the key of another payment is refused, and nothing is paid": Effect.gen(function* () {
    const { payments } = yield* Billing
    const [invoice, other] = [yield* anInvoice(100), yield* anInvoice(100)]
    const given = yield* payment(invoice, 50)
    yield* payments.create(given)
    for (const wrong of [
      { amount: eur(49) },
      { provider: "paypal" },
      { providerReference: "pi_1" },
      { invoiceId: other.id },
      { state: "succeeded" as const }
    ]) {
      const conflict = yield* failsWith(payments.create({ ...given, ...wrong }), "IdempotencyConflict")
      same([conflict.subject, conflict.key], ["payment", given.idempotencyKey])
    }
    same((yield* again(invoice)).amountPending, eur(50))
    same((yield* again(other)).amountPending, eur(0))
  }),
  "payments under way and those that came are never more than what is due": Effect.gen(function* () {
    const { payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const pending = yield* payments.create(yield* payment(invoice, 60))
    const beyond = yield* failsWith(payments.create(yield* payment(invoice, 41)), "AmountExceedsDue")
    same([beyond.invoiceId, beyond.payable, beyond.amount], [invoice.id, eur(40), eur(41)])
    yield* payments.create(yield* payment(invoice, 40, { state: "succeeded" }))
    yield* failsWith(payments.create(yield* payment(invoice, 1)), "AmountExceedsDue")
    const failed = yield* payments.fail(pending.id, "card declined")
    same([failed.state, failed.failure], ["failed", "card declined"])
    const freed = yield* again(invoice)
    same([freed.amountPending, freed.amountPaid, freed.state], [eur(0), eur(40), "open"])
    yield* payments.create(yield* payment(invoice, 60, { state: "succeeded" }))
    same((yield* again(invoice)).state, "paid")
  }),
  "only an open invoice takes payments, and only in its currency": Effect.gen(function* () {
    const { invoices, payments } = yield* Billing
    const draft = yield* aDraft(line(100))
    same((yield* failsWith(payments.create(yield* payment(draft, 1)), "InvoiceNotOpen")).state, "draft")
    const open = yield* invoices.finalize(draft.id)
    const dollars = yield* payment(open, 1, { amount: { amount: 1, currency: "USD" } })
    const mismatch = yield* failsWith(payments.create(dollars), "CurrencyMismatch")
    same([mismatch.expected, mismatch.actual], ["EUR", "USD"])
    yield* aPayment(100, open)
    same((yield* failsWith(payments.create(yield* payment(open, 1)), "InvoiceNotOpen")).state, "paid")
    const gone = yield* invoices.void((yield* anInvoice(5)).id)
    same((yield* failsWith(payments.create(yield* payment(gone, 1)), "InvoiceNotOpen")).state, "void")
    const lost = yield* payment({ ...open, id: nothing() }, 1)
    yield* failsWith(payments.create(lost), "InvoiceNotFound")
  }),
  "what is settled stays settled; told again it is given back": Effect.gen(function* () {
    const { payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const [one, two] = [
      yield* payments.create(yield* payment(invoice, 50)),
      yield* payments.create(yield* payment(invoice, 50))
    ]
    const came = yield* payments.succeed(one.id)
    yield* passTime("5 millis")
    same(yield* payments.succeed(one.id), came)
    same((yield* again(invoice)).amountPaid, eur(50))
    const late = yield* failsWith(payments.fail(one.id, "late"), "IllegalTransition")
    same([late.subject, late.id, late.from, late.to], ["payment", one.id, "succeeded", "failed"])
    const failed = yield* payments.fail(two.id, "declined")
    same(yield* payments.fail(two.id, "again"), failed)
    same((yield* again(invoice)).amountPaid, eur(50))
    yield* failsWith(payments.succeed(nothing()), "PaymentNotFound")
    yield* failsWith(payments.fail(nothing(), "x"), "PaymentNotFound")
  }),
  "a payment that failed and then came is counted, as far as the invoice takes it": Effect.gen(function* () {
    const { invoices, payments, refunds } = yield* Billing
    const invoice = yield* anInvoice(100)
    const reference = yield* unique("pi")
    const made = yield* payments.create(yield* payment(invoice, 100, { providerReference: reference }))
    const declined = yield* payments.fail(made.id, "declined")
    yield* passTime("5 millis")
    const came = yield* payments.succeed(made.id)
    same([came.state, came.failure, came.providerReference], ["succeeded", null, reference])
    assert.ok(DateTime.isGreaterThan(came.settledAt!, declined.settledAt!))
    const paid = yield* again(invoice)
    same([paid.state, paid.amountPaid, paid.amountPending], ["paid", eur(100), eur(0)])
    same((yield* failsWith(payments.fail(made.id, "late"), "IllegalTransition")).from, "succeeded")
    same((yield* refunds.create(yield* refundOf(made.id, 100))).state, "pending")

    const failed = (amount: number, of: typeof invoice) =>
      Effect.gen(function* () {
        const { id } = yield* payments.create(yield* payment(of, amount))
        return yield* payments.fail(id, "declined")
      })
    // Somebody else paid, or is paying, meanwhile.
    const shared = yield* anInvoice(100)
    const late = yield* failed(60, shared)
    yield* payments.create(yield* payment(shared, 50))
    const beyond = yield* failsWith(payments.succeed(late.id), "AmountExceedsDue")
    same([beyond.invoiceId, beyond.payable, beyond.amount], [shared.id, eur(50), eur(60)])
    same(yield* payments.find(late.id), Option.some(late))
    const gone = yield* anInvoice(100)
    const lost = yield* failed(100, gone)
    yield* invoices.void(gone.id)
    same((yield* failsWith(payments.succeed(lost.id), "InvoiceNotOpen")).state, "void")
    same(yield* payments.find(lost.id), Option.some(lost))
  }),
  "a provider's reference is of one payment, and finds it": Effect.gen(function* () {
    const { payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const reference = yield* unique("pi")
    const made = yield* payments.create(yield* payment(invoice, 10, { providerReference: reference }))
    same(yield* payments.findByReference("stripe", reference), Option.some(made))
    assert.ok(Option.isNone(yield* payments.findByReference("paypal", reference)))
    const twice = yield* payment(invoice, 10, { providerReference: reference })
    const taken = yield* failsWith(payments.create(twice), "ProviderReferenceTaken")
    same([taken.provider, taken.providerReference], ["stripe", reference])
    const other = yield* payments.create(yield* payment(invoice, 10))
    const moved = yield* failsWith(
      payments.succeed(other.id, { providerReference: reference }),
      "ProviderReferenceTaken"
    )
    same([moved.provider, moved.providerReference], ["stripe", reference])
    same(yield* payments.find(other.id), Option.some(other))
    same((yield* again(invoice)).amountPending, eur(20))
    yield* payments.create(yield* payment(invoice, 10, { provider: "paypal", providerReference: reference }))
    const kept = yield* payments.succeed(made.id)
    assert.equal(kept.providerReference, reference)
  }),
  "payments are listed by invoice and state": Effect.gen(function* () {
    const { payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const made = yield* times(5, () => Effect.flatMap(payment(invoice, 10), payments.create))
    yield* payments.succeed(made[1]!.id)
    yield* payments.fail(made[3]!.id, "declined")
    const invoiceId = invoice.id
    const read = yield* pages((after: PaymentCursor | undefined) => payments.list({ invoiceId, limit: 2, after }))
    same(read.map(ids), [ids(made.slice(0, 2)), ids(made.slice(2, 4)), ids(made.slice(4))])
    const pending = yield* payments.list({ invoiceId, state: "pending", order: "newest-first" })
    same(ids(pending.items), [made[4]!.id, made[2]!.id, made[0]!.id])
    same(ids(yield* Stream.runCollect(payments.stream({ invoiceId, pageSize: 2 }))), ids(made))
  })
}

export const refunds: Record<string, Run> = {
  "refunds are never more than the payment, those under way counted": Effect.gen(function* () {
    const { payments, refunds } = yield* Billing
    const { id, invoiceId } = yield* aPayment(100)
    const first = yield* refunds.create(yield* refundOf(id, 60))
    same([first.state, first.amount, first.reason, first.paymentId], ["pending", eur(60), "Asked for", id])
    const beyond = yield* failsWith(refunds.create(yield* refundOf(id, 41)), "RefundExceedsPayment")
    same([beyond.paymentId, beyond.refundable, beyond.amount], [id, eur(40), eur(41)])
    const came = yield* refunds.succeed(first.id, { providerReference: "re_1" })
    same([came.state, came.providerReference], ["succeeded", "re_1"])
    same(Option.getOrThrow(yield* payments.find(id)).amountRefunded, eur(60))
    const second = yield* refunds.create(yield* refundOf(id, 40))
    yield* failsWith(refunds.create(yield* refundOf(id, 1)), "RefundExceedsPayment")
    const failed = yield* refunds.fail(second.id, "account closed")
    same([failed.state, failed.failure], ["failed", "account closed"])
    same(Option.getOrThrow(yield* payments.find(id)).amountRefunded, eur(60))
    const last = yield* refunds.create(yield* refundOf(id, 40))
    yield* refunds.succeed(last.id)
    same(Option.getOrThrow(yield* payments.find(id)).amountRefunded, eur(100))
    const invoice = yield* again({ id: invoiceId })
    same([invoice.state, invoice.amountPaid], ["paid", eur(100)])
    same(yield* refunds.find(first.id), Option.some(came))
  }),
  "a refund is made once for each key; another one's key is refused": Effect.gen(function* () {
    const { payments, refunds } = yield* Billing
    const [one, two] = [yield* aPayment(100), yield* aPayment(100)]
    const given = yield* refundOf(one.id, 30)
    const made = yield* refunds.create(given)
    same(yield* refunds.create({ ...given }), made)
    for (const wrong of [{ amount: eur(31) }, { reason: "Other" }, { paymentId: two.id }]) {
      const conflict = yield* failsWith(refunds.create({ ...given, ...wrong }), "IdempotencyConflict")
      same([conflict.subject, conflict.key], ["refund", given.idempotencyKey])
    }
    const came = yield* refunds.succeed(made.id)
    same(yield* refunds.create(given), came)
    same(Option.getOrThrow(yield* payments.find(one.id)).amountRefunded, eur(30))
    same(Option.getOrThrow(yield* payments.find(two.id)).amountRefunded, eur(0))
  }),
  "only money that came goes back, in its currency": Effect.gen(function* () {
    const { payments, refunds } = yield* Billing
    const invoice = yield* anInvoice(100)
    const pending = yield* payments.create(yield* payment(invoice, 50))
    same((yield* failsWith(refunds.create(yield* refundOf(pending.id, 1)), "PaymentNotSucceeded")).state, "pending")
    yield* payments.fail(pending.id, "declined")
    same((yield* failsWith(refunds.create(yield* refundOf(pending.id, 1)), "PaymentNotSucceeded")).state, "failed")
    const came = yield* aPayment(100, invoice)
    const dollars = { ...(yield* refundOf(came.id, 1)), amount: { amount: 1, currency: "USD" } }
    same((yield* failsWith(refunds.create(dollars), "CurrencyMismatch")).expected, "EUR")
    yield* failsWith(refunds.create(yield* refundOf(nothing(), 1)), "PaymentNotFound")
  }),
  "a refund that is settled stays settled; told again it is given back": Effect.gen(function* () {
    const { payments, refunds } = yield* Billing
    const { id } = yield* aPayment(100)
    const [one, two] = [yield* refunds.create(yield* refundOf(id, 10)), yield* refunds.create(yield* refundOf(id, 20))]
    const came = yield* refunds.succeed(one.id)
    yield* passTime("5 millis")
    same(yield* refunds.succeed(one.id), came)
    const late = yield* failsWith(refunds.fail(one.id, "late"), "IllegalTransition")
    same([late.subject, late.from, late.to], ["refund", "succeeded", "failed"])
    const failed = yield* refunds.fail(two.id, "closed")
    same(yield* refunds.fail(two.id, "again"), failed)
    same((yield* failsWith(refunds.succeed(two.id), "IllegalTransition")).from, "failed")
    same(Option.getOrThrow(yield* payments.find(id)).amountRefunded, eur(10))
    assert.ok(DateTime.isGreaterThan(failed.updatedAt, two.updatedAt))
    yield* failsWith(refunds.succeed(nothing()), "RefundNotFound")
    yield* failsWith(refunds.fail(nothing(), "x"), "RefundNotFound")
    assert.ok(Option.isNone(yield* refunds.find(nothing())))
  }),
  "refunds are listed by payment and state": Effect.gen(function* () {
    const { refunds } = yield* Billing
    const { id: paymentId } = yield* aPayment(100)
    const made = yield* times(5, () => Effect.flatMap(refundOf(paymentId, 10), refunds.create))
    yield* refunds.succeed(made[2]!.id)
    const read = yield* pages((after: RefundCursor | undefined) => refunds.list({ paymentId, limit: 2, after }))
    same(read.map(ids), [ids(made.slice(0, 2)), ids(made.slice(2, 4)), ids(made.slice(4))])
    same(ids((yield* refunds.list({ paymentId, state: "succeeded" })).items), [made[2]!.id])
    const newest = refunds.stream({ paymentId, order: "newest-first", pageSize: 2 })
    same(ids(yield* Stream.runCollect(newest)), ids(made).toReversed())
  })
}
