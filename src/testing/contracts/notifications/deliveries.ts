import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import type { DeliveryCursor } from "../../../platform/notifications/Delivery.ts"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import { leaseEnded } from "../../../postgres/repository/WorkItem.ts"
import { passTime } from "../../Contract.ts"
import { failsWith, pages, refuses, untyped } from "../../Expectations.ts"
import { someUser } from "../users.ts"
import {
  type Cases,
  claim,
  claimOne,
  deliveryOf,
  drained,
  failing,
  millisUntil,
  noDelivery,
  noToken,
  queued,
  quietNow,
  ready,
  stateOf
} from "./fixtures.ts"

const claiming: Cases = {
  "a claimed delivery brings all that its worker needs": Effect.gen(function* () {
    const { about, delivery, user } = yield* queued({ data: { link: "/x" } })
    const claimed = yield* claimOne(user)
    const { leaseUntil } = claimed.delivery
    assert.deepEqual(
      { ...claimed, token: "" },
      {
        delivery: { ...delivery, state: "sending", attempts: 1, worker: "tester", leaseUntil },
        token: "",
        category: about.category,
        template: about.template,
        data: { link: "/x" }
      }
    )
    const lease = yield* millisUntil(leaseUntil!)
    assert.ok(lease > 20_000 && lease <= 30_050, `leased for ${lease} ms`)
    assert.deepEqual(yield* deliveryOf(delivery), claimed.delivery)
  }),
  "what is taken is not taken again, and a claim takes no more than its limit, the oldest first": Effect.gen(
    function* () {
      const notifications = yield* Notifications
      const { about } = yield* ready(["email"])
      yield* drained
      const ids: Array<string> = []
      for (let i = 0; i < 5; i++) {
        ids.push((yield* notifications.notify(about)).deliveries[0]!.id)
        yield* passTime("3 millis")
      }
      const taken: Array<ReadonlyArray<string>> = []
      for (let i = 0; i < 4; i++) {
        const claimed = yield* notifications.claimDeliveries({ limit: 2, lease: "1 minute", worker: "w" })
        taken.push(claimed.map(({ delivery }) => delivery.id))
      }
      assert.deepEqual(taken, [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4), []])
    }
  ),
  "a worker takes what it is for": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["email", "push", "webhook"])
    const userId = user.id
    yield* notifications.setAddress({ userId, channel: "push", address: "token", verified: true })
    yield* notifications.setAddress({ userId, channel: "webhook", address: "https://example.com", verified: true })
    yield* notifications.notify(about)
    yield* notifications.notify({ ...about, priority: "urgent" })
    const take = (options: Partial<Parameters<typeof notifications.claimDeliveries>[0]>) =>
      Effect.map(
        notifications.claimDeliveries({ limit: 1000, lease: "1 minute", worker: "w", ...options }),
        (claimed) =>
          claimed
            .filter(({ delivery }) => delivery.userId === userId)
            .map(({ delivery }) => `${delivery.priority} ${delivery.channel}`)
            .sort()
      )
    assert.deepEqual(yield* take({ channels: ["sms"] }), [])
    assert.deepEqual(yield* take({ channels: ["push"], priority: "urgent" }), ["urgent push"])
    assert.deepEqual(yield* take({ channels: ["push", "webhook"] }), [
      "normal push",
      "normal webhook",
      "urgent webhook"
    ])
    assert.deepEqual(yield* take({ priority: "urgent" }), ["urgent email"])
    assert.deepEqual(yield* take({}), ["normal email"])
  }),
  "a delivery whose lease has ended is taken again, and is lost to who had it": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const first = yield* claimOne(user, { lease: "50 millis" })
    yield* passTime("100 millis")
    const lost = yield* failing(notifications.delivered(delivery.id, first.token), "DeliveryLeaseLost")
    assert.deepEqual([lost.id, lost.state], [delivery.id, "sending"])
    const second = yield* claimOne(user)
    assert.deepEqual([second.delivery.attempts, second.token === first.token], [2, false])
    yield* failsWith(notifications.delivered(delivery.id, first.token), "DeliveryLeaseLost")
    yield* failsWith(notifications.failed(delivery.id, first.token, "late"), "DeliveryLeaseLost")
    yield* failsWith(notifications.renewLease(delivery.id, first.token, "1 minute"), "DeliveryLeaseLost")
    yield* notifications.delivered(delivery.id, second.token)
  }),
  "a lease is renewed from now": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const { token } = yield* claimOne(user, { lease: "2 seconds" })
    const until = yield* notifications.renewLease(delivery.id, token, "20 seconds")
    const left = yield* millisUntil(until)
    assert.ok(left > 15_000 && left <= 20_050, `renewed for ${left} ms`)
    yield* passTime("2100 millis")
    assert.deepEqual(yield* claim(user), [])
    assert.equal((yield* notifications.delivered(delivery.id, token)).state, "delivered")
  }),
  "a delivery whose last try ended without a word is dead": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued({ maxAttempts: 1 })
    const { token } = yield* claimOne(user, { lease: "50 millis" })
    yield* passTime("100 millis")
    assert.deepEqual(yield* claim(user), [])
    const dead = yield* deliveryOf(delivery)
    assert.deepEqual(
      [dead.state, dead.lastError, dead.leaseUntil, dead.finishedAt === null],
      ["dead", leaseEnded, null, false]
    )
    const lost = yield* failing(notifications.delivered(delivery.id, token), "DeliveryLeaseLost")
    assert.equal(lost.state, "dead")
  }),
  "a delivery that expires at its worker's is not sent again, but may be told as sent in time": Effect.gen(
    function* () {
      const notifications = yield* Notifications
      const expiresAt = DateTime.add(yield* DateTime.now, { seconds: 3 })
      const sent = yield* queued({ expiresAt })
      const { token } = yield* claimOne(sent.user)
      const late = yield* queued({ expiresAt })
      yield* claimOne(late.user, { lease: "100 millis" })
      yield* passTime("3100 millis")
      assert.deepEqual(yield* claim(late.user), [])
      const expired = yield* deliveryOf(late.delivery)
      assert.deepEqual([expired.state, expired.leaseUntil, expired.attempts], ["expired", null, 1])
      assert.equal((yield* notifications.delivered(sent.delivery.id, token)).state, "delivered")
    }
  )
}

