import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import type { ExecutionCursor } from "../../../platform/workflows/WorkflowExecution.ts"
import { Workflows } from "../../../platform/workflows/Workflows.ts"
import { passTime, unique } from "../../Contract.ts"
import {
  type Cases,
  claim,
  claimOne,
  created,
  executionState,
  failsWith,
  finishAll,
  noExecution,
  noWorkflow,
  pages,
  published,
  refuses,
  started,
  statesOf,
  untyped
} from "./fixtures.ts"
import { findsById } from "../findsById.ts"

const starting: Cases = {
  "executions are found by id, one by one and many together": Effect.gen(function* () {
    const { findExecution: find, findExecutions: findMany } = yield* Workflows
    const execution = Effect.map(started(), ({ execution }) => execution)
    yield* findsById("Workflows.findExecutions", execution, { find, findMany })
  }),
  "start makes a pending execution of the latest version, its first steps ready": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { version, workflowId } = yield* published({ a: [], b: ["a"], c: [], d: ["b", "c"] })
    const input = { user: "alice", n: 1, none: null }
    const execution = yield* workflows.start({ workflowId, input, trigger: "api", currency: "EUR" })
    assert.deepEqual(execution, {
      id: execution.id,
      workflowId,
      versionNumber: version.number,
      state: "pending",
      trigger: "api",
      scheduleId: null,
      scheduledFor: null,
      idempotencyKey: null,
      input,
      result: null,
      error: null,
      failedStep: null,
      costMinor: 0,
      currency: "EUR",
      createdAt: execution.createdAt,
      startedAt: null,
      finishedAt: null
    })
    assert.deepEqual(yield* workflows.findExecution(execution.id), Option.some(execution))
    const steps = yield* workflows.findSteps(execution.id)
    assert.deepEqual(
      steps.map(({ attempts, dependsOn, key, position, state }) => [position, key, dependsOn, state, attempts]),
      [
        [0, "a", [], "ready", 0],
        [1, "b", ["a"], "blocked", 0],
        [2, "c", [], "ready", 0],
        [3, "d", ["b", "c"], "blocked", 0]
      ]
    )
  }),
  "where nothing is said, an execution is manual, in USD, with an empty input": Effect.gen(function* () {
    const { execution } = yield* started()
    assert.deepEqual([execution.trigger, execution.currency, execution.input], ["manual", "USD", {}])
  }),
  "a version that is named is started, whatever came after it": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { workflowId } = yield* published({ old: [] })
    yield* workflows.update(workflowId, 1, { steps: [{ key: "new", kind: "k" }] })
    yield* workflows.publish(workflowId, 2)
    const old = yield* workflows.start({ workflowId, versionNumber: 1 })
    const latest = yield* workflows.start({ workflowId })
    assert.deepEqual([old.versionNumber, latest.versionNumber], [1, 2])
    assert.deepEqual(Object.keys(yield* statesOf(old.id)), ["old"])
    assert.deepEqual(Object.keys(yield* statesOf(latest.id)), ["new"])
  }),
  "what cannot be started says why": Effect.gen(function* () {
    const workflows = yield* Workflows
    const draft = yield* created()
    yield* failsWith(workflows.start({ workflowId: noWorkflow }), "WorkflowNotFound")
    const never = yield* failsWith(workflows.start({ workflowId: draft.id }), "WorkflowVersionNotFound")
    assert.deepEqual([never.id, never.number], [draft.id, null])
    const { workflowId } = yield* published()
    const none = yield* failsWith(workflows.start({ workflowId, versionNumber: 2 }), "WorkflowVersionNotFound")
    assert.equal(none.number, 2)
    yield* workflows.archive(workflowId)
    yield* failsWith(workflows.start({ workflowId }), "WorkflowArchived")
    assert.deepEqual((yield* workflows.listExecutions({ workflowId })).items, [])
  }),
  "starting twice with one key is one execution, as it is by then": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind, workflowId } = yield* published()
    const idempotencyKey = yield* unique("key")
    const first = yield* workflows.start({ workflowId, idempotencyKey, input: { n: 1 } })
    yield* claim(kind)
    const again = yield* workflows.start({ workflowId, idempotencyKey, input: { n: 2 } })
    assert.deepEqual([again.id, again.input, again.state], [first.id, { n: 1 }, "running"])
    yield* workflows.archive(workflowId)
    assert.equal((yield* workflows.start({ workflowId, idempotencyKey })).id, first.id)
    assert.equal((yield* workflows.listExecutions({ workflowId })).items.length, 1)
  }),
  "a key is of its workflow": Effect.gen(function* () {
    const workflows = yield* Workflows
    const idempotencyKey = yield* unique("key")
    const [one, two] = [yield* published(), yield* published()]
    const first = yield* workflows.start({ workflowId: one.workflowId, idempotencyKey })
    const second = yield* workflows.start({ workflowId: two.workflowId, idempotencyKey })
    assert.notEqual(first.id, second.id)
  }),
  "fields of executions that are none are refused, each named": Effect.gen(function* () {
    const workflows = yield* Workflows
    yield* refuses(
      workflows.start(
        untyped({
          workflowId: "1",
          versionNumber: 0,
          input: [],
          idempotencyKey: "",
          trigger: "schedule",
          currency: "eur",
          more: 1
        })
      ),
      "start",
      ["workflowId", "versionNumber", "input", "idempotencyKey", "trigger", "currency", "more"]
    )
    yield* refuses(workflows.start({ workflowId: noWorkflow, input: { "a\0": 1 } }), "start", ["input"])
    yield* refuses(workflows.start({ workflowId: noWorkflow, input: { a: ["\ud800"] } }), "start", ["input"])
    let deep: object = {}
    for (let i = 0; i < 65; i++) deep = { deep }
    yield* refuses(workflows.start({ workflowId: noWorkflow, input: untyped(deep) }), "start", ["input"])
    yield* refuses(workflows.findExecution(untyped("x")), "findExecution", ["id"])
    yield* refuses(workflows.pauseExecution(untyped("x")), "pauseExecution", ["id"])
    yield* refuses(workflows.resumeExecution(untyped("x")), "resumeExecution", ["id"])
    yield* refuses(workflows.cancelExecution(untyped("x")), "cancelExecution", ["id"])
    yield* refuses(workflows.retryExecution(untyped("x")), "retryExecution", ["id"])
    yield* refuses(workflows.findSteps(untyped("x")), "findSteps", ["id"])
    yield* refuses(workflows.listExecutions({ limit: 0, states: [] }), "listExecutions", ["limit", "states"])
    yield* refuses(workflows.countExecutions({ states: untyped(["lost"]) }), "countExecutions", ["states[0]"])
    yield* refuses(workflows.purgeExecutions(untyped({ limit: 0 })), "purgeExecutions", ["finishedBefore", "limit"])
    yield* refuses(Stream.runDrain(workflows.streamExecutions({ pageSize: 1001 })), "streamExecutions", ["pageSize"])
  }),
  "an execution that is not there is told": Effect.gen(function* () {
    const workflows = yield* Workflows
    assert.deepEqual(yield* workflows.findExecution(noExecution), Option.none())
    yield* failsWith(workflows.findSteps(noExecution), "ExecutionNotFound")
    yield* failsWith(workflows.pauseExecution(noExecution), "ExecutionNotFound")
    yield* failsWith(workflows.resumeExecution(noExecution), "ExecutionNotFound")
    yield* failsWith(workflows.cancelExecution(noExecution), "ExecutionNotFound")
    yield* failsWith(workflows.retryExecution(noExecution), "ExecutionNotFound")
  })
}

