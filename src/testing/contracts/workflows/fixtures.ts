import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import type { Users } from "../../../platform/users/Users.ts"
import type { NewStepDefinition } from "../../../platform/workflows/WorkflowContent.ts"
import { type NewWorkflow, WorkflowId } from "../../../platform/workflows/WorkflowDefinition.ts"
import { ExecutionId, type NewExecution } from "../../../platform/workflows/WorkflowExecution.ts"
import { Workflows } from "../../../platform/workflows/Workflows.ts"
import { ScheduleId } from "../../../platform/workflows/WorkflowSchedule.ts"
import { type ClaimedStep, LeaseToken, StepId } from "../../../platform/workflows/WorkflowStep.ts"
import type { Transaction } from "../../../postgres/Transaction.ts"
import { passTime, unique } from "../../Contract.ts"
import { refuses as refusesAs } from "../../Expectations.ts"
import { someUser } from "../users.ts"

export { failsWith, failure, pages, untyped } from "../../Expectations.ts"

export type Run = Effect.Effect<void, unknown, Workflows | Users | Transaction>
export type Cases = Record<string, Run>

const unknownId = "01900000-0000-7000-8000-000000000000"
export const noWorkflow = WorkflowId.make(unknownId)
export const noExecution = ExecutionId.make(unknownId)
export const noStep = StepId.make(unknownId)
export const noSchedule = ScheduleId.make(unknownId)
export const noToken = LeaseToken.make(unknownId)

export const stop = { _tag: "Stop" } as const

/** Fails unless the effect is refused as invalid, naming exactly these fields. */
export const refuses = <A, E, R>(effect: Effect.Effect<A, E, R>, operation: string, fields: ReadonlyArray<string>) =>
  refusesAs(effect, `Workflows.${operation}`, fields)

export const newUser = someUser()

/** A workflow that no other case has; its steps' kind is its slug, so that a case takes its own steps only. */
export const fresh = (given: Partial<NewWorkflow> = {}): Effect.Effect<NewWorkflow> =>
  Effect.map(unique("flow"), (slug) => ({
    slug,
    name: `Flow ${slug}`,
    steps: [{ key: "only", kind: slug }],
    ...given
  }))

export const created = (given: Partial<NewWorkflow> = {}) =>
  Effect.gen(function* () {
    return yield* (yield* Workflows).create(yield* fresh(given))
  })

type Shape = Readonly<Record<string, ReadonlyArray<string>>>

/** Steps by their keys and what they wait for; all of one kind. */
export const stepsOf = (kind: string, shape: Shape, rest: Partial<NewStepDefinition> = {}): Array<NewStepDefinition> =>
  Object.entries(shape).map(([key, dependsOn]) => Object.assign({ key, kind, dependsOn }, rest))

/** A published workflow of this shape, and the kind of its steps. */
export const published = (shape: Shape = { only: [] }, rest: Partial<NewStepDefinition> = {}) =>
  Effect.gen(function* () {
    const workflows = yield* Workflows
    const kind = yield* unique("kind")
    const workflow = yield* created({ steps: stepsOf(kind, shape, rest) })
    const version = yield* workflows.publish(workflow.id, workflow.version)
    return { workflow, workflowId: workflow.id, version, kind }
  })

/** An execution of a new workflow of this shape. */
export const started = (
  shape?: Shape,
  rest?: Partial<NewStepDefinition>,
  given: Omit<Partial<NewExecution>, "workflowId"> = {}
) =>
  Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind, workflowId } = yield* published(shape, rest)
    const execution = yield* workflows.start({ workflowId, ...given })
    return { execution, id: execution.id, kind, workflowId }
  })

/** Takes steps of one kind. */
export const claim = (kind: string, limit = 100, lease: Duration.Input = "1 minute") =>
  Effect.flatMap(Workflows, (workflows) => workflows.claimSteps({ kinds: [kind], limit, lease, worker: "tester" }))

/** Takes the one step of this kind that is ready. */
export const claimOne = (kind: string, lease?: Duration.Input) =>
  Effect.map(claim(kind, 100, lease), (claimed): ClaimedStep => {
    assert.equal(claimed.length, 1)
    return claimed[0]!
  })

export const keysOf = (claimed: ReadonlyArray<ClaimedStep>): ReadonlyArray<string> =>
  claimed.map(({ step }) => step.key).sort()

/** The states of an execution's steps by their keys. */
export const statesOf = (id: ExecutionId) =>
  Effect.gen(function* () {
    const steps = yield* (yield* Workflows).findSteps(id)
    return Object.fromEntries(steps.map(({ key, state }) => [key, state]))
  })

export const executionState = (id: ExecutionId) =>
  Effect.gen(function* () {
    return Option.getOrThrow(yield* (yield* Workflows).findExecution(id)).state
  })

/** Takes every step of this kind and completes it, until none is left. */
export const finishAll = (kind: string): Effect.Effect<void, unknown, Workflows> =>
  Effect.gen(function* () {
    const workflows = yield* Workflows
    for (let claimed = yield* claim(kind); claimed.length > 0; claimed = yield* claim(kind)) {
      yield* Effect.forEach(claimed, ({ step, token }) => workflows.completeStep(step.id, token))
    }
  })

/** Lets time pass until a little after this moment. */
export const passUntil = (time: DateTime.Utc, beyondMillis = 300) =>
  Effect.flatMap(DateTime.now, (now) =>
    passTime(Math.max(0, DateTime.toEpochMillis(time) - DateTime.toEpochMillis(now) + beyondMillis))
  )
