import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import { Users } from "../../../platform/users/Users.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import { unique } from "../../Contract.ts"
import { hostile, nobody, someUser } from "../users.ts"
import {
  type Cases,
  category,
  claim,
  claimOne,
  deliveryOf,
  noDelivery,
  noNotification,
  noTemplate,
  noToken,
  queued,
  ready,
  stateOf,
  template
} from "./fixtures.ts"

const stop = { _tag: "Stop" } as const

export const together: Cases = {
  "a transaction that fails undoes all that was done in it": Effect.gen(function* () {
    const notifications = yield* Notifications
    const transaction = yield* Transaction
    const { about, user } = yield* ready(["in-app", "email"])
    const kept = yield* notifications.notify(about)
    const key = yield* unique("template")
    const failed = yield* Effect.flip(
      transaction.run(
        Effect.gen(function* () {
          yield* notifications.createTemplate({ key, channel: "sms", locale: "en", body: "x" })
          yield* notifications.setPreference(user.id, about.category, [])
          yield* notifications.changeSettings(user.id, { locale: "de" })
          yield* notifications.setAddress({ userId: user.id, channel: "push", address: "token" })
          yield* notifications.notify({ ...about, key: "undone" })
          yield* notifications.markAllRead(user.id)
          yield* notifications.archive(user.id, [kept.notification.id])
          const { delivery, token } = yield* claimOne(user)
          yield* notifications.delivered(delivery.id, token)
          assert.equal(yield* notifications.unreadCount(user.id), 0)
          return yield* Effect.fail(stop)
        })
      )
    )
    assert.deepEqual(failed, stop)
    assert.deepEqual((yield* notifications.listTemplates({ key })).items, [])
    assert.deepEqual(yield* notifications.settingsOf(user.id), { locale: null, quietHours: null })
    assert.deepEqual(yield* notifications.addressesOf(user.id), [])
    assert.deepEqual((yield* notifications.list(user.id)).items, [kept.notification])
    assert.deepEqual(yield* deliveryOf(kept.deliveries[0]!), kept.deliveries[0])
    assert.equal(yield* notifications.unreadCount(user.id), 1)
    yield* notifications.notify({ ...about, key: "undone", priority: "low" })
    assert.equal(yield* notifications.unreadCount(user.id), 2)
  }),
  "what several capabilities do in one transaction happens together": Effect.gen(function* () {
    const notifications = yield* Notifications
    const transaction = yield* Transaction
    const { about } = yield* ready(["in-app"])
    const user = yield* transaction.run(
      Effect.gen(function* () {
        const user = yield* someUser()
        yield* notifications.notify({ ...about, userId: user.id, key: "welcome" })
        yield* notifications.notify({ ...about, userId: user.id, key: "welcome" })
        return user
      })
    )
    assert.equal(yield* notifications.unreadCount(user.id), 1)
  }),
  "a transaction goes on after every domain error": Effect.gen(function* () {
    const notifications = yield* Notifications
    const transaction = yield* Transaction
    const { about, user } = yield* ready(["in-app", "email"])
    const { userId, ...rest } = about
    const [text] = (yield* notifications.listTemplates({ key: about.template })).items
    yield* notifications.notify({ ...about, key: "k" })
    const { delivery, token } = yield* claimOne(user)
    const wanting = yield* template(["in-app"], { body: "{{name}}" })
    const tags = yield* transaction.run(
      Effect.gen(function* () {
        const errors: ReadonlyArray<{ readonly _tag: string }> = [
          yield* Effect.flip(
            notifications.createTemplate({ key: text!.key, channel: text!.channel, locale: "en", body: "x" })
          ),
          yield* Effect.flip(notifications.updateTemplate(text!.id, 7, { body: "x" })),
          yield* Effect.flip(notifications.deleteTemplate(noTemplate, 1)),
          yield* Effect.flip(notifications.render({ key: "no.such", channel: "sms" })),
          yield* Effect.flip(notifications.setPreference(nobody, about.category, [])),
          yield* Effect.flip(notifications.setPreference(userId, "no.such", [])),
          yield* Effect.flip(notifications.changeSettings(nobody, { locale: "de" })),
          yield* Effect.flip(notifications.setAddress({ userId: nobody, channel: "push", address: "x" })),
          yield* Effect.flip(notifications.verifyAddress(userId, "push", "x")),
          yield* Effect.flip(notifications.notify({ ...about, userId: nobody })),
          yield* Effect.flip(notifications.notify({ ...about, category: "no.such" })),
          yield* Effect.flip(notifications.notify({ ...about, template: "no.such" })),
          yield* Effect.flip(notifications.notify({ ...about, template: wanting })),
          yield* Effect.flip(notifications.notify({ ...about, key: "k", priority: "low" })),
          yield* Effect.flip(notifications.notifyMany({ ...rest, recipients: [{ userId }, { userId: nobody }] })),
          yield* Effect.flip(notifications.withdraw(noNotification)),
          yield* Effect.flip(notifications.delivered(noDelivery, noToken)),
          yield* Effect.flip(notifications.failed(delivery.id, noToken, "x")),
          yield* Effect.flip(notifications.cancelDelivery(delivery.id)),
          yield* Effect.flip(notifications.requeueDelivery(delivery.id))
        ]
        yield* notifications.delivered(delivery.id, token)
        yield* notifications.notify(about)
        return errors.map(({ _tag }) => _tag)
      })
    )
    assert.deepEqual(tags, [
      "TemplateExists",
      "VersionConflict",
      "TemplateNotFound",
      "TemplateUnknown",
      "UserNotFound",
      "CategoryNotFound",
      "UserNotFound",
      "UserNotFound",
      "AddressNotFound",
      "UserNotFound",
      "CategoryNotFound",
      "TemplateUnknown",
      "TemplateVariableMissing",
      "IdempotencyConflict",
      "UserNotFound",
      "NotificationNotFound",
      "DeliveryNotFound",
      "DeliveryLeaseLost",
      "IllegalTransition",
      "IllegalTransition"
    ])
    assert.equal(yield* stateOf(delivery), "delivered")
    assert.equal(yield* notifications.unreadCount(user.id), 2)
  }),
  "a user who goes takes notifications and deliveries along": Effect.gen(function* () {
    const notifications = yield* Notifications
    const users = yield* Users
    const { delivery, notification, user } = yield* queued()
    yield* users.delete(user.id)
    assert.deepEqual(yield* notifications.find(notification.id), Option.none())
    assert.deepEqual(yield* notifications.findDelivery(delivery.id), Option.none())
    assert.deepEqual(yield* claim(user), [])
  }),
  "text that looks like SQL is stored as text, through every parameter": Effect.gen(function* () {
    const notifications = yield* Notifications
    const attack = hostile
    const user = yield* someUser()
    const userId = user.id
    const slug = yield* category(["in-app", "push"])
    const described = yield* notifications.setCategory({
      slug,
      description: attack,
      channels: ["in-app", "push"]
    })
    assert.equal(described.description, attack)
    const key = yield* unique("template")
    const made = yield* notifications.createTemplate({
      key,
      channel: "in-app",
      locale: "en",
      subject: attack,
      body: attack
    })
    const edited = yield* notifications.updateTemplate(made.id, 1, { subject: `${attack}2`, body: `${attack}2` })
    assert.deepEqual(yield* notifications.findTemplate(made.id), Option.some(edited))
    yield* notifications.createTemplate({ key, channel: "push", locale: "en", subject: "{{x}}", body: "{{x}}" })
    yield* notifications.setAddress({ userId, channel: "push", address: attack })
    yield* notifications.verifyAddress(userId, "push", attack)
    const data = { [attack]: [attack, { [attack]: attack }] }
    const asked = { userId, category: slug, template: key, variables: { x: attack }, data, key: attack }
    const told = yield* notifications.notify(asked)
    assert.equal(
      told.notification.body,
      `${attack}2`.replace("{{x}}", () => attack)
    )
    assert.deepEqual(yield* notifications.find(told.notification.id), Option.some(told.notification))
    assert.deepEqual(told.notification.data, data)
    assert.deepEqual(yield* notifications.notify(asked), told)
    const many = yield* notifications.notifyMany({
      category: slug,
      template: key,
      recipients: [{ userId, variables: { x: attack } }],
      data,
      key: `${attack} many`
    })
    assert.deepEqual(many[0]!.notification.data, data)
    assert.deepEqual((yield* notifications.list(userId)).items[0], many[0]!.notification)
    const all = yield* notifications.claimDeliveries({ limit: 1000, lease: "1 minute", worker: attack })
    const [first, second] = all.filter(({ delivery }) => delivery.userId === userId)
    assert.deepEqual(
      [first!.delivery.address, first!.delivery.subject, first!.delivery.body, first!.delivery.worker, first!.data],
      [attack, attack, attack, attack, data]
    )
    const done = yield* notifications.delivered(first!.delivery.id, first!.token, attack)
    assert.equal(done.providerReference, attack)
    const failed = yield* notifications.failed(second!.delivery.id, second!.token, attack)
    assert.equal(failed.lastError, attack)
    assert.deepEqual(yield* deliveryOf(failed), failed)
    const streamed = yield* Stream.runCollect(notifications.stream(userId))
    assert.equal(streamed.length, 2)
  }),
  "numbers that JSON writes shorter are kept as they come back": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about } = yield* ready(["in-app"])
    const { notification } = yield* notifications.notify({ ...about, data: { zero: -0, big: 1e21, text: "\u2028" } })
    assert.deepEqual(notification.data, { zero: 0, big: 1e21, text: "\u2028" })
    assert.deepEqual(yield* notifications.find(notification.id), Option.some(notification))
  })
}
