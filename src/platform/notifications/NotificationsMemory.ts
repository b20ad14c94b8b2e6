import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { usersTable } from "../users/UsersMemory.ts"
import { makeDeliveries } from "./DeliveriesMemory.ts"
import { makeInbox } from "./InboxMemory.ts"
import { Notifications } from "./Notifications.ts"
import {
  addressesTable,
  categoriesTable,
  deliveriesTable,
  notificationsTable,
  preferencesTable,
  settingsTable,
  templatesTable
} from "./NotificationTables.ts"
import { makePreferences } from "./PreferencesMemory.ts"
import { makeTelling } from "./TellingMemory.ts"
import { makeTemplates } from "./TemplatesMemory.ts"

const make = Effect.gen(function* () {
  const memory = yield* PostgresMemory
  yield* memory.register(templatesTable, categoriesTable, preferencesTable, settingsTable, addressesTable)
  yield* memory.register(usersTable, notificationsTable, deliveriesTable)
  return Notifications.of({
    ...makeTemplates(memory),
    ...makePreferences(memory),
    ...makeTelling(memory),
    ...makeInbox(memory),
    ...makeDeliveries(memory)
  })
})

/** `Notifications` in memory, under the transactions of all memory repositories; its time is the Clock's. */
export const layer: Layer.Layer<Notifications, never, PostgresMemory> = Layer.effect(Notifications, make)
