import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Workflows } from "../../../platform/workflows/Workflows.ts"
import { leaseEnded } from "../../../postgres/repository/WorkItem.ts"
import { passTime, unique } from "../../Contract.ts"
import {
  type Cases,
  claim,
  claimOne,
  created,
  executionState,
  failsWith,
  finishAll,
  keysOf,
  noStep,
  noToken,
  published,
  refuses,
  started,
  statesOf,
  untyped
} from "./fixtures.ts"

const claiming: Cases = {
  "a claimed step brings all that its worker needs": Effect.gen(function* () {
    const workflows = yield* Workflows
    const kind = yield* unique("kind")
    const { id: workflowId } = yield* created({
      steps: [
        { key: "a", kind },
        { key: "b", kind },
        { key: "c", kind, dependsOn: ["a", "b"], config: { model: "large" }, maxAttempts: 5, timeoutMillis: 90_000 }
      ]
    })
    yield* workflows.publish(workflowId, 1)
    const { id } = yield* workflows.start({ workflowId, input: { user: "alice" } })
    for (const { step, token } of yield* claim(kind)) {
      yield* workflows.completeStep(step.id, token, { output: { from: step.key } })
    }
    // What runs is what was published, not what the draft has become.
    yield* workflows.update(workflowId, 1, { steps: [{ key: "c", kind, config: { model: "small" } }] })
    const before = yield* DateTime.now
    const claimed = yield* claimOne(kind, "30 seconds")
    const { step } = claimed
    assert.deepEqual(
      { ...claimed, step: undefined, token: undefined },
      {
        step: undefined,
        token: undefined,
        workflowId,
        config: { model: "large" },
        input: { user: "alice" },
        dependencies: { a: { from: "a" }, b: { from: "b" } }
      }
    )
    assert.deepEqual(
      [step.executionId, step.key, step.kind, step.state, step.attempts, step.maxAttempts, step.worker],
      [id, "c", kind, "running", 1, 5, "tester"]
    )
    const lease = DateTime.toEpochMillis(step.leaseUntil!) - DateTime.toEpochMillis(before)
    assert.ok(lease > 25_000 && lease < 40_000, `leased for ${lease} ms`)
    assert.notEqual(step.startedAt, null)
  }),
  "a claim begins the execution": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { execution, id, kind } = yield* started({ a: [], b: [] })
    assert.equal(execution.startedAt, null)
    yield* claim(kind, 1)
    const running = Option.getOrThrow(yield* workflows.findExecution(id))
    assert.equal(running.state, "running")
    assert.notEqual(running.startedAt, null)
    yield* passTime("5 millis")
    yield* claim(kind, 1)
    assert.deepEqual(Option.getOrThrow(yield* workflows.findExecution(id)).startedAt, running.startedAt)
  }),
  "what is taken is not taken again, and a claim takes no more than its limit": Effect.gen(function* () {
    const { kind } = yield* started({ a: [], b: [], c: [], d: [], e: [] })
    const [first, second, third] = [yield* claim(kind, 2), yield* claim(kind, 2), yield* claim(kind, 2)]
    assert.deepEqual([first.length, second.length, third.length], [2, 2, 1])
    assert.deepEqual(keysOf([...first, ...second, ...third]), ["a", "b", "c", "d", "e"])
    assert.deepEqual(yield* claim(kind), [])
  }),
  "the oldest are taken first, over all executions": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind, workflowId } = yield* published({ a: [], b: [] })
    const ids: Array<string> = []
    for (let i = 0; i < 3; i++) {
      ids.push((yield* workflows.start({ workflowId })).id)
      yield* passTime("3 millis")
    }
    const order = (yield* claim(kind, 4)).map(({ step }) => `${step.executionId} ${step.key}`)
    assert.deepEqual(order, [`${ids[0]} a`, `${ids[0]} b`, `${ids[1]} a`, `${ids[1]} b`])
  }),
  "kinds narrow a claim; without them every kind is taken": Effect.gen(function* () {
    const workflows = yield* Workflows
    const [mail, http] = [yield* unique("mail"), yield* unique("http")]
    const { id: workflowId } = yield* created({
      steps: [
        { key: "m", kind: mail },
        { key: "h", kind: http },
        { key: "n", kind: mail }
      ]
    })
    yield* workflows.publish(workflowId, 1)
    yield* workflows.start({ workflowId })
    assert.deepEqual(keysOf(yield* claim(http)), ["h"])
    const either = yield* workflows.claimSteps({ kinds: [http, mail], limit: 1, lease: "1 minute", worker: "tester" })
    assert.deepEqual(keysOf(either), ["m"])
    const all = yield* workflows.claimSteps({ limit: 1000, lease: "1 second", worker: "greedy" })
    assert.deepEqual(keysOf(all.filter((claimed) => claimed.workflowId === workflowId)), ["n"])
  }),
  "steps of archived workflows go on": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind, workflowId } = yield* started()
    yield* workflows.archive(workflowId)
    yield* finishAll(kind)
    assert.equal(yield* executionState(id), "succeeded")
  }),
  "fields of workers' calls that are none are refused, each named": Effect.gen(function* () {
    const workflows = yield* Workflows
    yield* refuses(workflows.claimSteps(untyped({ kinds: [], limit: 0, lease: "soon", worker: "" })), "claimSteps", [
      "kinds",
      "limit",
      "lease",
      "worker"
    ])
    yield* refuses(workflows.claimSteps({ limit: 1001, lease: 0, worker: "w" }), "claimSteps", ["limit", "lease"])
    yield* refuses(workflows.claimSteps({ kinds: ["A"], limit: 1, lease: 1, worker: "w" }), "claimSteps", ["kinds[0]"])
    yield* refuses(workflows.heartbeat(untyped("1"), untyped("2"), "8 days"), "heartbeat", ["id", "token", "lease"])
    yield* refuses(
      workflows.completeStep(untyped("1"), untyped("2"), { output: "a\0b", costMinor: -1 }),
      "completeStep",
      ["id", "token", "success.output", "success.costMinor"]
    )
    yield* refuses(
      workflows.failStep(noStep, noToken, untyped({ error: "", retry: 1, retryAfter: -1, costMinor: 0.5 })),
      "failStep",
      ["failure.error", "failure.retry", "failure.retryAfter", "failure.costMinor"]
    )
  }),
  "a step that is not there is told": Effect.gen(function* () {
    const workflows = yield* Workflows
    yield* failsWith(workflows.heartbeat(noStep, noToken, "1 minute"), "StepNotFound")
    yield* failsWith(workflows.completeStep(noStep, noToken), "StepNotFound")
    yield* failsWith(workflows.failStep(noStep, noToken, { error: "x" }), "StepNotFound")
  })
}

