import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { isLeaseOver, unleased } from "../../postgres/repository/WorkItem.ts"
import { storedJson } from "../../core/StorableJson.ts"
import { WorkflowArchived, type WorkflowId, WorkflowNotFound, WorkflowVersionNotFound } from "./WorkflowDefinition.ts"
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
  type WorkflowExecution
} from "./WorkflowExecution.ts"
import type { Workflows } from "./Workflows.ts"
import type { ScheduleId } from "./WorkflowSchedule.ts"
import { streamOf, WorkflowsInput } from "./WorkflowsInput.ts"
import { StepId, type WorkflowStep } from "./WorkflowStep.ts"
import {
  executionsTable,
  idempotencyValue,
  newestFirst,
  scheduledValue,
  type StoredStep,
  stepsTable,
  versionKey,
  versionsTable,
  workflowsTable
} from "./WorkflowTables.ts"

/** What callers see of a step. */
export const stepOf = (step: StoredStep): WorkflowStep => Struct.omit(step, ["finishedBy", "leaseToken", "takenAt"])

/** The steps of an execution, in the order of the workflow. */
export const stepsOf = (db: MemoryReader, id: ExecutionId): Array<StoredStep> =>
  db.rows(stepsTable, ({ executionId }) => executionId === id).sort((a, b) => a.position - b.position)

/** All that a step waits for has succeeded. */
export const isReleased = (steps: ReadonlyArray<StoredStep>, { dependsOn }: StoredStep): boolean =>
  steps.every(({ key, state }) => state === "succeeded" || !dependsOn.includes(key))

/** Finds the version that is asked for, the latest one where there is no number. */
export const findStartable = (db: MemoryReader, id: WorkflowId, number: number | null) =>
  Result.gen(function* () {
    const { latestVersion, state } = yield* Result.fromOption(
      db.get(workflowsTable, id),
      () => new WorkflowNotFound({ id })
    )
    const version = yield* Result.fromOption(
      db.get(versionsTable, versionKey(id, number ?? latestVersion)),
      () => new WorkflowVersionNotFound({ id, number })
    )
    return { state, version }
  })

/** What is started, and why. */
interface Start extends Omit<NewExecution, "trigger"> {
  readonly trigger: ExecutionTrigger
  readonly schedule?: { readonly id: ScheduleId; readonly scheduledFor: DateTime.Utc } | undefined
}

type Service = Workflows["Service"]

const meets =
  ({ from, states, until, workflowId }: ExecutionFilter) =>
  (execution: WorkflowExecution): boolean =>
    (workflowId === undefined || execution.workflowId === workflowId) &&
    (states === undefined || states.includes(execution.state)) &&
    (from === undefined || DateTime.isGreaterThanOrEqualTo(execution.createdAt, from)) &&
    (until === undefined || DateTime.isLessThan(execution.createdAt, until))

