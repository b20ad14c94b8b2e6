import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, SafeInteger, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { untilSettled, writeOrExplain } from "../../postgres/repository/Attempts.ts"
import { StepDefinition } from "./WorkflowContent.ts"
import {
  WorkflowArchived,
  type WorkflowId,
  WorkflowNotFound,
  WorkflowState,
  WorkflowVersionNotFound
} from "./WorkflowDefinition.ts"
import {
  type ExecutionCursor,
  executionCursorAfter,
  type ExecutionFilter,
  ExecutionId,
  ExecutionNotFound,
  type ExecutionState,
  executionStates,
  type ExecutionTrigger,
  type NewExecution,
  WorkflowExecution
} from "./WorkflowExecution.ts"
import type { Workflows } from "./Workflows.ts"
import type { ScheduleId } from "./WorkflowSchedule.ts"
import { streamOf, WorkflowsInput } from "./WorkflowsInput.ts"
import { StepId, WorkflowStep } from "./WorkflowStep.ts"
import { lookupById } from "../tables/lookupById.ts"

const time = NullableTimestamp

/** Rows of executions, as `executionColumns` selects them. */
export const executionRows = rowReader(
  WorkflowExecution.mapFields((fields) => ({
    ...fields,
    scheduledFor: time,
    costMinor: SafeInteger,
    createdAt: Timestamp,
    startedAt: time,
    finishedAt: time
  }))
)

/** A step as `stepColumns` selects it. */
export const StepRow = WorkflowStep.mapFields((fields) => ({
  ...fields,
  availableAt: Timestamp,
  leaseUntil: time,
  costMinor: SafeInteger,
  startedAt: time,
  finishedAt: time
}))
export const stepRows = rowReader(StepRow)

/** What statements select of an execution `e`, and of a step `w`. */
export const columnsOf = (sql: PostgresClient["Service"]["sql"]) => ({
  executionColumns: sql`e.id, e.workflow_id as "workflowId", e.version_number as "versionNumber", e.state, e.trigger,
    e.schedule_id as "scheduleId", e.scheduled_for as "scheduledFor", e.idempotency_key as "idempotencyKey", e.input,
    e.result, e.error, e.failed_step as "failedStep", e.cost_minor as "costMinor", e.currency,
    e.created_at as "createdAt", e.started_at as "startedAt", e.finished_at as "finishedAt"`,
  stepColumns: sql`w.id, w.execution_id as "executionId", w.position, w.key, w.kind, w.depends_on as "dependsOn", w.state,
    w.attempts, w.max_attempts as "maxAttempts", w.timeout_millis as "timeoutMillis",
    w.backoff_millis as "backoffMillis", w.available_at as "availableAt", w.lease_until as "leaseUntil", w.worker,
    w.last_error as "lastError", w.output, w.cost_minor as "costMinor", w.started_at as "startedAt",
    w.finished_at as "finishedAt"`
})

const startables = rowReader(
  Schema.Struct({
    state: WorkflowState,
    number: Schema.NullOr(Schema.Int),
    steps: Schema.NullOr(Schema.Array(StepDefinition))
  })
)

/** What is started, and why. */
interface Start extends Omit<NewExecution, "trigger"> {
  readonly trigger: ExecutionTrigger
  readonly schedule?: { readonly id: ScheduleId; readonly scheduledFor: DateTime.Utc } | undefined
}

type Service = Workflows["Service"]