const completing: Cases = {
  "a step's success is kept, and counted into its execution": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: ["a"] })
    const a = yield* claimOne(kind)
    const output = { list: [1, { x: null }], text: "Zoë 🦊" }
    const { execution, step } = yield* workflows.completeStep(a.step.id, a.token, { output, costMinor: 12 })
    assert.deepEqual([step.state, step.output, step.costMinor, step.leaseUntil], ["succeeded", output, 12, null])
    assert.notEqual(step.finishedAt, null)
    assert.deepEqual([execution.state, execution.costMinor, execution.finishedAt], ["running", 12, null])
    assert.deepEqual((yield* workflows.findSteps(id))[0], step)
    assert.deepEqual(yield* workflows.findExecution(id), Option.some(execution))
    const b = yield* claimOne(kind)
    const last = yield* workflows.completeStep(b.step.id, b.token, { output: 7, costMinor: 30 })
    assert.deepEqual([last.execution.state, last.execution.costMinor], ["succeeded", 42])
    assert.notEqual(last.execution.finishedAt, null)
  }),
  "the result is what the last steps gave, by their keys": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: ["a"], c: ["a"], d: [] })
    for (let claimed = yield* claim(kind); claimed.length > 0; claimed = yield* claim(kind)) {
      for (const { step, token } of claimed) {
        yield* workflows.completeStep(step.id, token, step.key === "d" ? {} : { output: `of ${step.key}` })
      }
    }
    const { result } = Option.getOrThrow(yield* workflows.findExecution(id))
    assert.deepEqual(result, { b: "of b", c: "of c", d: null })
  }),
  "a step is ready once all it waits for has succeeded, not before": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: [], both: ["a", "b"], one: ["a"], last: ["both", "one"] })
    const [a, b] = yield* claim(kind)
    yield* workflows.completeStep(a!.step.id, a!.token)
    assert.deepEqual(yield* statesOf(id), {
      a: "succeeded",
      b: "running",
      both: "blocked",
      one: "ready",
      last: "blocked"
    })
    yield* workflows.completeStep(b!.step.id, b!.token)
    assert.deepEqual(keysOf(yield* claim(kind)), ["both", "one"])
    assert.equal((yield* statesOf(id))["last"], "blocked")
  }),
  "completing again with the same token changes nothing and costs nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started({ a: [], b: ["a"] })
    const a = yield* claimOne(kind)
    const first = yield* workflows.completeStep(a.step.id, a.token, { output: 1, costMinor: 5 })
    const again = yield* workflows.completeStep(a.step.id, a.token, { output: 2, costMinor: 5 })
    assert.deepEqual(again, first)
    assert.equal((yield* claim(kind)).length, 1)
  }),
  "another token completes nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started()
    const { step, token } = yield* claimOne(kind)
    const lost = yield* failsWith(workflows.completeStep(step.id, noToken, { output: 1 }), "StepLeaseLost")
    assert.deepEqual([lost.id, lost.state], [step.id, "running"])
    yield* failsWith(workflows.failStep(step.id, noToken, { error: "x" }), "StepLeaseLost")
    yield* failsWith(workflows.heartbeat(step.id, noToken, "1 hour"), "StepLeaseLost")
    assert.deepEqual(yield* workflows.findSteps(id), [step])
    yield* workflows.completeStep(step.id, token)
    yield* failsWith(workflows.completeStep(step.id, noToken), "StepLeaseLost")
    yield* failsWith(workflows.failStep(step.id, token, { error: "late" }), "StepLeaseLost")
  }),
  "sums that no number holds exactly are refused, and nothing of the step is kept": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started()
    const { step, token } = yield* claimOne(kind)
    yield* refuses(workflows.completeStep(step.id, token, { costMinor: Number.MAX_SAFE_INTEGER }), "completeStep", [
      "success.costMinor"
    ])
    yield* workflows.completeStep(step.id, token, { costMinor: 1e12 })
    assert.equal(Option.getOrThrow(yield* workflows.findExecution(id)).costMinor, 1e12)
  })
}

