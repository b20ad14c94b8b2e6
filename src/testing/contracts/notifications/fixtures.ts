import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import type { Channel, OutsideChannel } from "../../../platform/notifications/Channel.ts"
import { type ClaimedDelivery, type Delivery, DeliveryId } from "../../../platform/notifications/Delivery.ts"
import { type NewNotification, NotificationId } from "../../../platform/notifications/Notification.ts"
import { Notifications } from "../../../platform/notifications/Notifications.ts"
import { TemplateId } from "../../../platform/notifications/NotificationTemplate.ts"
import type { User, Users } from "../../../platform/users/Users.ts"
import type { Transaction } from "../../../postgres/Transaction.ts"
import { LeaseToken } from "../../../postgres/repository/WorkItem.ts"
import { unique } from "../../Contract.ts"
import { someUser } from "../users.ts"

export type Cases = Record<string, Effect.Effect<void, unknown, Notifications | Users | Transaction>>

const unknownId = "01900000-0000-7000-8000-000000000000"
export const noTemplate = TemplateId.make(unknownId)
export const noNotification = NotificationId.make(unknownId)
export const noDelivery = DeliveryId.make(unknownId)
export const noToken = LeaseToken.make(unknownId)

export const everywhere: ReadonlyArray<Channel> = ["in-app", "email", "sms", "push", "webhook"]

/** A category that is on for these channels. */
export const category = (
  channels: ReadonlyArray<Channel> = ["in-app", "email"],
  mandatory: ReadonlyArray<Channel> = []
) =>
  Effect.gen(function* () {
    const slug = yield* unique("category")
    yield* (yield* Notifications).setCategory({ slug, channels, mandatory })
    return slug
  })

/** A template in English, for these channels. */
export const template = (
  channels: ReadonlyArray<Channel> = ["in-app", "email"],
  text: { readonly subject?: string; readonly body?: string } = {}
) =>
  Effect.gen(function* () {
    const notifications = yield* Notifications
    const key = yield* unique("template")
    const { body = "Hello", subject = "Subject" } = text
    for (const channel of channels) {
      yield* notifications.createTemplate({ key, channel, locale: "en", subject, body: `${body} by ${channel}` })
    }
    return key
  })

/** A user who can be told something on these channels. */
export const ready = (channels: ReadonlyArray<Channel> = ["in-app", "email"]) =>
  Effect.gen(function* () {
    const user: User = yield* someUser()
    const about: Pick<NewNotification, "userId" | "category" | "template"> = {
      userId: user.id,
      category: yield* category(channels),
      template: yield* template(channels)
    }
    return { user, about }
  })

/** A delivery by e-mail, on its way. */
export const queued = (given: Partial<NewNotification> = {}) =>
  Effect.gen(function* () {
    const { about, user } = yield* ready(["email"])
    const { deliveries, notification } = yield* (yield* Notifications).notify({ ...about, ...given })
    return { user, about, notification, delivery: deliveries[0]! }
  })

interface Claim {
  readonly lease?: Duration.Input
  readonly channels?: ReadonlyArray<OutsideChannel>
}

/** Takes all that is there; gives what is the user's. */
export const claim = ({ id }: Pick<User, "id">, { channels, lease = "30 seconds" }: Claim = {}) =>
  Effect.gen(function* () {
    const claimed = yield* (yield* Notifications).claimDeliveries({ channels, limit: 1000, lease, worker: "tester" })
    return claimed.filter(({ delivery }) => delivery.userId === id)
  })

/** Takes the only delivery that there is for the user. */
export const claimOne = (
  user: Pick<User, "id">,
  given: Claim = {}
): Effect.Effect<ClaimedDelivery, unknown, Notifications> =>
  Effect.map(claim(user, given), (claimed) => {
    assert.equal(claimed.length, 1, `took ${claimed.length} deliveries`)
    return claimed[0]!
  })

/** Leaves nothing of other cases to take. */
export const drained = Effect.gen(function* () {
  yield* (yield* Notifications).claimDeliveries({ limit: 1000, lease: "1 day", worker: "drain" })
})

export const deliveryOf = ({ id }: Pick<Delivery, "id">) =>
  Effect.flatMap(Notifications, (notifications) => Effect.map(notifications.findDelivery(id), Option.getOrThrow))

export const stateOf = (delivery: Pick<Delivery, "id">) => Effect.map(deliveryOf(delivery), ({ state }) => state)

/** Quiet hours from an hour ago, by UTC, and their end in two hours. */
export const quietNow = (channels: ReadonlyArray<OutsideChannel>) =>
  Effect.map(DateTime.now, (now) => {
    const end = DateTime.startOf(DateTime.add(now, { hours: 2 }), "minute")
    const text = (time: DateTime.Utc) => DateTime.formatIso(time).slice(11, 16)
    return {
      end,
      quietHours: { start: text(DateTime.subtract(now, { hours: 1 })), end: text(end), timeZone: "UTC", channels }
    }
  })

/** Milliseconds from now. */
export const millisUntil = (time: DateTime.Utc) =>
  Effect.map(DateTime.now, (now) => DateTime.toEpochMillis(time) - DateTime.toEpochMillis(now))

/** Fails with this tag; gives the failure. */
export const failing = <A, E extends { readonly _tag: string }, R, Tag extends E["_tag"]>(
  effect: Effect.Effect<A, E, R>,
  tag: Tag
): Effect.Effect<Extract<E, { readonly _tag: Tag }>, unknown, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.equal(error._tag, tag, String(error))
    return error as Extract<E, { readonly _tag: Tag }>
  })
