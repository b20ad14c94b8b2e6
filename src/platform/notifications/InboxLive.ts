import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import { Notification, type NotificationCursor, notificationCursorAfter, type NotificationId } from "./Notification.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput, streamOf } from "./NotificationsInput.ts"
import { lookupById } from "../tables/lookupById.ts"

/** A notification as `notificationColumnsOf` selects it. */
export const NotificationRow = Notification.mapFields((fields) => ({
  ...fields,
  createdAt: Timestamp,
  scheduledFor: NullableTimestamp,
  visibleAt: Timestamp,
  expiresAt: NullableTimestamp,
  readAt: NullableTimestamp,
  archivedAt: NullableTimestamp,
  deletedAt: NullableTimestamp
}))
const notificationRows = rowReader(NotificationRow)

/** What statements select of a notification `n`. */
export const notificationColumnsOf = (sql: PostgresClient["Service"]["sql"]) => sql`n.id, n.user_id as "userId",
  n.category, n.template, n.priority, n.in_app as "inApp", n.subject, n.body, n.data, n.skipped,
  n.idempotency_key as "idempotencyKey", n.created_at as "createdAt", n.scheduled_for as "scheduledFor",
  n.visible_at as "visibleAt", n.expires_at as "expiresAt", n.read_at as "readAt", n.archived_at as "archivedAt",
  n.deleted_at as "deletedAt"`

/** What is set beside `deleted_at`: the text goes, the key stays used. */
export const deleted = (sql: PostgresClient["Service"]["sql"]) => sql`subject = null, body = null, data = '{}'`

type Service = Notifications["Service"]

/** The inbox, on PostgreSQL. */
export const makeInbox = (client: PostgresClient["Service"]) => {
  const { keyed, query, sql } = client
  const columns = notificationColumnsOf(sql)
  const shown = sql`n.in_app and n.deleted_at is null
    and (n.scheduled_for is null or n.scheduled_for <= clock_timestamp())
    and (n.expires_at is null or n.expires_at > clock_timestamp())`

  const byId = lookupById(client, {
    operation: "Notifications.find",
    id: sql`n.id`,
    select: (condition) =>
      keyed<{
        readonly id: NotificationId
      }>`select ${columns} from ai_core.notifications as n where ${condition} and n.deleted_at is null`,
    rows: notificationRows
  })

  const find: Service["find"] = (given) =>
    Effect.flatMap(NotificationsInput.notification("find", given), ({ id }) => byId.find(id))

  const findMany: Service["findMany"] = (given) =>
    Effect.flatMap(NotificationsInput.findMany(given), ({ ids }) =>
      Effect.mapError(byId.findMany(ids), (error) => error.during("Notifications.findMany"))
    )

  const list: Service["list"] = Effect.fnUntraced(function* (givenUser, given) {
    const call = { operation: "Notifications.list", kind: "read" } as const
    const { options, userId } = yield* NotificationsInput.list(givenUser, given)
    const { after, archived = false, category, limit = defaultPageSize, unread } = options
    const page = keyset(
      sql,
      ["visible_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.visibleAt)}::timestamptz`, sql`${after.id}::uuid`]
    )
    const conditions = [
      page.behind,
      sql`n.user_id = ${userId}::uuid`,
      shown,
      archived ? sql`n.archived_at is not null` : sql`n.archived_at is null`,
      ...(category === undefined ? [] : [sql`n.category = ${category}`]),
      ...(unread === undefined ? [] : [unread ? sql`n.read_at is null` : sql`n.read_at is not null`])
    ]
    const rows = yield* query(
      call,
      keyed<object>`select ${columns} from ai_core.notifications as n
        where ${sql.and(conditions)} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* notificationRows.all(call, rows), limit, notificationCursorAfter)
  })

  const unreadCount: Service["unreadCount"] = Effect.fnUntraced(function* (given) {
    const { userId } = yield* NotificationsInput.user("unreadCount", given)
    const [row] = yield* query(
      { operation: "Notifications.unreadCount", kind: "read" },
      keyed<{ readonly unread: bigint }>`select count(*) as unread from ai_core.notifications as n
        where n.user_id = ${userId}::uuid and n.read_at is null and n.archived_at is null and ${shown}`
    )
    return Number(row?.unread ?? 0)
  })

  /** Changes those of a user's notifications for which there is something to change. */
  const changeSome =
    (method: string, where: typeof shown, set: (now: Date) => typeof shown): Service["markRead"] =>
    (givenUser, givenIds) =>
      Effect.gen(function* () {
        const { ids, userId } = yield* NotificationsInput.some(method, givenUser, givenIds)
        const now = DateTime.toDateUtc(yield* DateTime.now)
        const rows = yield* query(
          { operation: `Notifications.${method}`, kind: "write" },
          keyed`update ai_core.notifications as n set ${set(now)}
            from (
              select id from ai_core.notifications as n
              where n.user_id = ${userId}::uuid and n.id = any(${ids}::uuid[]) and n.deleted_at is null and ${where}
              order by n.id for update
            ) as wanted
            where n.id = wanted.id returning n.id`
        )
        return rows.length
      })

  const markAllRead: Service["markAllRead"] = Effect.fnUntraced(function* (givenUser, given) {
    const { options, userId } = yield* NotificationsInput.markAllRead(givenUser, given)
    const { category = null, until } = options
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const rows = yield* query(
      { operation: "Notifications.markAllRead", kind: "write" },
      sql`update ai_core.notifications as n set read_at = ${now}::timestamptz
        from (
          select id from ai_core.notifications as n
          where n.user_id = ${userId}::uuid and n.read_at is null and n.archived_at is null and ${shown}
            and (${category}::text is null or n.category = ${category}::text)
            and n.visible_at <= coalesce(${until ? DateTime.toDateUtc(until) : null}::timestamptz, 'infinity')
          order by n.id for update
        ) as wanted
        where n.id = wanted.id returning n.id`
    )
    return rows.length
  })

  const purge: Service["purge"] = Effect.fnUntraced(function* (given) {
    const { before, limit = defaultPageSize } = yield* NotificationsInput.purge(given)
    const rows = yield* query(
      { operation: "Notifications.purge", kind: "write" },
      sql`delete from ai_core.notifications where id in (
          select n.id from ai_core.notifications as n
          where n.created_at < ${DateTime.toDateUtc(before)}::timestamptz
            and not exists (select from ai_core.notification_deliveries as w
              where w.notification_id = n.id and w.state in ('queued', 'sending'))
          order by n.created_at, n.id limit ${limit}::int for update skip locked
        ) returning id`
    )
    return rows.length
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
    markRead: changeSome("markRead", sql`n.read_at is null`, (now) => sql`read_at = ${now}::timestamptz`),
    markUnread: changeSome("markUnread", sql`n.read_at is not null`, () => sql`read_at = null`),
    markAllRead,
    archive: changeSome("archive", sql`n.archived_at is null`, (now) => sql`archived_at = ${now}::timestamptz`),
    unarchive: changeSome("unarchive", sql`n.archived_at is not null`, () => sql`archived_at = null`),
    delete: changeSome("delete", sql`true`, (now) => sql`${deleted(sql)}, deleted_at = ${now}::timestamptz`),
    purge
  } satisfies Partial<Service>
}
