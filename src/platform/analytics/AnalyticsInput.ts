import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { LimitExceeded, StoreError } from "../../core/StoreError.ts"
import { EventId, NewWorkflowEvent, type UsdAmount, type WorkflowEvent, WorkflowEventFilter } from "./Analytics.ts"
import { resolve } from "../TimeRange.ts"

/** Events of one batch: far fewer than ClickHouse cuts into blocks, so that those of one month are stored together. */
export const batchLimit = 100_000

const at = (method: string) => ({ store: "clickhouse", operation: `Analytics.${method}`, subject: "input" }) as const

const one = decodeInput(NewWorkflowEvent)
const many = decodeInput(Schema.Struct({ events: Schema.Array(NewWorkflowEvent) }))
const filtered = decodeInput(WorkflowEventFilter)

/** Micro-dollars in a dollar have six decimals. */
const exact = (amount: UsdAmount): BigDecimal.BigDecimal =>
  typeof amount === "number" ? BigDecimal.make(BigInt(Math.round(amount * 1_000_000)), 6) : amount

const complete = (
  { costUsd, eventId, metadata, occurredAt, ...event }: typeof NewWorkflowEvent.Type,
  now: DateTime.Utc
): WorkflowEvent => ({
  ...event,
  eventId: eventId ?? EventId.make(crypto.randomUUID()),
  costUsd: BigDecimal.normalize(exact(costUsd ?? 0)),
  metadata: metadata ?? {},
  occurredAt: occurredAt ?? now
})

const tooMany = new StoreError({
  store: "clickhouse",
  operation: "Analytics.trackWorkflowEvents",
  outcome: "not-applied",
  reason: new LimitExceeded({ detail: `a batch holds at most ${batchLimit} events` })
})

/** The checks of what callers give to `Analytics`: one for every implementation, so that all refuse the same. */
export const AnalyticsInput = {
  event: (event: unknown): Effect.Effect<WorkflowEvent, StoreError> =>
    Effect.flatMap(one(at("trackWorkflowEvent"), event), (event) =>
      Effect.map(DateTime.now, (now) => complete(event, now))
    ),
  events: (events: unknown): Effect.Effect<ReadonlyArray<WorkflowEvent>, StoreError> =>
    Array.isArray(events) && events.length > batchLimit
      ? Effect.fail(tooMany)
      : Effect.flatMap(many(at("trackWorkflowEvents"), { events }), ({ events }) =>
          Effect.map(DateTime.now, (now) => events.map((event) => complete(event, now)))
        ),
  selection: (method: "workflowMetrics" | "workflowEvents", range: unknown, filter: unknown) =>
    Effect.flatMap(filtered(at(method), filter ?? {}), ({ service }) =>
      Effect.map(resolve(at(method), range), (resolved) => ({ ...resolved, service }))
    )
}
