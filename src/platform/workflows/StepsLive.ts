import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { makeClaims } from "../../postgres/repository/Claims.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { pauseAfter } from "../../postgres/repository/WorkItem.ts"
import { columnsOf, executionRows, StepRow, stepRows } from "./ExecutionsLive.ts"
import { WorkflowId } from "./WorkflowDefinition.ts"
import { begun, ExecutionId, ExecutionState, isGoing } from "./WorkflowExecution.ts"
import type { Workflows } from "./Workflows.ts"
import { WorkflowsInput } from "./WorkflowsInput.ts"
import {
  byTurn,
  LeaseToken,
  pausesOf,
  type StepId,
  StepLeaseLost,
  StepNotFound,
  StepState,
  stepWork,
  type WorkflowStep
} from "./WorkflowStep.ts"

const claimedRows = rowReader(
  Schema.Struct({
    ...StepRow.fields,
    workflowId: WorkflowId,
    token: LeaseToken,
    config: Schema.JsonObject,
    input: Schema.JsonObject,
    dependencies: Schema.JsonObject
  })
)

const finishedRows = rowReader(Schema.Struct({ ...StepRow.fields, isLast: Schema.Boolean }))

const leaseRows = rowReader(Schema.Struct({ leaseUntil: Timestamp }))

/** A step's execution, as it is while nobody else may change it. */
const heldRows = rowReader(
  Schema.Struct({
    id: ExecutionId,
    state: ExecutionState,
    attempts: Schema.Int,
    backoffMillis: Schema.Int
  })
)

const lostRows = rowReader(Schema.Struct({ state: StepState, finishedBy: Schema.NullOr(Schema.String) }))

const spentRows = rowReader(Schema.Struct({ executionId: ExecutionId }))

/** Executions whose spent steps one claim buries. */
const mostBuried = 20

/** What finishing a step makes of its execution. */
interface Outcome {
  readonly state: ExecutionState
  readonly costMinor: number
  /** The dead step, where that fails the execution. */
  readonly died?: WorkflowStep | undefined
}

type Service = Workflows["Service"]

/**
 * The steps of executions as work, on PostgreSQL.
 *
 * Whoever finishes a step holds the row of its execution first, so that those who finish at once follow each other and each
 * sees what the others have done. Whoever takes a step waits for nobody, so that the two never wait for each other.
 */
