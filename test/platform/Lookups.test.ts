import { it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import assert from "node:assert/strict"
import { Billing } from "../../src/platform/billing/Billing.ts"
import { Federation } from "../../src/platform/federation/Federation.ts"
import { Notifications } from "../../src/platform/notifications/Notifications.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type { PostgresRepositories } from "../../src/platform/PostgresRepositories.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import { Roles } from "../../src/platform/users/Roles.ts"
import { Users } from "../../src/platform/users/Users.ts"
import { Workflows } from "../../src/platform/workflows/Workflows.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { unique } from "../../src/testing/Contract.ts"
import { aDraft, aPayment, aPlan, aPrice, aSubscription, keyOf } from "../../src/testing/contracts/billing/support.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import { aClient, aCredential, aProvider, aRule, aService } from "../../src/testing/contracts/federation/support.ts"
import { queued, ready } from "../../src/testing/contracts/notifications/fixtures.ts"
import { created, published, started } from "../../src/testing/contracts/workflows/fixtures.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

/** The operations of the statements that were sent. */
const sent: Array<string> = []

const counted = Layer.effect(
  PostgresClient,
  Effect.map(PostgresClient, (client) =>
    PostgresClient.of({
      ...client,
      query: (at, statement) => {
        sent.push(at.operation)
        return client.query(at, statement)
      }
    })
  )
)

const layer = PostgresRepositoriesLive.layer.pipe(
  Layer.provide(counted),
  Layer.provideMerge(PlatformMigrations.layerPostgres),
  Layer.provideMerge(freshClient())
)

type Hundred = Effect.Effect<
  {
    readonly wanted: ReadonlyArray<string>
    readonly finds: Effect.Effect<ReadonlyArray<string>, unknown, PostgresRepositories>
  },
  unknown,
  PostgresRepositories
>

/** A hundred finds at once of two rows, by the ids that they should give. */
const hundred = <Id extends string, R>(
  make: Effect.Effect<{ readonly id: Id }, unknown, R>,
  find: (id: Id) => Effect.Effect<Option.Option<{ readonly id: Id }>, unknown, R>
) =>
  Effect.gen(function* () {
    const made = [(yield* make).id, (yield* make).id]
    const wanted = Array.from({ length: 50 }, () => made).flat()
    const finds = Effect.forEach(wanted, find, { concurrency: "unbounded" })
    return { wanted, finds: Effect.map(finds, (found) => found.map((one) => Option.getOrThrow(one).id)) }
  })

/** Finds, and the statements that a hundred of them at once take. */
const all: Readonly<Record<string, readonly [hundred: Hundred, statements: number]>> = {
  "Users.findById": [hundred(someUser(), (id) => Effect.flatMap(Users, (users) => users.findById(id))), 1],
  "Roles.findById": [
    hundred(
      Effect.gen(function* () {
        return yield* (yield* Roles).create({ name: yield* unique("role"), permissions: ["a"] })
      }),
      (id) => Effect.flatMap(Roles, (roles) => roles.findById(id))
    ),
    1
  ],
  "Billing.plans.find": [hundred(aPlan(), (id) => Effect.flatMap(Billing, ({ plans }) => plans.find(id))), 1],
  "Billing.plans.findPrice": [
    hundred(aPrice(), (id) => Effect.flatMap(Billing, ({ plans }) => plans.findPrice(id))),
    1
  ],
  "Billing.subscriptions.find": [
    hundred(aSubscription(), (id) => Effect.flatMap(Billing, ({ subscriptions }) => subscriptions.find(id))),
    1
  ],
  "Billing.invoices.find": [hundred(aDraft(), (id) => Effect.flatMap(Billing, ({ invoices }) => invoices.find(id))), 1],
  "Billing.payments.find": [
    hundred(aPayment(100), (id) => Effect.flatMap(Billing, ({ payments }) => payments.find(id))),
    1
  ],
  "Billing.refunds.find": [
    hundred(
      Effect.gen(function* () {
        const { amount, id } = yield* aPayment(100)
        const idempotencyKey = yield* keyOf("refund")
        return yield* (yield* Billing).refunds.create({ paymentId: id, amount, reason: "returned", idempotencyKey })
      }),
      (id) => Effect.flatMap(Billing, ({ refunds }) => refunds.find(id))
    ),
    1
  ],
  "Workflows.findById": [
    hundred(created(), (id) => Effect.flatMap(Workflows, (workflows) => workflows.findById(id))),
    1
  ],
  "Workflows.findExecution": [
    hundred(started(), (id) => Effect.flatMap(Workflows, (workflows) => workflows.findExecution(id))),
    1
  ],
  "Workflows.findSchedule": [
    hundred(
      Effect.gen(function* () {
        const { workflowId } = yield* published()
        return yield* (yield* Workflows).createSchedule({
          workflowId,
          name: "Daily",
          cron: "0 0 * * *",
          timeZone: "UTC"
        })
      }),
      (id) => Effect.flatMap(Workflows, (workflows) => workflows.findSchedule(id))
    ),
    1
  ],
  "Federation.clients.find": [
    hundred(aClient(), (id) => Effect.flatMap(Federation, ({ clients }) => clients.find(id))),
    1
  ],
  "Federation.providers.find": [
    hundred(aProvider(), (id) => Effect.flatMap(Federation, ({ providers }) => providers.find(id))),
    1
  ],
  "Federation.services.find": [
    hundred(aService(), (id) => Effect.flatMap(Federation, ({ services }) => services.find(id))),
    1
  ],
  "Federation.credentials.find": [
    hundred(aCredential(), (id) => Effect.flatMap(Federation, ({ credentials }) => credentials.find(id))),
    1
  ],
  "Federation.rules.find": [
    hundred(
      Effect.flatMap(aService(), (service) => aRule("chat.complete", [service])),
      (id) => Effect.flatMap(Federation, ({ rules }) => rules.find(id))
    ),
    2
  ],
  "Notifications.find": [
    hundred(
      Effect.gen(function* () {
        const { about } = yield* ready(["in-app"])
        return (yield* (yield* Notifications).notify(about)).notification
      }),
      (id) => Effect.flatMap(Notifications, (notifications) => notifications.find(id))
    ),
    1
  ],
  "Notifications.findDelivery": [
    hundred(
      Effect.map(queued(), ({ delivery }) => delivery),
      (id) => Effect.flatMap(Notifications, (notifications) => notifications.findDelivery(id))
    ),
    1
  ],
  "Notifications.findTemplate": [
    hundred(
      Effect.gen(function* () {
        const key = yield* unique("template")
        const notifications = yield* Notifications
        return yield* notifications.createTemplate({ key, channel: "in-app", locale: "en", body: "Hello" })
      }),
      (id) => Effect.flatMap(Notifications, (notifications) => notifications.findTemplate(id))
    ),
    1
  ]
}

describeLive("postgresql", "Lookups of the platform", () => {
  it.layer(layer, { timeout: "60 seconds" })((it) => {
    for (const [operation, [hundred, statements]] of Object.entries(all)) {
      const few = statements === 1 ? "one statement" : `${statements} statements`
      it.effect(`a hundred concurrent ${operation} are ${few}, outside a transaction and inside`, () =>
        Effect.gen(function* () {
          const { finds, wanted } = yield* hundred
          const { run } = yield* Transaction
          for (const around of [finds, run(finds)]) {
            sent.length = 0
            assert.deepEqual(yield* around, wanted)
            assert.deepEqual(
              sent.filter((name) => name === operation),
              Array.from({ length: statements }, () => operation)
            )
          }
        })
      )
    }
  })
})
