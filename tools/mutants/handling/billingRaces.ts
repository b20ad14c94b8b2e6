import { at, type Mutant } from "../Mutant.ts"

const race = at("test/platform/BillingConcurrency.test.ts")

const again = race("a webhook that comes again while its payment is refunded")

/** What keeps callers of billing apart who come at once, on a server: taken out. */
export const billingRaces: ReadonlyArray<Mutant> = [
  {
    name: "Billing: usage is recorded into a period that was invoiced behind its snapshot",
    file: "src/platform/billing/invoiceSubscription.ts",
    find: "        yield* replace(operation, subscriptions, subscription)\n",
    replace: "",
    red: [race("usage is not recorded into a period that was invoiced behind its snapshot")]
  },
  {
    name: "Billing: a payment is refunded before its invoice is held",
    file: "src/platform/billing/makeRefunds.ts",
    find: '    yield* one(operation, invoices, { where: { id: seen.value.invoiceId }, lock: "update" })\n',
    replace: "",
    red: [again]
  }
]
