import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as BatchedWriter from "../../clickhouse/BatchedWriter.ts"
import { ClickHouseClient } from "../../clickhouse/ClickHouseClient.ts"
import { invalidData } from "../../core/Decode.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Analytics, WorkflowEvent, type WorkflowEventFilter } from "./Analytics.ts"
import { AnalyticsInput } from "./AnalyticsInput.ts"
import type { TimeRange } from "../TimeRange.ts"

const table = "workflow_events"

/** A row as it is inserted. */
const toRow = (event: WorkflowEvent) => ({
  event_id: event.eventId,
  workflow_id: event.workflowId,
  user_id: event.userId,
  service: event.service,
  event_type: event.eventType,
  duration_ms: event.durationMillis ?? null,
  success: event.success ?? null,
  cost_usd: BigDecimal.format(event.costUsd),
  metadata: JSON.stringify(event.metadata),
  occurred_at: DateTime.formatIso(event.occurredAt)
})

type Row = ReturnType<typeof toRow>

const unwritable = (operation: string, field: string): StoreError =>
  invalidData({ store: "clickhouse", operation, subject: "input" }, [
    { field, problem: "must be what JSON can express" }
  ])

// Rows are made in the call of whoever tells the event, so that one that cannot be written fails nobody else.
const encode = (operation: string, event: WorkflowEvent): Effect.Effect<Row, StoreError> =>
  Effect.try({ try: () => toRow(event), catch: () => unwritable(operation, "metadata") })

const encodeAll = (
  operation: string,
  events: ReadonlyArray<WorkflowEvent>
): Effect.Effect<ReadonlyArray<Row>, StoreError> =>
  Effect.suspend(() => {
    const rows: Array<Row> = []
    return Effect.try({
      try: () => {
        for (const event of events) rows.push(toRow(event))
        return rows
      },
      catch: () => unwritable(operation, `events[${rows.length}].metadata`)
    })
  })

/** The first row of each event: the store would keep any of them. */
const firstOfEach = (rows: ReadonlyArray<Row>): ReadonlyArray<Row> => {
  const seen = new Set<string>()
  return rows.filter(({ event_id }) => !seen.has(event_id) && seen.add(event_id))
}

// Events of a batch may be of as many months as their callers like.
const settings = { max_partitions_per_insert_block: "0" }

const WholeNumber = Schema.FiniteFromString.check(Schema.isInt())

/** A row as `workflowEvents` selects it: NULL stands for a field that is not there. */
const EventRow = Schema.Struct({
  ...WorkflowEvent.fields,
  durationMillis: Schema.NullOr(WholeNumber),
  success: Schema.NullOr(Schema.Boolean),
  costUsd: Schema.BigDecimalFromString,
  metadata: Schema.fromJsonString(WorkflowEvent.fields.metadata),
  occurredAt: Schema.DateTimeUtcFromString
})

const toEvent = ({ costUsd, durationMillis, success, ...row }: typeof EventRow.Type): WorkflowEvent => ({
  ...row,
  costUsd: BigDecimal.normalize(costUsd),
  ...(durationMillis === null ? {} : { durationMillis }),
  ...(success === null ? {} : { success })
})

const MetricsRow = Schema.Struct({
  totalEvents: WholeNumber,
  judged: WholeNumber,
  succeeded: WholeNumber,
  timed: WholeNumber,
  durations: Schema.Finite,
  p95: Schema.NullOr(Schema.Finite),
  cost: Schema.BigDecimalFromString
})

/** An event that was stored twice, by a caller who could not know, is read once. */
const selected = (columns: string, service: string | undefined) => `
  SELECT ${columns}
  FROM ${table}
  WHERE occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')${
      service === undefined ? "" : "\n    AND service = {service:String}"
    }`

const metricsOf = (service: string | undefined) => `
SELECT
  count() AS totalEvents,
  count(success) AS judged,
  countIf(success) AS succeeded,
  count(duration_ms) AS timed,
  ifNull(sum(toFloat64(duration_ms)), 0) AS durations,
  if(timed = 0, NULL, quantileExactInclusive(0.95)(duration_ms)) AS p95,
  sum(cost_usd) AS cost
FROM (${selected("event_id, success, duration_ms, cost_usd", service)}
  LIMIT 1 BY event_id
)`

