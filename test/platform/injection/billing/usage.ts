import { Effect } from "effect"
import type { IdempotencyKey } from "../../../../src/core/Idempotency.ts"
import { Billing } from "../../../../src/platform/billing/Billing.ts"
import { SubscriptionId } from "../../../../src/platform/billing/Subscriptions.ts"
import { type Usage, UsageCursor } from "../../../../src/platform/billing/Usage.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { aPrice, aSubscription, tokens, usage as used } from "../../../../src/testing/contracts/billing/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, later, nothing, time } from "../samples.ts"

const subscriptionId = SubscriptionId.make(nothing)
const period = { start: time, end: later }
const filter = { subscriptionId, metric: "tokens", period, order: "newest-first" } as const
const after = UsageCursor.make(cursorText("usage-records", { subscriptionId, ...atTime }))

const newUsage = Effect.gen(function* () {
  const { id: priceId } = yield* aPrice({ usage: tokens })
  return yield* used(yield* aSubscription({ priceId, startAt: time }), 1, time)
})

const stored = ({
  subscriptionId
}: {
  readonly subscriptionId: SubscriptionId
  readonly idempotencyKey: IdempotencyKey
}) => Effect.flatMap(Billing, ({ usage }) => usage.list({ subscriptionId }))

export const usage: Attempts<Usage, Billing | Users> = {
  record: { parameters: [""], samples: [Effect.map(newUsage, (usage) => [usage])], keeps: stored },
  recordAll: {
    parameters: ["usage"],
    samples: [Effect.map(Effect.all([newUsage, newUsage]), (usage) => [usage])],
    keeps: (records) => Effect.forEach(records, stored)
  },
  total: {
    parameters: ["subscriptionId", "metric", "period"],
    samples: [Effect.succeed([subscriptionId, "tokens", period])]
  },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