const steering: Cases = {
  "a paused execution's steps are not taken, until it is resumed": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: [] })
    assert.equal((yield* workflows.pauseExecution(id)).state, "paused")
    assert.deepEqual(yield* claim(kind), [])
    assert.equal((yield* workflows.resumeExecution(id)).state, "running")
    assert.equal((yield* claim(kind)).length, 2)
  }),
  "steps under way may be finished while their execution is paused, and may end it": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: ["a"] })
    const a = yield* claimOne(kind)
    yield* workflows.pauseExecution(id)
    const { execution } = yield* workflows.completeStep(a.step.id, a.token)
    assert.equal(execution.state, "paused")
    assert.deepEqual(yield* statesOf(id), { a: "succeeded", b: "ready" })
    assert.deepEqual(yield* claim(kind), [])
    yield* workflows.resumeExecution(id)
    const b = yield* claimOne(kind)
    yield* workflows.pauseExecution(id)
    assert.equal((yield* workflows.completeStep(b.step.id, b.token)).execution.state, "succeeded")
  }),
  "cancel ends an execution, cancels its steps, and takes them from their workers": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ done: [], busy: [], waiting: ["busy"] })
    const claimed = yield* claim(kind)
    const done = claimed.find(({ step }) => step.key === "done")!
    const busy = claimed.find(({ step }) => step.key === "busy")!
    yield* workflows.completeStep(done.step.id, done.token)
    const canceled = yield* workflows.cancelExecution(id)
    assert.equal(canceled.state, "canceled")
    assert.notEqual(canceled.finishedAt, null)
    assert.deepEqual(yield* statesOf(id), { done: "succeeded", busy: "canceled", waiting: "canceled" })
    const lost = yield* failsWith(workflows.completeStep(busy.step.id, busy.token), "StepLeaseLost")
    assert.equal(lost.state, "canceled")
    yield* failsWith(workflows.heartbeat(busy.step.id, busy.token, "1 minute"), "StepLeaseLost")
    yield* failsWith(workflows.failStep(busy.step.id, busy.token, { error: "late" }), "StepLeaseLost")
    assert.deepEqual(yield* workflows.findExecution(id), Option.some(canceled))
    assert.deepEqual(yield* claim(kind), [])
  }),
  "illegal moves name both states, and change nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { pauseExecution, resumeExecution, cancelExecution, retryExecution } = workflows
    const moves = { pauseExecution, resumeExecution, cancelExecution, retryExecution }
    const targets = {
      pauseExecution: "paused",
      resumeExecution: "running",
      cancelExecution: "canceled",
      retryExecution: "pending"
    }
    const pending = yield* started()
    const running = yield* started()
    yield* claim(running.kind)
    const paused = yield* started()
    yield* pauseExecution(paused.id)
    const succeeded = yield* started()
    yield* finishAll(succeeded.kind)
    const failed = yield* started()
    const { step, token } = yield* claimOne(failed.kind)
    yield* workflows.failStep(step.id, token, { error: "no", retry: false })
    const canceled = yield* started()
    yield* cancelExecution(canceled.id)
    const illegal = [
      ["pending", pending.id, ["retryExecution"]],
      ["running", running.id, ["resumeExecution", "retryExecution"]],
      ["paused", paused.id, ["pauseExecution", "retryExecution"]],
      ["succeeded", succeeded.id, ["pauseExecution", "resumeExecution", "cancelExecution", "retryExecution"]],
      ["failed", failed.id, ["pauseExecution", "resumeExecution", "cancelExecution"]],
      ["canceled", canceled.id, ["pauseExecution", "resumeExecution", "cancelExecution", "retryExecution"]]
    ] as const
    for (const [state, id, methods] of illegal) {
      const before = yield* workflows.findExecution(id)
      for (const method of methods) {
        const error = yield* failsWith(moves[method](id), "IllegalTransition")
        assert.deepEqual([error.id, error.from, error.to], [id, state, targets[method]])
        assert.ok(error.message.includes(state) && error.message.includes(targets[method]), error.message)
        assert.ok(!error.allowed.includes(targets[method]))
      }
      assert.deepEqual(yield* workflows.findExecution(id), before)
    }
  }),
  "a failed execution is taken up where it stopped": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ a: [], b: ["a"], c: ["b"], d: ["a"] }, { maxAttempts: 1 })
    const a = yield* claimOne(kind)
    yield* workflows.completeStep(a.step.id, a.token, { output: 1 })
    const second = yield* claim(kind)
    const b = second.find(({ step }) => step.key === "b")!
    yield* workflows.failStep(b.step.id, b.token, { error: "broken" })
    assert.deepEqual(yield* statesOf(id), { a: "succeeded", b: "dead", c: "skipped", d: "running" })
    const retried = yield* workflows.retryExecution(id)
    assert.deepEqual(
      [retried.state, retried.error, retried.failedStep, retried.finishedAt],
      ["pending", null, null, null]
    )
    assert.deepEqual(yield* statesOf(id), { a: "succeeded", b: "ready", c: "blocked", d: "running" })
    const again = yield* claimOne(kind)
    assert.deepEqual([again.step.key, again.step.attempts], ["b", 1])
    assert.deepEqual(again.dependencies, { a: 1 })
    assert.equal(yield* executionState(id), "running")
    yield* workflows.completeStep(again.step.id, again.token)
    const d = second.find(({ step }) => step.key === "d")!
    yield* workflows.completeStep(d.step.id, d.token)
    yield* finishAll(kind)
    assert.equal(yield* executionState(id), "succeeded")
  }),
  "what a worker finishes after its execution failed is not done again": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ bad: [], good: [], after: ["good"] })
    const claimed = yield* claim(kind)
    const bad = claimed.find(({ step }) => step.key === "bad")!
    const good = claimed.find(({ step }) => step.key === "good")!
    yield* workflows.failStep(bad.step.id, bad.token, { error: "broken", retry: false })
    const { execution, step } = yield* workflows.completeStep(good.step.id, good.token)
    assert.deepEqual([execution.state, step.state], ["failed", "succeeded"])
    assert.deepEqual(yield* statesOf(id), { bad: "dead", good: "succeeded", after: "skipped" })
    yield* workflows.retryExecution(id)
    assert.deepEqual(yield* statesOf(id), { bad: "ready", good: "succeeded", after: "ready" })
  }),
  "a try that fails after its execution failed is skipped, and revived by a retry": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, kind } = yield* started({ bad: [], worse: [] })
    const claimed = yield* claim(kind)
    const bad = claimed.find(({ step }) => step.key === "bad")!
    const worse = claimed.find(({ step }) => step.key === "worse")!
    yield* workflows.failStep(bad.step.id, bad.token, { error: "first", retry: false })
    const late = yield* workflows.failStep(worse.step.id, worse.token, { error: "second" })
    assert.deepEqual([late.step.state, late.execution.state, late.execution.error], ["skipped", "failed", "first"])
    yield* workflows.retryExecution(id)
    assert.deepEqual(yield* statesOf(id), { bad: "ready", worse: "ready" })
  })
}

