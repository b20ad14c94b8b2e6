import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { makeDeliveries } from "./DeliveriesLive.ts"
import { makeInbox } from "./InboxLive.ts"
import { Notifications } from "./Notifications.ts"
import { makePreferences } from "./PreferencesLive.ts"
import { makeTelling } from "./TellingLive.ts"
import { makeTemplates } from "./TemplatesLive.ts"

const make = Effect.gen(function* () {
  const client = yield* PostgresClient
  const transaction = yield* Transaction
  const templates = makeTemplates(client, transaction)
  return Notifications.of({
    ...templates.service,
    ...makePreferences(client, transaction),
    ...makeTelling(client, transaction, templates.templatesOf),
    ...makeInbox(client),
    ...makeDeliveries(client, transaction)
  })
})

/** `Notifications` on PostgreSQL: a server, or the embedded engine. Its tables come from the platform's migrations. */
export const layer: Layer.Layer<Notifications, never, PostgresClient | Transaction> = Layer.effect(Notifications, make)
