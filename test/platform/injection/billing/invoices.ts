import { DateTime, Effect } from "effect"
import { Billing } from "../../../../src/platform/billing/Billing.ts"
import { InvoiceCursor, InvoiceDueCursor, InvoiceId, type Invoices } from "../../../../src/platform/billing/Invoices.ts"
import { SubscriptionId } from "../../../../src/platform/billing/Subscriptions.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import {
  aDraft,
  anInvoice,
  aPrice,
  aSubscription,
  aUser,
  line
} from "../../../../src/testing/contracts/billing/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing, time } from "../samples.ts"

const id = InvoiceId.make(nothing)
const filter = {
  userId: UserId.make(nothing),
  subscriptionId: SubscriptionId.make(nothing),
  state: "open",
  order: "newest-first"
} as const
const after = InvoiceCursor.make(cursorText("invoices", atTime))
const dueAfter = InvoiceDueCursor.make(cursorText("overdue-invoices", { dueAt: time.epochMilliseconds, id: nothing }))

const pricedLine = Effect.map(aPrice(), ({ id }) => ({ ...line(2000), priceId: id }))
const linesOf = ({ id }: { readonly id: InvoiceId }) => Effect.flatMap(Billing, ({ invoices }) => invoices.lines(id))

export const invoices: Attempts<Invoices, Billing | Users> = {
  create: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { id } = yield* aUser
        return [{ userId: id, currency: "EUR", lines: [yield* pricedLine], discount: 1, tax: 1 }] as const
      })
    ],
    keeps: linesOf
  },
  invoiceSubscription: {
    parameters: ["subscriptionId", "period"],
    samples: [
      Effect.map(aSubscription({ startAt: time }), ({ currentPeriodEnd, currentPeriodStart, id }) => [
        id,
        { start: currentPeriodStart, end: currentPeriodEnd }
      ])
    ]
  },
  find: { parameters: ["id"], samples: [Effect.succeed([id])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[id]])] },
  findByNumber: { parameters: ["number"], samples: [Effect.succeed(["NOTHING-000001"])] },
  lines: { parameters: ["id"], samples: [Effect.succeed([id])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* aDraft(line(1))
        return [id, version, { lines: [yield* pricedLine], discount: 1, tax: 1 }] as const
      })
    ],
    keeps: linesOf
  },
  finalize: {
    parameters: ["id", "options"],
    samples: [
      Effect.gen(function* () {
        const { id } = yield* aDraft(line(1))
        return [id, { dueAt: DateTime.add(yield* DateTime.now, { days: 14 }), series: "INV" }] as const
      })
    ]
  },
  void: { parameters: ["id"], samples: [Effect.map(anInvoice(1), ({ id }) => [id])] },
  markUncollectible: { parameters: ["id"], samples: [Effect.map(anInvoice(1), ({ id }) => [id])] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  overdue: { parameters: [""], samples: [Effect.succeed([{ at: time, limit: 1, after: dueAfter }])] }
}
