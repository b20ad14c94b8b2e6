import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { OutsideChannel } from "./Channel.ts"
import {
  type Notification,
  type NotificationCursor,
  notificationCursorAfter,
  type NotificationId
} from "./Notification.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput, streamOf } from "./NotificationsInput.ts"
import {
  deliveriesTable,
  isShown,
  notificationsTable,
  type StoredDelivery,
  type StoredNotification
} from "./NotificationTables.ts"

type Place = Pick<Notification, "visibleAt" | "id">

const newestFirst: Order.Order<Place> = Order.flip(
  Order.combine(
    Order.mapInput(DateTime.Order, ({ visibleAt }: Place) => visibleAt),
    Order.mapInput(Order.String, ({ id }: Place) => id)
  )
)

const oldestFirst: Order.Order<Notification> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt }) => createdAt),
  Order.mapInput(Order.String, ({ id }) => id)
)

export const notificationOf = (stored: StoredNotification): Notification => Struct.omit(stored, ["requestHash"])

const byChannel: Order.Order<StoredDelivery> = Order.mapInput(Order.Number, ({ channel }) =>
  OutsideChannel.literals.indexOf(channel)
)

/** A notification's deliveries, in the order of the channels. */
export const deliveriesIn = (db: MemoryReader, id: NotificationId): Array<StoredDelivery> =>
  db.rows(deliveriesTable, ({ notificationId }) => notificationId === id).sort(byChannel)

/** A notification whose text is gone; its key stays used. */
export const deleted = (row: StoredNotification, now: DateTime.Utc): StoredNotification => ({
  ...row,
  subject: null,
  body: null,
  data: {},
  deletedAt: now
})

type Service = Notifications["Service"]

/** The inbox, in memory; times are the Clock's. */
export const makeInbox = ({ read, write }: PostgresMemory["Service"]) => {
  const kept = (db: MemoryReader, id: NotificationId) =>
    db.get(notificationsTable, id).pipe(
      Option.filter(({ deletedAt }) => deletedAt === null),
      Option.map(notificationOf)
    )

  const find: Service["find"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* NotificationsInput.notification("find", given)
    return yield* read("Notifications.find", (db) => kept(db, id))
  })

  const findMany: Service["findMany"] = Effect.fnUntraced(function* (given) {
    const { ids } = yield* NotificationsInput.findMany(given)
    return yield* read("Notifications.findMany", (db) => ids.map((id) => kept(db, id)))
  })

  const list: Service["list"] = Effect.fnUntraced(function* (givenUser, given) {
    const { options, userId } = yield* NotificationsInput.list(givenUser, given)
    const { after, archived = false, category, limit = defaultPageSize, unread } = options
    const now = yield* DateTime.now
    return yield* read("Notifications.list", (db) => {
      const shown = db
        .rows(notificationsTable, isShown(userId, now))
        .filter(
          (notification) =>
            (notification.archivedAt !== null) === archived &&
            (category === undefined || notification.category === category) &&
            (unread === undefined || (notification.readAt === null) === unread)
        )
        .map(notificationOf)
        .sort(newestFirst)
      return pageOfSorted(shown, newestFirst, after, limit, notificationCursorAfter)
    })
  })

  const unreadCount: Service["unreadCount"] = Effect.fnUntraced(function* (given) {
    const { userId } = yield* NotificationsInput.user("unreadCount", given)
    const now = yield* DateTime.now
    return yield* read(
      "Notifications.unreadCount",
      (db) =>
        db
          .rows(notificationsTable, isShown(userId, now))
          .filter(({ archivedAt, readAt }) => readAt === null && archivedAt === null).length
    )
  })

  const changeEach = (
    method: string,
    rows: (db: MemoryReader) => ReadonlyArray<StoredNotification>,
    change: (row: StoredNotification) => StoredNotification
  ) =>
    write(`Notifications.${method}`, (db) =>
      Result.gen(function* () {
        const changed = rows(db)
        for (const row of changed) yield* db.replace(notificationsTable, change(row))
        return changed.length
      })
    )

  /** Changes those of a user's notifications for which there is something to change. */
  const changeSome =
    (
      method: string,
      where: (row: StoredNotification) => boolean,
      change: (row: StoredNotification, now: DateTime.Utc) => StoredNotification
    ): Service["markRead"] =>
    (givenUser, givenIds) =>
      Effect.gen(function* () {
        const { ids, userId } = yield* NotificationsInput.some(method, givenUser, givenIds)
        const now = yield* DateTime.now
        const wanted = new Set<string>(ids)
        return yield* changeEach(
          method,
          (db) =>
            db.rows(
              notificationsTable,
              (row) => wanted.has(row.id) && row.userId === userId && row.deletedAt === null && where(row)
            ),
          (row) => change(row, now)
        )
      })

  const markAllRead: Service["markAllRead"] = Effect.fnUntraced(function* (givenUser, given) {
    const { options, userId } = yield* NotificationsInput.markAllRead(givenUser, given)
    const { category, until } = options
    const now = yield* DateTime.now
    return yield* changeEach(
      "markAllRead",
      (db) =>
        db
          .rows(notificationsTable, isShown(userId, now))
          .filter(
            (row) =>
              row.readAt === null &&
              row.archivedAt === null &&
              (category === undefined || row.category === category) &&
              (until === undefined || DateTime.isLessThanOrEqualTo(row.visibleAt, until))
          ),
      (row) => ({ ...row, readAt: now })
    )
  })

  const purge: Service["purge"] = Effect.fnUntraced(function* (given) {
    const { before, limit = defaultPageSize } = yield* NotificationsInput.purge(given)
    return yield* write("Notifications.purge", (db) =>
      Result.gen(function* () {
        const old = db
          .rows(
            notificationsTable,
            ({ createdAt, id }) =>
              DateTime.isLessThan(createdAt, before) &&
              deliveriesIn(db, id).every(({ state }) => state !== "queued" && state !== "sending")
          )
          .sort(oldestFirst)
          .slice(0, limit)
        for (const { id } of old) yield* db.remove(notificationsTable, id)
        return old.length
      })
    )
  })

  return {
    find,
    findMany,
    list,
    stream: (userId, { pageSize, ...filter } = {}) =>
      streamOf<Notification, NotificationCursor>(
        "stream",
        pageSize,
        (page) => list(userId, { ...filter, ...page }),
        "options.pageSize"
      ),
    unreadCount,
    markRead: changeSome(
      "markRead",
      ({ readAt }) => readAt === null,
      (row, now) => ({ ...row, readAt: now })
    ),
    markUnread: changeSome(
      "markUnread",
      ({ readAt }) => readAt !== null,
      (row) => ({ ...row, readAt: null })
    ),
    markAllRead,
    archive: changeSome(
      "archive",
      ({ archivedAt }) => archivedAt === null,
      (row, now) => ({ ...row, archivedAt: now })
    ),
    unarchive: changeSome(
      "unarchive",
      ({ archivedAt }) => archivedAt !== null,
      (row) => ({ ...row, archivedAt: null })
    ),
    delete: changeSome("delete", () => true, deleted),
    purge
  } satisfies Partial<Service>
}