const failing: Cases = {
  "a failed try waits for its pause, and keeps what it said and cost": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started({ only: [] }, { backoffMillis: 2000 })
    const first = yield* claimOne(kind)
    const { execution, step } = yield* workflows.failStep(first.step.id, first.token, { error: "no", costMinor: 3 })
    assert.deepEqual(
      [step.state, step.attempts, step.lastError, step.costMinor, step.finishedAt, step.leaseUntil],
      ["ready", 1, "no", 3, null, null]
    )
    assert.deepEqual([execution.state, execution.costMinor, execution.error], ["running", 3, null])
    assert.deepEqual(yield* claim(kind), [])
    yield* passTime("2050 millis")
    const second = yield* claimOne(kind)
    assert.deepEqual([second.step.attempts, second.step.lastError], [2, "no"])
    assert.notEqual(second.token, first.token)
    const done = yield* workflows.completeStep(second.step.id, second.token, { costMinor: 4 })
    assert.deepEqual([done.step.costMinor, done.execution.costMinor], [7, 7])
  }),
  "each pause is twice the one before": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started({ only: [] }, { backoffMillis: 800 })
    const pauses: Array<number> = []
    for (let i = 0; i < 2; i++) {
      const { step, token } = yield* claimOne(kind)
      const before = yield* DateTime.now
      const failed = yield* workflows.failStep(step.id, token, { error: "no" })
      pauses.push(DateTime.toEpochMillis(failed.step.availableAt) - DateTime.toEpochMillis(before))
      if (i === 0) yield* passTime("850 millis")
    }
    assert.ok(pauses[0]! >= 799 && pauses[0]! < 1590, `first pause ${pauses[0]} ms`)
    assert.ok(pauses[1]! >= 1599, `second pause ${pauses[1]} ms`)
  }),
  "a worker may say when to try again, at once too": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started({ only: [] }, { backoffMillis: 3_600_000 })
    const first = yield* claimOne(kind)
    yield* workflows.failStep(first.step.id, first.token, { error: "busy", retryAfter: 0 })
    const second = yield* claimOne(kind)
    yield* workflows.failStep(second.step.id, second.token, { error: "busy", retryAfter: "1 hour" })
    assert.deepEqual(yield* claim(kind), [])
  }),
  "the last try fails the execution: the step is dead, the rest skipped": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: ["a"], c: ["b"] }, { maxAttempts: 2, backoffMillis: 0 })
    const one = yield* claimOne(kind)
    yield* workflows.failStep(one.step.id, one.token, { error: "first" })
    const two = yield* claimOne(kind)
    const { execution, step } = yield* workflows.failStep(two.step.id, two.token, { error: "second" })
    assert.deepEqual([step.state, step.attempts, step.lastError], ["dead", 2, "second"])
    assert.notEqual(step.finishedAt, null)
    assert.deepEqual([execution.state, execution.error, execution.failedStep], ["failed", "second", "a"])
    assert.notEqual(execution.finishedAt, null)
    assert.deepEqual(yield* statesOf(id), { a: "dead", b: "skipped", c: "skipped" })
    assert.deepEqual(yield* workflows.findExecution(id), Option.some(execution))
    assert.deepEqual(yield* claim(kind), [])
  }),
  "where trying again cannot help, the first try is the last": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started({ only: [] }, { maxAttempts: 9 })
    const { step, token } = yield* claimOne(kind)
    const failed = yield* workflows.failStep(step.id, token, { error: "bad input", retry: false })
    assert.deepEqual([failed.step.state, failed.step.attempts, failed.execution.state], ["dead", 1, "failed"])
  }),
  "of an execution that has failed no ready step is taken": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: [] })
    const [a] = yield* claim(kind, 1)
    yield* workflows.failStep(a!.step.id, a!.token, { error: "no", retry: false })
    assert.deepEqual(yield* claim(kind), [])
    assert.deepEqual(yield* statesOf(id), { a: "dead", b: "skipped" })
  })
}

