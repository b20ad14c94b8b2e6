import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import { IdempotencyConflict } from "../../core/Idempotency.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeContained } from "../../postgres/repository/Contained.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { untilSettled } from "../../postgres/repository/Attempts.ts"
import { UserId, UserNotFound } from "../users/Users.ts"
import { Channel, OutsideChannel } from "./Channel.ts"
import { deliveryColumnsOf, deliveryRows } from "./DeliveriesLive.ts"
import type { Delivery } from "./Delivery.ts"
import { deleted, notificationColumnsOf, NotificationRow } from "./InboxLive.ts"
import { type NotificationId, NotificationNotFound, type Notified } from "./Notification.ts"
import { CategoryNotFound } from "./NotificationPreferences.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput } from "./NotificationsInput.ts"
import type { NotificationTemplate } from "./NotificationTemplate.ts"
import { makePrepare, planNotification, type PreparedRequest } from "./planNotification.ts"
import { quietColumn } from "./PreferencesLive.ts"
import { QuietHours } from "./quietHours.ts"

const toldRows = rowReader(Schema.Struct({ ...NotificationRow.fields, requestHash: Schema.String }))

const channels = Schema.NullOr(Schema.Array(Channel))

const recipientRows = rowReader(
  Schema.Struct({
    userId: UserId,
    email: Schema.String,
    channels,
    mandatory: channels,
    chosen: channels,
    locale: Schema.NullOr(Schema.String),
    quietHours: Schema.NullOr(QuietHours),
    addresses: Schema.Array(Schema.Struct({ channel: OutsideChannel, address: Schema.String })),
    now: Timestamp
  })
)

const byChannel: Order.Order<Delivery> = Order.mapInput(Order.Number, ({ channel }) =>
  OutsideChannel.literals.indexOf(channel)
)

type Service = Notifications["Service"]

