import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { Currency, MoneyOverflow } from "../Money.ts"
import { invoiceLines, type InvoiceRow, invoices, prices } from "./BillingTables.ts"
import {
  type InvoiceChanges,
  InvoiceId,
  type NegativeInvoice,
  type NewInvoice,
  type NewInvoiceLine
} from "./Invoices.ts"
import { type PricedLine, priceLines, sumUp } from "./InvoiceSums.ts"
import { PriceNotFound } from "./Plans.ts"
import type { SubscriptionId } from "./Subscriptions.ts"
import type { Tables } from "../tables/Tables.ts"
import type { BillingPeriod } from "./Usage.ts"

type Refused = PriceNotFound | NegativeInvoice | MoneyOverflow | StoreError

/** Makes and changes drafts of invoices, inside a transaction. */
export interface Drafts {
  readonly make: (
    operation: string,
    draft: NewInvoice & {
      readonly subscription: { readonly id: SubscriptionId; readonly period: BillingPeriod } | undefined
    }
  ) => Effect.Effect<InvoiceRow, Refused>
  /** Writes the lines and gives the sums; the invoice is locked by the caller, and written by it. */
  readonly change: (
    operation: string,
    invoice: InvoiceRow,
    changes: InvoiceChanges
  ) => Effect.Effect<Partial<InvoiceRow>, Refused>
}

export const makeDrafts = ({ insertNew, many, remove }: Tables): Drafts => {
  const nextId = makeIdsOf(InvoiceId)

  const priced = Effect.fnUntraced(function* (
    operation: string,
    currency: Currency,
    lines: ReadonlyArray<NewInvoiceLine>
  ) {
    const wanted = [...new Set(lines.flatMap(({ priceId }) => priceId ?? []))]
    const found = wanted.length === 0 ? [] : yield* many(operation, prices, { oneOf: { id: wanted } })
    const known = new Set(found.map(({ id }) => id))
    const unknown = wanted.find((id) => !known.has(id))
    if (unknown !== undefined) return yield* new PriceNotFound({ id: unknown })
    return yield* Effect.fromResult(priceLines(currency, lines))
  })

  const storeLines = (operation: string, invoiceId: InvoiceId, lines: ReadonlyArray<PricedLine>) =>
    insertNew(
      operation,
      invoiceLines,
      lines.map(({ amount, description, priceId = null, quantity, unitAmount }, i) => ({
        invoiceId,
        position: i + 1,
        priceId,
        description,
        quantity,
        unitAmount,
        amount
      }))
    )

  return {
    make: Effect.fnUntraced(function* (operation, { currency, discount = 0, lines, subscription, tax = 0, userId }) {
      const own = yield* priced(operation, currency, lines)
      const amounts = own.map(({ amount }) => amount)
      const sums = yield* Effect.fromResult(sumUp(currency, amounts, discount, tax))
      const now = yield* DateTime.now
      const invoice: InvoiceRow = {
        id: yield* nextId,
        userId,
        subscriptionId: subscription?.id ?? null,
        periodStart: subscription?.period.start ?? null,
        periodEnd: subscription?.period.end ?? null,
        currency,
        state: "draft",
        number: null,
        ...sums,
        amountPending: 0,
        amountPaid: 0,
        creditApplied: 0,
        dueAt: null,
        finalizedAt: null,
        paidAt: null,
        voidedAt: null,
        version: 1,
        createdAt: now,
        updatedAt: now
      }
      yield* insertNew(operation, invoices, [invoice])
      yield* storeLines(operation, invoice.id, own)
      return invoice
    }),
    change: Effect.fnUntraced(function* (operation, { currency, discount, id, tax }, changes) {
      const lines = changes.lines === undefined ? undefined : yield* priced(operation, currency, changes.lines)
      if (lines !== undefined) {
        yield* remove(operation, invoiceLines, { invoiceId: id })
        yield* storeLines(operation, id, lines)
      }
      const charged = lines ?? (yield* many(operation, invoiceLines, { where: { invoiceId: id } }))
      return yield* Effect.fromResult(
        sumUp(
          currency,
          charged.map(({ amount }) => amount),
          changes.discount ?? discount,
          changes.tax ?? tax
        )
      )
    })
  }
}
