import { Effect } from "effect"
import { Billing } from "../../../../src/platform/billing/Billing.ts"
import { InvoiceId } from "../../../../src/platform/billing/Invoices.ts"
import { PaymentCursor, PaymentId, type Payments } from "../../../../src/platform/billing/Payments.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { anInvoice, payment } from "../../../../src/testing/contracts/billing/support.ts"
import { unique } from "../../../../src/testing/Contract.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing } from "../samples.ts"

const filter = { invoiceId: InvoiceId.make(nothing), state: "pending", order: "newest-first" } as const
const after = PaymentCursor.make(cursorText("payments", atTime))

const newPayment = Effect.gen(function* () {
  const given = yield* payment(yield* anInvoice(100), 100)
  return { ...given, providerReference: yield* unique("reference"), state: "pending" as const }
})

const pending = Effect.gen(function* () {
  const { payments } = yield* Billing
  return yield* payments.create(yield* payment(yield* anInvoice(100), 100))
})

const stored = ({ id }: { readonly id: PaymentId }) => Effect.flatMap(Billing, ({ payments }) => payments.find(id))

export const payments: Attempts<Payments, Billing | Users> = {
  create: { parameters: [""], samples: [Effect.map(newPayment, (payment) => [payment])], keeps: stored },
  succeed: {
    parameters: ["id", "settled"],
    samples: [
      Effect.gen(function* () {
        return [(yield* pending).id, { providerReference: yield* unique("reference") }] as const
      })
    ],
    keeps: stored
  },
  fail: {
    parameters: ["id", "failure"],
    samples: [Effect.map(pending, ({ id }) => [id, "No money"])],
    keeps: stored
  },
  find: { parameters: ["id"], samples: [Effect.succeed([PaymentId.make(nothing)])] },
  findByReference: { parameters: ["provider", "providerReference"], samples: [Effect.succeed(["stripe", "nothing"])] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
