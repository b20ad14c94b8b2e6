import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import type { Notification } from "../../../platform/notifications/Notification.ts"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import { passTime } from "../../Contract.ts"
import { refuses, refusesOtherLists, untyped } from "../../Expectations.ts"
import { nobody, someUser } from "../users.ts"
import { type Cases, category, claimOne, noNotification, ready, template } from "./fixtures.ts"
import { findsById } from "../findsById.ts"

/** A user with some notifications, the newest first. */
const inbox = (n: number) =>
  Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["in-app"])
    const all: Array<Notification> = []
    for (let i = 0; i < n; i++) {
      all.unshift((yield* notifications.notify(about)).notification)
      if (i % 2 === 0) yield* passTime("3 millis")
    }
    return { user, about, all, ids: all.map(({ id }) => id) }
  })

const idsOf = (items: ReadonlyArray<Notification>) => items.map(({ id }) => id)

export const inboxes: Cases = {
  "notifications are found by id, one by one and many together": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about } = yield* ready(["in-app"])
    const notified = Effect.map(notifications.notify(about), ({ notification }) => notification)
    yield* findsById("Notifications.findMany", notified, notifications)
  }),
  "findMany leaves out what is deleted": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { all, ids, user } = yield* inbox(2)
    yield* notifications.delete(user.id, [ids[0]!])
    assert.deepEqual(yield* notifications.findMany(ids), [Option.none(), Option.some(all[1]!)])
  }),
  "an inbox is listed newest first, each notification once": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, all, ids, user } = yield* inbox(7)
    assert.deepEqual((yield* notifications.list(user.id)).items, all)
    const first = yield* notifications.list(user.id, { limit: 3 })
    // What comes between the pages moves nothing.
    yield* notifications.notify(about)
    const second = yield* notifications.list(user.id, { limit: 3, after: Option.getOrThrow(first.next) })
    const third = yield* notifications.list(user.id, { limit: 3, after: Option.getOrThrow(second.next) })
    assert.deepEqual(
      [first, second, third].map(({ items }) => idsOf(items)),
      [ids.slice(0, 3), ids.slice(3, 6), ids.slice(6)]
    )
    assert.deepEqual(third.next, Option.none())
    const after = Option.getOrThrow(first.next)
    yield* refusesOtherLists((after) => notifications.list(user.id, { after }), after)
    yield* refuses(notifications.list((yield* someUser()).id, { after }), "Notifications.list", ["options.after"])
    const streamed = yield* Stream.runCollect(notifications.stream(user.id, { pageSize: 3 }))
    assert.deepEqual(idsOf(streamed).slice(1), ids)
  }),
  "an inbox is the user's own": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { ids } = yield* inbox(2)
    const other = yield* someUser()
    assert.deepEqual((yield* notifications.list(other.id)).items, [])
    assert.equal(yield* notifications.markRead(other.id, ids), 0)
    assert.equal(yield* notifications.archive(other.id, ids), 0)
    assert.equal(yield* notifications.delete(other.id, ids), 0)
    assert.equal(yield* notifications.unreadCount(other.id), 0)
    assert.equal(yield* notifications.unreadCount(nobody), 0)
    assert.equal(Option.getOrThrow(yield* notifications.find(ids[0]!)).readAt, null)
  }),
  "reading is counted once": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { ids, user } = yield* inbox(5)
    assert.equal(yield* notifications.unreadCount(user.id), 5)
    assert.equal(yield* notifications.markRead(user.id, [ids[0]!]), 1)
    const read = Option.getOrThrow(yield* notifications.find(ids[0]!))
    yield* passTime("5 millis")
    assert.equal(yield* notifications.markRead(user.id, [ids[0]!, ids[1]!, ids[1]!, noNotification]), 1)
    assert.deepEqual(yield* notifications.find(ids[0]!), Option.some(read))
    assert.equal(yield* notifications.unreadCount(user.id), 3)
    assert.equal(yield* notifications.markRead(user.id, []), 0)
    const page = yield* notifications.list(user.id, { unread: true })
    assert.deepEqual(idsOf(page.items), ids.slice(2))
    assert.deepEqual(idsOf((yield* notifications.list(user.id, { unread: false })).items), ids.slice(0, 2))
    assert.equal(yield* notifications.markUnread(user.id, ids), 2)
    assert.equal(yield* notifications.unreadCount(user.id), 5)
  }),
  "all is read up to a time, with it": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, all, ids, user } = yield* inbox(5)
    // Two were made at one time.
    const seen = all[2]!
    const until = seen.visibleAt
    const expected = all.filter(({ visibleAt }) => DateTime.isLessThanOrEqualTo(visibleAt, until)).length
    assert.equal(yield* notifications.markAllRead(user.id, { until }), expected)
    assert.equal(yield* notifications.markAllRead(user.id, { until }), 0)
    assert.equal(yield* notifications.unreadCount(user.id), 5 - expected)
    assert.notEqual(Option.getOrThrow(yield* notifications.find(seen.id)).readAt, null)
    assert.equal(Option.getOrThrow(yield* notifications.find(ids[0]!)).readAt, null)
    const other = { ...about, category: yield* category(["in-app"]) }
    yield* notifications.notify(other)
    assert.equal(yield* notifications.markAllRead(user.id, { category: other.category }), 1)
    assert.equal(yield* notifications.unreadCount(user.id), 5 - expected)
    assert.equal(yield* notifications.markAllRead(user.id), 5 - expected)
    assert.equal(yield* notifications.unreadCount(user.id), 0)
  }),
  "an inbox is narrowed to a category": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, ids, user } = yield* inbox(2)
    const other = yield* category(["in-app"])
    const { notification } = yield* notifications.notify({ ...about, category: other })
    assert.deepEqual((yield* notifications.list(user.id, { category: other })).items, [notification])
    assert.deepEqual(idsOf((yield* notifications.list(user.id, { category: about.category })).items), ids)
    assert.deepEqual((yield* notifications.list(user.id, { category: "no.such" })).items, [])
  }),
  "what is archived is put away, not read": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { ids, user } = yield* inbox(3)
    assert.equal(yield* notifications.archive(user.id, [ids[1]!]), 1)
    assert.equal(yield* notifications.archive(user.id, [ids[1]!]), 0)
    assert.deepEqual(idsOf((yield* notifications.list(user.id)).items), [ids[0], ids[2]])
    const [away] = (yield* notifications.list(user.id, { archived: true })).items
    assert.deepEqual([away!.id, away!.readAt, away!.archivedAt === null], [ids[1], null, false])
    assert.equal(yield* notifications.unreadCount(user.id), 2)
    assert.equal(yield* notifications.markAllRead(user.id), 2)
    assert.equal(yield* notifications.unarchive(user.id, ids), 1)
    assert.equal(yield* notifications.unreadCount(user.id), 1)
    assert.equal((yield* notifications.list(user.id)).items.length, 3)
  }),
  "what is deleted is gone, and its key stays used": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["in-app", "email"])
    const { notification } = yield* notifications.notify({ ...about, key: "k", data: { secret: true } })
    const { delivery } = yield* claimOne(user)
    assert.equal(yield* notifications.delete(user.id, [notification.id]), 1)
    assert.equal(yield* notifications.delete(user.id, [notification.id]), 0)
    assert.deepEqual((yield* notifications.list(user.id)).items, [])
    assert.deepEqual((yield* notifications.list(user.id, { archived: true })).items, [])
    assert.equal(yield* notifications.unreadCount(user.id), 0)
    assert.equal(yield* notifications.markRead(user.id, [notification.id]), 0)
    assert.deepEqual(yield* notifications.find(notification.id), Option.none())
    const again = yield* notifications.notify({ ...about, key: "k", data: { secret: true } })
    assert.deepEqual(
      [again.notification.id, again.notification.subject, again.notification.body, again.notification.data],
      [notification.id, null, null, {}]
    )
    assert.deepEqual(again.deliveries, [delivery])
  }),
  "what goes outside alone is in no inbox": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["email"])
    const { notification } = yield* notifications.notify(about)
    assert.equal(notification.inApp, false)
    assert.deepEqual((yield* notifications.list(user.id)).items, [])
    assert.equal(yield* notifications.unreadCount(user.id), 0)
    assert.equal(yield* notifications.markAllRead(user.id), 0)
    assert.deepEqual(yield* notifications.find(notification.id), Option.some(notification))
  }),
  "what is due later comes in its place": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["in-app"])
    const scheduledFor = DateTime.add(yield* DateTime.now, { seconds: 1 })
    const later = yield* notifications.notify({ ...about, scheduledFor })
    const now = yield* notifications.notify(about)
    yield* passTime("1100 millis")
    const page = yield* notifications.list(user.id)
    assert.deepEqual(idsOf(page.items), [later.notification.id, now.notification.id])
    // What was due before it was made is in the place of its making.
    const past = yield* notifications.notify({ ...about, scheduledFor: DateTime.makeUnsafe(0) })
    assert.deepEqual(past.notification.visibleAt, past.notification.createdAt)
    assert.equal((yield* notifications.list(user.id)).items[0]!.id, past.notification.id)
  }),
  "old notifications are removed for good, unless a delivery goes on": Effect.gen(function* () {
    const notifications = yield* Notifications
    const user = yield* someUser()
    const slug = yield* category(["in-app", "email"])
    const about = { userId: user.id, category: slug, template: yield* template(["in-app", "email"]) }
    const going = yield* notifications.notify({ ...about, key: "going" })
    const ended = yield* notifications.notify({ ...about, key: "ended" })
    yield* notifications.cancelDelivery(ended.deliveries[0]!.id)
    yield* passTime("5 millis")
    const before = yield* DateTime.now
    yield* passTime("5 millis")
    const young = yield* notifications.notify({ ...about, key: "young" })
    yield* notifications.cancelDelivery(young.deliveries[0]!.id)
    let removed = 0
    for (let n = yield* notifications.purge({ before }); n > 0; n = yield* notifications.purge({ before })) removed += n
    assert.ok(removed >= 1)
    assert.deepEqual(
      idsOf((yield* notifications.list(user.id)).items),
      [young, going].map(({ notification }) => notification.id)
    )
    assert.deepEqual(yield* notifications.findDelivery(ended.deliveries[0]!.id), Option.none())
    const anew = yield* notifications.notify({ ...about, key: "ended" })
    assert.notEqual(anew.notification.id, ended.notification.id)
    yield* notifications.cancelDelivery(anew.deliveries[0]!.id)
    yield* passTime("5 millis")
    assert.equal(yield* notifications.purge({ before: DateTime.add(before, { hours: 1 }), limit: 1 }), 1)
    assert.deepEqual(yield* notifications.find(young.notification.id), Option.none())
    assert.ok(Option.isSome(yield* notifications.find(anew.notification.id)))
  }),
  "fields of inboxes that are none are refused, each named": Effect.gen(function* () {
    const notifications = yield* Notifications
    yield* refuses(
      notifications.list(untyped("x"), untyped({ unread: 1, category: "A", limit: 1001, after: "x" })),
      "Notifications.list",
      ["userId", "options.unread", "options.category", "options.limit", "options.after"]
    )
    yield* refuses(notifications.unreadCount(untyped(1)), "Notifications.unreadCount", ["userId"])
    yield* refuses(notifications.markRead(nobody, untyped(["x"])), "Notifications.markRead", ["ids[0]"])
    yield* refuses(notifications.archive(nobody, untyped("x")), "Notifications.archive", ["ids"])
    yield* refuses(notifications.markAllRead(nobody, untyped({ until: "now" })), "Notifications.markAllRead", [
      "options.until"
    ])
    yield* refuses(notifications.purge(untyped({ limit: 0 })), "Notifications.purge", ["before", "limit"])
    yield* refuses(Stream.runDrain(notifications.stream(nobody, { pageSize: 0 })), "Notifications.stream", [
      "options.pageSize"
    ])
  })
}
