import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { memoryClaims } from "../../postgres/memory/MemoryClaims.ts"
import { isLeaseOver, isReady, jittered, LeaseToken, pauseAfter } from "../../postgres/repository/WorkItem.ts"
import {
  type ClaimedDelivery,
  commandedStates,
  type Delivery,
  type DeliveryCursor,
  deliveryCursorAfter,
  type DeliveryFilter,
  type DeliveryId,
  DeliveryLeaseLost,
  DeliveryNotFound,
  deliveryPauses,
  type DeliveryState,
  deliveryWork,
  NotificationWithdrawn
} from "./Delivery.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput, streamOf } from "./NotificationsInput.ts"
import { deliveriesTable, notificationsTable, type StoredDelivery } from "./NotificationTables.ts"
import { sendableFrom } from "./planNotification.ts"
import { settingsIn } from "./PreferencesMemory.ts"

const claims = memoryClaims({ table: deliveriesTable, states: deliveryWork })

type Place = Pick<Delivery, "createdAt" | "id">

const newestFirst: Order.Order<Place> = Order.flip(
  Order.combine(
    Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
    Order.mapInput(Order.String, ({ id }: Place) => id)
  )
)

export const deliveryOf = (stored: StoredDelivery): Delivery =>
  Struct.omit(stored, ["leaseToken", "finishedBy", "withdrawnAt"])

/** No worker has it: it waits, or its worker's lease is over. */
export const isUnsent = (delivery: StoredDelivery, now: DateTime.Utc): boolean =>
  delivery.state === "queued" || (delivery.state === "sending" && isLeaseOver(delivery, now))

export const canceled = (delivery: StoredDelivery, now: DateTime.Utc): StoredDelivery => ({
  ...delivery,
  ...claims.released,
  state: "canceled",
  finishedAt: now
})

const matching =
  ({ channel, notificationId, states, userId }: DeliveryFilter) =>
  (delivery: Delivery): boolean =>
    (states === undefined || states.includes(delivery.state)) &&
    (channel === undefined || delivery.channel === channel) &&
    (userId === undefined || delivery.userId === userId) &&
    (notificationId === undefined || delivery.notificationId === notificationId)

/** When a delivery may be sent that would be at this time. */
const sendable = (db: MemoryReader, { channel, priority, userId }: Delivery, at: DateTime.Utc): DateTime.Utc =>
  sendableFrom(channel, priority, settingsIn(db, userId).quietHours, at)

const hasExpired = ({ expiresAt }: Delivery, now: DateTime.Utc): boolean =>
  expiresAt !== null && DateTime.isLessThanOrEqualTo(expiresAt, now)

type Service = Notifications["Service"]

