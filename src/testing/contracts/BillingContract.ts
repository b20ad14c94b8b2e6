import type { Billing } from "../../platform/billing/Billing.ts"
import type { Users } from "../../platform/users/Users.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make } from "../Contract.ts"
import { credit } from "./billing/credit.ts"
import { drafting, finalizing, listing, periods } from "./billing/invoices.ts"
import { overdue } from "./billing/overdue.ts"
import { payments, refunds } from "./billing/payments.ts"
import { plans } from "./billing/plans.ts"
import { subscriptions } from "./billing/subscriptions.ts"
import { refusing, transacting } from "./billing/together.ts"
import { terms } from "./billing/terms.ts"
import { usage } from "./billing/usage.ts"

/** What every implementation of `Billing` does, beside the `Users` and under the `Transaction` of the same store. */
export const BillingContract: Contract<Billing | Users | Transaction> = make("Billing", {
  ...plans,
  ...subscriptions,
  ...overdue,
  ...usage,
  ...drafting,
  ...finalizing,
  ...periods,
  ...terms,
  ...listing,
  ...payments,
  ...refunds,
  ...credit,
  ...transacting,
  ...refusing
})
