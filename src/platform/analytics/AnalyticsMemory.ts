import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Analytics, type WorkflowEvent, type WorkflowEventFilter } from "./Analytics.ts"
import { AnalyticsInput } from "./AnalyticsInput.ts"
import type { TimeRange } from "../TimeRange.ts"

/** The quantile of ClickHouse's `quantileExactInclusive`: linear between the two nearest ranks. */
const quantileInclusive = (level: number, values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const rank = level * (sorted.length - 1) + 1
  const below = Math.floor(rank)
  const low = sorted[below - 1] ?? 0
  const high = sorted[below] ?? low
  return low + (rank - below) * (high - low)
}

const byTime = (a: WorkflowEvent, b: WorkflowEvent): number =>
  DateTime.toEpochMillis(a.occurredAt) - DateTime.toEpochMillis(b.occurredAt) || (a.eventId < b.eventId ? -1 : 1)

const sumOf = (values: ReadonlyArray<number>): number => values.reduce((sum, n) => sum + n, 0)

/** Makes `Analytics` in this program's memory. */
export const make: Effect.Effect<Analytics["Service"]> = Effect.sync(() => {
  const stored = new Map<string, WorkflowEvent>()
  const store = (event: WorkflowEvent) => {
    if (!stored.has(event.eventId)) stored.set(event.eventId, { ...event, metadata: structuredClone(event.metadata) })
  }

  const select = (method: "workflowMetrics" | "workflowEvents", range: TimeRange, filter?: WorkflowEventFilter) =>
    Effect.map(AnalyticsInput.selection(method, range, filter), ({ fromMillis, service, toMillis }) =>
      [...stored.values()].filter((event) => {
        const at = DateTime.toEpochMillis(event.occurredAt)
        return at >= fromMillis && at < toMillis && (service === undefined || event.service === service)
      })
    )

  return Analytics.of({
    trackWorkflowEvent: (event) =>
      Effect.map(AnalyticsInput.event(event), (event) => {
        store(event)
        return event.eventId
      }),
    trackWorkflowEvents: (events) =>
      Effect.map(AnalyticsInput.events(events), (events) => {
        events.forEach(store)
        return events.length
      }),
    workflowMetrics: (range, filter) =>
      Effect.map(select("workflowMetrics", range, filter), (events) => {
        const judged = events.flatMap(({ success }) => (success === undefined ? [] : [success]))
        const durations = events.flatMap(({ durationMillis }) => (durationMillis === undefined ? [] : [durationMillis]))
        return {
          totalEvents: events.length,
          successRate:
            judged.length === 0
              ? Option.none()
              : Option.some(judged.filter((success) => success).length / judged.length),
          meanDurationMillis: durations.length === 0 ? Option.none() : Option.some(sumOf(durations) / durations.length),
          p95DurationMillis: durations.length === 0 ? Option.none() : Option.some(quantileInclusive(0.95, durations)),
          totalCostUsd: BigDecimal.normalize(BigDecimal.sumAll(events.map(({ costUsd }) => costUsd)))
        }
      }),
    workflowEvents: (range, filter) =>
      Stream.unwrap(
        Effect.map(select("workflowEvents", range, filter), (events) => Stream.fromIterable(events.sort(byTime)))
      )
  })
})

/** `Analytics` in this program's memory: the same answers to the same events. */
export const layer: Layer.Layer<Analytics> = Layer.effect(Analytics, make)
