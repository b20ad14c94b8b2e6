import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { defaultMaxAttempts } from "../../../platform/notifications/Delivery.ts"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import { passTime, unique } from "../../Contract.ts"
import { failsWith, refuses, untyped } from "../../Expectations.ts"
import { nobody, someUser } from "../users.ts"
import {
  type Cases,
  category,
  claim,
  claimOne,
  deliveryOf,
  everywhere,
  failing,
  noNotification,
  queued,
  quietNow,
  ready,
  stateOf,
  template
} from "./fixtures.ts"

const deciding: Cases = {
  "telling makes a notification, and a delivery for each channel outside": Effect.gen(function* () {
    const notifications = yield* Notifications
    const user = yield* someUser()
    const about = {
      userId: user.id,
      category: yield* category(["in-app", "email"]),
      template: yield* template(["in-app", "email"], { subject: "Invoice {{number}}", body: "{{name}}, pay" })
    }
    const data = { link: "/invoices/17", list: [1, { a: null }], text: "Zoë 🦊" }
    const { deliveries, notification } = yield* notifications.notify({
      ...about,
      variables: { number: 17, name: "Alice" },
      data,
      priority: "low",
      maxAttempts: 3
    })
    assert.deepEqual(notification, {
      ...about,
      id: notification.id,
      priority: "low",
      inApp: true,
      subject: "Invoice 17",
      body: "Alice, pay by in-app",
      data,
      skipped: { sms: "off", push: "off", webhook: "off" },
      idempotencyKey: null,
      createdAt: notification.createdAt,
      scheduledFor: null,
      visibleAt: notification.createdAt,
      expiresAt: null,
      readAt: null,
      archivedAt: null,
      deletedAt: null
    })
    assert.deepEqual(yield* notifications.find(notification.id), Option.some(notification))
    const [delivery, ...rest] = deliveries
    assert.deepEqual(rest, [])
    assert.deepEqual(
      [delivery!.channel, delivery!.address, delivery!.subject, delivery!.body, delivery!.priority, delivery!.userId],
      ["email", user.email, "Invoice 17", "Alice, pay by email", "low", user.id]
    )
    assert.deepEqual([delivery!.state, delivery!.attempts, delivery!.maxAttempts], ["queued", 0, 3])
    assert.deepEqual(yield* notifications.findDelivery(delivery!.id), Option.some(delivery))
  }),
  "a channel that is off, or has no text or address, is left out, and it says why": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id: userId } = yield* someUser()
    const about = {
      userId,
      category: yield* category(["email", "sms", "push", "webhook"]),
      template: yield* template(["in-app", "email", "sms", "webhook"])
    }
    yield* notifications.setAddress({ userId, channel: "webhook", address: "https://example.com", verified: true })
    const { deliveries, notification } = yield* notifications.notify(about)
    assert.deepEqual(notification.skipped, { "in-app": "off", sms: "no-address", push: "no-template" })
    assert.deepEqual([notification.inApp, notification.subject, notification.body], [false, null, null])
    assert.deepEqual(
      deliveries.map(({ channel }) => channel),
      ["email", "webhook"]
    )
  }),
  "what a user chose counts, and what is mandatory counts more": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id: userId } = yield* someUser()
    const slug = yield* category(["in-app", "email"], ["email"])
    const about = { userId, category: slug, template: yield* template(everywhere) }
    yield* notifications.setPreference(userId, slug, ["in-app"])
    const chosen = yield* notifications.notify(about)
    assert.deepEqual([chosen.notification.inApp, chosen.deliveries.length], [true, 1])
    yield* notifications.setPreference(userId, slug, [])
    const muted = yield* notifications.notify(about)
    assert.deepEqual([muted.notification.inApp, muted.deliveries[0]?.channel], [false, "email"])
    assert.equal((yield* notifications.list(userId)).items.length, 1)
  }),
  "nothing is sent to an address before it is verified": Effect.gen(function* () {
    const notifications = yield* Notifications
    const user = yield* someUser()
    const userId = user.id
    const about = {
      userId,
      category: yield* category(["email", "sms"]),
      template: yield* template(["email", "sms"])
    }
    yield* notifications.setAddress({ userId, channel: "email", address: "other@example.com" })
    yield* notifications.setAddress({ userId, channel: "sms", address: "+436601234567" })
    const before = yield* notifications.notify(about)
    assert.deepEqual(
      before.deliveries.map(({ address }) => address),
      [user.email]
    )
    yield* notifications.verifyAddress(userId, "email", "other@example.com")
    yield* notifications.verifyAddress(userId, "sms", "+436601234567")
    const after = yield* notifications.notify(about)
    assert.deepEqual(
      after.deliveries.map(({ address }) => address),
      ["other@example.com", "+436601234567"]
    )
    // What was told keeps the address that it had.
    assert.equal((yield* deliveryOf(before.deliveries[0]!)).address, user.email)
  }),
  "a user reads the own language, unless another one is asked for": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["in-app"])
    for (const locale of ["de", "fr"]) {
      yield* notifications.createTemplate({ key: about.template, channel: "in-app", locale, body: locale })
    }
    const body = (locale?: string) =>
      Effect.map(
        notifications.notify({ ...about, ...(locale === undefined ? {} : { locale }) }),
        ({ notification }) => notification.body
      )
    assert.equal(yield* body(), "Hello by in-app")
    yield* notifications.changeSettings(user.id, { locale: "de-AT" })
    assert.equal(yield* body(), "de")
    assert.equal(yield* body("fr-CA"), "fr")
    assert.equal(yield* body("it"), "Hello by in-app")
  }),
  "what is asked for must be there": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready()
    yield* failsWith(notifications.notify({ ...about, userId: nobody, category: "no.such" }), "UserNotFound")
    yield* failsWith(notifications.notify({ ...about, category: "no.such", template: "no.such" }), "CategoryNotFound")
    const unknown = yield* failing(notifications.notify({ ...about, template: "no.such" }), "TemplateUnknown")
    assert.deepEqual([unknown.key, unknown.channel], ["no.such", null])
    assert.equal(yield* notifications.unreadCount(user.id), 0)
  }),
  "a variable that is missing in one channel leaves nothing stored": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { id: userId } = yield* someUser()
    const key = yield* unique("template")
    yield* notifications.createTemplate({ key, channel: "in-app", locale: "en", body: "plain" })
    yield* notifications.createTemplate({ key, channel: "email", locale: "en", body: "{{link}}" })
    const about = { userId, category: yield* category(), template: key, key: "once" }
    const error = yield* failing(notifications.notify(about), "TemplateVariableMissing")
    assert.deepEqual([error.template, error.channel, error.variable], [key, "email", "link"])
    assert.equal(yield* notifications.unreadCount(userId), 0)
    yield* notifications.notify({ ...about, variables: { link: "x" } })
    assert.equal(yield* notifications.unreadCount(userId), 1)
  }),
  "deliveries that fall into quiet hours wait for their end, unless it is urgent": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["in-app", "email", "push"])
    yield* notifications.setAddress({ userId: user.id, channel: "push", address: "token", verified: true })
    const { end, quietHours } = yield* quietNow(["push"])
    yield* notifications.changeSettings(user.id, { quietHours })
    const told = yield* notifications.notify(about)
    assert.equal(told.notification.inApp, true)
    assert.deepEqual(told.deliveries[1]!.availableAt, end)
    assert.deepEqual(
      (yield* claim(user)).map(({ delivery }) => delivery.channel),
      ["email"]
    )
    const urgent = yield* notifications.notify({ ...about, priority: "urgent" })
    assert.deepEqual(
      (yield* claim(user)).map(({ delivery }) => delivery.id),
      urgent.deliveries.map(({ id }) => id)
    )
    // What is scheduled is judged by its own time.
    const scheduledFor = DateTime.add(end, { minutes: 10 })
    const later = yield* notifications.notify({ ...about, scheduledFor })
    assert.deepEqual(later.deliveries[1]!.availableAt, scheduledFor)
    const tomorrow = DateTime.subtract(DateTime.add(end, { days: 1 }), { minutes: 30 })
    const quiet = yield* notifications.notify({ ...about, scheduledFor: tomorrow })
    assert.deepEqual(quiet.deliveries[0]!.availableAt, tomorrow)
    assert.deepEqual(quiet.deliveries[1]!.availableAt, DateTime.add(end, { days: 1 }))
  }),
  "what is scheduled is neither shown nor sent before": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready()
    const scheduledFor = DateTime.add(yield* DateTime.now, { seconds: 2 })
    const { deliveries, notification } = yield* notifications.notify({ ...about, scheduledFor })
    assert.deepEqual([notification.visibleAt, deliveries[0]!.availableAt], [scheduledFor, scheduledFor])
    assert.deepEqual((yield* notifications.list(user.id)).items, [])
    assert.equal(yield* notifications.unreadCount(user.id), 0)
    assert.equal(yield* notifications.markAllRead(user.id), 0)
    assert.deepEqual(yield* claim(user), [])
    yield* passTime("2100 millis")
    assert.deepEqual((yield* notifications.list(user.id)).items, [notification])
    assert.equal(yield* notifications.unreadCount(user.id), 1)
    assert.equal((yield* claim(user)).length, 1)
  }),
  "what has expired is neither shown nor sent": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready()
    const expiresAt = DateTime.add(yield* DateTime.now, { seconds: 2 })
    const { deliveries, notification } = yield* notifications.notify({ ...about, expiresAt })
    assert.equal(yield* notifications.unreadCount(user.id), 1)
    yield* passTime("2100 millis")
    assert.equal(yield* notifications.unreadCount(user.id), 0)
    assert.deepEqual((yield* notifications.list(user.id)).items, [])
    assert.deepEqual(yield* notifications.find(notification.id), Option.some(notification))
    assert.deepEqual(yield* claim(user), [])
    const late = yield* deliveryOf(deliveries[0]!)
    assert.deepEqual([late.state, late.attempts, late.finishedAt === null], ["expired", 0, false])
  }),
  "fields of notifications that are none are refused, each named": Effect.gen(function* () {
    const notifications = yield* Notifications
    const now = yield* DateTime.now
    yield* refuses(
      notifications.notify(
        untyped({
          userId: 1,
          category: "A",
          template: "",
          variables: { a: {} },
          data: { a: "\0" },
          priority: "high",
          locale: "",
          key: "",
          scheduledFor: "now",
          expiresAt: 1,
          maxAttempts: 0,
          extra: 1
        })
      ),
      "Notifications.notify",
      [
        "userId",
        "category",
        "template",
        "variables.a",
        "data",
        "priority",
        "locale",
        "key",
        "scheduledFor",
        "expiresAt",
        "maxAttempts",
        "extra"
      ]
    )
    // 1 BC, a moment before the first year and behind the last one, the year 12026.
    for (const millis of [-62_150_000_000_000, -1, 32_503_680_000_000, 317_377_000_000_000]) {
      const far = DateTime.makeUnsafe(millis)
      for (const field of ["scheduledFor", "expiresAt"]) {
        const told = { category: "a", template: "b", [field]: far }
        yield* refuses(notifications.notify({ ...told, userId: nobody }), "Notifications.notify", [field])
        const many = { ...told, recipients: [{ userId: nobody }] }
        yield* refuses(notifications.notifyMany(many), "Notifications.notifyMany", [field])
      }
    }
    const about = { category: "a", template: "b", scheduledFor: now, expiresAt: now }
    yield* refuses(notifications.notify({ ...about, userId: nobody }), "Notifications.notify", ["expiresAt"])
    yield* refuses(
      notifications.notifyMany({ category: "a", template: "b", recipients: [] }),
      "Notifications.notifyMany",
      ["recipients"]
    )
    const twice = [{ userId: nobody }, { userId: nobody }]
    yield* refuses(
      notifications.notifyMany({ category: "a", template: "b", recipients: twice }),
      "Notifications.notifyMany",
      ["recipients"]
    )
  })
}