const leasing: Cases = {
  "a step whose lease has ended is taken over, and its first worker can finish nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started()
    const first = yield* claimOne(kind, "2 seconds")
    assert.deepEqual(yield* claim(kind), [])
    yield* passTime("2050 millis")
    const late = yield* failsWith(workflows.completeStep(first.step.id, first.token), "StepLeaseLost")
    assert.equal(late.state, "running")
    yield* failsWith(workflows.heartbeat(first.step.id, first.token, "1 minute"), "StepLeaseLost")
    const second = yield* claimOne(kind)
    assert.deepEqual([second.step.id, second.step.attempts], [first.step.id, 2])
    yield* failsWith(workflows.completeStep(first.step.id, first.token, { output: 1 }), "StepLeaseLost")
    yield* failsWith(workflows.failStep(first.step.id, first.token, { error: "x" }), "StepLeaseLost")
    yield* workflows.completeStep(second.step.id, second.token, { output: 2 })
    assert.equal((yield* workflows.findSteps(id))[0]?.output, 2)
  }),
  "a heartbeat keeps a step": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started()
    const { step, token } = yield* claimOne(kind, "2 seconds")
    yield* passTime("50 millis")
    const until = yield* workflows.heartbeat(step.id, token, "10 seconds")
    assert.ok(DateTime.isGreaterThan(until, DateTime.add(step.leaseUntil!, { seconds: 7 })))
    yield* passTime("2 seconds")
    assert.deepEqual(yield* claim(kind), [])
    assert.equal((yield* workflows.completeStep(step.id, token)).step.state, "succeeded")
  }),
  "a heartbeat may also shorten a lease": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started()
    const { step, token } = yield* claimOne(kind, "1 hour")
    yield* workflows.heartbeat(step.id, token, "20 millis")
    yield* passTime("60 millis")
    assert.equal((yield* claimOne(kind)).step.attempts, 2)
  }),
  "a timeout ends a try, whatever the lease and the heartbeats": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind } = yield* started({ only: [] }, { timeoutMillis: 1000 })
    const { step, token } = yield* claimOne(kind, "1 hour")
    const until = yield* workflows.heartbeat(step.id, token, "1 hour")
    const difference = DateTime.toEpochMillis(until) - DateTime.toEpochMillis(step.leaseUntil!)
    assert.ok(Math.abs(difference) <= 5, `the heartbeat moved the end by ${difference} ms`)
    yield* passTime("1050 millis")
    yield* failsWith(workflows.heartbeat(step.id, token, "1 hour"), "StepLeaseLost")
    assert.equal((yield* claimOne(kind)).step.attempts, 2)
  }),
  "a step whose last try ended without a word is dead, and fails its execution": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: ["a"] }, { maxAttempts: 1 })
    const { step, token } = yield* claimOne(kind, "50 millis")
    yield* passTime("100 millis")
    assert.deepEqual(yield* claim(kind), [])
    assert.deepEqual(yield* statesOf(id), { a: "dead", b: "skipped" })
    const execution = Option.getOrThrow(yield* workflows.findExecution(id))
    assert.deepEqual([execution.state, execution.error, execution.failedStep], ["failed", leaseEnded, "a"])
    const lost = yield* failsWith(workflows.completeStep(step.id, token), "StepLeaseLost")
    assert.equal(lost.state, "dead")
    yield* workflows.retryExecution(id)
    yield* finishAll(kind)
    assert.equal(yield* executionState(id), "succeeded")
  }),
  "a paused execution's step whose lease has ended is taken over after it is resumed": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started()
    yield* claimOne(kind, "30 millis")
    yield* workflows.pauseExecution(id)
    yield* passTime("60 millis")
    assert.deepEqual(yield* claim(kind), [])
    yield* workflows.resumeExecution(id)
    assert.equal((yield* claimOne(kind)).step.attempts, 2)
  })
}

export const steps: Cases = { ...claiming, ...completing, ...failing, ...leasing }
