import type { Billing } from "../../../../src/platform/billing/Billing.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import type { Attempts } from "../Attempt.ts"
import { credit } from "./credit.ts"
import { invoices } from "./invoices.ts"
import { payments } from "./payments.ts"
import { plans } from "./plans.ts"
import { refunds } from "./refunds.ts"
import { subscriptions } from "./subscriptions.ts"
import { usage } from "./usage.ts"

export const billing: Attempts<Billing["Service"], Billing | Users> = {
  plans,
  subscriptions,
  usage,
  invoices,
  payments,
  refunds,
  credit
}
