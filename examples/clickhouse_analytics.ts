/** Analytics on ClickHouse: one event, a batch, many callers at once, and figures over ranges of time. */
import { Analytics, type NewWorkflowEvent, TimeRange, type WorkflowMetrics } from "@ai-core/database"
import { BigDecimal, Clock, Console, DateTime, Effect, Option, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { runExample } from "./support/runExample.ts"

const service = `content_generator-${randomUUID().slice(0, 8)}`
const event = (i: number): NewWorkflowEvent => ({
  workflowId: `workflow-${i % 7}`,
  userId: `user-${i % 50}`,
  service,
  eventType: i % 10 === 9 ? "failed" : "completed",
  durationMillis: 200 + (i % 100) * 10,
  costUsd: 0.002,
  success: i % 10 !== 9,
  metadata: { model: i % 2 === 0 ? "small" : "large", attempt: 1 }
})

const told = (metrics: WorkflowMetrics): string => {
  const figure = (value: Option.Option<number>, unit: string) =>
    Option.match(value, { onNone: () => "unknown", onSome: (n) => `${n.toFixed(1)} ${unit}` })
  const rate = Option.map(metrics.successRate, (share) => share * 100)
  return `${metrics.totalEvents} events, ${figure(rate, "%")} succeeded, mean ${figure(metrics.meanDurationMillis, "ms")}, p95 ${figure(metrics.p95DurationMillis, "ms")}, $${BigDecimal.format(metrics.totalCostUsd)}`
}

const program = Effect.gen(function* () {
  const analytics = yield* Analytics

  const id = yield* analytics.trackWorkflowEvent(event(0))
  yield* Console.log(`one event       stored as ${id}`)

  const start = yield* Clock.currentTimeMillis
  const stored = yield* analytics.trackWorkflowEvents(Array.from({ length: 20_000 }, (_, i) => event(i + 1)))
  yield* Console.log(`a batch         ${stored} events in ${((yield* Clock.currentTimeMillis) - start).toFixed(0)} ms`)

  // Each caller waits until its own event is stored; together they are a few inserts.
  yield* Effect.forEach(
    Array.from({ length: 500 }, (_, i) => event(i)),
    analytics.trackWorkflowEvent,
    {
      concurrency: "unbounded",
      discard: true
    }
  )
  yield* Console.log("many callers    500 events")

  yield* Console.log(`last hour       ${told(yield* analytics.workflowMetrics(TimeRange.lastHour(), { service }))}`)
  const yesterday = TimeRange.between(
    DateTime.subtract(yield* DateTime.now, { days: 2 }),
    DateTime.subtract(yield* DateTime.now, { days: 1 })
  )
  yield* Console.log(`the day before  ${told(yield* analytics.workflowMetrics(yesterday, { service }))}`)

  const failed = yield* analytics.workflowEvents(TimeRange.lastHour(), { service }).pipe(
    Stream.filter(({ eventType }) => eventType === "failed"),
    Stream.take(3),
    Stream.runCollect
  )
  for (const { durationMillis, workflowId } of failed) {
    yield* Console.log(`failed          ${workflowId} after ${durationMillis} ms`)
  }

  const inverted = TimeRange.between(yield* DateTime.now, DateTime.subtract(yield* DateTime.now, { hours: 1 }))
  const error = yield* Effect.flip(analytics.workflowMetrics(inverted))
  yield* Console.log(`refused         ${error.message}`)
})

export const main = (): void => runExample(program)

if (import.meta.main) main()