/** Executions in memory. */
export const makeExecutions = ({ read, transaction, write }: PostgresMemory["Service"]) => {
  const nextId = makeIdsOf(ExecutionId)
  const nextStepId = makeIdsOf(StepId)

  /** Starts an execution; none where there is one already of the same time of the same schedule. Run it in a transaction. */
  const insert = Effect.fnUntraced(function* (operation: string, start: Start) {
    const { currency = "USD", idempotencyKey = null, input = {}, schedule, trigger, versionNumber, workflowId } = start
    const found = yield* read(operation, (db) => findStartable(db, workflowId, versionNumber ?? null))
    const { state, version } = yield* Effect.fromResult(found)
    if (state === "archived") return yield* new WorkflowArchived({ id: workflowId })
    const now = yield* DateTime.now
    const execution: WorkflowExecution = {
      id: yield* nextId,
      workflowId,
      versionNumber: version.number,
      state: "pending",
      trigger,
      scheduleId: schedule?.id ?? null,
      scheduledFor: schedule?.scheduledFor ?? null,
      idempotencyKey,
      input: storedJson(input),
      result: null,
      error: null,
      failedStep: null,
      costMinor: 0,
      currency,
      createdAt: now,
      startedAt: null,
      finishedAt: null
    }
    const steps = yield* Effect.forEach(version.steps, (step, position) =>
      Effect.map(nextStepId, (id): StoredStep => ({
        ...Struct.omit(step, ["config"]),
        ...unleased,
        id,
        executionId: execution.id,
        position,
        state: step.dependsOn.length === 0 ? "ready" : "blocked",
        attempts: 0,
        availableAt: now,
        takenAt: null,
        worker: null,
        lastError: null,
        output: null,
        costMinor: 0,
        startedAt: null,
        finishedAt: null,
        finishedBy: null
      }))
    )
    return yield* write(operation, (db) =>
      Result.gen(function* () {
        const time = scheduledValue(execution)
        if (time !== undefined && Option.isSome(db.find(executionsTable, "workflow_executions_scheduled_key", time))) {
          return Option.none()
        }
        yield* db.insert(executionsTable, execution)
        yield* db.insertAll(stepsTable, steps)
        return Option.some(execution)
      })
    )
  })

  const start: Service["start"] = Effect.fnUntraced(function* (given) {
    const { trigger = "manual", ...fields } = yield* WorkflowsInput.start(given)
    const { idempotencyKey, workflowId } = fields
    const operation = "Workflows.start"
    return yield* transaction(
      Effect.gen(function* () {
        if (idempotencyKey !== undefined) {
          const key = idempotencyValue(workflowId, idempotencyKey)
          const known = yield* read(operation, (db) =>
            db.find(executionsTable, "workflow_executions_idempotency_key", key)
          )
          if (Option.isSome(known)) return known.value
        }
        return Option.getOrThrow(yield* insert(operation, { ...fields, trigger }))
      })
    )
  })

  const findExecution: Service["findExecution"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* WorkflowsInput.execution("findExecution", given)
    return yield* read("Workflows.findExecution", (db) => db.get(executionsTable, id))
  })

  const findExecutions: Service["findExecutions"] = Effect.fnUntraced(function* (given) {
    const { ids } = yield* WorkflowsInput.findExecutions(given)
    return yield* read("Workflows.findExecutions", (db) => ids.map((id) => db.get(executionsTable, id)))
  })

  /** Moves an execution, and with it its steps. */
  const moved = Effect.fnUntraced(function* (
    method: string,
    given: ExecutionId,
    to: ExecutionState,
    change: (now: DateTime.Utc) => Partial<WorkflowExecution> = () => ({}),
    changeStep?: (step: StoredStep, steps: ReadonlyArray<StoredStep>, now: DateTime.Utc) => StoredStep
  ) {
    const { id } = yield* WorkflowsInput.execution(method, given)
    const now = yield* DateTime.now
    return yield* write(`Workflows.${method}`, (db) =>
      Result.gen(function* () {
        const execution = yield* Result.fromOption(db.get(executionsTable, id), () => new ExecutionNotFound({ id }))
        const state = yield* executionStates.go(id, execution.state, to)
        const changed: WorkflowExecution = { ...execution, ...change(now), state }
        yield* db.replace(executionsTable, changed)
        if (changeStep !== undefined) {
          const steps = stepsOf(db, id)
          for (const step of steps) yield* db.replace(stepsTable, changeStep(step, steps, now))
        }
        return changed
      })
    )
  })

  const canceled = (step: StoredStep, _: ReadonlyArray<StoredStep>, now: DateTime.Utc): StoredStep =>
    step.state === "blocked" || step.state === "ready" || step.state === "running"
      ? { ...step, ...unleased, state: "canceled", finishedAt: now }
      : step

  const revived = (step: StoredStep, steps: ReadonlyArray<StoredStep>, now: DateTime.Utc): StoredStep =>
    step.state === "dead" || step.state === "skipped" || (step.state === "running" && isLeaseOver(step, now))
      ? {
          ...step,
          ...unleased,
          state: isReleased(steps, step) ? "ready" : "blocked",
          attempts: 0,
          availableAt: now,
          finishedAt: null
        }
      : step

  const listExecutions: Service["listExecutions"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, ...filter } = yield* WorkflowsInput.listExecutions(given)
    const sorted = yield* read("Workflows.listExecutions", (db) => db.sorted(executionsTable, newestFirst))
    return pageOfSorted(sorted.filter(meets(filter)), newestFirst, after, limit, executionCursorAfter)
  })

  const countExecutions: Service["countExecutions"] = Effect.fnUntraced(function* (given) {
    const filter = yield* WorkflowsInput.countExecutions(given)
    const found = yield* read("Workflows.countExecutions", (db) => db.rows(executionsTable, meets(filter)))
    const counts = { pending: 0, running: 0, paused: 0, succeeded: 0, failed: 0, canceled: 0 }
    for (const { state } of found) counts[state]++
    return counts
  })

  const findSteps: Service["findSteps"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* WorkflowsInput.execution("findSteps", given)
    const steps = yield* read("Workflows.findSteps", (db) => stepsOf(db, id))
    if (steps.length === 0) return yield* new ExecutionNotFound({ id })
    return steps.map(stepOf)
  })

  const purgeExecutions: Service["purgeExecutions"] = Effect.fnUntraced(function* (given) {
    const { finishedBefore, limit = 1000 } = yield* WorkflowsInput.purgeExecutions(given)
    return yield* write("Workflows.purgeExecutions", (db) =>
      Result.gen(function* () {
        const ended = db.rows(
          executionsTable,
          ({ finishedAt }) => finishedAt !== null && DateTime.isLessThan(finishedAt, finishedBefore)
        )
        const purged = ended.sort((a, b) =>
          DateTime.Order(a.finishedAt ?? finishedBefore, b.finishedAt ?? finishedBefore)
        )
        for (const { id } of purged.slice(0, limit)) yield* db.remove(executionsTable, id)
        return Math.min(purged.length, limit)
      })
    )
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
    pauseExecution: (id) => moved("pauseExecution", id, "paused"),
    resumeExecution: (id) => moved("resumeExecution", id, "running"),
    cancelExecution: (id) => moved("cancelExecution", id, "canceled", (now) => ({ finishedAt: now }), canceled),
    retryExecution: (id) =>
      moved("retryExecution", id, "pending", () => ({ error: null, failedStep: null, finishedAt: null }), revived),
    findSteps,
    purgeExecutions
  } satisfies Partial<Service>

  return { service, insert }
}
