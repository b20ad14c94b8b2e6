import { Effect } from "effect"
import { Notifications } from "../../../../src/platform/notifications/Notifications.ts"
import { DeliveryCursor, type DeliveryId } from "../../../../src/platform/notifications/Delivery.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import {
  claimOne,
  noDelivery,
  noNotification,
  queued
} from "../../../../src/testing/contracts/notifications/fixtures.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, nothing, time } from "../samples.ts"

const filter = {
  states: ["dead"],
  channel: "email",
  userId: UserId.make(nothing),
  notificationId: noNotification
} as const
const after = DeliveryCursor.make(
  cursorText("notification-deliveries", { createdAt: time.epochMilliseconds, id: nothing })
)

const claimed = Effect.flatMap(queued(), ({ user }) => claimOne(user))

const stored = ({ id }: { readonly id: DeliveryId }) =>
  Effect.flatMap(Notifications, ({ findDelivery }) => findDelivery(id))

type Deliveries = Pick<
  Notifications["Service"],
  | "claimDeliveries"
  | "renewLease"
  | "delivered"
  | "failed"
  | "cancelDelivery"
  | "requeueDelivery"
  | "findDelivery"
  | "listDeliveries"
  | "streamDeliveries"
  | "countDeliveries"
>

export const deliveries: Attempts<Deliveries, Notifications | Users> = {
  claimDeliveries: {
    parameters: [""],
    samples: [
      Effect.as(queued({ priority: "urgent" }), [
        { channels: ["email"], priority: "urgent", limit: 1, lease: "1 minute", worker: "worker" }
      ] as const)
    ],
    keeps: (claimed) => Effect.forEach(claimed, ({ delivery }) => stored(delivery))
  },
  renewLease: {
    parameters: ["id", "token", "lease"],
    samples: [Effect.map(claimed, ({ delivery, token }) => [delivery.id, token, "1 minute"])]
  },
  delivered: {
    parameters: ["id", "token", "providerReference"],
    samples: [Effect.map(claimed, ({ delivery, token }) => [delivery.id, token, "reference"])],
    keeps: stored
  },
  failed: {
    parameters: ["id", "token", "error", "options"],
    samples: [
      Effect.map(claimed, ({ delivery, token }) => [
        delivery.id,
        token,
        "Broken",
        { permanent: false, retryAfter: "1 hour" }
      ])
    ],
    keeps: stored
  },
  cancelDelivery: { parameters: ["id"], samples: [Effect.map(queued(), ({ delivery }) => [delivery.id])] },
  requeueDelivery: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const { delivery, token } = yield* claimed
        yield* (yield* Notifications).failed(delivery.id, token, "Broken", { permanent: true })
        return [delivery.id] as const
      })
    ]
  },
  findDelivery: { parameters: ["id"], samples: [Effect.succeed([noDelivery])] },
  listDeliveries: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  streamDeliveries: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  countDeliveries: { parameters: [""], samples: [Effect.succeed([filter])] }
}
