import * as Context from "effect/Context"
import type { Credit } from "./Credit.ts"
import type { Invoices } from "./Invoices.ts"
import type { Payments, Refunds } from "./Payments.ts"
import type { Plans } from "./Plans.ts"
import type { Subscriptions } from "./Subscriptions.ts"
import type { Usage } from "./Usage.ts"

/**
 * What is sold to users, who has it, what they use, owe and pay.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent. All of
 * them take part in the `Transaction` around them, and a domain error leaves that transaction usable. What is told in money is
 * whole minor units of one currency; the database refuses to commit what does not add up.
 *
 * Rows are locked in the order subscription, invoice, payment, credit, series of numbers: transactions that call several
 * methods keep out of each other's way if they keep to it.
 *
 * @example
 * ```ts
 * const billing = yield* Billing
 * const due = yield* billing.subscriptions.due()
 * yield* Effect.forEach(due.items, ({ currentPeriodEnd, currentPeriodStart, id }) =>
 *   transaction.run(
 *     Effect.gen(function* () {
 *       yield* billing.subscriptions.renew(id, currentPeriodEnd)
 *       const draft = yield* billing.invoices.invoiceSubscription(id, { start: currentPeriodStart, end: currentPeriodEnd })
 *       yield* billing.invoices.finalize(draft.id, { dueAt: inTwoWeeks })
 *     })
 *   )
 * )
 * ```
 */
export class Billing extends Context.Service<
  Billing,
  {
    readonly plans: Plans
    readonly subscriptions: Subscriptions
    readonly usage: Usage
    readonly invoices: Invoices
    readonly payments: Payments
    readonly refunds: Refunds
    readonly credit: Credit
  }
>()("@ai-core/database/platform/Billing") {}