const once: Cases = {
  "the same key tells a user once, and gives what was told, as it is now": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready()
    const asked = { ...about, key: "welcome", variables: { a: 1, b: "x" } }
    const first = yield* notifications.notify(asked)
    assert.equal(first.notification.idempotencyKey, "welcome")
    yield* notifications.markRead(user.id, [first.notification.id])
    const { delivery, token } = yield* claimOne(user)
    yield* notifications.delivered(delivery.id, token)
    const again = yield* notifications.notify({ ...asked, variables: { b: "x", a: 1 } })
    assert.equal(again.notification.id, first.notification.id)
    assert.notEqual(again.notification.readAt, null)
    assert.deepEqual(
      again.deliveries.map(({ id, state }) => [id, state]),
      [[delivery.id, "delivered"]]
    )
    const defaults = { priority: "normal", data: {}, maxAttempts: defaultMaxAttempts } as const
    assert.equal((yield* notifications.notify({ ...asked, ...defaults })).notification.id, first.notification.id)
    yield* failing(notifications.notify({ ...asked, maxAttempts: 1 }), "IdempotencyConflict")
    assert.equal((yield* notifications.list(user.id)).items.length, 1)
  }),
  "a key is the user's own, and stands for one request": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready()
    const other = yield* someUser()
    yield* notifications.notify({ ...about, key: "k" })
    yield* notifications.notify({ ...about, userId: other.id, key: "k", priority: "urgent" })
    const error = yield* failing(
      notifications.notify({ ...about, key: "k", priority: "urgent" }),
      "IdempotencyConflict"
    )
    assert.deepEqual([error.subject, error.key], ["notification", "k"])
    yield* failsWith(notifications.notify({ ...about, key: "k", variables: { a: 1 } }), "IdempotencyConflict")
    assert.equal(yield* notifications.unreadCount(user.id), 1)
    yield* notifications.notify({ ...about, key: "K" })
    yield* notifications.notify(about)
    yield* notifications.notify(about)
    assert.equal(yield* notifications.unreadCount(user.id), 4)
  }),
  "what was told is given again when its template is gone": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about } = yield* ready(["in-app"])
    const first = yield* notifications.notify({ ...about, key: "k" })
    const [text] = (yield* notifications.listTemplates({ key: about.template })).items
    yield* notifications.deleteTemplate(text!.id, 1)
    assert.deepEqual(yield* notifications.notify({ ...about, key: "k" }), first)
    yield* failsWith(notifications.notify({ ...about, key: "other" }), "TemplateUnknown")
  }),
  "many are told at once, in their order, each with the own variables": Effect.gen(function* () {
    const notifications = yield* Notifications
    const users = [yield* someUser(), yield* someUser(), yield* someUser()].toReversed()
    const about = {
      category: yield* category(["in-app", "email"]),
      template: yield* template(["in-app", "email"], { body: "{{greeting}} {{name}}" })
    }
    const [a, b, c] = users.map(({ id }) => id)
    const told = yield* notifications.notifyMany({
      ...about,
      variables: { greeting: "Hi", name: "you" },
      recipients: [
        { userId: a!, variables: { name: "A" } },
        { userId: b! },
        { userId: c!, variables: { greeting: "Yo" } }
      ]
    })
    assert.deepEqual(
      told.map(({ deliveries, notification }) => [notification.userId, notification.body, deliveries[0]!.address]),
      [
        [a, "Hi A by in-app", users[0]!.email],
        [b, "Hi you by in-app", users[1]!.email],
        [c, "Yo you by in-app", users[2]!.email]
      ]
    )
    for (const { deliveries, notification } of told) {
      assert.deepEqual((yield* notifications.list(notification.userId)).items, [notification])
      assert.deepEqual(yield* deliveryOf(deliveries[0]!), deliveries[0])
    }
  }),
  "many are told all or none": Effect.gen(function* () {
    const notifications = yield* Notifications
    const [a, b] = [yield* someUser(), yield* someUser()]
    const about = {
      category: yield* category(["in-app"]),
      template: yield* template(["in-app"], { body: "{{name}}" })
    }
    const unknown = yield* failing(
      notifications.notifyMany({
        ...about,
        variables: { name: "x" },
        recipients: [{ userId: a.id }, { userId: nobody }, { userId: b.id }]
      }),
      "UserNotFound"
    )
    assert.equal(unknown.id, nobody)
    yield* failsWith(
      notifications.notifyMany({
        ...about,
        recipients: [{ userId: a.id, variables: { name: "x" } }, { userId: b.id }]
      }),
      "TemplateVariableMissing"
    )
    yield* notifications.notify({ ...about, userId: b.id, variables: { name: "before" }, key: "k" })
    yield* failsWith(
      notifications.notifyMany({
        ...about,
        key: "k",
        variables: { name: "x" },
        recipients: [{ userId: a.id }, { userId: b.id }]
      }),
      "IdempotencyConflict"
    )
    assert.deepEqual([yield* notifications.unreadCount(a.id), yield* notifications.unreadCount(b.id)], [0, 1])
  }),
  "a list that is told again with more tells only those who were not told": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready()
    const { userId: _, ...rest } = about
    const other = yield* someUser()
    const [first] = yield* notifications.notifyMany({ ...rest, key: "news", recipients: [{ userId: user.id }] })
    const both = yield* notifications.notifyMany({
      ...rest,
      key: "news",
      recipients: [{ userId: other.id }, { userId: user.id }]
    })
    assert.deepEqual(both[1], first)
    assert.equal(both[0]!.notification.userId, other.id)
    assert.deepEqual([yield* notifications.unreadCount(user.id), yield* notifications.unreadCount(other.id)], [1, 1])
    // One of them by itself is the same request.
    assert.deepEqual(yield* notifications.notify({ ...about, key: "news" }), first)
  }),
  "what is withdrawn is not shown, and not sent unless it is out already": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["in-app", "email", "push"])
    yield* notifications.setAddress({ userId: user.id, channel: "push", address: "token", verified: true })
    const { notification } = yield* notifications.notify({ ...about, key: "k" })
    const [mail] = yield* claim(user, { channels: ["email"] })
    const deliveries = yield* notifications.withdraw(notification.id)
    assert.deepEqual(
      deliveries.map(({ channel, finishedAt, state }) => [channel, state, finishedAt === null]),
      [
        ["email", "sending", true],
        ["push", "canceled", false]
      ]
    )
    assert.equal(yield* notifications.unreadCount(user.id), 0)
    assert.deepEqual(yield* notifications.find(notification.id), Option.none())
    assert.deepEqual(yield* claim(user), [])
    yield* notifications.delivered(mail!.delivery.id, mail!.token)
    assert.equal(yield* stateOf(mail!.delivery), "delivered")
    assert.equal((yield* notifications.withdraw(notification.id)).length, 2)
    const again = yield* notifications.notify({ ...about, key: "k" })
    assert.deepEqual([again.notification.id, again.notification.body], [notification.id, null])
    yield* failsWith(notifications.withdraw(noNotification), "NotificationNotFound")
  }),
  "what is withdrawn while a worker has it that never comes back is not taken again": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, notification, user } = yield* queued()
    const before = yield* queued()
    // Takes both.
    yield* claimOne(user, { lease: "20 millis" })
    // One while its lease runs, the other when that is over.
    yield* notifications.withdraw(before.notification.id)
    yield* passTime("20 millis")
    const [canceled] = yield* notifications.withdraw(notification.id)
    assert.deepEqual([canceled?.state, canceled?.leaseUntil], ["canceled", null])
    assert.notEqual(canceled?.finishedAt, null)
    assert.deepEqual(yield* claim(user), [])
    assert.deepEqual(yield* claim(before.user), [])
    const left = yield* deliveryOf(before.delivery)
    assert.deepEqual([left.state, left.leaseUntil, left.attempts], ["canceled", null, 1])
    assert.notEqual(left.finishedAt, null)
    assert.equal(yield* stateOf(delivery), "canceled")
  }),
  "a try that fails when its notification was withdrawn is the last": Effect.gen(function* () {
    const notifications = yield* Notifications
    for (const options of [{ retryAfter: "1 milli" }, { permanent: true }] as const) {
      const { delivery, notification, user } = yield* queued()
      const { token } = yield* claimOne(user)
      const [sending] = yield* notifications.withdraw(notification.id)
      assert.equal(sending?.state, "sending")
      const failed = yield* notifications.failed(delivery.id, token, "503", options)
      assert.deepEqual([failed.state, failed.lastError, failed.leaseUntil], ["canceled", "503", null])
      assert.notEqual(failed.finishedAt, null)
      yield* passTime("5 millis")
      assert.deepEqual(yield* claim(user), [])
      assert.deepEqual(yield* deliveryOf(delivery), failed)
    }
  }),
  "a dead delivery of what was withdrawn is not queued again; of what was only deleted it is": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { run } = yield* Transaction
    const { delivery, notification, user } = yield* queued()
    const { token } = yield* claimOne(user)
    yield* notifications.failed(delivery.id, token, "550", { permanent: true })
    yield* notifications.delete(user.id, [notification.id])
    assert.equal((yield* notifications.requeueDelivery(delivery.id)).state, "queued")
    const again = yield* claimOne(user)
    yield* notifications.failed(delivery.id, again.token, "550", { permanent: true })
    assert.deepEqual(
      (yield* notifications.withdraw(notification.id)).map(({ state }) => state),
      ["dead"]
    )
    const refused = yield* run(failing(notifications.requeueDelivery(delivery.id), "NotificationWithdrawn"))
    assert.deepEqual([refused.id, refused.deliveryId], [notification.id, delivery.id])
    assert.match(refused.message, /was withdrawn.*notify/)
    assert.equal(yield* stateOf(delivery), "dead")
    assert.deepEqual(yield* claim(user), [])
  }),
  "a delivery is sent as it was told, whatever becomes of its template": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, delivery, user } = yield* queued()
    const [text] = (yield* notifications.listTemplates({ key: about.template })).items
    yield* notifications.updateTemplate(text!.id, 1, { body: "Changed" })
    const claimed = yield* claimOne(user)
    assert.equal(claimed.delivery.body, delivery.body)
  })
}

export const telling: Cases = { ...deciding, ...once }
