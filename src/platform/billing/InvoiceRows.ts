import * as DateTime from "effect/DateTime"
import * as Money from "../Money.ts"
import type { InvoiceLineRow, InvoiceRow } from "./BillingTables.ts"
import type { Invoice, InvoiceLine } from "./Invoices.ts"

/** What is missing; payments under way are missing still. */
export const amountDue = ({ amountPaid, creditApplied, total }: InvoiceRow): number =>
  total - amountPaid - creditApplied

/** What may still be paid: payments under way take their part of it. */
export const payable = (invoice: InvoiceRow): number => amountDue(invoice) - invoice.amountPending

/** It takes money. */
export const takesMoney = ({ state }: InvoiceRow): boolean => state === "open" || state === "uncollectible"

/** The invoice after a change. */
export const changedInvoice = (invoice: InvoiceRow, changes: Partial<InvoiceRow>, now: DateTime.Utc): InvoiceRow => ({
  ...invoice,
  ...changes,
  version: invoice.version + 1,
  updatedAt: DateTime.max(invoice.updatedAt, now)
})

/** The invoice after money came, went, or is under way: it is paid once nothing is due. */
export const withMoney = (
  invoice: InvoiceRow,
  moved: Partial<Pick<InvoiceRow, "amountPaid" | "amountPending" | "creditApplied">>,
  now: DateTime.Utc
): InvoiceRow => {
  const changed = changedInvoice(invoice, moved, now)
  return takesMoney(changed) && amountDue(changed) === 0 ? { ...changed, state: "paid", paidAt: now } : changed
}

export const invoiceOf = (row: InvoiceRow): Invoice => {
  const money = (amount: number) => Money.make(amount, row.currency)
  return {
    id: row.id,
    userId: row.userId,
    subscriptionId: row.subscriptionId,
    period: row.periodStart === null || row.periodEnd === null ? null : { start: row.periodStart, end: row.periodEnd },
    state: row.state,
    number: row.number,
    subtotal: money(row.subtotal),
    discount: money(row.discount),
    tax: money(row.tax),
    total: money(row.total),
    amountPending: money(row.amountPending),
    amountPaid: money(row.amountPaid),
    creditApplied: money(row.creditApplied),
    amountDue: money(amountDue(row)),
    dueAt: row.dueAt,
    finalizedAt: row.finalizedAt,
    paidAt: row.paidAt,
    voidedAt: row.voidedAt,
    version: row.version,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt
  }
}

export const lineOf =
  (currency: Money.Currency) =>
  (row: InvoiceLineRow): InvoiceLine => ({
    position: row.position,
    priceId: row.priceId,
    description: row.description,
    quantity: row.quantity,
    unitAmount: Money.make(row.unitAmount, currency),
    amount: Money.make(row.amount, currency)
  })
