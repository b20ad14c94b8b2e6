import { Effect } from "effect"
import { Billing } from "../../../../src/platform/billing/Billing.ts"
import { PaymentId, RefundCursor, RefundId, type Refunds } from "../../../../src/platform/billing/Payments.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { aPayment, eur, keyOf } from "../../../../src/testing/contracts/billing/support.ts"
import { unique } from "../../../../src/testing/Contract.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing } from "../samples.ts"

const filter = { paymentId: PaymentId.make(nothing), state: "pending", order: "newest-first" } as const
const after = RefundCursor.make(cursorText("refunds", atTime))

const newRefund = Effect.gen(function* () {
  const { id } = yield* aPayment(100)
  return { paymentId: id, amount: eur(100), reason: "Returned", idempotencyKey: yield* keyOf("refund") }
})

const pending = Effect.gen(function* () {
  const { refunds } = yield* Billing
  return yield* refunds.create(yield* newRefund)
})

const stored = ({ id }: { readonly id: RefundId }) => Effect.flatMap(Billing, ({ refunds }) => refunds.find(id))

export const refunds: Attempts<Refunds, Billing | Users> = {
  create: { parameters: [""], samples: [Effect.map(newRefund, (refund) => [refund])], keeps: stored },
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
    samples: [Effect.map(pending, ({ id }) => [id, "No account"])],
    keeps: stored
  },
  find: { parameters: ["id"], samples: [Effect.succeed([RefundId.make(nothing)])] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
