import { Billing } from "./Billing.ts"
import { makeCredit } from "./makeCredit.ts"
import { makeInvoices } from "./makeInvoices.ts"
import { makePayments } from "./makePayments.ts"
import { makePlans } from "./makePlans.ts"
import { makeRefunds } from "./makeRefunds.ts"
import { makeSubscriptions } from "./makeSubscriptions.ts"
import { makeUsage } from "./makeUsage.ts"
import type { Tables } from "../tables/Tables.ts"

/** The rules of billing, over the rows of PostgreSQL or of memory: one text for both, so that they cannot differ. */
export const makeBilling = (tables: Tables): Billing["Service"] =>
  Billing.of({
    plans: makePlans(tables),
    subscriptions: makeSubscriptions(tables),
    usage: makeUsage(tables),
    invoices: makeInvoices(tables),
    payments: makePayments(tables),
    refunds: makeRefunds(tables),
    credit: makeCredit(tables)
  })