const keepingQuiet: Cases = {
  "what is due in quiet hours is not taken, but waits for their end as if nobody had come": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, delivery, user } = yield* queued()
    const { end, quietHours } = yield* quietNow(["email"])
    yield* notifications.changeSettings(user.id, { quietHours })
    const urgent = (yield* notifications.notify({ ...about, priority: "urgent" })).deliveries[0]!
    const claimed = yield* claim(user)
    assert.deepEqual(
      claimed.map((one) => one.delivery.id),
      [urgent.id]
    )
    assert.deepEqual(yield* deliveryOf(delivery), { ...delivery, availableAt: end })
    assert.deepEqual(yield* claim(user), [])
  }),
  "quiet hours of a channel hold back no other": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { user } = yield* queued()
    const { quietHours } = yield* quietNow(["sms", "push"])
    yield* notifications.changeSettings(user.id, { quietHours })
    yield* claimOne(user)
  }),
  "what a dead worker leaves in quiet hours waits for their end, with the tries that it had": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const first = yield* claimOne(user, { lease: "50 millis" })
    const { end, quietHours } = yield* quietNow(["email"])
    yield* notifications.changeSettings(user.id, { quietHours })
    yield* passTime("100 millis")
    const other = yield* notifications.claimDeliveries({ limit: 1000, lease: "1 minute", worker: "other" })
    assert.equal(
      other.some((claimed) => claimed.delivery.id === delivery.id),
      false
    )
    const left = { ...delivery, state: "queued", attempts: 1, worker: "tester", leaseUntil: null, availableAt: end }
    assert.deepEqual(yield* deliveryOf(delivery), left)
    yield* failsWith(notifications.delivered(delivery.id, first.token), "DeliveryLeaseLost")
    yield* notifications.changeSettings(user.id, { quietHours: null })
    assert.deepEqual(yield* claim(user), [])
  }),
  "a backlog that has come into quiet hours does not stand in the way of who wants none": Effect.gen(function* () {
    const notifications = yield* Notifications
    yield* drained
    const { quietHours } = yield* quietNow(["email"])
    const { about, user } = yield* ready(["email"])
    const neighbours = [yield* someUser(), yield* someUser(), yield* someUser()]
    const { userId: _, ...told } = about
    for (let i = 0; i < 10; i++) {
      yield* notifications.notifyMany({ ...told, recipients: neighbours.map(({ id }) => ({ userId: id })) })
    }
    for (const { id } of neighbours) yield* notifications.changeSettings(id, { quietHours })
    const { deliveries } = yield* notifications.notify(about)
    const claimed = yield* notifications.claimDeliveries({ limit: 1, lease: "1 minute", worker: "w" })
    assert.deepEqual(
      claimed.map(({ delivery }) => delivery.id),
      [deliveries[0]!.id]
    )
    for (const { id } of neighbours) {
      const { items } = yield* notifications.listDeliveries({ userId: id })
      assert.equal(items.length, 10)
      for (const { attempts, state, worker } of items) assert.deepEqual([attempts, state, worker], [0, "queued", null])
    }
    assert.deepEqual(yield* claim(user), [])
  })
}

