import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { requestHash } from "../../core/Idempotency.ts"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import * as Money from "../Money.ts"
import { type InvoiceRow, invoices, type PaymentRow, payments } from "./BillingTables.ts"
import { payable, takesMoney, withMoney } from "./InvoiceRows.ts"
import { AmountExceedsDue, InvoiceId, InvoiceNotFound, InvoiceNotOpen } from "./Invoices.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import {
  Failure,
  NewPayment,
  type Payment,
  PaymentCursor,
  PaymentId,
  PaymentNotFound,
  type Payments,
  PaymentState,
  paymentStates,
  ProviderReferenceTaken,
  PaymentSettlement
} from "./Payments.ts"
import { madeBy } from "./Replay.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"

const cursors = timeCursor("payments", PaymentCursor)
const filters = { invoiceId: Schema.optional(InvoiceId), state: Schema.optional(PaymentState) }

const newPayment = decodeInput(NewPayment)
const succeeded = decodeInput(Schema.Struct({ id: PaymentId, settled: PaymentSettlement }))
const failed = decodeInput(Schema.Struct({ id: PaymentId, failure: Failure }))
const reference = decodeInput(
  Schema.Struct({
    provider: NewPayment.fields.provider,
    providerReference: PaymentSettlement.fields.providerReference.schema
  })
)
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const hashOf = requestHash(NewPayment)

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.payments.${method}`, subject: "input" }) as const

const paymentOf = (row: PaymentRow): Payment => ({
  id: row.id,
  invoiceId: row.invoiceId,
  amount: Money.make(row.amount, row.currency),
  amountRefunded: Money.make(row.amountRefunded, row.currency),
  state: row.state,
  provider: row.provider,
  providerReference: row.providerReference,
  failure: row.failure,
  idempotencyKey: row.idempotencyKey,
  settledAt: row.settledAt,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt
})

/** What the invoice says of its payments once one of them has gone from state to state. */
const counted = (
  invoice: InvoiceRow,
  amount: number,
  from: PaymentState | undefined,
  to: PaymentState
): Pick<InvoiceRow, "amountPaid" | "amountPending"> => ({
  amountPending: invoice.amountPending + (to === "pending" ? amount : 0) - (from === "pending" ? amount : 0),
  amountPaid: invoice.amountPaid + (to === "succeeded" ? amount : 0)
})

const isOpen = (invoice: InvoiceRow): Effect.Effect<void, InvoiceNotOpen> =>
  takesMoney(invoice) ? Effect.void : Effect.fail(new InvoiceNotOpen({ id: invoice.id, state: invoice.state }))

const isWithinDue = (invoice: InvoiceRow, amount: Money.Money): Effect.Effect<void, AmountExceedsDue> =>
  amount.amount <= payable(invoice)
    ? Effect.void
    : Effect.fail(
        new AmountExceedsDue({
          invoiceId: invoice.id,
          payable: Money.make(payable(invoice), invoice.currency),
          amount
        })
      )

export const makePayments = ({ insertNew, lookup, many, one, replace, run }: Tables): Payments => {
  const nextId = makeIdsOf(PaymentId)

  const create: Payments["create"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("create")
    const payment = yield* newPayment(at("create"), given)
    const { amount, idempotencyKey, invoiceId, provider, providerReference = null, state = "pending" } = payment
    const request = { idempotencyKey, requestHash: yield* hashOf({ ...payment, state }) }
    const before = Effect.flatMap(one(operation, payments, { where: { idempotencyKey } }), madeBy("payment", request))
    return yield* run(
      Effect.gen(function* () {
        const found = yield* one(operation, invoices, { where: { id: invoiceId }, lock: "update" })
        const made = yield* before
        if (Option.isSome(made)) return paymentOf(made.value)
        if (Option.isNone(found)) return yield* new InvoiceNotFound({ id: invoiceId })
        const invoice = found.value
        const { currency } = invoice
        yield* isOpen(invoice)
        if (amount.currency !== currency) {
          return yield* new Money.CurrencyMismatch({ expected: currency, actual: amount.currency })
        }
        yield* isWithinDue(invoice, amount)
        const now = yield* DateTime.now
        const row: PaymentRow = {
          ...request,
          id: yield* nextId,
          invoiceId,
          currency,
          amount: amount.amount,
          amountRefunded: 0,
          state,
          provider,
          providerReference,
          failure: null,
          settledAt: state === "pending" ? null : now,
          createdAt: now,
          updatedAt: now
        }
        const stored = yield* insertNew(operation, payments, [row])
        if (stored.length === 0) {
          const raced = yield* before
          if (Option.isSome(raced)) return paymentOf(raced.value)
          return yield* new ProviderReferenceTaken({ provider, providerReference: providerReference ?? "" })
        }
        const sums = counted(invoice, amount.amount, undefined, state)
        yield* replace(operation, invoices, withMoney(invoice, sums, now))
        return paymentOf(row)
      })
    )
  })

  /** Money that nothing was reserved for any more, and that the invoice must still take. */
  const takenLate = ({ amount, currency }: PaymentRow, invoice: InvoiceRow) =>
    Effect.andThen(isOpen(invoice), isWithinDue(invoice, Money.make(amount, currency)))

  /** Settles a payment and counts it, under the locks of invoice and payment, which all who write a payment take in this order. */
  const settle = <L, E = never>(
    operation: string,
    id: PaymentId,
    to: Exclude<PaymentState, "pending">,
    fields: (payment: PaymentRow) => Partial<PaymentRow>,
    late: (payment: PaymentRow, invoice: InvoiceRow) => Effect.Effect<void, L>,
    write: (settled: PaymentRow) => Effect.Effect<void, E | StoreError> = (settled) =>
      replace(operation, payments, settled)
  ) =>
    run(
      Effect.gen(function* () {
        const missing = new PaymentNotFound({ id })
        const found = yield* one(operation, payments, { where: { id } })
        if (Option.isNone(found)) return yield* missing
        // Told again, as webhooks are: nobody is waited for.
        if (found.value.state === to) return paymentOf(found.value)
        const invoice = yield* one(operation, invoices, { where: { id: found.value.invoiceId }, lock: "update" })
        const held = yield* one(operation, payments, { where: { id }, lock: "update" })
        if (Option.isNone(held) || Option.isNone(invoice)) return yield* missing
        const payment = held.value
        if (payment.state === to) return paymentOf(payment)
        const state = yield* Effect.fromResult(paymentStates.go(id, payment.state, to))
        if (payment.state === "failed") yield* late(payment, invoice.value)
        const now = yield* DateTime.now
        const settled: PaymentRow = {
          ...payment,
          ...fields(payment),
          state,
          settledAt: now,
          updatedAt: DateTime.max(payment.updatedAt, now)
        }
        yield* write(settled)
        const sums = counted(invoice.value, payment.amount, payment.state, state)
        yield* replace(operation, invoices, withMoney(invoice.value, sums, now))
        return paymentOf(settled)
      })
    )

  const succeed: Payments["succeed"] = Effect.fnUntraced(function* (givenId, givenSettled) {
    const { operation } = at("succeed")
    const { id, settled } = yield* succeeded(at("succeed"), { id: givenId, settled: givenSettled ?? {} })
    return yield* settle(
      operation,
      id,
      "succeeded",
      ({ providerReference }) => ({ providerReference: settled.providerReference ?? providerReference, failure: null }),
      takenLate,
      (payment) =>
        Effect.mapError(
          replace(operation, payments, payment),
          onConstraint({
            payments_provider_provider_reference_key: () =>
              new ProviderReferenceTaken({
                provider: payment.provider,
                providerReference: payment.providerReference ?? ""
              })
          })
        )
    )
  })

  const fail: Payments["fail"] = Effect.fnUntraced(function* (givenId, givenFailure) {
    const { failure, id } = yield* failed(at("fail"), { id: givenId, failure: givenFailure })
    return yield* settle(
      at("fail").operation,
      id,
      "failed",
      () => ({ failure }),
      () => Effect.void
    )
  })

  const { find } = finders(lookup(at("find").operation, payments), PaymentId, paymentOf, at)

  const findByReference: Payments["findByReference"] = Effect.fnUntraced(function* (givenProvider, givenReference) {
    const input = { provider: givenProvider, providerReference: givenReference }
    const where = yield* reference(at("findByReference"), input)
    return Option.map(yield* one(at("findByReference").operation, payments, { where }), paymentOf)
  })

  const list: Payments["list"] = Effect.fnUntraced(function* (given) {
    const {
      after,
      invoiceId,
      limit = defaultPageSize,
      order = "oldest-first",
      state
    } = yield* listed(at("list"), given ?? {})
    const rows = yield* many(at("list").operation, payments, {
      where: { invoiceId, state },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(paymentOf), limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  return {
    create,
    succeed,
    fail,
    find,
    findByReference,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list)
  }
}
