import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Deadline } from "../../../core/Deadline.ts"
import { isStoreError } from "../../../core/StoreError.ts"
import { Users } from "../../../platform/users/Users.ts"
import { Workflows } from "../../../platform/workflows/Workflows.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import {
  type Cases,
  claim,
  claimOne,
  created,
  executionState,
  failure,
  fresh,
  newUser,
  noExecution,
  noSchedule,
  noStep,
  noToken,
  noWorkflow,
  published,
  started,
  statesOf,
  stop
} from "./fixtures.ts"

export const transactions: Cases = {
  "a transaction that fails undoes all that was done in it": Effect.gen(function* () {
    const workflows = yield* Workflows
    const transaction = yield* Transaction
    const { kind, workflowId } = yield* published({ a: [], b: ["a"] })
    const kept = yield* workflows.start({ workflowId })
    const given = yield* fresh()
    const error = yield* failure(
      transaction.run(
        Effect.gen(function* () {
          yield* workflows.create(given)
          yield* workflows.update(workflowId, 1, { name: "Undone" })
          yield* workflows.publish(workflowId, 2)
          yield* workflows.createSchedule({ workflowId, name: "undone", cron: "0 3 * * *" })
          yield* workflows.start({ workflowId })
          const [claimed] = yield* claim(kind, 1)
          yield* workflows.completeStep(claimed!.step.id, claimed!.token)
          yield* workflows.pauseExecution(kept.id)
          return yield* Effect.fail(stop)
        })
      )
    )
    assert.deepEqual(error, stop)
    assert.deepEqual(yield* workflows.findBySlug(given.slug), Option.none())
    const { latestVersion, name } = Option.getOrThrow(yield* workflows.findById(workflowId))
    assert.deepEqual([latestVersion, name === "Undone"], [1, false])
    assert.deepEqual((yield* workflows.listSchedules({ workflowId })).items, [])
    assert.deepEqual((yield* workflows.listExecutions({ workflowId })).items, [kept])
    assert.deepEqual(yield* statesOf(kept.id), { a: "ready", b: "blocked" })
  }),
  "what several capabilities do in one transaction happens together": Effect.gen(function* () {
    const workflows = yield* Workflows
    const users = yield* Users
    const transaction = yield* Transaction
    const { id, kind } = yield* started()
    const user = yield* newUser
    const claimed = yield* claimOne(kind)
    yield* transaction.run(
      Effect.gen(function* () {
        const { execution } = yield* workflows.completeStep(claimed.step.id, claimed.token)
        assert.equal(execution.state, "succeeded")
        yield* users.update(user.id, 1, { username: `done-${user.username}` })
      })
    )
    assert.equal(yield* executionState(id), "succeeded")
    assert.equal(Option.getOrThrow(yield* users.findById(user.id)).version, 2)
  }),
  "a transaction goes on after every domain error": Effect.gen(function* () {
    const workflows = yield* Workflows
    const transaction = yield* Transaction
    const users = yield* Users
    const taken = yield* created()
    const other = yield* created()
    const empty = yield* created({ steps: [] })
    const gone = yield* newUser
    yield* users.delete(gone.id)
    const { id, kind, workflowId } = yield* started()
    const claimed = yield* claimOne(kind)
    const given = yield* fresh()
    const tags = yield* transaction.run(
      Effect.gen(function* () {
        const failures: ReadonlyArray<{ readonly _tag: string }> = [
          yield* failure(workflows.create({ ...given, slug: taken.slug })),
          yield* failure(workflows.create({ ...given, ownerId: gone.id })),
          yield* failure(workflows.update(other.id, 1, { slug: taken.slug })),
          yield* failure(workflows.update(other.id, 1, { ownerId: gone.id })),
          yield* failure(workflows.update(other.id, 2, { name: "x" })),
          yield* failure(workflows.publish(empty.id, 1)),
          yield* failure(workflows.restore(other.id)),
          yield* failure(workflows.start({ workflowId: noWorkflow })),
          yield* failure(workflows.start({ workflowId: other.id })),
          yield* failure(workflows.resumeExecution(id)),
          yield* failure(workflows.retryExecution(noExecution)),
          yield* failure(workflows.heartbeat(claimed.step.id, noToken, "1 minute")),
          yield* failure(workflows.completeStep(claimed.step.id, noToken)),
          yield* failure(workflows.failStep(noStep, noToken, { error: "x" })),
          yield* failure(workflows.createSchedule({ workflowId: other.id, name: "n", cron: "0 0 * * *" })),
          yield* failure(workflows.updateSchedule(noSchedule, 1, { name: "n" })),
          yield* failure(workflows.deleteSchedule(noSchedule))
        ]
        yield* workflows.create(given)
        yield* workflows.start({ workflowId })
        return failures.map(({ _tag }) => _tag)
      })
    )
    assert.deepEqual(tags, [
      "WorkflowSlugTaken",
      "UserNotFound",
      "WorkflowSlugTaken",
      "UserNotFound",
      "VersionConflict",
      "WorkflowWithoutSteps",
      "IllegalTransition",
      "WorkflowNotFound",
      "WorkflowVersionNotFound",
      "IllegalTransition",
      "ExecutionNotFound",
      "StepLeaseLost",
      "StepLeaseLost",
      "StepNotFound",
      "WorkflowVersionNotFound",
      "ScheduleNotFound",
      "ScheduleNotFound"
    ])
    assert.ok(Option.isSome(yield* workflows.findBySlug(given.slug)))
    assert.equal((yield* workflows.listExecutions({ workflowId })).items.length, 2)
  }),
  "text that looks like SQL is stored as text, through every parameter": Effect.gen(function* () {
    const workflows = yield* Workflows
    const attack = `'; drop table ai_core.workflows; -- " $$ \\x27 %s ?1 {x} $1`
    const json = { [attack]: [attack] }
    const { slug } = yield* fresh()
    const made = yield* workflows.create({
      slug,
      name: attack,
      description: attack,
      steps: [{ key: "only", kind: slug, config: json }]
    })
    const workflow = yield* workflows.update(made.id, 1, { name: `${attack}2`, description: `${attack}2` })
    assert.deepEqual(yield* workflows.findById(made.id), Option.some(workflow))
    assert.deepEqual([workflow.name, workflow.description], [`${attack}2`, `${attack}2`])
    yield* workflows.publish(made.id, 2)
    const start = { workflowId: made.id, input: json, idempotencyKey: attack }
    const execution = yield* workflows.start(start)
    assert.deepEqual(yield* workflows.start(start), execution)
    const claimAs = workflows.claimSteps({ kinds: [slug], limit: 1, lease: "1 minute", worker: attack })
    const [first] = yield* claimAs
    assert.deepEqual([first!.step.worker, first!.config, first!.input], [attack, json, json])
    const failed = yield* workflows.failStep(first!.step.id, first!.token, { error: attack, retryAfter: 0 })
    assert.equal(failed.step.lastError, attack)
    const [second] = yield* claimAs
    const done = yield* workflows.completeStep(second!.step.id, second!.token, { output: json })
    assert.deepEqual([done.step.output, done.execution.result], [json, { only: json }])
    const schedule = yield* workflows.createSchedule({
      workflowId: made.id,
      name: attack,
      cron: "0 3 * * *",
      input: json
    })
    const renamed = yield* workflows.updateSchedule(schedule.id, 1, { name: `${attack}2`, input: { [attack]: 2 } })
    assert.deepEqual(yield* workflows.findSchedule(schedule.id), Option.some(renamed))
    assert.deepEqual([renamed.name, renamed.input], [`${attack}2`, { [attack]: 2 }])
  }),
  "a call whose deadline has passed does nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const given = yield* fresh()
    const { id, kind, workflowId } = yield* started()
    const { step, token } = yield* claimOne(kind)
    const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      workflows.create(given),
      workflows.start({ workflowId }),
      workflows.completeStep(step.id, token),
      workflows.claimDueSchedules({ limit: 1 }),
      workflows.list()
    ]
    for (const late of calls) {
      const error = yield* failure(Effect.provideService(late, Deadline, 0))
      assert.ok(isStoreError(error) && error.reason._tag === "Timeout", String(error))
      assert.equal(error.outcome, "not-applied")
    }
    assert.deepEqual(yield* workflows.findBySlug(given.slug), Option.none())
    assert.equal(yield* executionState(id), "running")
  })
}