const listing: Cases = {
  "executions are listed newest first, over pages, each once": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { workflowId } = yield* published()
    const made = yield* Effect.forEach([1, 2, 3, 4, 5], () => workflows.start({ workflowId }))
    const read = yield* pages((after: ExecutionCursor | undefined) =>
      workflows.listExecutions({ workflowId, limit: 2, after })
    )
    assert.deepEqual(
      read.map((page) => page.length),
      [2, 2, 1]
    )
    assert.deepEqual(read.flat(), made.toReversed())
    const streamed = yield* Stream.runCollect(workflows.streamExecutions({ workflowId, pageSize: 2 }))
    assert.deepEqual(streamed, made.toReversed())
  }),
  "executions are told by state and by the time of their making": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { kind, workflowId } = yield* published()
    const first = yield* workflows.start({ workflowId })
    yield* passTime("5 millis")
    const second = yield* workflows.start({ workflowId })
    yield* passTime("5 millis")
    const third = yield* workflows.start({ workflowId })
    yield* workflows.cancelExecution(second.id)
    yield* claim(kind, 1)
    const ids = (filter: Parameters<typeof workflows.listExecutions>[0]) =>
      Effect.map(workflows.listExecutions({ workflowId, ...filter }), ({ items }) => items.map(({ id }) => id))
    assert.deepEqual(yield* ids({ states: ["pending"] }), [third.id])
    assert.deepEqual(yield* ids({ states: ["running", "canceled"] }), [second.id, first.id])
    assert.deepEqual(yield* ids({ from: second.createdAt }), [third.id, second.id])
    assert.deepEqual(yield* ids({ until: second.createdAt }), [first.id])
    assert.deepEqual(yield* ids({ from: second.createdAt, until: third.createdAt }), [second.id])
    assert.deepEqual(yield* ids({ from: second.createdAt, states: ["running"] }), [])
    assert.deepEqual(yield* workflows.countExecutions({ workflowId }), {
      pending: 1,
      running: 1,
      paused: 0,
      succeeded: 0,
      failed: 0,
      canceled: 1
    })
    const late = yield* workflows.countExecutions({ workflowId, from: third.createdAt })
    assert.deepEqual([late.pending, late.running, late.canceled], [1, 0, 0])
    const everyones = yield* workflows.countExecutions()
    assert.ok(everyones.pending >= 1 && everyones.canceled >= 1)
  }),
  "purge removes what ended before a time, with its steps, and nothing else": Effect.gen(function* () {
    const workflows = yield* Workflows
    const ended = yield* started()
    yield* finishAll(ended.kind)
    const going = yield* started()
    yield* claim(going.kind)
    yield* passTime("5 millis")
    const finishedBefore = yield* DateTime.now
    yield* passTime("5 millis")
    const late = yield* started()
    yield* workflows.cancelExecution(late.id)
    let removed = 0
    for (let n = -1; n !== 0; removed += n) n = yield* workflows.purgeExecutions({ finishedBefore, limit: 7 })
    assert.ok(removed >= 1)
    assert.deepEqual(yield* workflows.findExecution(ended.id), Option.none())
    yield* failsWith(workflows.findSteps(ended.id), "ExecutionNotFound")
    assert.equal(yield* executionState(going.id), "running")
    assert.equal(yield* executionState(late.id), "canceled")
  })
}

export const executions: Cases = { ...starting, ...steering, ...listing }
