import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { MemoryReader, MemoryWriter } from "../../postgres/memory/MemoryDatabase.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { memoryClaims } from "../../postgres/memory/MemoryClaims.ts"
import { pauseAfter } from "../../postgres/repository/WorkItem.ts"
import { storedJson } from "../../core/StorableJson.ts"
import { isReleased, stepOf, stepsOf } from "./ExecutionsMemory.ts"
import { begun, type ExecutionState, isGoing, type WorkflowExecution } from "./WorkflowExecution.ts"
import type { Workflows } from "./Workflows.ts"
import { WorkflowsInput } from "./WorkflowsInput.ts"
import {
  type ClaimedStep,
  LeaseToken,
  pausesOf,
  type StepId,
  StepLeaseLost,
  StepNotFound,
  stepWork
} from "./WorkflowStep.ts"
import { executionsTable, type StoredStep, stepsTable, versionKey, versionsTable } from "./WorkflowTables.ts"

const claims = memoryClaims({ table: stepsTable, states: stepWork })

const endOfTry = ({ takenAt, timeoutMillis }: StoredStep, now: DateTime.Utc): DateTime.Utc =>
  DateTime.add(takenAt ?? now, { milliseconds: timeoutMillis })

/** Outputs by the keys of their steps. */
const outputs = (steps: ReadonlyArray<StoredStep>): Schema.JsonObject =>
  Object.fromEntries(steps.map(({ key, output }) => [key, output]))

const resultOf = (steps: ReadonlyArray<StoredStep>): Schema.JsonObject => {
  const wanted = new Set(steps.flatMap(({ dependsOn }) => dependsOn))
  return outputs(steps.filter(({ key }) => !wanted.has(key)))
}

/** What finishing a step makes of its execution. */
interface Outcome {
  readonly state: ExecutionState
  readonly costMinor: number
  readonly startedAt: DateTime.Utc | null
  /** The dead step, where that fails the execution. */
  readonly died?: StoredStep | undefined
}

/** Writes down what an execution has come to. */
const settle = (db: MemoryWriter, execution: WorkflowExecution, outcome: Outcome, now: DateTime.Utc) =>
  Result.gen(function* () {
    const { costMinor, died, startedAt, state } = outcome
    const settled: WorkflowExecution = {
      ...execution,
      state,
      costMinor: execution.costMinor + costMinor,
      startedAt: execution.startedAt ?? startedAt,
      error: died?.lastError ?? execution.error,
      failedStep: died?.key ?? execution.failedStep,
      finishedAt: isGoing(state) ? null : (execution.finishedAt ?? now),
      result: state === "succeeded" ? resultOf(stepsOf(db, execution.id)) : null
    }
    yield* db.replace(executionsTable, settled)
    if (state === "failed") {
      for (const step of stepsOf(db, execution.id)) {
        if (step.state !== "blocked" && step.state !== "ready") continue
        yield* db.replace(stepsTable, { ...step, state: "skipped", finishedAt: now })
      }
    }
    return settled
  })

const executionOf = (db: MemoryReader, { executionId, id }: StoredStep) =>
  Result.fromOption(db.get(executionsTable, executionId), () => new StepNotFound({ id }))

/** Ends the steps whose last try ended without a word, and fails their executions. */
const bury = (db: MemoryWriter, now: DateTime.Utc) =>
  Result.gen(function* () {
    for (const died of yield* claims.bury(db, { now, set: () => ({ finishedAt: now }) })) {
      const execution = db.get(executionsTable, died.executionId)
      if (Option.isNone(execution) || !isGoing(execution.value.state)) continue
      yield* settle(db, execution.value, { state: "failed", costMinor: 0, startedAt: died.startedAt, died }, now)
    }
  })

const claimedOf = (
  db: MemoryReader,
  step: StoredStep,
  execution: WorkflowExecution,
  token: LeaseToken
): ClaimedStep => {
  const version = db.get(versionsTable, versionKey(execution.workflowId, execution.versionNumber))
  const config = Option.flatMapNullishOr(version, ({ steps }) => steps[step.position]?.config)
  return {
    step: stepOf(step),
    workflowId: execution.workflowId,
    token,
    config: Option.getOrElse(config, () => ({})),
    input: execution.input,
    dependencies: outputs(stepsOf(db, execution.id).filter(({ key }) => step.dependsOn.includes(key)))
  }
}

type Service = Workflows["Service"]

