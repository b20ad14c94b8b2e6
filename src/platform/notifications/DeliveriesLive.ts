import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { writeOrExplain } from "../../postgres/repository/Attempts.ts"
import { makeClaims } from "../../postgres/repository/Claims.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { jittered, LeaseToken, pauseAfter } from "../../postgres/repository/WorkItem.ts"
import { OutsideChannel } from "./Channel.ts"
import {
  byTurn,
  type ClaimedDelivery,
  commandedStates,
  Delivery,
  type DeliveryClaim,
  type DeliveryCursor,
  deliveryCursorAfter,
  type DeliveryFilter,
  type DeliveryId,
  DeliveryLeaseLost,
  DeliveryNotFound,
  deliveryPauses,
  DeliveryState,
  deliveryWork,
  NotificationWithdrawn
} from "./Delivery.ts"
import { NotificationId, Priority } from "./Notification.ts"
import type { Notifications } from "./Notifications.ts"
import { NotificationsInput, streamOf } from "./NotificationsInput.ts"
import { sendableFrom } from "./planNotification.ts"
import { quietColumn } from "./PreferencesLive.ts"
import { makePutOff, type TakenInQuiet } from "./putOffLive.ts"
import { QuietHours } from "./quietHours.ts"
import { lookupById } from "../tables/lookupById.ts"

const fields = {
  ...Delivery.fields,
  availableAt: Timestamp,
  expiresAt: NullableTimestamp,
  leaseUntil: NullableTimestamp,
  createdAt: Timestamp,
  finishedAt: NullableTimestamp
}

/** Rows of deliveries, as `deliveryColumnsOf` selects them. */
export const deliveryRows = rowReader(Schema.Struct(fields))

/** What statements select of a delivery `w`. */
export const deliveryColumnsOf = (sql: PostgresClient["Service"]["sql"]) => sql`w.id,
  w.notification_id as "notificationId", w.user_id as "userId", w.channel, w.priority, w.address, w.subject, w.body,
  w.state, w.attempts, w.max_attempts as "maxAttempts", w.available_at as "availableAt", w.expires_at as "expiresAt",
  w.lease_until as "leaseUntil", w.worker, w.last_error as "lastError", w.provider_reference as "providerReference",
  w.created_at as "createdAt", w.finished_at as "finishedAt"`

const claimedRows = rowReader(
  Schema.Struct({
    ...fields,
    token: LeaseToken,
    workerBefore: Schema.NullOr(Schema.String),
    quietHours: Schema.NullOr(QuietHours),
    now: Timestamp,
    context: Schema.Struct({ category: Schema.String, template: Schema.String, data: Schema.JsonObject })
  })
)

const leaseRows = rowReader(Schema.Struct({ leaseUntil: Timestamp }))

const triedRows = rowReader(
  Schema.Struct({
    channel: OutsideChannel,
    priority: Priority,
    attempts: Schema.Int,
    quietHours: Schema.NullOr(QuietHours),
    now: Timestamp
  })
)

const endedRows = rowReader(Schema.Struct({ ...fields, finishedBy: Schema.NullOr(Schema.String) }))

const Standing = Schema.Struct({ state: DeliveryState, notificationId: NotificationId, withdrawn: Schema.Boolean })
const standingRows = rowReader(Standing)

/** Deliveries that one claim says are expired, or canceled. */
const mostEnded = 1000

/** Times that one claim gives back what it took in quiet hours, and takes other deliveries. */
const mostRounds = 10

type Service = Notifications["Service"]

