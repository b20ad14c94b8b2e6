import { DateTime, Effect, Option } from "effect"
import { Notifications } from "../../../../src/platform/notifications/Notifications.ts"
import type { NotificationId } from "../../../../src/platform/notifications/Notification.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { category, queued, template } from "../../../../src/testing/contracts/notifications/fixtures.ts"
import { someUser } from "../../../../src/testing/contracts/users.ts"
import { unique } from "../../../../src/testing/Contract.ts"
import type { Attempts } from "../Attempt.ts"
import { json } from "../samples.ts"

const told = Effect.gen(function* () {
  const now = yield* DateTime.now
  return {
    category: yield* category(),
    template: yield* template(["in-app", "email"], { body: "{{name}}" }),
    variables: { name: "Alice" },
    data: json,
    priority: "urgent" as const,
    locale: "de-AT",
    key: yield* unique("key"),
    scheduledFor: DateTime.add(now, { hours: 1 }),
    expiresAt: DateTime.add(now, { hours: 2 }),
    maxAttempts: 3
  }
})

/** What the inbox keeps; of its text what was put into the template. */
const stored = ({ notification }: { readonly notification: { readonly id: NotificationId } }) =>
  Effect.flatMap(Notifications, ({ find }) =>
    Effect.map(find(notification.id), (found) => {
      const told = Option.getOrThrow(found)
      return [told, told.body?.slice(0, -" by in-app".length)]
    })
  )

type Telling = Pick<Notifications["Service"], "notify" | "notifyMany" | "withdraw">

export const telling: Attempts<Telling, Notifications | Users> = {
  notify: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        return [{ ...(yield* told), userId: (yield* someUser()).id }] as const
      })
    ],
    keeps: stored,
    // A variable that no text names is left out.
    passing: ["variables"]
  },
  notifyMany: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { variables, ...rest } = yield* told
        const { id } = yield* someUser()
        // What is for all is put into the second one's text, where it has no name of its own.
        const recipients = [
          { userId: id, variables },
          { userId: (yield* someUser()).id, variables: { other: "Bob" } }
        ]
        return [{ ...rest, variables, recipients }] as const
      })
    ],
    keeps: (all) => Effect.forEach(all, stored),
    passing: ["variables", "recipients[0].variables", "recipients[1].variables", "recipients[1].variables.other"]
  },
  withdraw: { parameters: ["id"], samples: [Effect.map(queued(), ({ notification }) => [notification.id])] }
}
