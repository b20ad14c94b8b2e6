import type { Notifications } from "../../platform/notifications/Notifications.ts"
import type { Users } from "../../platform/users/Users.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make } from "../Contract.ts"
import { deliveries } from "./notifications/deliveries.ts"
import { inboxes } from "./notifications/inbox.ts"
import { preferences } from "./notifications/preferences.ts"
import { telling } from "./notifications/telling.ts"
import { templates } from "./notifications/templates.ts"
import { together } from "./notifications/together.ts"

/** What every implementation of `Notifications` does, beside the `Users` and under the `Transaction` of the same store. */
export const NotificationsContract: Contract<Notifications | Users | Transaction> = make("Notifications", {
  ...templates,
  ...preferences,
  ...telling,
  ...inboxes,
  ...deliveries,
  ...together
})
