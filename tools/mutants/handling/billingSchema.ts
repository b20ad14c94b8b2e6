import { at, type Mutant } from "../Mutant.ts"

const file = "migrations/postgres/20241215000002_billing_subscriptions.sql"
const embedded = at("test/platform/BillingSchema.test.ts", "embedded")
const live = at("test/platform/BillingSchema.test.ts", "live")

const onBoth = (test: string) => [embedded(test), live(test)]

/** What the tables of billing refuse, taken out. */
export const billingSchema: ReadonlyArray<Mutant> = [
  {
    name: "Billing's tables: a line may leave a frozen invoice",
    file,
    find: "when (old.invoice_id <> new.invoice_id)",
    replace: "when (old.position < 0)",
    red: onBoth("a line stays in its invoice")
  },
  {
    name: "Billing's tables: a payment may go to another invoice",
    file,
    find: "(old.id, old.invoice_id, old.currency, old.amount) <> (new.id, new.invoice_id, new.currency, new.amount)",
    replace: "(old.id, old.currency, old.amount) <> (new.id, new.currency, new.amount)",
    red: onBoth("a payment stays in its invoice")
  },
  {
    name: "Billing's tables: a refund may change its amount",
    file,
    find: "(old.id, old.payment_id, old.currency, old.amount) <> (new.id, new.payment_id, new.currency, new.amount)",
    replace: "(old.id, old.payment_id, old.currency) <> (new.id, new.payment_id, new.currency)",
    red: onBoth("a refund stays in its payment")
  }
]