const finishing: Cases = {
  "a delivery that is sent is so for good, and may be told twice": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const { token } = yield* claimOne(user)
    const done = yield* notifications.delivered(delivery.id, token, "<id@provider>")
    assert.deepEqual(
      [done.state, done.providerReference, done.leaseUntil, done.attempts, done.finishedAt === null],
      ["delivered", "<id@provider>", null, 1, false]
    )
    assert.deepEqual(yield* deliveryOf(delivery), done)
    assert.deepEqual(yield* notifications.delivered(delivery.id, token, "other"), done)
    const lost = yield* failing(notifications.delivered(delivery.id, noToken), "DeliveryLeaseLost")
    assert.equal(lost.state, "delivered")
    yield* failsWith(notifications.failed(delivery.id, token, "late"), "DeliveryLeaseLost")
    assert.deepEqual(yield* claim(user), [])
  }),
  "a failed try waits 15 to 30 seconds, the next one twice as long": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const first = yield* claimOne(user)
    const failed = yield* notifications.failed(delivery.id, first.token, "451 try later")
    assert.deepEqual(
      [failed.state, failed.attempts, failed.lastError, failed.leaseUntil, failed.finishedAt],
      ["queued", 1, "451 try later", null, null]
    )
    const pause = yield* millisUntil(failed.availableAt)
    assert.ok(pause > 13_000 && pause <= 30_050, `waits ${pause} ms`)
    assert.deepEqual(yield* claim(user), [])
    const again = yield* queued()
    const one = yield* claimOne(again.user)
    yield* notifications.failed(one.delivery.id, one.token, "x", { retryAfter: 0 })
    const two = yield* claimOne(again.user)
    const twice = yield* notifications.failed(two.delivery.id, two.token, "y")
    const longer = yield* millisUntil(twice.availableAt)
    assert.ok(longer > 28_000 && longer <= 60_050, `waits ${longer} ms`)
    yield* failsWith(notifications.failed(two.delivery.id, two.token, "z"), "DeliveryLeaseLost")
  }),
  "pauses are drawn, so that what failed together is not tried again together": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["email"])
    for (let i = 0; i < 8; i++) yield* notifications.notify(about)
    const pauses = new Set<number>()
    for (const { delivery, token } of yield* claim(user)) {
      const before = yield* DateTime.now
      const { availableAt } = yield* notifications.failed(delivery.id, token, "x")
      pauses.add(Math.round((DateTime.toEpochMillis(availableAt) - DateTime.toEpochMillis(before)) / 100))
    }
    assert.ok(pauses.size >= 4, `pauses of ${[...pauses].join(", ")}`)
  }),
  "a provider may say when to try again": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const { token } = yield* claimOne(user)
    const { availableAt } = yield* notifications.failed(delivery.id, token, "429", { retryAfter: "2 seconds" })
    const pause = yield* millisUntil(availableAt)
    assert.ok(pause <= 2_050, `waits ${pause} ms`)
    assert.deepEqual(yield* claim(user), [])
    yield* passTime("2100 millis")
    assert.equal((yield* claimOne(user)).delivery.lastError, "429")
  }),
  "a try that would fall into quiet hours waits for their end": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const urgent = yield* queued({ priority: "urgent" })
    const all = yield* notifications.claimDeliveries({ limit: 1000, lease: "1 minute", worker: "w" })
    const tokenOf = (id: string) => all.find((claimed) => claimed.delivery.id === id)!.token
    const { end, quietHours } = yield* quietNow(["email"])
    for (const { id } of [user, urgent.user]) yield* notifications.changeSettings(id, { quietHours })
    const { availableAt } = yield* notifications.failed(delivery.id, tokenOf(delivery.id), "x")
    const off = Math.abs(DateTime.toEpochMillis(availableAt) - DateTime.toEpochMillis(end))
    assert.ok(off < 2_000, `${off} ms from the end`)
    const passes = yield* notifications.failed(urgent.delivery.id, tokenOf(urgent.delivery.id), "x")
    assert.ok((yield* millisUntil(passes.availableAt)) < 31_000)
  }),
  "what is queued again in quiet hours waits for their end, unless it is urgent": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { end, quietHours } = yield* quietNow(["email"])
    const requeued = (given: Parameters<typeof queued>[0]) =>
      Effect.gen(function* () {
        const { delivery, user } = yield* queued(given)
        const { token } = yield* claimOne(user)
        yield* notifications.failed(delivery.id, token, "no", { permanent: true })
        yield* notifications.changeSettings(user.id, { quietHours })
        return yield* notifications.requeueDelivery(delivery.id)
      })
    const waits = yield* requeued({})
    assert.deepEqual([waits.state, waits.attempts, waits.availableAt], ["queued", 0, end])
    const passes = yield* requeued({ priority: "urgent" })
    assert.ok((yield* millisUntil(passes.availableAt)) <= 50)
  }),
  "a delivery is dead after its last try, and may be queued with all its tries": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued({ maxAttempts: 2 })
    for (const state of ["queued", "dead"]) {
      const { token } = yield* claimOne(user)
      const failed = yield* notifications.failed(delivery.id, token, "no", { retryAfter: 0 })
      assert.equal(failed.state, state)
    }
    assert.deepEqual(yield* claim(user), [])
    assert.notEqual((yield* deliveryOf(delivery)).finishedAt, null)
    const revived = yield* notifications.requeueDelivery(delivery.id)
    assert.deepEqual(
      [revived.state, revived.attempts, revived.lastError, revived.finishedAt],
      ["queued", 0, "no", null]
    )
    const { token } = yield* claimOne(user)
    assert.equal((yield* notifications.failed(delivery.id, token, "no", { retryAfter: 0 })).state, "queued")
  }),
  "a failure that no other try can mend ends a delivery at once": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const { token } = yield* claimOne(user)
    const dead = yield* notifications.failed(delivery.id, token, "550 no such user", { permanent: true })
    assert.deepEqual([dead.state, dead.attempts, dead.lastError], ["dead", 1, "550 no such user"])
    assert.deepEqual([dead.leaseUntil, dead.finishedAt === null], [null, false])
    assert.deepEqual(yield* deliveryOf(delivery), dead)
  }),
  "only what nobody has taken is canceled": Effect.gen(function* () {
    const notifications = yield* Notifications
    const waiting = yield* queued()
    const canceled = yield* notifications.cancelDelivery(waiting.delivery.id)
    assert.deepEqual([canceled.state, canceled.finishedAt === null], ["canceled", false])
    assert.deepEqual(yield* claim(waiting.user), [])
    const { delivery, user } = yield* queued()
    const { token } = yield* claimOne(user)
    const error = yield* failing(notifications.cancelDelivery(delivery.id), "IllegalTransition")
    assert.deepEqual([error.subject, error.id, error.from, error.to], ["delivery", delivery.id, "sending", "canceled"])
    yield* notifications.delivered(delivery.id, token)
    const late = yield* failing(notifications.cancelDelivery(delivery.id), "IllegalTransition")
    assert.deepEqual([late.from, late.to, late.allowed], ["delivered", "canceled", []])
    const twice = yield* failing(notifications.cancelDelivery(canceled.id), "IllegalTransition")
    assert.equal(twice.from, "canceled")
  }),
  "only what is dead is queued again": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { delivery, user } = yield* queued()
    const requeue = Effect.map(
      failing(notifications.requeueDelivery(delivery.id), "IllegalTransition"),
      ({ from, to }) => `${from} ${to}`
    )
    assert.equal(yield* requeue, "queued queued")
    const { token } = yield* claimOne(user)
    assert.equal(yield* requeue, "sending queued")
    yield* notifications.delivered(delivery.id, token)
    assert.equal(yield* requeue, "delivered queued")
    const other = yield* queued()
    yield* notifications.cancelDelivery(other.delivery.id)
    yield* failsWith(notifications.requeueDelivery(other.delivery.id), "IllegalTransition")
    assert.equal(yield* stateOf(other.delivery), "canceled")
  }),
  "a delivery that is not there is told": Effect.gen(function* () {
    const notifications = yield* Notifications
    yield* failsWith(notifications.delivered(noDelivery, noToken), "DeliveryNotFound")
    yield* failsWith(notifications.failed(noDelivery, noToken, "x"), "DeliveryNotFound")
    yield* failsWith(notifications.renewLease(noDelivery, noToken, "1 minute"), "DeliveryNotFound")
    yield* failsWith(notifications.cancelDelivery(noDelivery), "DeliveryNotFound")
    yield* failsWith(notifications.requeueDelivery(noDelivery), "DeliveryNotFound")
    assert.deepEqual(yield* notifications.findDelivery(noDelivery), Option.none())
  })
}

