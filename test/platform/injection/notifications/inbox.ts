import { Effect } from "effect"
import type { Notifications } from "../../../../src/platform/notifications/Notifications.ts"
import { NotificationCursor } from "../../../../src/platform/notifications/Notification.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import { noNotification } from "../../../../src/testing/contracts/notifications/fixtures.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, nothing, time } from "../samples.ts"

const userId = UserId.make(nothing)
const filter = { unread: true, archived: true, category: "nothing" } as const
const after = NotificationCursor.make(
  cursorText("notifications", { userId, visibleAt: time.epochMilliseconds, id: nothing })
)

const some = {
  parameters: ["userId", "ids"],
  samples: [Effect.succeed([userId, [noNotification]] as const)]
} as const

type Inbox = Pick<
  Notifications["Service"],
  | "find"
  | "findMany"
  | "list"
  | "stream"
  | "unreadCount"
  | "markRead"
  | "markUnread"
  | "markAllRead"
  | "archive"
  | "unarchive"
  | "delete"
  | "purge"
>

export const inbox: Attempts<Inbox, Notifications | Users> = {
  find: { parameters: ["id"], samples: [Effect.succeed([noNotification])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[noNotification]])] },
  list: { parameters: ["userId", "options"], samples: [Effect.succeed([userId, { ...filter, limit: 1, after }])] },
  stream: { parameters: ["userId", "options"], samples: [Effect.succeed([userId, { ...filter, pageSize: 1 }])] },
  unreadCount: { parameters: ["userId"], samples: [Effect.succeed([userId])] },
  markRead: some,
  markUnread: some,
  markAllRead: {
    parameters: ["userId", "options"],
    samples: [Effect.succeed([userId, { until: time, category: "nothing" }])]
  },
  archive: some,
  unarchive: some,
  delete: some,
  purge: { parameters: [""], samples: [Effect.succeed([{ before: time, limit: 1 }])] }
}
