import * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type { StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import type { LeaseToken } from "../../postgres/repository/WorkItem.ts"
import type { DeliveryId } from "./Delivery.ts"
import type { QuietHours } from "./quietHours.ts"

/** A delivery that was taken in quiet hours. */
export interface TakenInQuiet {
  readonly id: DeliveryId
  /** Who had taken it before. */
  readonly workerBefore: string | null
  readonly quietHours: QuietHours
  /** The end of the quiet hours. */
  readonly until: DateTime.Utc
}

/** Deliveries of the queue that are looked through for others of the same hours. */
const mostLookedThrough = 1000

/**
 * Gives back what was taken in quiet hours, as if nobody had come, to wait for their end; what waits at the head of the queue,
 * and is of users with the same hours, is moved there with it, so that a backlog is not taken one by one to be given back.
 */
export const makePutOff =
  ({ query, sql }: PostgresClient["Service"]) =>
  (operation: string, token: LeaseToken, taken: ReadonlyArray<TakenInQuiet>): Effect.Effect<unknown, StoreError> => {
    const own = taken.map(({ id, until, workerBefore }) => ({ id, worker: workerBefore, until }))
    const hours = new Map(
      taken.map(({ quietHours: { end, start, timeZone }, until }) => [
        `${start} ${end} ${timeZone}`,
        { start, end, timeZone, until: DateTime.formatIso(until) }
      ])
    )
    return query(
      { operation, kind: "write" },
      sql`with given as (
          update ai_core.notification_deliveries as w
          set state = case when w.withdrawn_at is null then 'queued' else 'canceled' end,
            finished_at = case when w.withdrawn_at is null then null else clock_timestamp() end,
            lease_token = null, lease_until = null, attempts = w.attempts - 1, worker = own.worker,
            available_at = own."until"
          from jsonb_to_recordset(${sql.json(own)}::jsonb) as own (id uuid, worker text, "until" timestamptz)
          where w.id = own.id and w.lease_token = ${token}::uuid
        )
        update ai_core.notification_deliveries as w set available_at = due."until"
        from (
          select w.id, h."until" from ai_core.notification_deliveries as w
          join ai_core.notification_settings as s on s.user_id = w.user_id and w.channel = any(s.quiet_channels)
          join jsonb_to_recordset(${sql.json([...hours.values()])}::jsonb) as h (start text, "end" text, "timeZone" text,
            "until" timestamptz) on (h.start, h."end", h."timeZone") = (s.quiet_start, s.quiet_end, s.time_zone)
          where w.state = 'queued' and w.available_at <= statement_timestamp() and w.priority <> 'urgent' and w.id in (
            select q.id from ai_core.notification_deliveries as q
            where q.state = 'queued' and q.available_at <= statement_timestamp()
            order by q.available_at, q.id limit ${mostLookedThrough}::int
          ) for update of w skip locked
        ) as due
        where w.id = due.id`
    )
  }