/** Executions on PostgreSQL. */
export const makeExecutions = (client: PostgresClient["Service"], transaction: Transaction["Service"]) => {
  const { keyed, query, sql } = client
  const nextId = makeIdsOf(ExecutionId)
  const nextStepId = makeIdsOf(StepId)
  const { executionColumns, stepColumns } = columnsOf(sql)

  /** Finds the version that is asked for, the latest one where there is no number. */
  const findStartable = Effect.fnUntraced(function* (operation: string, id: WorkflowId, number: number | null) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select w.state, v.number, v.steps from ai_core.workflows as w
        left join ai_core.workflow_versions as v
          on v.workflow_id = w.id and v.number = coalesce(${number}::int, w.latest_version)
        where w.id = ${id}::uuid`
    )
    const found = yield* startables.option(operation, rows)
    if (Option.isNone(found)) return yield* new WorkflowNotFound({ id })
    const { state, steps } = found.value
    if (found.value.number === null || steps === null) return yield* new WorkflowVersionNotFound({ id, number })
    return { state, number: found.value.number, steps }
  })

  const findByKey = Effect.fnUntraced(function* (operation: string, workflowId: WorkflowId, key: string) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${executionColumns} from ai_core.workflow_executions as e
        where e.workflow_id = ${workflowId}::uuid and e.idempotency_key = ${key}`
    )
    return yield* executionRows.option(operation, rows)
  })

  /**
   * Starts an execution; none where there is one already, of the same key or of the same time of the same schedule, or the
   * workflow was archived in this very moment.
   */
  const insert = Effect.fnUntraced(function* (operation: string, start: Start) {
    const { currency = "USD", idempotencyKey, input = {}, schedule, trigger, versionNumber, workflowId } = start
    const version = yield* findStartable(operation, workflowId, versionNumber ?? null)
    if (version.state === "archived") return yield* new WorkflowArchived({ id: workflowId })
    const id = yield* nextId
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const steps = yield* Effect.forEach(version.steps, (step, position) =>
      Effect.map(nextStepId, (id) => ({ ...Struct.omit(step, ["config"]), id, position }))
    )
    const scheduledFor = schedule && DateTime.toDateUtc(schedule.scheduledFor)
    // The workflow is held against an archive at this moment: the one that comes second waits, and finds what the first has left.
    const rows = yield* query(
      { operation, kind: "write", idempotent: idempotencyKey !== undefined },
      sql<object>`with held as (
          select from ai_core.workflows as w where w.id = ${workflowId}::uuid and w.state <> 'archived' for share
        ), made as (
          insert into ai_core.workflow_executions as e
            (id, workflow_id, version_number, trigger, schedule_id, scheduled_for, idempotency_key, input, currency, created_at)
          select ${id}::uuid, ${workflowId}::uuid, ${version.number}::int, ${trigger}::text, ${schedule?.id ?? null}::uuid,
            ${scheduledFor ?? null}::timestamptz, ${idempotencyKey ?? null}::text, ${sql.json(input)}::jsonb,
            ${currency}::text, ${now}::timestamptz
          from held
          on conflict do nothing
          returning ${executionColumns}
        ), steps as (
          insert into ai_core.workflow_steps
            (id, execution_id, position, key, kind, depends_on, timeout_millis, backoff_millis, max_attempts, state, available_at)
          select s.id, made.id, s.position, s.key, s.kind, s."dependsOn", s."timeoutMillis", s."backoffMillis",
            s."maxAttempts", case when s."dependsOn" = '{}' then 'ready' else 'blocked' end,
            date_trunc('milliseconds', clock_timestamp())
          from made cross join jsonb_to_recordset(${sql.json(steps)}::jsonb) as s (id uuid, position int, key text,
            kind text, "dependsOn" text[], "timeoutMillis" int, "backoffMillis" int, "maxAttempts" int)
        )
        select * from made`
    )
    return yield* executionRows.option(operation, rows)
  })

  const start: Service["start"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.start"
    const { trigger = "manual", ...execution } = yield* WorkflowsInput.start(given)
    const { idempotencyKey, workflowId } = execution
    return yield* untilSettled(
      operation,
      Effect.gen(function* () {
        if (idempotencyKey !== undefined) {
          const known = yield* findByKey(operation, workflowId, idempotencyKey)
          if (Option.isSome(known)) return known
        }
        return yield* insert(operation, { ...execution, trigger })
      })
    )
  })

  const byId = lookupById(client, {
    operation: "Workflows.findExecution",
    id: sql`e.id`,
    select: (condition) =>
      keyed<{
        readonly id: ExecutionId
      }>`select ${executionColumns} from ai_core.workflow_executions as e where ${condition}`,
    rows: executionRows
  })

  const findExecution: Service["findExecution"] = (given) =>
    Effect.flatMap(WorkflowsInput.execution("findExecution", given), ({ id }) => byId.find(id))

  const findExecutions: Service["findExecutions"] = (given) =>
    Effect.flatMap(WorkflowsInput.findExecutions(given), ({ ids }) =>
      Effect.mapError(byId.findMany(ids), (error) => error.during("Workflows.findExecutions"))
    )

  /** Moves an execution by a write that accepts the states which lead there, and says why where it finds none. */
  const moved = (
    operation: string,
    id: ExecutionId,
    to: ExecutionState,
    write: Effect.Effect<ReadonlyArray<object>, StoreError>
  ) =>
    writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (rows) => executionRows.option(operation, rows)),
      Effect.gen(function* () {
        const [found] = yield* query(
          { operation, kind: "write" },
          keyed<{ readonly state: ExecutionState }>`select state from ai_core.workflow_executions
            where id = ${id} for update`
        )
        if (found === undefined) return yield* new ExecutionNotFound({ id })
        yield* Effect.fromResult(executionStates.go(id, found.state, to))
      })
    )

  const anyOf = (states: ReadonlyArray<ExecutionState>) => sql`e.state = any(${states}::text[])`
  const before = (to: ExecutionState) => anyOf(executionStates.before(to))

  const going = Effect.fnUntraced(function* (method: string, given: ExecutionId, to: "paused" | "running") {
    const operation = `Workflows.${method}`
    const { id } = yield* WorkflowsInput.execution(method, given)
    const write = query(
      { operation, kind: "write" },
      keyed<object>`update ai_core.workflow_executions as e set state = ${to}
        where e.id = ${id}::uuid and ${before(to)} returning ${executionColumns}`
    )
    return yield* moved(operation, id, to, write)
  })

  const cancelExecution: Service["cancelExecution"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.cancelExecution"
    const { id } = yield* WorkflowsInput.execution("cancelExecution", given)
    const write = query(
      { operation, kind: "write" },
      sql<object>`with e as (
          update ai_core.workflow_executions as e set state = 'canceled', finished_at = clock_timestamp()
          where e.id = ${id}::uuid and ${before("canceled")} returning ${executionColumns}
        ), steps as (
          update ai_core.workflow_steps as w
          set state = 'canceled', lease_token = null, lease_until = null, finished_at = clock_timestamp()
          from e where w.execution_id = e.id and w.state in ('blocked', 'ready', 'running')
        )
        select * from e`
    )
    return yield* moved(operation, id, "canceled", write)
  })

  const retryExecution: Service["retryExecution"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.retryExecution"
    const { id } = yield* WorkflowsInput.execution("retryExecution", given)
    // Two statements: the second must see what finished while the first waited for the execution.
    const write = transaction.run(
      Effect.gen(function* () {
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.workflow_executions as e
            set state = 'pending', error = null, failed_step = null, finished_at = null
            where e.id = ${id}::uuid and ${before("pending")} returning ${executionColumns}`
        )
        if (rows.length === 0) return rows
        yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.workflow_steps as w set
              state = case when exists (select from ai_core.workflow_steps as p where p.execution_id = w.execution_id
                and p.key = any(w.depends_on) and p.state <> 'succeeded') then 'blocked' else 'ready' end,
              attempts = 0, available_at = date_trunc('milliseconds', clock_timestamp()), finished_at = null,
              lease_token = null, lease_until = null
            where w.execution_id = ${id}::uuid and (w.state in ('dead', 'skipped')
              or w.state = 'running' and w.lease_until <= clock_timestamp())`
        )
        return rows
      })
    )
    return yield* moved(operation, id, "pending", write)
  })

  const conditions = ({ from, states, until, workflowId }: ExecutionFilter) => [
    ...(workflowId === undefined ? [] : [sql`e.workflow_id = ${workflowId}::uuid`]),
    // An index gives the rows of one state in the order of the list; of several it does not.
    ...(states === undefined ? [] : states.length === 1 ? [sql`e.state = ${states[0]}`] : [anyOf(states)]),
    ...(from === undefined ? [] : [sql`e.created_at >= ${DateTime.toDateUtc(from)}::timestamptz`]),
    ...(until === undefined ? [] : [sql`e.created_at < ${DateTime.toDateUtc(until)}::timestamptz`])
  ]

  const listExecutions: Service["listExecutions"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Workflows.listExecutions", kind: "read" } as const
    const { after, limit = defaultPageSize, ...filter } = yield* WorkflowsInput.listExecutions(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}::timestamptz`, sql`${after.id}::uuid`]
    )
    const rows = yield* query(
      call,
      sql<object>`select ${executionColumns} from ai_core.workflow_executions as e
        where ${sql.and([page.behind, ...conditions(filter)])} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* executionRows.all(call, rows), limit, executionCursorAfter)
  })

  const countExecutions: Service["countExecutions"] = Effect.fnUntraced(function* (given) {
    const filter = yield* WorkflowsInput.countExecutions(given)
    const rows = yield* query(
      { operation: "Workflows.countExecutions", kind: "read" },
      sql<{ readonly state: ExecutionState; readonly n: bigint }>`select e.state, count(*) as n
        from ai_core.workflow_executions as e where ${sql.and([sql`true`, ...conditions(filter)])} group by e.state`
    )
    const counts = { pending: 0, running: 0, paused: 0, succeeded: 0, failed: 0, canceled: 0 }
    for (const { n, state } of rows) counts[state] = Number(n)
    return counts
  })

  const findSteps: Service["findSteps"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Workflows.findSteps", kind: "read" } as const
    const { id } = yield* WorkflowsInput.execution("findSteps", given)
    const rows = yield* query(
      call,
      keyed<object>`select ${stepColumns} from ai_core.workflow_steps as w
        where w.execution_id = ${id} order by w.position`
    )
    // No execution is without steps.
    if (rows.length === 0) return yield* new ExecutionNotFound({ id })
    return yield* stepRows.all(call, rows)
  })

  const purgeExecutions: Service["purgeExecutions"] = Effect.fnUntraced(function* (given) {
    const { finishedBefore, limit = 1000 } = yield* WorkflowsInput.purgeExecutions(given)
    const rows = yield* query(
      { operation: "Workflows.purgeExecutions", kind: "write" },
      sql`delete from ai_core.workflow_executions where id in (
          select id from ai_core.workflow_executions
          where finished_at < ${DateTime.toDateUtc(finishedBefore)}::timestamptz
          order by finished_at, id limit ${limit}::int for update skip locked
        ) returning id`
    )
    return rows.length
  })

  const service = {
    start,
    findExecution,
    findExecutions,
    listExecutions,
    streamExecutions: ({ pageSize, ...filter } = {}) =>
      streamOf<WorkflowExecution, ExecutionCursor>("streamExecutions", pageSize, (page) =>
        listExecutions({ ...filter, ...page })
      ),
    countExecutions,
    pauseExecution: (id) => going("pauseExecution", id, "paused"),
    resumeExecution: (id) => going("resumeExecution", id, "running"),
    cancelExecution,
    retryExecution,
    findSteps,
    purgeExecutions
  } satisfies Partial<Service>

  return { service, findStartable, insert }
}