/** Deliveries in memory; times are the Clock's. */
export const makeDeliveries = ({ read, write }: PostgresMemory["Service"]) => {
  const nextToken = makeIdsOf(LeaseToken)

  const claimDeliveries: Service["claimDeliveries"] = Effect.fnUntraced(function* (given) {
    const { channels, lease, limit, priority, worker } = yield* NotificationsInput.claimDeliveries(given)
    const now = yield* DateTime.now
    const token = yield* nextToken
    return yield* write("Notifications.claimDeliveries", (db) =>
      Result.gen(function* () {
        const withdrawn = db.rows(
          deliveriesTable,
          (delivery) => delivery.withdrawnAt !== null && isUnsent(delivery, now)
        )
        for (const delivery of withdrawn) yield* db.replace(deliveriesTable, canceled(delivery, now))
        const late = db.rows(deliveriesTable, (delivery) => hasExpired(delivery, now) && isUnsent(delivery, now))
        for (const delivery of late) {
          yield* db.replace(deliveriesTable, { ...delivery, ...claims.released, state: "expired", finishedAt: now })
        }
        yield* claims.bury(db, { now, set: () => ({ finishedAt: now }) })
        for (const delivery of db.rows(deliveriesTable, isReady(deliveryWork, now))) {
          const until = sendable(db, delivery, now)
          if (DateTime.isLessThanOrEqualTo(until, now)) continue
          yield* db.replace(deliveriesTable, { ...delivery, ...claims.released, state: "queued", availableAt: until })
        }
        const taken = yield* claims.take(db, {
          limit,
          lease,
          token,
          now,
          where: (delivery) =>
            (channels === undefined || channels.includes(delivery.channel)) &&
            (priority === undefined || delivery.priority === priority),
          set: () => ({ worker })
        })
        const claimed: Array<ClaimedDelivery> = []
        for (const delivery of taken) {
          const { category, data, template } = yield* Result.fromOption(
            db.get(notificationsTable, delivery.notificationId),
            () => new DeliveryNotFound({ id: delivery.id })
          )
          claimed.push({ delivery: deliveryOf(delivery), token, category, template, data })
        }
        return claimed
      })
    ).pipe(Effect.catchTag("DeliveryNotFound", Effect.die))
  })

  const found = (db: MemoryReader, id: DeliveryId) =>
    Result.fromOption(db.get(deliveriesTable, id), () => new DeliveryNotFound({ id }))

  /** The delivery, where it is the holder's of this token. */
  const held = (db: MemoryReader, id: DeliveryId, token: LeaseToken, now: DateTime.Utc) =>
    Result.flatMap(found(db, id), (delivery): Result.Result<StoredDelivery, DeliveryLeaseLost> =>
      claims.heldBy(token, now)(delivery)
        ? Result.succeed(delivery)
        : Result.fail(new DeliveryLeaseLost({ id, state: delivery.state }))
    )

  const renewLease: Service["renewLease"] = Effect.fnUntraced(function* (givenId, givenToken, givenLease) {
    const { id, lease, token } = yield* NotificationsInput.renewLease(givenId, givenToken, givenLease)
    const now = yield* DateTime.now
    return yield* write("Notifications.renewLease", (db) =>
      Result.gen(function* () {
        const delivery = yield* held(db, id, token, now)
        const renewed = claims.renewed(lease, now)
        yield* db.replace(deliveriesTable, { ...delivery, ...renewed })
        return renewed.leaseUntil
      })
    )
  })

  const delivered: Service["delivered"] = Effect.fnUntraced(function* (givenId, givenToken, given) {
    const { id, providerReference, token } = yield* NotificationsInput.delivered(givenId, givenToken, given)
    const now = yield* DateTime.now
    return yield* write("Notifications.delivered", (db) =>
      Result.gen(function* () {
        const before = yield* found(db, id)
        if (before.finishedBy === token) return deliveryOf(before)
        const delivery = yield* held(db, id, token, now)
        const done: StoredDelivery = {
          ...delivery,
          ...claims.released,
          state: "delivered",
          providerReference: providerReference ?? null,
          finishedAt: now,
          finishedBy: token
        }
        yield* db.replace(deliveriesTable, done)
        return deliveryOf(done)
      })
    )
  })

  const failed: Service["failed"] = Effect.fnUntraced(function* (givenId, givenToken, givenError, given) {
    const { error, id, options, token } = yield* NotificationsInput.failed(givenId, givenToken, givenError, given)
    const now = yield* DateTime.now
    const draw = yield* Random.next
    return yield* write("Notifications.failed", (db) =>
      Result.gen(function* () {
        const delivery = yield* held(db, id, token, now)
        const pause = options.retryAfter ?? jittered(pauseAfter(deliveryPauses, delivery.attempts), draw)
        const again = DateTime.addDuration(now, pause)
        const pauseOrQuiet = DateTime.distance(now, sendable(db, delivery, again))
        const tried = claims.failed(delivery, error, pauseOrQuiet, now)
        const ended: StoredDelivery =
          options.permanent === true ? { ...tried, state: "dead", availableAt: delivery.availableAt } : tried
        const after =
          delivery.withdrawnAt === null
            ? { ...ended, finishedAt: ended.state === "dead" ? now : null }
            : { ...canceled(delivery, now), lastError: error }
        yield* db.replace(deliveriesTable, after)
        return deliveryOf(after)
      })
    )
  })

  const moved = Effect.fnUntraced(function* <E = never>(
    method: string,
    given: DeliveryId,
    to: DeliveryState,
    change: (now: DateTime.Utc, sendable: DateTime.Utc) => Partial<StoredDelivery>,
    refusal?: (delivery: StoredDelivery) => E | undefined
  ) {
    const { id } = yield* NotificationsInput.delivery(method, given)
    const now = yield* DateTime.now
    return yield* write(`Notifications.${method}`, (db) =>
      Result.gen(function* () {
        const delivery = yield* found(db, id)
        const state = yield* commandedStates.go(id, delivery.state, to)
        const refused = refusal?.(delivery)
        if (refused !== undefined) return yield* Result.fail(refused)
        const after = { ...delivery, ...change(now, sendable(db, delivery, now)), state }
        yield* db.replace(deliveriesTable, after)
        return deliveryOf(after)
      })
    )
  })

  const findDelivery: Service["findDelivery"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* NotificationsInput.delivery("findDelivery", given)
    return yield* read("Notifications.findDelivery", (db) => Option.map(db.get(deliveriesTable, id), deliveryOf))
  })

  const listDeliveries: Service["listDeliveries"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, ...filter } = yield* NotificationsInput.listDeliveries(given)
    return yield* read("Notifications.listDeliveries", (db) => {
      const rows = db.rows(deliveriesTable, matching(filter)).map(deliveryOf).sort(newestFirst)
      return pageOfSorted(rows, newestFirst, after, limit, deliveryCursorAfter)
    })
  })

  const countDeliveries: Service["countDeliveries"] = Effect.fnUntraced(function* (given) {
    const filter = yield* NotificationsInput.countDeliveries(given)
    return yield* read("Notifications.countDeliveries", (db) => {
      const counts = { queued: 0, sending: 0, delivered: 0, dead: 0, canceled: 0, expired: 0 }
      for (const { state } of db.rows(deliveriesTable, matching(filter))) counts[state] += 1
      return counts
    })
  })

  return {
    claimDeliveries,
    renewLease,
    delivered,
    failed,
    cancelDelivery: (id) => moved("cancelDelivery", id, "canceled", (now) => ({ finishedAt: now })),
    requeueDelivery: (id) =>
      moved(
        "requeueDelivery",
        id,
        "queued",
        (_, sendable) => ({ attempts: 0, availableAt: sendable, finishedAt: null }),
        ({ notificationId, withdrawnAt }) =>
          withdrawnAt === null ? undefined : new NotificationWithdrawn({ id: notificationId, deliveryId: id })
      ),
    findDelivery,
    listDeliveries,
    streamDeliveries: ({ pageSize, ...filter } = {}) =>
      streamOf<Delivery, DeliveryCursor>("streamDeliveries", pageSize, (page) =>
        listDeliveries({ ...filter, ...page })
      ),
    countDeliveries
  } satisfies Partial<Service>
}
