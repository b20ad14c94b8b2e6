import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { IdempotencyConflict } from "../../core/Idempotency.ts"
import type { MemoryReader, MemoryWriter } from "../../postgres/memory/MemoryDatabase.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { presentUser } from "../users/UsersMemory.ts"
import { canceled, deliveryOf, isUnsent } from "./DeliveriesMemory.ts"
import { deleted, deliveriesIn, notificationOf } from "./InboxMemory.ts"
import { NotificationNotFound, type Notified } from "./Notification.ts"
import { CategoryNotFound } from "./NotificationPreferences.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput } from "./NotificationsInput.ts"
import {
  categoriesTable,
  deliveriesTable,
  notificationsTable,
  ofUser,
  preferencesTable,
  templatesTable
} from "./NotificationTables.ts"
import { makePrepare, planNotification, type PreparedRequest } from "./planNotification.ts"
import { addressesIn, settingsIn } from "./PreferencesMemory.ts"

/** What the same key told the user before. */
const toldBefore = (db: MemoryReader, { hash, request }: PreparedRequest) =>
  Result.gen(function* () {
    const { key, userId } = request
    if (key === undefined) return undefined
    const found = db.find(notificationsTable, "notifications_user_id_idempotency_key_key", ofUser(userId, key))
    if (Option.isNone(found)) return undefined
    if (found.value.requestHash !== hash) {
      return yield* Result.fail(new IdempotencyConflict({ subject: "notification", key }))
    }
    return {
      notification: notificationOf(found.value),
      deliveries: deliveriesIn(db, found.value.id).map(deliveryOf)
    } satisfies Notified
  })

const tell = (db: MemoryWriter, prepared: PreparedRequest, now: DateTime.Utc) =>
  Result.gen(function* () {
    const { category, template, userId } = prepared.request
    const user = yield* presentUser(db, userId)
    const known = yield* Result.fromOption(db.get(categoriesTable, category), () => new CategoryNotFound({ category }))
    const preference = Option.getOrNull(db.get(preferencesTable, ofUser(userId, category)))
    const told = yield* planNotification(
      prepared,
      {
        userId,
        email: user.email,
        category: known,
        chosen: preference && preference.channels,
        ...settingsIn(db, userId),
        addresses: addressesIn(db, userId).filter(({ verifiedAt }) => verifiedAt !== null)
      },
      db.rows(templatesTable, ({ key }) => key === template),
      now
    )
    yield* db.insert(notificationsTable, { ...told.notification, requestHash: prepared.hash })
    for (const delivery of told.deliveries) {
      yield* db.insert(deliveriesTable, { ...delivery, leaseToken: null, finishedBy: null, withdrawnAt: null })
    }
    return told
  })

type Service = Notifications["Service"]

/** Telling, in memory; times are the Clock's. */
export const makeTelling = ({ write }: PostgresMemory["Service"]) => {
  const prepare = makePrepare()

  const tellAll = (operation: string, requests: ReadonlyArray<PreparedRequest>) =>
    Effect.flatMap(DateTime.now, (now) =>
      write(operation, (db) =>
        Result.gen(function* () {
          const before: Array<Notified | undefined> = []
          for (const request of requests) before.push(yield* toldBefore(db, request))
          const told: Array<Notified> = []
          for (const [i, request] of requests.entries()) told.push(before[i] ?? (yield* tell(db, request, now)))
          return told
        })
      )
    )

  const notify: Service["notify"] = Effect.fnUntraced(function* (given) {
    const prepared = yield* prepare(yield* NotificationsInput.notify(given))
    const [told] = yield* tellAll("Notifications.notify", [prepared])
    return told!
  })

  const notifyMany: Service["notifyMany"] = Effect.fnUntraced(function* (given) {
    const { recipients, variables, ...common } = yield* NotificationsInput.notifyMany(given)
    const requests = yield* Effect.forEach(recipients, (recipient) =>
      prepare({ ...common, userId: recipient.userId, variables: { ...variables, ...recipient.variables } })
    )
    return yield* tellAll("Notifications.notifyMany", requests)
  })

  const withdraw: Service["withdraw"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* NotificationsInput.notification("withdraw", given)
    const now = yield* DateTime.now
    return yield* write("Notifications.withdraw", (db) =>
      Result.gen(function* () {
        const found = yield* Result.fromOption(db.get(notificationsTable, id), () => new NotificationNotFound({ id }))
        if (found.deletedAt === null) yield* db.replace(notificationsTable, deleted(found, now))
        for (const delivery of deliveriesIn(db, id)) {
          const withdrawn = { ...delivery, withdrawnAt: delivery.withdrawnAt ?? now }
          yield* db.replace(deliveriesTable, isUnsent(delivery, now) ? canceled(withdrawn, now) : withdrawn)
        }
        return deliveriesIn(db, id).map(deliveryOf)
      })
    )
  })

  return { notify, notifyMany, withdraw } satisfies Partial<Service>
}