/** The steps of executions as work, in memory; times are the Clock's. */
export const makeSteps = ({ write }: PostgresMemory["Service"]) => {
  const nextToken = makeIdsOf(LeaseToken)

  const claimSteps: Service["claimSteps"] = Effect.fnUntraced(function* (given) {
    const { kinds, lease, limit, worker } = yield* WorkflowsInput.claimSteps(given)
    const now = yield* DateTime.now
    const token = yield* nextToken
    return yield* write("Workflows.claimSteps", (db) =>
      Result.gen(function* () {
        yield* bury(db, now)
        const taken = yield* claims.take(db, {
          limit,
          lease,
          token,
          now,
          atMost: ({ timeoutMillis }) => timeoutMillis,
          where: ({ executionId, kind }) => {
            const execution = db.get(executionsTable, executionId)
            const state = Option.getOrUndefined(execution)?.state
            return (state === "pending" || state === "running") && (kinds === undefined || kinds.includes(kind))
          },
          set: ({ startedAt }) => ({ worker, takenAt: now, startedAt: startedAt ?? now })
        })
        const claimed: Array<ClaimedStep> = []
        for (const step of taken) {
          const execution = db.get(executionsTable, step.executionId)
          if (Option.isNone(execution)) continue
          yield* db.replace(executionsTable, {
            ...execution.value,
            state: begun(execution.value.state),
            startedAt: execution.value.startedAt ?? now
          })
          claimed.push(claimedOf(db, step, execution.value, token))
        }
        return claimed
      })
    )
  })

  /** The step, where it is the holder's of this token. */
  const held = (db: MemoryReader, id: StepId, token: LeaseToken, now: DateTime.Utc) =>
    Result.flatMap(
      Result.fromOption(db.get(stepsTable, id), () => new StepNotFound({ id })),
      (step): Result.Result<StoredStep, StepLeaseLost> =>
        claims.heldBy(token, now)(step)
          ? Result.succeed(step)
          : Result.fail(new StepLeaseLost({ id, state: step.state }))
    )

  const heartbeat: Service["heartbeat"] = Effect.fnUntraced(function* (givenId, givenToken, givenLease) {
    const { id, lease, token } = yield* WorkflowsInput.heartbeat(givenId, givenToken, givenLease)
    const now = yield* DateTime.now
    return yield* write("Workflows.heartbeat", (db) =>
      Result.gen(function* () {
        const step = yield* held(db, id, token, now)
        const renewed = claims.renewed(lease, now, endOfTry(step, now))
        yield* db.replace(stepsTable, { ...step, ...renewed })
        return renewed.leaseUntil
      })
    )
  })

  const completeStep: Service["completeStep"] = Effect.fnUntraced(function* (givenId, givenToken, given) {
    const { id, success, token } = yield* WorkflowsInput.completeStep(givenId, givenToken, given)
    const { costMinor = 0, output = null } = success
    const now = yield* DateTime.now
    return yield* write("Workflows.completeStep", (db) =>
      Result.gen(function* () {
        const before = db.get(stepsTable, id)
        if (Option.isSome(before) && before.value.finishedBy === token) {
          return { step: stepOf(before.value), execution: yield* executionOf(db, before.value) }
        }
        const step = yield* held(db, id, token, now)
        const execution = yield* executionOf(db, step)
        const done: StoredStep = {
          ...step,
          ...claims.released,
          state: "succeeded",
          output: storedJson(output),
          costMinor: step.costMinor + costMinor,
          finishedAt: now,
          finishedBy: token
        }
        yield* db.replace(stepsTable, done)
        const steps = stepsOf(db, execution.id)
        for (const other of steps) {
          if (other.state !== "blocked" || !other.dependsOn.includes(done.key) || !isReleased(steps, other)) continue
          yield* db.replace(stepsTable, { ...other, state: "ready", availableAt: now })
        }
        const state = steps.every(({ state }) => state === "succeeded") ? "succeeded" : begun(execution.state)
        const settled = yield* settle(db, execution, { state, costMinor, startedAt: done.startedAt }, now)
        return { step: stepOf(done), execution: settled }
      })
    )
  })

  const failStep: Service["failStep"] = Effect.fnUntraced(function* (givenId, givenToken, given) {
    const { failure, id, token } = yield* WorkflowsInput.failStep(givenId, givenToken, given)
    const { costMinor = 0, error, retry = true, retryAfter } = failure
    const now = yield* DateTime.now
    return yield* write("Workflows.failStep", (db) =>
      Result.gen(function* () {
        const step = yield* held(db, id, token, now)
        const execution = yield* executionOf(db, step)
        const pause = retryAfter ?? pauseAfter(pausesOf(step), step.attempts)
        const tried = claims.failed(step, error, pause, now)
        const ended: StoredStep = {
          ...tried,
          state: retry ? tried.state : "dead",
          availableAt: retry ? tried.availableAt : step.availableAt,
          costMinor: step.costMinor + costMinor
        }
        const after = { ...ended, finishedAt: ended.state === "dead" ? now : null }
        yield* db.replace(stepsTable, after)
        const died = after.state === "dead" && isGoing(execution.state) ? after : undefined
        const state = died === undefined ? begun(execution.state) : "failed"
        const settled = yield* settle(db, execution, { state, costMinor, startedAt: step.startedAt, died }, now)
        return { step: stepOf(Option.getOrElse(db.get(stepsTable, id), () => after)), execution: settled }
      })
    )
  })

  return { claimSteps, heartbeat, completeStep, failStep } satisfies Partial<Service>
}
