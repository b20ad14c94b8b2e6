import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { invoices, plans, standing, subscriptions, usageRecords } from "./BillingTables.ts"
import type { Drafts } from "./Drafts.ts"
import { invoiceOf } from "./InvoiceRows.ts"
import type { Invoices, NewInvoiceLine } from "./Invoices.ts"
import { chargedUnits } from "./InvoiceSums.ts"
import { nearestPeriod, periodAt, type Term } from "./Periods.ts"
import { PeriodNotBegun, PeriodNotOver, SubscriptionId, SubscriptionNotFound } from "./Subscriptions.ts"
import type { Tables } from "../tables/Tables.ts"
import { makeTerms } from "./Terms.ts"
import { BillingPeriod, PeriodInvoiced, PeriodMismatch } from "./Usage.ts"

const subject = { store: "postgresql", operation: "Billing.invoices.invoiceSubscription", subject: "input" } as const
const { operation } = subject
const given = decodeInput(Schema.Struct({ subscriptionId: SubscriptionId, period: BillingPeriod }))

/** What a period costs. */
const linesOf = (
  { price: { amount, id: priceId, usage }, quantity }: Term,
  name: string,
  free: boolean,
  used: number
): ReadonlyArray<NewInvoiceLine> => {
  if (free) return [{ priceId, description: `${name} (trial)`, quantity, unitAmount: 0 }]
  const units = usage === null ? 0 : chargedUnits(usage, quantity, used)
  return [
    ...(amount.amount === 0 && usage !== null
      ? []
      : [{ priceId, description: name, quantity, unitAmount: amount.amount }]),
    ...(usage === null || units === 0
      ? []
      : [
          {
            priceId,
            description: `${name}: ${usage.metric}${usage.size === 1 ? "" : ` (${usage.size} each)`}`,
            quantity: units,
            unitAmount: usage.unitAmount
          }
        ])
  ]
}

/** Makes the invoices of subscriptions; see `Invoices`. */
export const makeInvoiceSubscription = (tables: Tables, drafts: Drafts): Invoices["invoiceSubscription"] => {
  const { one, replace, runSeeingOthers, sum } = tables
  const terms = makeTerms(tables)
  return Effect.fnUntraced(function* (givenId, givenPeriod) {
    const { period, subscriptionId: id } = yield* given(subject, { subscriptionId: givenId, period: givenPeriod })
    const { end, start } = period
    return yield* runSeeingOthers(
      operation,
      Effect.gen(function* () {
        // Held against those who record usage, and those who make the same invoice.
        const found = yield* one(operation, subscriptions, { where: { id }, lock: "update" })
        if (Option.isNone(found)) return yield* new SubscriptionNotFound({ id })
        const subscription = found.value
        const before = yield* one(operation, invoices, {
          where: { subscriptionId: id },
          from: { periodEnd: DateTime.add(start, { milliseconds: 1 }) },
          below: { periodStart: end },
          only: standing,
          order: ["periodStart"]
        })
        if (Option.isSome(before)) {
          const { periodEnd, periodStart } = before.value
          if (periodStart === null || periodEnd === null) return invoiceOf(before.value)
          return DateTime.Equivalence(periodStart, start) && DateTime.Equivalence(periodEnd, end)
            ? invoiceOf(before.value)
            : yield* new PeriodInvoiced({ subscriptionId: id, start: periodStart, end: periodEnd })
        }
        const own = (yield* terms.of(operation, [id])).get(id) ?? []
        const running = periodAt(subscription, own, start)
        const startsThere = running !== undefined && DateTime.Equivalence(running.period.start, start)
        if (!startsThere || !DateTime.Equivalence(running.period.end, end)) {
          return yield* new PeriodMismatch({
            subscriptionId: id,
            field: startsThere ? "period.end" : "period.start",
            nearest: nearestPeriod(subscription, own, start)
          })
        }
        const now = yield* DateTime.now
        if (DateTime.isGreaterThan(start, now)) return yield* new PeriodNotBegun({ id, start })
        const { term } = running
        const { price } = term
        const plan = Option.getOrThrow(yield* one(operation, plans, { where: { id: price.planId } }))
        if (price.usage !== null && DateTime.isGreaterThan(end, now)) return yield* new PeriodNotOver({ id, end })
        const free = subscription.trialEnd !== null && DateTime.isLessThanOrEqualTo(end, subscription.trialEnd)
        const used =
          price.usage === null || free
            ? 0
            : yield* sum(operation, usageRecords, "quantity", {
                where: { subscriptionId: id, metric: price.usage.metric },
                from: { usedAt: start },
                below: { usedAt: end }
              })
        const invoice = yield* drafts.make(operation, {
          userId: subscription.userId,
          currency: price.amount.currency,
          lines: linesOf(term, plan.name, free, used),
          subscription: { id, period }
        })
        // As it is: whoever records usage in a snapshot that does not show the invoice conflicts with what is written only.
        yield* replace(operation, subscriptions, subscription)
        return invoiceOf(invoice)
      })
      // Its price is there, and no line is below zero.
    ).pipe(Effect.catchTag(["PriceNotFound", "NegativeInvoice"], Effect.die))
  })
}
