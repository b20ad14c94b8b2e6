import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { requestHash } from "../../core/Idempotency.ts"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import * as Money from "../Money.ts"
import { invoices, payments, type RefundRow, refunds } from "./BillingTables.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import {
  Failure,
  NewRefund,
  PaymentId,
  PaymentNotFound,
  PaymentNotSucceeded,
  type Refund,
  RefundCursor,
  RefundExceedsPayment,
  RefundId,
  RefundNotFound,
  type Refunds,
  RefundState,
  refundStates,
  PaymentSettlement
} from "./Payments.ts"
import { madeBy } from "./Replay.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"

const cursors = timeCursor("refunds", RefundCursor)
const filters = { paymentId: Schema.optional(PaymentId), state: Schema.optional(RefundState) }

const newRefund = decodeInput(NewRefund)
const succeeded = decodeInput(Schema.Struct({ id: RefundId, settled: PaymentSettlement }))
const failed = decodeInput(Schema.Struct({ id: RefundId, failure: Failure }))
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const hashOf = requestHash(NewRefund)

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.refunds.${method}`, subject: "input" }) as const

const refundOf = (row: RefundRow): Refund => ({
  id: row.id,
  paymentId: row.paymentId,
  amount: Money.make(row.amount, row.currency),
  state: row.state,
  reason: row.reason,
  providerReference: row.providerReference,
  failure: row.failure,
  idempotencyKey: row.idempotencyKey,
  settledAt: row.settledAt,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt
})

export const makeRefunds = ({ insertNew, lookup, many, one, replace, run }: Tables): Refunds => {
  const nextId = makeIdsOf(RefundId)

  /**
   * A payment that is held, with its invoice held first: what is written to a payment is added up with its invoice's row held,
   * when the transaction ends.
   */
  const holdPayment = Effect.fnUntraced(function* (operation: string, id: PaymentId) {
    const seen = yield* one(operation, payments, { where: { id } })
    if (Option.isNone(seen)) return seen
    yield* one(operation, invoices, { where: { id: seen.value.invoiceId }, lock: "update" })
    return yield* one(operation, payments, { where: { id }, lock: "update" })
  })

  const create: Refunds["create"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("create")
    const refund = yield* newRefund(at("create"), given)
    const { amount, idempotencyKey, paymentId, reason } = refund
    const request = { idempotencyKey, requestHash: yield* hashOf(refund) }
    const before = Effect.flatMap(one(operation, refunds, { where: { idempotencyKey } }), madeBy("refund", request))
    return yield* run(
      Effect.gen(function* () {
        const found = yield* holdPayment(operation, paymentId)
        const made = yield* before
        if (Option.isSome(made)) return refundOf(made.value)
        if (Option.isNone(found)) return yield* new PaymentNotFound({ id: paymentId })
        const payment = found.value
        const { currency, state } = payment
        if (state !== "succeeded") return yield* new PaymentNotSucceeded({ id: paymentId, state })
        if (amount.currency !== currency) {
          return yield* new Money.CurrencyMismatch({ expected: currency, actual: amount.currency })
        }
        const refundable = payment.amount - payment.amountRefunded
        if (amount.amount > refundable) {
          return yield* new RefundExceedsPayment({
            paymentId,
            refundable: Money.make(refundable, currency),
            amount
          })
        }
        const now = yield* DateTime.now
        const row: RefundRow = {
          ...request,
          id: yield* nextId,
          paymentId,
          currency,
          amount: amount.amount,
          state: "pending",
          reason,
          providerReference: null,
          failure: null,
          settledAt: null,
          createdAt: now,
          updatedAt: now
        }
        const stored = yield* insertNew(operation, refunds, [row])
        if (stored.length === 0) return refundOf(Option.getOrThrow(yield* before))
        yield* replace(operation, payments, {
          ...payment,
          amountRefunded: payment.amountRefunded + amount.amount,
          updatedAt: DateTime.max(payment.updatedAt, now)
        })
        return refundOf(row)
      })
    )
  })

  /** Settles a refund, under the locks of invoice, payment and refund, taken in this order everywhere. */
  const settle = (operation: string, id: RefundId, to: Exclude<RefundState, "pending">, fields: Partial<RefundRow>) =>
    run(
      Effect.gen(function* () {
        const missing = new RefundNotFound({ id })
        const found = yield* one(operation, refunds, { where: { id } })
        if (Option.isNone(found)) return yield* missing
        if (found.value.state === to) return refundOf(found.value)
        const payment = yield* holdPayment(operation, found.value.paymentId)
        const held = yield* one(operation, refunds, { where: { id }, lock: "update" })
        if (Option.isNone(held) || Option.isNone(payment)) return yield* missing
        const refund = held.value
        if (refund.state === to) return refundOf(refund)
        const state = yield* Effect.fromResult(refundStates.go(id, refund.state, to))
        const now = yield* DateTime.now
        const settled: RefundRow = {
          ...refund,
          ...fields,
          state,
          settledAt: now,
          updatedAt: DateTime.max(refund.updatedAt, now)
        }
        yield* replace(operation, refunds, settled)
        if (state === "failed") {
          yield* replace(operation, payments, {
            ...payment.value,
            amountRefunded: payment.value.amountRefunded - refund.amount,
            updatedAt: DateTime.max(payment.value.updatedAt, now)
          })
        }
        return refundOf(settled)
      })
    )

  const succeed: Refunds["succeed"] = Effect.fnUntraced(function* (givenId, givenSettled) {
    const { id, settled } = yield* succeeded(at("succeed"), { id: givenId, settled: givenSettled ?? {} })
    return yield* settle(at("succeed").operation, id, "succeeded", {
      providerReference: settled.providerReference ?? null
    })
  })

  const fail: Refunds["fail"] = Effect.fnUntraced(function* (givenId, givenFailure) {
    const { failure, id } = yield* failed(at("fail"), { id: givenId, failure: givenFailure })
    return yield* settle(at("fail").operation, id, "failed", { failure })
  })

  const { find } = finders(lookup(at("find").operation, refunds), RefundId, refundOf, at)

  const list: Refunds["list"] = Effect.fnUntraced(function* (given) {
    const {
      after,
      limit = defaultPageSize,
      order = "oldest-first",
      paymentId,
      state
    } = yield* listed(at("list"), given ?? {})
    const rows = yield* many(at("list").operation, refunds, {
      where: { paymentId, state },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(refundOf), limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  return { create, succeed, fail, find, list, stream: streamOf((given) => streamed(at("stream"), given), list) }
}
