import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { CreditCursor } from "../../../platform/billing/Credit.ts"
import { Users } from "../../../platform/users/Users.ts"
import {
  aDraft,
  again,
  anInvoice,
  aUser,
  credited,
  eur,
  failsWith,
  ids,
  keyOf,
  line,
  nothing,
  pages,
  payment,
  refuses,
  type Run,
  same,
  times
} from "./support.ts"

const move = (userId: Parameters<Billing["Service"]["credit"]["balance"]>[0], amount: number) =>
  Effect.map(keyOf("move"), (idempotencyKey) => ({ userId, amount: eur(amount), description: "Moved", idempotencyKey }))

export const credit: Record<string, Run> = {
  "movements follow each other, each with the balance that it left": Effect.gen(function* () {
    const { credit } = yield* Billing
    const { id: userId } = yield* aUser
    same(yield* credit.balance(userId, "EUR"), eur(0))
    const first = yield* credit.grant(yield* move(userId, 100))
    same(
      [first.sequence, first.amount, first.balanceAfter, first.description, first.invoiceId],
      [1, eur(100), eur(100), "Moved", null]
    )
    const second = yield* credit.deduct(yield* move(userId, 30))
    same([second.sequence, second.amount, second.balanceAfter], [2, eur(-30), eur(70)])
    const dollars = { ...(yield* move(userId, 5)), amount: { amount: 5, currency: "USD" } }
    same((yield* credit.grant(dollars)).sequence, 1)
    same(yield* credit.balance(userId, "EUR"), eur(70))
    same(yield* credit.balance(userId, "USD"), { amount: 5, currency: "USD" })
    same((yield* credit.list({ userId, currency: "EUR" })).items, [first, second])
  }),
  "a balance is never below zero": Effect.gen(function* () {
    const { credit } = yield* Billing
    const { id: userId } = yield* aUser
    const none = yield* failsWith(credit.deduct(yield* move(userId, 1)), "InsufficientCredit")
    same([none.userId, none.available], [userId, eur(0)])
    yield* credited(userId, 10)
    same((yield* failsWith(credit.deduct(yield* move(userId, 11)), "InsufficientCredit")).available, eur(10))
    same((yield* credit.deduct(yield* move(userId, 10))).balanceAfter, eur(0))
    same((yield* credit.list({ userId, currency: "EUR" })).items.length, 2)
  }),
  "a balance that would not be exact is refused": Effect.gen(function* () {
    const { credit } = yield* Billing
    const { id: userId } = yield* aUser
    yield* credited(userId, Number.MAX_SAFE_INTEGER)
    yield* failsWith(credit.grant(yield* move(userId, 1)), "MoneyOverflow")
    same(yield* credit.balance(userId, "EUR"), eur(Number.MAX_SAFE_INTEGER))
  }),
  "a movement is made once for each key; another one's key is refused": Effect.gen(function* () {
    const { credit } = yield* Billing
    const [one, two] = [yield* aUser, yield* aUser]
    const given = yield* move(one.id, 50)
    const made = yield* credit.grant(given)
    same(yield* credit.grant({ ...given }), made)
    for (const wrong of [{ amount: eur(51) }, { description: "Other" }, { userId: two.id }]) {
      const conflict = yield* failsWith(credit.grant({ ...given, ...wrong }), "IdempotencyConflict")
      same([conflict.subject, conflict.key], ["credit movement", given.idempotencyKey])
    }
    yield* failsWith(credit.deduct(given), "IdempotencyConflict")
    same(yield* credit.balance(one.id, "EUR"), eur(50))
    same(yield* credit.balance(two.id, "EUR"), eur(0))
  }),
  "credit is somebody's, who cannot be deleted any more": Effect.gen(function* () {
    const { credit } = yield* Billing
    const users = yield* Users
    yield* failsWith(credit.grant(yield* move(nothing(), 1)), "UserNotFound")
    yield* failsWith(credit.deduct(yield* move(nothing(), 1)), "UserNotFound")
    const { id } = yield* aUser
    yield* credited(id, 1)
    yield* failsWith(users.delete(id), "UserInUse")
    const { id: poor } = yield* aUser
    yield* failsWith(credit.deduct(yield* move(poor, 1)), "InsufficientCredit")
    yield* users.delete(poor)
  }),
  "credit pays an invoice, as far as it goes": Effect.gen(function* () {
    const { credit } = yield* Billing
    const invoice = yield* anInvoice(100)
    yield* credited(invoice.userId, 70)
    const given = { invoiceId: invoice.id, idempotencyKey: yield* keyOf("use") }
    const used = yield* credit.apply(given)
    same([used.amount, used.balanceAfter, used.invoiceId, used.sequence], [eur(-70), eur(0), invoice.id, 2])
    same(used.description, `Invoice ${invoice.number}`)
    const partly = yield* again(invoice)
    same([partly.state, partly.creditApplied, partly.amountDue], ["open", eur(70), eur(30)])
    same(yield* credit.apply({ ...given }), used)
    yield* credited(invoice.userId, 50)
    same(yield* credit.apply(given), used)
    yield* credit.apply({ invoiceId: invoice.id, idempotencyKey: yield* keyOf("use") })
    const paid = yield* again(invoice)
    same([paid.state, paid.creditApplied, paid.amountDue, paid.amountPaid], ["paid", eur(100), eur(0), eur(0)])
    same(yield* credit.balance(invoice.userId, "EUR"), eur(20))
    same(yield* credit.apply(given), used)
  }),
  "so much credit is used as is asked for, and no more than is there and due": Effect.gen(function* () {
    const { credit, payments } = yield* Billing
    const invoice = yield* anInvoice(100)
    const use = (amount: number | undefined) =>
      Effect.map(keyOf("use"), (idempotencyKey) => ({
        invoiceId: invoice.id,
        amount: amount === undefined ? undefined : eur(amount),
        idempotencyKey
      }))
    same((yield* failsWith(credit.apply(yield* use(undefined)), "InsufficientCredit")).available, eur(0))
    yield* credited(invoice.userId, 50)
    same((yield* failsWith(credit.apply(yield* use(51)), "InsufficientCredit")).available, eur(50))
    yield* credited(invoice.userId, 500)
    same((yield* failsWith(credit.apply(yield* use(101)), "AmountExceedsDue")).payable, eur(100))
    yield* credit.apply(yield* use(20))
    yield* payments.create(yield* payment(invoice, 75))
    same((yield* failsWith(credit.apply(yield* use(6)), "AmountExceedsDue")).payable, eur(5))
    yield* credit.apply(yield* use(undefined))
    same(yield* credit.balance(invoice.userId, "EUR"), eur(525))
    same((yield* failsWith(credit.apply(yield* use(undefined)), "AmountExceedsDue")).payable, eur(0))
    yield* failsWith(payments.create(yield* payment(invoice, 1)), "AmountExceedsDue")
  }),
  "credit of one currency pays no invoice of another, and none that is not open": Effect.gen(function* () {
    const { credit, invoices } = yield* Billing
    const draft = yield* aDraft(line(100))
    yield* credited(draft.userId, 100)
    const use = { invoiceId: draft.id, idempotencyKey: yield* keyOf("use") }
    same((yield* failsWith(credit.apply(use), "InvoiceNotOpen")).state, "draft")
    yield* invoices.finalize(draft.id)
    const dollars = { ...use, amount: { amount: 1, currency: "USD" } }
    same((yield* failsWith(credit.apply(dollars), "CurrencyMismatch")).actual, "USD")
    yield* failsWith(credit.apply({ ...use, invoiceId: nothing() }), "InvoiceNotFound")
    yield* credit.apply(use)
    const later = { ...use, idempotencyKey: yield* keyOf("use") }
    same((yield* failsWith(credit.apply(later), "InvoiceNotOpen")).state, "paid")
    yield* failsWith(credit.apply({ ...use, amount: eur(1) }), "IdempotencyConflict")
  }),
  "movements are listed in their order, either way": Effect.gen(function* () {
    const { credit } = yield* Billing
    const { id: userId } = yield* aUser
    const made = yield* times(5, () => credited(userId, 1))
    yield* credited((yield* aUser).id, 1)
    const account = { userId, currency: "EUR" }
    const read = yield* pages((after: CreditCursor | undefined) => credit.list({ ...account, limit: 2, after }))
    same(read.map(ids), [ids(made.slice(0, 2)), ids(made.slice(2, 4)), ids(made.slice(4))])
    const back = yield* pages((after: CreditCursor | undefined) =>
      credit.list({ ...account, limit: 3, after, order: "newest-first" })
    )
    same(back.map(ids), [ids(made.slice(2)).toReversed(), ids(made.slice(0, 2)).toReversed()])
    same(ids(yield* Stream.runCollect(credit.stream({ ...account, pageSize: 2 }))), ids(made))
    assert.equal((yield* credit.list({ userId, currency: "USD" })).items.length, 0)
  }),
  "a cursor of another account is refused: the numbers of its movements are others": Effect.gen(function* () {
    const { credit } = yield* Billing
    const { id: userId } = yield* aUser
    yield* times(2, () => credited(userId, 1))
    const after = Option.getOrThrow((yield* credit.list({ userId, currency: "EUR", limit: 1 })).next)
    yield* refuses(credit.list({ userId, currency: "USD", after }), "credit.list", ["after"])
    yield* refuses(credit.list({ userId: (yield* aUser).id, currency: "EUR", after }), "credit.list", ["after"])
  })
}
