import { Effect } from "effect"
import type { Billing } from "../../../../src/platform/billing/Billing.ts"
import { PlanId } from "../../../../src/platform/billing/Plans.ts"
import {
  SubscriptionCursor,
  SubscriptionDueCursor,
  SubscriptionId,
  type Subscriptions
} from "../../../../src/platform/billing/Subscriptions.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import { aPrice, aSubscription, aUser } from "../../../../src/testing/contracts/billing/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, later, nothing, time } from "../samples.ts"

const filter = {
  userId: UserId.make(nothing),
  planId: PlanId.make(nothing),
  state: "active",
  order: "newest-first"
} as const
const after = SubscriptionCursor.make(cursorText("subscriptions", atTime))
const dueAfter = SubscriptionDueCursor.make(
  cursorText("due-subscriptions", { dueAt: time.epochMilliseconds, id: nothing })
)

const someId = Effect.map(aSubscription(), ({ id }) => [id] as const)

export const subscriptions: Attempts<Subscriptions, Billing | Users> = {
  create: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const [user, price] = [yield* aUser, yield* aPrice()]
        return [{ userId: user.id, priceId: price.id, quantity: 2, startAt: time, trialEnd: later }] as const
      })
    ]
  },
  find: { parameters: ["id"], samples: [Effect.succeed([SubscriptionId.make(nothing)])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[SubscriptionId.make(nothing)]])] },
  findLive: { parameters: ["userId", "planId"], samples: [Effect.succeed([filter.userId, filter.planId])] },
  change: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* aSubscription()
        return [id, version, { priceId: (yield* aPrice()).id, quantity: 3 }] as const
      })
    ]
  },
  renew: {
    parameters: ["id", "expectedPeriodEnd"],
    samples: [Effect.map(aSubscription({ startAt: time }), ({ currentPeriodEnd, id }) => [id, currentPeriodEnd])]
  },
  activate: {
    parameters: ["id"],
    samples: [Effect.map(aSubscription({ startAt: time, trialEnd: later }), ({ id }) => [id])]
  },
  markPastDue: { parameters: ["id"], samples: [someId] },
  pause: { parameters: ["id"], samples: [someId] },
  cancel: { parameters: ["id", "when"], samples: [Effect.map(someId, ([id]) => [id, "now"])] },
  keep: { parameters: ["id"], samples: [someId] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  due: { parameters: [""], samples: [Effect.succeed([{ at: time, limit: 1, after: dueAfter }])] }
}
