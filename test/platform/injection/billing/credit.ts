import { Effect } from "effect"
import { Billing } from "../../../../src/platform/billing/Billing.ts"
import { type Credit, CreditCursor, type CreditMovement } from "../../../../src/platform/billing/Credit.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import { anInvoice, aUser, credited, eur, keyOf } from "../../../../src/testing/contracts/billing/support.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, nothing } from "../samples.ts"

const account = { userId: UserId.make(nothing), currency: "EUR", order: "newest-first" } as const
const after = CreditCursor.make(
  cursorText("credit-movements", { userId: nothing, currency: "EUR", order: "newest-first", sequence: 1 })
)

const movement = (userId: UserId) =>
  Effect.map(keyOf("credit"), (idempotencyKey) => ({ userId, amount: eur(1), description: "Gift", idempotencyKey }))

const stored = ({ userId }: CreditMovement) =>
  Effect.flatMap(Billing, ({ credit }) => credit.list({ userId, currency: "EUR" }))

export const credit: Attempts<Credit, Billing | Users> = {
  balance: { parameters: ["userId", "currency"], samples: [Effect.succeed([account.userId, "EUR"])] },
  grant: {
    parameters: [""],
    samples: [
      Effect.map(
        Effect.flatMap(aUser, ({ id }) => movement(id)),
        (credit) => [credit]
      )
    ],
    keeps: stored
  },
  deduct: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { id } = yield* aUser
        yield* credited(id, 100)
        return [yield* movement(id)] as const
      })
    ],
    keeps: stored
  },
  apply: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { id, userId } = yield* anInvoice(100)
        yield* credited(userId, 100)
        return [{ invoiceId: id, amount: eur(1), idempotencyKey: yield* keyOf("use") }] as const
      })
    ],
    keeps: stored
  },
  list: { parameters: [""], samples: [Effect.succeed([{ ...account, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...account, pageSize: 1 }])] }
}
