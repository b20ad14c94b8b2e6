import type { Notifications } from "../../../../src/platform/notifications/Notifications.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import type { Attempts } from "../Attempt.ts"
import { deliveries } from "./deliveries.ts"
import { inbox } from "./inbox.ts"
import { preferences } from "./preferences.ts"
import { telling } from "./telling.ts"
import { templates } from "./templates.ts"

export const notifications: Attempts<Notifications["Service"], Notifications | Users> = {
  ...templates,
  ...preferences,
  ...telling,
  ...inbox,
  ...deliveries
}