const looking: Cases = {
  "deliveries are listed newest first, each once, by what they are": Effect.gen(function* () {
    const notifications = yield* Notifications
    const { about, user } = yield* ready(["email", "push"])
    const userId = user.id
    yield* notifications.setAddress({ userId, channel: "push", address: "token", verified: true })
    const told = []
    for (let i = 0; i < 3; i++) {
      told.push(yield* notifications.notify(about))
      yield* passTime("3 millis")
    }
    const ids = told.flatMap(({ deliveries }) => deliveries.map(({ id }) => id)).toReversed()
    const read = yield* pages((after: DeliveryCursor | undefined) =>
      notifications.listDeliveries({ userId, limit: 4, after })
    )
    assert.deepEqual(
      read.map((page) => page.map(({ id }) => id)),
      [ids.slice(0, 4), ids.slice(4)]
    )
    const canceled = told[1]!.deliveries[0]!
    yield* notifications.cancelDelivery(canceled.id)
    const found = yield* notifications.listDeliveries({ userId, states: ["canceled", "dead"] })
    assert.deepEqual(
      found.items.map(({ id }) => id),
      [canceled.id]
    )
    const pushed = yield* notifications.listDeliveries({ userId, channel: "push", states: ["queued"] })
    assert.equal(pushed.items.length, 3)
    const { id: notificationId } = told[2]!.notification
    const streamed = yield* Stream.runCollect(notifications.streamDeliveries({ notificationId, pageSize: 1 }))
    assert.deepEqual(
      streamed.map(({ id }) => id),
      ids.slice(0, 2)
    )
    assert.deepEqual(yield* notifications.countDeliveries({ userId }), {
      queued: 5,
      sending: 0,
      delivered: 0,
      dead: 0,
      canceled: 1,
      expired: 0
    })
    assert.equal((yield* notifications.countDeliveries({ userId, channel: "email" })).queued, 2)
    assert.ok((yield* notifications.countDeliveries()).queued >= 5)
  }),
  "fields of workers' calls that are none are refused, each named": Effect.gen(function* () {
    const notifications = yield* Notifications
    yield* refuses(
      notifications.claimDeliveries(
        untyped({ channels: ["in-app"], priority: "high", limit: 0, lease: "soon", worker: "" })
      ),
      "Notifications.claimDeliveries",
      ["channels[0]", "priority", "limit", "lease", "worker"]
    )
    yield* refuses(
      notifications.claimDeliveries({ channels: [], limit: 1001, lease: 0, worker: "w" }),
      "Notifications.claimDeliveries",
      ["channels", "limit", "lease"]
    )
    yield* refuses(notifications.renewLease(untyped("1"), untyped("2"), "2 days"), "Notifications.renewLease", [
      "id",
      "token",
      "lease"
    ])
    yield* refuses(notifications.delivered(noDelivery, untyped("2"), ""), "Notifications.delivered", [
      "token",
      "providerReference"
    ])
    yield* refuses(
      notifications.failed(noDelivery, noToken, "", untyped({ permanent: 1, retryAfter: -1 })),
      "Notifications.failed",
      ["error", "options.permanent", "options.retryAfter"]
    )
    yield* refuses(
      notifications.listDeliveries(untyped({ states: ["lost"], channel: "in-app", limit: 0, after: "x" })),
      "Notifications.listDeliveries",
      ["states[0]", "channel", "limit", "after"]
    )
    yield* refuses(notifications.countDeliveries({ states: [] }), "Notifications.countDeliveries", ["states"])
  })
}

export const deliveries: Cases = { ...claiming, ...keepingQuiet, ...finishing, ...looking }