const eventsOf = (service: string | undefined) => `${selected(
  `event_id AS eventId, workflow_id AS workflowId, user_id AS userId, service, event_type AS eventType,
    duration_ms AS durationMillis, success, cost_usd AS costUsd, metadata, occurred_at AS occurredAt`,
  service
)}
  ORDER BY occurred_at, toString(event_id)
  LIMIT 1 BY event_id`

/** How single events are collected; see `BatchedWriter`. */
export type AnalyticsOptions = BatchedWriter.BatchOptions

const select = (method: "workflowMetrics" | "workflowEvents", range: TimeRange, filter?: WorkflowEventFilter) =>
  Effect.map(AnalyticsInput.selection(method, range, filter), ({ fromMillis, service, toMillis }) => ({
    service,
    params: { from: fromMillis, to: toMillis, ...(service === undefined ? {} : { service }) }
  }))

/** Makes `Analytics` over a ClickHouse whose table `workflow_events` is there; closing the scope stores what still waits. */
export const make = (options: AnalyticsOptions = {}) =>
  Effect.gen(function* () {
    const client = yield* ClickHouseClient
    const insert = (operation: string, rows: ReadonlyArray<Row>, token: string) =>
      client.insert(operation, table, firstOfEach(rows), { token, settings })
    const writer = yield* BatchedWriter.make<Row>(
      client.endpoint,
      (rows, token) => insert("Analytics.trackWorkflowEvent", rows, token),
      { shutdownTimeout: client.shutdownTimeout, ...options }
    )

    return Analytics.of({
      trackWorkflowEvent: (event) =>
        Effect.flatMap(AnalyticsInput.event(event), (event) =>
          Effect.flatMap(encode("Analytics.trackWorkflowEvent", event), (row) =>
            Effect.as(writer.add("Analytics.trackWorkflowEvent", row), event.eventId)
          )
        ),
      trackWorkflowEvents: (events) =>
        Effect.flatMap(AnalyticsInput.events(events), (events) =>
          Effect.flatMap(encodeAll("Analytics.trackWorkflowEvents", events), (rows) =>
            Effect.as(insert("Analytics.trackWorkflowEvents", rows, crypto.randomUUID()), events.length)
          )
        ),
      workflowMetrics: Effect.fn("Analytics.workflowMetrics")(function* (range, filter) {
        const { params, service } = yield* select("workflowMetrics", range, filter)
        const [row] = yield* client.query("Analytics.workflowMetrics", {
          query: metricsOf(service),
          params,
          schema: MetricsRow
        })
        const { cost, durations, judged, p95, succeeded, timed, totalEvents } = row ?? nothing
        return {
          totalEvents,
          successRate: judged === 0 ? Option.none() : Option.some(succeeded / judged),
          meanDurationMillis: timed === 0 ? Option.none() : Option.some(durations / timed),
          p95DurationMillis: Option.fromNullOr(p95),
          totalCostUsd: BigDecimal.normalize(cost)
        }
      }),
      workflowEvents: (range, filter) =>
        Stream.unwrap(
          Effect.map(select("workflowEvents", range, filter), ({ params, service }) =>
            Stream.map(
              client.stream("Analytics.workflowEvents", { query: eventsOf(service), params, schema: EventRow }),
              toEvent
            )
          )
        )
    })
  })

const nothing: typeof MetricsRow.Type = {
  totalEvents: 0,
  judged: 0,
  succeeded: 0,
  timed: 0,
  durations: 0,
  p95: null,
  cost: BigDecimal.fromBigInt(0n)
}

/** `Analytics` over ClickHouse with its own way of collecting single events. */
export const layerWith = (options: AnalyticsOptions): Layer.Layer<Analytics, never, ClickHouseClient> =>
  Layer.effect(Analytics, make(options))

/** `Analytics` over ClickHouse. */
export const layer: Layer.Layer<Analytics, never, ClickHouseClient> = layerWith({})