/** Deliveries as work, on PostgreSQL. */
export const makeDeliveries = (client: PostgresClient["Service"], transaction: Transaction["Service"]) => {
  const { keyed, query, sql } = client
  const nextToken = makeIdsOf(LeaseToken)
  const columns = deliveryColumnsOf(sql)
  const claims = makeClaims(sql, { table: "ai_core.notification_deliveries", states: deliveryWork })
  const putOff = makePutOff(client)

  type Claim = typeof DeliveryClaim.Type

  /** What is due, taken; in quiet hours or not. */
  const take = Effect.fnUntraced(function* (operation: string, token: LeaseToken, claim: Claim) {
    const { channels, lease, limit, priority, worker } = claim
    const sendable = sql`w.withdrawn_at is null and (w.expires_at is null or w.expires_at > statement_timestamp())`
    // One time for the whole statement, by which each row is canceled, expired, buried or taken, and an index can be asked.
    const buried = claims.bury(sql`w.id`, {
      where: sendable,
      set: sql`finished_at = clock_timestamp()`
    })
    const taken = claims.take({
      limit,
      lease,
      token,
      where: sql.and([
        sendable,
        ...(channels === undefined ? [] : [sql`w.channel = any(${channels}::text[])`]),
        ...(priority === undefined ? [] : [sql`w.priority = ${priority}`])
      ]),
      set: sql`worker = ${worker}`,
      // What a query inside reads of the delivery is how it was before.
      returning: sql`${columns}, w.lease_token as token, date_trunc('milliseconds', clock_timestamp()) as now,
        (select o.worker from ai_core.notification_deliveries as o where o.id = w.id) as "workerBefore",
        (select ${quietColumn(sql)} from ai_core.notification_settings as s where s.user_id = w.user_id) as "quietHours",
        (select jsonb_build_object('category', n.category, 'template', n.template, 'data', n.data)
          from ai_core.notifications as n where n.id = w.notification_id) as context`
    })
    const rows = yield* query(
      { operation, kind: "write" },
      sql<object>`with expired as (
          update ai_core.notification_deliveries as w
          set state = 'expired', ${claims.released}, finished_at = clock_timestamp()
          from (
            select w.id from ai_core.notification_deliveries as w
            where w.expires_at <= statement_timestamp() and w.withdrawn_at is null and w.state in ('queued', 'sending')
              and (w.state = 'queued' or w.lease_until <= statement_timestamp())
            limit ${mostEnded}::int for update skip locked
          ) as late
          where w.id = late.id
        ), withdrawn as (
          update ai_core.notification_deliveries as w
          set state = 'canceled', ${claims.released}, finished_at = clock_timestamp()
          from (
            select w.id from ai_core.notification_deliveries as w
            where w.state = 'sending' and w.lease_until <= statement_timestamp() and w.withdrawn_at is not null
            limit ${mostEnded}::int for update skip locked
          ) as late
          where w.id = late.id
        ), buried as (${buried}), taken as (${taken})
        select * from taken`
    )
    return yield* claimedRows.all(operation, rows)
  })

  const claimDeliveries: Service["claimDeliveries"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.claimDeliveries"
    const claim = yield* NotificationsInput.claimDeliveries(given)
    const token = yield* nextToken
    const claimed: Array<ClaimedDelivery> = []
    for (let round = 0; round < mostRounds; round++) {
      const wanted = claim.limit - claimed.length
      const taken = yield* take(operation, token, { ...claim, limit: wanted })
      const inQuiet: Array<TakenInQuiet> = []
      for (const { context, now, quietHours, token, workerBefore, ...delivery } of taken) {
        const until = sendableFrom(delivery.channel, delivery.priority, quietHours, now)
        if (quietHours !== null && DateTime.isGreaterThan(until, now)) {
          inQuiet.push({ id: delivery.id, workerBefore, quietHours, until })
        } else claimed.push({ delivery, token, ...context })
      }
      if (inQuiet.length > 0) yield* putOff(operation, token, inQuiet)
      if (inQuiet.length === 0 || taken.length < wanted) break
    }
    return Arr.sort(
      claimed,
      Order.mapInput(byTurn, ({ delivery }: ClaimedDelivery) => delivery)
    )
  })

  const ended = Effect.fnUntraced(function* (operation: string, id: DeliveryId) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${columns}, w.finished_by as "finishedBy" from ai_core.notification_deliveries as w
        where w.id = ${id}`
    )
    const found = yield* endedRows.option(operation, rows)
    if (Option.isNone(found)) return yield* new DeliveryNotFound({ id })
    return found.value
  })

  const lost = (operation: string, id: DeliveryId) =>
    Effect.flatMap(ended(operation, id), ({ state }) => new DeliveryLeaseLost({ id, state }))

  /** What is known of a delivery that is to be tried again. */
  const tried = Effect.fnUntraced(function* (operation: string, id: DeliveryId) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select w.channel, w.priority, w.attempts, ${quietColumn(sql)},
          date_trunc('milliseconds', clock_timestamp()) as now
        from ai_core.notification_deliveries as w
        left join ai_core.notification_settings as s on s.user_id = w.user_id where w.id = ${id}`
    )
    const found = yield* triedRows.option(operation, rows)
    if (Option.isNone(found)) return yield* new DeliveryNotFound({ id })
    const { attempts, channel, now, priority, quietHours } = found.value
    return { attempts, now, sendable: (at: DateTime.Utc) => sendableFrom(channel, priority, quietHours, at) }
  })

  const renewLease: Service["renewLease"] = Effect.fnUntraced(function* (givenId, givenToken, givenLease) {
    const operation = "Notifications.renewLease"
    const { id, lease, token } = yield* NotificationsInput.renewLease(givenId, givenToken, givenLease)
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`update ai_core.notification_deliveries set ${claims.renewed(lease)}
        where ${claims.heldBy(id, token)} returning lease_until as "leaseUntil"`
    )
    const renewed = yield* leaseRows.option(operation, rows)
    return Option.isSome(renewed) ? renewed.value.leaseUntil : yield* lost(operation, id)
  })

  const delivered: Service["delivered"] = Effect.fnUntraced(function* (givenId, givenToken, given) {
    const operation = "Notifications.delivered"
    const { id, providerReference = null, token } = yield* NotificationsInput.delivered(givenId, givenToken, given)
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`update ai_core.notification_deliveries as w set state = 'delivered', ${claims.released},
        provider_reference = ${providerReference}::text, finished_at = clock_timestamp(), finished_by = w.lease_token
        where ${claims.heldBy(id, token)} returning ${columns}`
    )
    const done = yield* deliveryRows.option(operation, rows)
    if (Option.isSome(done)) return done.value
    const { finishedBy, ...delivery } = yield* ended(operation, id)
    // Once more with the token that did it.
    if (finishedBy === token) return delivery
    return yield* new DeliveryLeaseLost({ id, state: delivery.state })
  })

  const failed: Service["failed"] = Effect.fnUntraced(function* (givenId, givenToken, givenError, given) {
    const operation = "Notifications.failed"
    const { error, id, options, token } = yield* NotificationsInput.failed(givenId, givenToken, givenError, given)
    const draw = yield* Random.next
    const { attempts, now, sendable } = yield* tried(operation, id)
    const again = DateTime.addDuration(now, options.retryAfter ?? jittered(pauseAfter(deliveryPauses, attempts), draw))
    const pause = DateTime.distance(now, sendable(again))
    const set =
      options.permanent === true
        ? sql`${claims.released}, last_error = ${error}, state = 'dead', finished_at = clock_timestamp()`
        : sql`${claims.failed(error, pause)},
            finished_at = case when attempts < max_attempts then null else clock_timestamp() end`
    const write = (set: typeof columns, also: typeof columns) =>
      Effect.flatMap(
        query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.notification_deliveries as w set ${set}
            where ${claims.heldBy(id, token)} and ${also} returning ${columns}`
        ),
        (rows) => deliveryRows.option(operation, rows)
      )
    const done = yield* write(set, sql`w.withdrawn_at is null`)
    if (Option.isSome(done)) return done.value
    const canceled = yield* write(
      sql`${claims.released}, last_error = ${error}, state = 'canceled', finished_at = clock_timestamp()`,
      sql`w.withdrawn_at is not null`
    )
    return Option.isSome(canceled) ? canceled.value : yield* lost(operation, id)
  })

  /** Moves a delivery by a write that accepts the states which lead there, and says why where it finds none. */
  const moved = Effect.fnUntraced(function* <E = never>(
    operation: string,
    id: DeliveryId,
    to: DeliveryState,
    set: typeof columns,
    unless?: { readonly not: typeof columns; readonly refusal: (standing: typeof Standing.Type) => E | undefined }
  ) {
    const write = query(
      { operation, kind: "write" },
      keyed<object>`update ai_core.notification_deliveries as w set state = ${to}, ${set}
        where w.id = ${id}::uuid and w.state = any(${commandedStates.before(to)}::text[])
          and ${unless?.not ?? sql`true`} returning ${columns}`
    )
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (rows) => deliveryRows.option(operation, rows)),
      Effect.gen(function* () {
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`select state, notification_id as "notificationId", withdrawn_at is not null as withdrawn
            from ai_core.notification_deliveries where id = ${id} for update`
        )
        const found = yield* standingRows.option(operation, rows)
        if (Option.isNone(found)) return yield* new DeliveryNotFound({ id })
        yield* Effect.fromResult(commandedStates.go(id, found.value.state, to))
        const refusal = unless?.refusal(found.value)
        if (refusal !== undefined) return yield* Effect.fail(refusal)
      })
    )
  })

  const cancelDelivery: Service["cancelDelivery"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* NotificationsInput.delivery("cancelDelivery", given)
    return yield* moved("Notifications.cancelDelivery", id, "canceled", sql`finished_at = clock_timestamp()`)
  })

  const requeueDelivery: Service["requeueDelivery"] = Effect.fnUntraced(function* (given) {
    const operation = "Notifications.requeueDelivery"
    const { id } = yield* NotificationsInput.delivery("requeueDelivery", given)
    const { now, sendable } = yield* tried(operation, id)
    const from = DateTime.toDateUtc(sendable(now))
    const set = sql`attempts = 0, available_at = ${from}::timestamptz, finished_at = null`
    return yield* moved(operation, id, "queued", set, {
      not: sql`w.withdrawn_at is null`,
      refusal: ({ notificationId, withdrawn }) =>
        withdrawn ? new NotificationWithdrawn({ id: notificationId, deliveryId: id }) : undefined
    })
  })

  const byId = lookupById(client, {
    operation: "Notifications.findDelivery",
    id: sql`w.id`,
    select: (condition) =>
      keyed<{
        readonly id: DeliveryId
      }>`select ${columns} from ai_core.notification_deliveries as w where ${condition}`,
    rows: deliveryRows
  })

  const findDelivery: Service["findDelivery"] = (given) =>
    Effect.flatMap(NotificationsInput.delivery("findDelivery", given), ({ id }) => byId.find(id))

  const conditions = ({ channel, notificationId, states, userId }: DeliveryFilter) => [
    sql`true`,
    ...(states === undefined ? [] : [sql`w.state = any(${states}::text[])`]),
    ...(channel === undefined ? [] : [sql`w.channel = ${channel}`]),
    ...(userId === undefined ? [] : [sql`w.user_id = ${userId}::uuid`]),
    ...(notificationId === undefined ? [] : [sql`w.notification_id = ${notificationId}::uuid`])
  ]

  const listDeliveries: Service["listDeliveries"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Notifications.listDeliveries", kind: "read" } as const
    const { after, limit = defaultPageSize, ...filter } = yield* NotificationsInput.listDeliveries(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}::timestamptz`, sql`${after.id}::uuid`]
    )
    const rows = yield* query(
      call,
      sql<object>`select ${columns} from ai_core.notification_deliveries as w
        where ${sql.and([page.behind, ...conditions(filter)])} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* deliveryRows.all(call, rows), limit, deliveryCursorAfter)
  })

  const countDeliveries: Service["countDeliveries"] = Effect.fnUntraced(function* (given) {
    const filter = yield* NotificationsInput.countDeliveries(given)
    const rows = yield* query(
      { operation: "Notifications.countDeliveries", kind: "read" },
      sql<{ readonly state: DeliveryState; readonly n: bigint }>`select w.state, count(*) as n
        from ai_core.notification_deliveries as w where ${sql.and(conditions(filter))} group by w.state`
    )
    const counts = { queued: 0, sending: 0, delivered: 0, dead: 0, canceled: 0, expired: 0 }
    for (const { n, state } of rows) counts[state] = Number(n)
    return counts
  })

  return {
    claimDeliveries,
    renewLease,
    delivered,
    failed,
    cancelDelivery,
    requeueDelivery,
    findDelivery,
    listDeliveries,
    streamDeliveries: ({ pageSize, ...filter } = {}) =>
      streamOf<Delivery, DeliveryCursor>("streamDeliveries", pageSize, (page) =>
        listDeliveries({ ...filter, ...page })
      ),
    countDeliveries
  } satisfies Partial<Service>
}