export const makeSteps = ({ keyed, query, sql }: PostgresClient["Service"], { run }: Transaction["Service"]) => {
  const nextToken = makeIdsOf(LeaseToken)
  const { executionColumns, stepColumns } = columnsOf(sql)
  const claims = makeClaims(sql, { table: "ai_core.workflow_steps", states: stepWork })

  const skipRest = (operation: string, executionId: ExecutionId) =>
    Effect.flatMap(
      query(
        { operation, kind: "write" },
        keyed<object>`update ai_core.workflow_steps as w set state = 'skipped', finished_at = clock_timestamp()
          where w.execution_id = ${executionId}::uuid and w.state in ('blocked', 'ready') returning ${stepColumns}`
      ),
      (rows) => stepRows.all(operation, rows)
    )

  /** Writes down what an execution has come to; its row is held. */
  const settle = Effect.fnUntraced(function* (
    operation: string,
    id: ExecutionId,
    startedAt: DateTime.Utc | null,
    { costMinor, died, state }: Outcome
  ) {
    const rows = yield* query(
      { operation, kind: "write" },
      keyed<object>`update ai_core.workflow_executions as e set
        state = ${state}, cost_minor = e.cost_minor + ${costMinor}::bigint,
        started_at = coalesce(e.started_at, ${startedAt && DateTime.toDateUtc(startedAt)}::timestamptz),
        error = coalesce(${died?.lastError ?? null}::text, e.error),
        failed_step = coalesce(${died?.key ?? null}::text, e.failed_step),
        finished_at = case when ${state}::text in ('succeeded', 'failed', 'canceled')
          then coalesce(e.finished_at, clock_timestamp()) end,
        result = case when ${state}::text = 'succeeded' then (
          select jsonb_object_agg(w.key, coalesce(w.output, 'null')) from ai_core.workflow_steps as w
          where w.execution_id = e.id and not exists (select from ai_core.workflow_steps as d
            where d.execution_id = e.id and w.key = any(d.depends_on))) end
      where e.id = ${id}::uuid returning ${executionColumns}`
    )
    return yield* executionRows.one(operation, rows)
  })

  /** Ends the steps whose last try ended without a word, and fails their executions; those that others hold are left to them. */
  const bury = Effect.fnUntraced(function* (operation: string) {
    const spent = yield* query(
      { operation, kind: "read" },
      keyed<object>`select distinct w.execution_id as "executionId" from ai_core.workflow_steps as w
        where ${claims.spent} limit ${mostBuried}::int`
    )
    yield* Effect.forEach(yield* spentRows.all(operation, spent), ({ executionId }) =>
      run(
        Effect.gen(function* () {
          const held = yield* query(
            { operation, kind: "write" },
            keyed<{ readonly state: ExecutionState }>`select e.state from ai_core.workflow_executions as e
              where e.id = ${executionId}::uuid for update skip locked`
          )
          const [execution] = held
          if (execution === undefined) return
          const dead = yield* query(
            { operation, kind: "write" },
            claims.bury(stepColumns, {
              where: sql`w.execution_id = ${executionId}::uuid`,
              set: sql`finished_at = clock_timestamp()`
            })
          )
          const [died] = Arr.sort(yield* stepRows.all(operation, dead), byTurn)
          if (died === undefined || !isGoing(execution.state)) return
          yield* settle(operation, executionId, died.startedAt, { state: "failed", costMinor: 0, died })
          yield* skipRest(operation, executionId)
        })
      )
    )
  })

  /** An index gives the steps of one kind in the order of the queue; of several it does not. */
  const ofKinds = (kinds: ReadonlyArray<string>) =>
    kinds.length === 1 ? sql`w.kind = ${kinds[0]}` : sql`w.kind = any(${kinds}::text[])`

  const claimSteps: Service["claimSteps"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.claimSteps"
    const { kinds, lease, limit, worker } = yield* WorkflowsInput.claimSteps(given)
    yield* bury(operation)
    const token = yield* nextToken
    // A value, not a join, and a case: the queue is read in its order, and only as far as steps are wanted.
    const going = sql`case when (select e.state from ai_core.workflow_executions as e where e.id = w.execution_id)
      in ('pending', 'running') then true else false end`
    const taken = claims.take({
      limit,
      lease,
      token,
      atMost: sql`w.timeout_millis * interval '1 millisecond'`,
      where: sql.and([going, ...(kinds === undefined ? [] : [ofKinds(kinds)])]),
      set: sql`worker = ${worker}, taken_at = clock_timestamp(), started_at = coalesce(w.started_at, clock_timestamp())`,
      returning: sql`${stepColumns}, w.lease_token as token,
        (select jsonb_build_object('workflowId', e.workflow_id, 'input', e.input, 'config', v.steps -> w.position -> 'config')
          from ai_core.workflow_executions as e
          join ai_core.workflow_versions as v on v.workflow_id = e.workflow_id and v.number = e.version_number
          where e.id = w.execution_id) as context,
        (select coalesce(jsonb_object_agg(p.key, coalesce(p.output, 'null')), '{}') from ai_core.workflow_steps as p
          where p.execution_id = w.execution_id and p.key = any(w.depends_on)) as dependencies`
    })
    // Executions that somebody else holds are left out: whoever finishes a step of one says that it has begun.
    const rows = yield* query(
      { operation, kind: "write" },
      sql<object>`with taken as (${taken}), begun as (
          update ai_core.workflow_executions as e
          set state = 'running', started_at = coalesce(e.started_at, clock_timestamp())
          from (
            select e.id from ai_core.workflow_executions as e
            where e.id in (select "executionId" from taken)
              and (e.state = 'pending' or e.state = 'running' and e.started_at is null)
            for update skip locked
          ) as waiting
          where e.id = waiting.id
        )
        select taken.*, context ->> 'workflowId' as "workflowId", context -> 'input' as input, context -> 'config' as config
        from taken`
    )
    const claimed = yield* claimedRows.all(operation, rows)
    return Arr.sort(
      claimed.map(({ config, dependencies, input, token, workflowId, ...step }) => ({
        step,
        workflowId,
        token,
        config,
        input,
        dependencies
      })),
      Order.mapInput(byTurn, ({ step }: { readonly step: WorkflowStep }) => step)
    )
  })

  /** Whether the step was there, and who has it now. */
  const explain = Effect.fnUntraced(function* (operation: string, id: StepId) {
    const rows = yield* query(
      { operation, kind: "read" },
      keyed<object>`select state, finished_by as "finishedBy" from ai_core.workflow_steps where id = ${id}`
    )
    const found = yield* lostRows.option(operation, rows)
    if (Option.isNone(found)) return yield* new StepNotFound({ id })
    return { finishedBy: found.value.finishedBy, lost: new StepLeaseLost({ id, state: found.value.state }) }
  })

  const heartbeat: Service["heartbeat"] = Effect.fnUntraced(function* (givenId, givenToken, givenLease) {
    const operation = "Workflows.heartbeat"
    const { id, lease, token } = yield* WorkflowsInput.heartbeat(givenId, givenToken, givenLease)
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      keyed<object>`update ai_core.workflow_steps
        set ${claims.renewed(lease, sql`taken_at + timeout_millis * interval '1 millisecond'`)}
        where ${claims.heldBy(id, token)} returning lease_until as "leaseUntil"`
    )
    const renewed = yield* leaseRows.option(operation, rows)
    if (Option.isSome(renewed)) return renewed.value.leaseUntil
    return yield* (yield* explain(operation, id)).lost
  })

  /** Holds the execution of a step until the transaction ends. */
  const hold = Effect.fnUntraced(function* (operation: string, id: StepId) {
    const rows = yield* query(
      { operation, kind: "write" },
      keyed<object>`select e.id, e.state, w.attempts, w.backoff_millis as "backoffMillis"
        from ai_core.workflow_steps as w join ai_core.workflow_executions as e on e.id = w.execution_id
        where w.id = ${id}::uuid for update of e`
    )
    const held = yield* heldRows.option(operation, rows)
    if (Option.isNone(held)) return yield* new StepNotFound({ id })
    return held.value
  })

  const asItIs = Effect.fnUntraced(function* (operation: string, id: StepId, executionId: ExecutionId) {
    const steps = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${stepColumns} from ai_core.workflow_steps as w where w.id = ${id}`
    )
    const executions = yield* query(
      { operation, kind: "read" },
      keyed<object>`select ${executionColumns} from ai_core.workflow_executions as e where e.id = ${executionId}`
    )
    return { step: yield* stepRows.one(operation, steps), execution: yield* executionRows.one(operation, executions) }
  })

  const completeStep: Service["completeStep"] = Effect.fnUntraced(function* (givenId, givenToken, given) {
    const operation = "Workflows.completeStep"
    const { id, success, token } = yield* WorkflowsInput.completeStep(givenId, givenToken, given)
    const { costMinor = 0, output = null } = success
    return yield* run(
      Effect.gen(function* () {
        const execution = yield* hold(operation, id)
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`with done as (
              update ai_core.workflow_steps as w set
                state = 'succeeded', output = ${sql.json(output)}, cost_minor = w.cost_minor + ${costMinor}::bigint,
                finished_at = clock_timestamp(), finished_by = w.lease_token, ${claims.released}
              where ${claims.heldBy(id, token)}
              returning ${stepColumns}
            ), released as (
              update ai_core.workflow_steps as d
              set state = 'ready', available_at = date_trunc('milliseconds', clock_timestamp())
              from done
              where d.execution_id = done."executionId" and d.state = 'blocked' and done.key = any(d.depends_on)
                and not exists (select from ai_core.workflow_steps as p where p.execution_id = d.execution_id
                  and p.key = any(d.depends_on) and p.key <> done.key and p.state <> 'succeeded')
            )
            select done.*, not exists (select from ai_core.workflow_steps as p where p.execution_id = done."executionId"
              and p.id <> done.id and p.state <> 'succeeded') as "isLast"
            from done`
        )
        const done = yield* finishedRows.option(operation, rows)
        if (Option.isNone(done)) {
          const { finishedBy, lost } = yield* explain(operation, id)
          if (finishedBy !== token) return yield* lost
          // Once more with the token that did it: as it was, and at no cost.
          return yield* asItIs(operation, id, execution.id)
        }
        const { isLast, ...step } = done.value
        const state = isLast ? "succeeded" : begun(execution.state)
        return { step, execution: yield* settle(operation, execution.id, step.startedAt, { state, costMinor }) }
      })
    )
  })

  const failStep: Service["failStep"] = Effect.fnUntraced(function* (givenId, givenToken, given) {
    const operation = "Workflows.failStep"
    const { failure, id, token } = yield* WorkflowsInput.failStep(givenId, givenToken, given)
    const { costMinor = 0, error, retry = true, retryAfter } = failure
    return yield* run(
      Effect.gen(function* () {
        const execution = yield* hold(operation, id)
        const pause = retryAfter ?? pauseAfter(pausesOf(execution), execution.attempts)
        const ended = retry
          ? sql`${claims.failed(error, pause)},
              finished_at = case when attempts < max_attempts then null else clock_timestamp() end`
          : sql`${claims.released}, last_error = ${error}, state = 'dead', finished_at = clock_timestamp()`
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.workflow_steps as w
            set ${ended}, cost_minor = w.cost_minor + ${costMinor}::bigint
            where ${claims.heldBy(id, token)} returning ${stepColumns}`
        )
        const failed = yield* stepRows.option(operation, rows)
        if (Option.isNone(failed)) return yield* (yield* explain(operation, id)).lost
        const step = failed.value
        const died = step.state === "dead" && isGoing(execution.state) ? step : undefined
        const state = died === undefined ? begun(execution.state) : "failed"
        const settled = yield* settle(operation, execution.id, step.startedAt, { state, costMinor, died })
        const skipped = state === "failed" ? yield* skipRest(operation, execution.id) : []
        return { step: skipped.find((other) => other.id === id) ?? step, execution: settled }
      })
    )
  })

  return { claimSteps, heartbeat, completeStep, failStep } satisfies Partial<Service>
}