/** Telling, on PostgreSQL. */
export const makeTelling = (
  client: PostgresClient["Service"],
  transaction: Transaction["Service"],
  templatesOf: (operation: string, key: string) => Effect.Effect<ReadonlyArray<NotificationTemplate>, StoreError>
) => {
  const { keyed, query, sql } = client
  const contained = makeContained(client, transaction)
  const prepare = makePrepare()
  const deliveryColumns = deliveryColumnsOf(sql)
  const columns = notificationColumnsOf(sql)
  // One time for the whole statement: a lease that ends meanwhile is over for each column, or for none.
  const unsent = sql`(w.state = 'queued' or (w.state = 'sending' and w.lease_until <= statement_timestamp()))`

  const deliveriesOf = Effect.fnUntraced(function* (operation: string, ids: ReadonlyArray<NotificationId>) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${deliveryColumns} from ai_core.notification_deliveries as w
        where w.notification_id = any(${ids}::uuid[])`
    )
    return [...(yield* deliveryRows.all(operation, rows))].sort(byChannel)
  })

  /** What the same key told these users before. */
  const toldBefore = Effect.fnUntraced(function* (operation: string, prepared: ReadonlyArray<PreparedRequest>) {
    const told = new Map<UserId, Notified>()
    const key = prepared[0]?.request.key
    if (key === undefined) return told
    const users = prepared.map(({ request }) => request.userId)
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${columns}, n.request_hash as "requestHash" from ai_core.notifications as n
        where n.user_id = any(${users}::uuid[]) and n.idempotency_key = ${key}`
    )
    const found = yield* toldRows.all(operation, rows)
    if (found.length === 0) return told
    const hashes = new Map(prepared.map(({ hash, request }) => [request.userId, hash]))
    if (found.some(({ requestHash, userId }) => hashes.get(userId) !== requestHash)) {
      return yield* new IdempotencyConflict({ subject: "notification", key })
    }
    const deliveries = yield* deliveriesOf(
      operation,
      found.map(({ id }) => id)
    )
    for (const { requestHash: _, ...notification } of found) {
      told.set(notification.userId, {
        notification,
        deliveries: deliveries.filter(({ notificationId }) => notificationId === notification.id)
      })
    }
    return told
  })

  /** What is known of these users; their rows are held until the transaction ends. */
  const recipientsOf = Effect.fnUntraced(function* (operation: string, category: string, users: ReadonlyArray<UserId>) {
    const rows = yield* query(
      { operation, kind: "write" },
      keyed<object>`select u.id as "userId", u.email, c.channels, c.mandatory, p.channels as chosen, s.locale,
          ${quietColumn(sql)}, date_trunc('milliseconds', clock_timestamp()) as now,
          (select coalesce(jsonb_agg(jsonb_build_object('channel', a.channel, 'address', a.address)), '[]')
            from ai_core.notification_addresses as a
            where a.user_id = u.id and a.verified_at is not null) as addresses
        from ai_core.users as u
        left join ai_core.notification_categories as c on c.slug = ${category}
        left join ai_core.notification_preferences as p on p.user_id = u.id and p.category = c.slug
        left join ai_core.notification_settings as s on s.user_id = u.id
        where u.id = any(${users}::uuid[]) and u.erased_at is null order by u.id for key share of u`
    )
    const found = new Map((yield* recipientRows.all(operation, rows)).map((row) => [row.userId, row]))
    return yield* Effect.forEach(
      users,
      Effect.fnUntraced(function* (id) {
        const user = found.get(id)
        if (user === undefined) return yield* new UserNotFound({ id })
        const { channels, mandatory, now, ...known } = user
        if (channels === null || mandatory === null) return yield* new CategoryNotFound({ category })
        return [{ ...known, category: { channels, mandatory } }, now] as const
      })
    )
  })

  const insert = Effect.fnUntraced(function* (
    operation: string,
    prepared: ReadonlyArray<PreparedRequest>,
    told: ReadonlyArray<Notified>
  ) {
    const hashes = new Map(prepared.map(({ hash, id }) => [id, hash]))
    const notifications = told.map(({ notification }) => ({
      ...notification,
      requestHash: hashes.get(notification.id)
    }))
    const deliveries = told.flatMap((one) => one.deliveries)
    const first = prepared[0]!.request
    // Whoever was erased since they were looked at is left out. In the order of the users, so that two lists that are told at once never wait for each other.
    return yield* contained(
      query(
        { operation, kind: "write", idempotent: first.key !== undefined },
        sql<{ readonly id: string }>`with made as (
            insert into ai_core.notifications (id, user_id, category, template, priority, in_app, subject, body, data,
              skipped, idempotency_key, request_hash, created_at, scheduled_for, visible_at, expires_at)
            select n.id, n."userId", n.category, n.template, n.priority, n."inApp", n.subject, n.body, n.data, n.skipped,
              n."idempotencyKey", n."requestHash", n."createdAt", n."scheduledFor", n."visibleAt", n."expiresAt"
            from jsonb_to_recordset(${sql.json(notifications)}::jsonb) as n (id uuid, "userId" uuid, category text,
              template text, priority text, "inApp" boolean, subject text, body text, data jsonb, skipped jsonb,
              "idempotencyKey" text, "requestHash" text, "createdAt" timestamptz, "scheduledFor" timestamptz,
              "visibleAt" timestamptz, "expiresAt" timestamptz)
            join ai_core.users as u on u.id = n."userId" and u.erased_at is null
            order by n."userId" for key share of u
            on conflict (user_id, idempotency_key) do nothing
            returning id
          ), queued as (
            insert into ai_core.notification_deliveries (id, notification_id, user_id, channel, priority, address, subject,
              body, max_attempts, available_at, expires_at, created_at)
            select d.id, d."notificationId", d."userId", d.channel, d.priority, d.address, d.subject, d.body,
              d."maxAttempts", d."availableAt", d."expiresAt", d."createdAt"
            from made join jsonb_to_recordset(${sql.json(deliveries)}::jsonb) as d (id uuid, "notificationId" uuid,
              "userId" uuid, channel text, priority text, address text, subject text, body text, "maxAttempts" int,
              "availableAt" timestamptz, "expiresAt" timestamptz, "createdAt" timestamptz)
              on d."notificationId" = made.id
          )
          select id from made`
      )
    )
  })

  /** Tells all of them, in their order; nothing where another call of the same key came between. */
  const tell = Effect.fnUntraced(function* (operation: string, prepared: ReadonlyArray<PreparedRequest>) {
    const before = yield* toldBefore(operation, prepared)
    const rest = prepared.filter(({ request }) => !before.has(request.userId))
    const made = new Map<UserId, Notified>()
    const [first] = rest
    if (first !== undefined) {
      const { category, template } = first.request
      const recipients = yield* recipientsOf(
        operation,
        category,
        rest.map(({ request }) => request.userId)
      )
      const templates = yield* templatesOf(operation, template)
      for (const [i, one] of rest.entries()) {
        const [recipient, now] = recipients[i]!
        made.set(one.request.userId, yield* Effect.fromResult(planNotification(one, recipient, templates, now)))
      }
      const stored = yield* insert(operation, rest, [...made.values()])
      if (stored.length < rest.length) return Option.none<ReadonlyArray<Notified>>()
    }
    return Option.some(
      prepared.flatMap(({ request }) => {
        const told = before.get(request.userId) ?? made.get(request.userId)
        return told === undefined ? [] : [told]
      })
    )
  })

  const notify: Service["notify"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.notify"
    const prepared = [yield* prepare(yield* NotificationsInput.notify(given))]
    const [told] = yield* untilSettled(operation, tell(operation, prepared))
    return told!
  })

  const notifyMany: Service["notifyMany"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.notifyMany"
    const { recipients, variables, ...common } = yield* NotificationsInput.notifyMany(given)
    const prepared = yield* Effect.forEach(recipients, (recipient) =>
      prepare({ ...common, userId: recipient.userId, variables: { ...variables, ...recipient.variables } })
    )
    return yield* transaction.run(untilSettled(operation, tell(operation, prepared)))
  })

  const withdraw: Service["withdraw"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.withdraw"
    const { id } = yield* NotificationsInput.notification("withdraw", given)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    return yield* transaction.run(
      Effect.gen(function* () {
        const found = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.notifications as n
            set ${deleted(sql)}, deleted_at = coalesce(n.deleted_at, ${now}::timestamptz)
            where n.id = ${id}::uuid returning n.id`
        )
        if (found.length === 0) return yield* new NotificationNotFound({ id })
        yield* query(
          { operation, kind: "write" },
          keyed`update ai_core.notification_deliveries as w set withdrawn_at = coalesce(w.withdrawn_at, ${now}::timestamptz),
              state = case when ${unsent} then 'canceled' else w.state end,
              lease_token = case when ${unsent} then null else w.lease_token end,
              lease_until = case when ${unsent} then null else w.lease_until end,
              finished_at = case when ${unsent} then clock_timestamp() else w.finished_at end
            where w.notification_id = ${id}::uuid`
        )
        return yield* deliveriesOf(operation, [id])
      })
    )
  })

  return { notify, notifyMany, withdraw } satisfies Partial<Service>
}
