import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Users } from "../../../platform/users/Users.ts"
import { type VersionCursor, WorkflowCursor } from "../../../platform/workflows/WorkflowDefinition.ts"
import { Workflows } from "../../../platform/workflows/Workflows.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import { passTime, unique } from "../../Contract.ts"
import {
  type Cases,
  created,
  failsWith,
  failure,
  fresh,
  newUser,
  noWorkflow,
  pages,
  refuses,
  started,
  stepsOf,
  stop,
  untyped
} from "./fixtures.ts"
import { findsById } from "../findsById.ts"

/** Refusals of steps, by the fields that are named. */
const wrongSteps: ReadonlyArray<readonly [steps: unknown, fields: ReadonlyArray<string>]> = [
  [
    [
      { key: "a", kind: "k" },
      { key: "a", kind: "k" }
    ],
    ["steps[1].key"]
  ],
  [[{ key: "a", kind: "k", dependsOn: ["b"] }], ["steps[0].dependsOn[0]"]],
  [
    [
      { key: "a", kind: "k" },
      { key: "b", kind: "k", dependsOn: ["a", "a"] }
    ],
    ["steps[1].dependsOn[1]"]
  ],
  [[{ key: "a", kind: "k", dependsOn: ["a"] }], ["steps[0].dependsOn[0]"]],
  // Neither what leads into the circle nor what waits behind it is named.
  [
    [
      { key: "first", kind: "k" },
      { key: "a", kind: "k", dependsOn: ["first", "c"] },
      { key: "b", kind: "k", dependsOn: ["a"] },
      { key: "c", kind: "k", dependsOn: ["b"] },
      { key: "last", kind: "k", dependsOn: ["c"] }
    ],
    ["steps[1].dependsOn[1]", "steps[2].dependsOn[0]", "steps[3].dependsOn[0]"]
  ],
  [[{ key: "A", kind: "" }], ["steps[0].key", "steps[0].kind"]],
  [
    [{ key: "a", kind: "k", maxAttempts: 0, timeoutMillis: 1.5, backoffMillis: -1 }],
    ["steps[0].maxAttempts", "steps[0].timeoutMillis", "steps[0].backoffMillis"]
  ],
  [[{ key: "a", kind: "k", config: { text: "a\0b" } }], ["steps[0].config"]],
  [[{ key: "a", kind: "k", config: [] }], ["steps[0].config"]],
  [[{ key: "a", kind: "k", retries: 3 }], ["steps[0].retries"]],
  [Array.from({ length: 501 }, (_, i) => ({ key: `s${i}`, kind: "k" })), ["steps"]],
  ["none", ["steps"]]
]

const creating: Cases = {
  "workflows are found by id, one by one and many together": Effect.gen(function* () {
    const { findById: find, findMany } = yield* Workflows
    yield* findsById("Workflows.findMany", created(), { find, findMany })
  }),
  "create gives back what was stored, its steps with their defaults, at version 1": Effect.gen(function* () {
    const workflows = yield* Workflows
    const owner = yield* newUser
    const given = yield* fresh({ description: "Says hello", ownerId: owner.id })
    const workflow = yield* workflows.create(given)
    assert.deepEqual(workflow, {
      ...workflow,
      slug: given.slug,
      name: given.name,
      description: "Says hello",
      ownerId: owner.id,
      state: "active",
      steps: [
        {
          key: "only",
          kind: given.slug,
          dependsOn: [],
          config: {},
          maxAttempts: 3,
          timeoutMillis: 300_000,
          backoffMillis: 1000
        }
      ],
      latestVersion: 0,
      version: 1
    })
    assert.deepEqual(workflow.updatedAt, workflow.createdAt)
    assert.deepEqual(yield* workflows.findById(workflow.id), Option.some(workflow))
    assert.deepEqual(yield* workflows.findBySlug(given.slug), Option.some(workflow))
  }),
  "a workflow needs neither steps, nor a description, nor an owner": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { name, slug } = yield* fresh()
    const workflow = yield* workflows.create({ slug, name })
    assert.deepEqual([workflow.steps, workflow.description, workflow.ownerId], [[], "", null])
  }),
  "a slug is taken once, also by an archived workflow": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, slug } = yield* created()
    assert.equal((yield* failsWith(workflows.create(yield* fresh({ slug })), "WorkflowSlugTaken")).slug, slug)
    yield* workflows.archive(id)
    yield* failsWith(workflows.create(yield* fresh({ slug })), "WorkflowSlugTaken")
  }),
  "an owner who is not there is UserNotFound, and nothing is stored": Effect.gen(function* () {
    const workflows = yield* Workflows
    const users = yield* Users
    const gone = yield* newUser
    yield* users.delete(gone.id)
    const given = yield* fresh({ ownerId: gone.id })
    assert.equal((yield* failsWith(workflows.create(given), "UserNotFound")).id, gone.id)
    assert.deepEqual(yield* workflows.findBySlug(given.slug), Option.none())
  }),
  "a workflow outlives its owner": Effect.gen(function* () {
    const workflows = yield* Workflows
    const owner = yield* newUser
    const workflow = yield* created({ ownerId: owner.id })
    yield* (yield* Users).delete(owner.id)
    assert.deepEqual(yield* workflows.findById(workflow.id), Option.some({ ...workflow, ownerId: null }))
  }),
  "steps that make no workflow are refused, each wrong field named": Effect.gen(function* () {
    const workflows = yield* Workflows
    const workflow = yield* created()
    for (const [steps, fields] of wrongSteps) {
      yield* refuses(workflows.create(yield* fresh({ steps: untyped(steps) })), "create", fields)
      const changes = { steps: untyped(steps) }
      yield* refuses(
        workflows.update(workflow.id, 1, changes),
        "update",
        fields.map((field) => `changes.${field}`)
      )
    }
    assert.deepEqual(yield* workflows.findById(workflow.id), Option.some(workflow))
  }),
  "500 steps, each waiting for the one after it, are a workflow": Effect.gen(function* () {
    const kind = yield* unique("kind")
    const steps = Array.from({ length: 500 }, (_, i) => ({
      key: `s${i}`,
      kind,
      dependsOn: i === 499 ? [] : [`s${i + 1}`]
    }))
    assert.equal((yield* created({ steps })).steps.length, 500)
  }),
  "configuration is kept as it was given, and apart from the caller's own": Effect.gen(function* () {
    const workflows = yield* Workflows
    const config = { deep: { list: [1, "two", null, true, -0.5, 1e300, "Zoë 🦊"] }, "a.b$": {}, "": [], zero: 0 }
    const given = structuredClone(config)
    const workflow = yield* created({ steps: [{ key: "only", kind: "k", config: given }] })
    given.deep.list.push("later")
    const read = Option.getOrThrow(yield* workflows.findById(workflow.id))
    assert.deepEqual(read.steps[0]?.config, config)
  }),
  "fields that are none are refused, each named": Effect.gen(function* () {
    const workflows = yield* Workflows
    for (const slug of ["", "Upper", "1st", "a b", "a\0b", `a${"b".repeat(100)}`]) {
      yield* refuses(workflows.create(yield* fresh({ slug })), "create", ["slug"])
      yield* refuses(workflows.findBySlug(slug), "findBySlug", ["slug"])
    }
    yield* refuses(
      workflows.create(untyped({ name: " x", description: "d".repeat(5001), ownerId: "me", admin: true })),
      "create",
      ["slug", "name", "description", "ownerId", "admin"]
    )
    yield* refuses(workflows.findById(untyped("1")), "findById", ["id"])
    yield* refuses(workflows.archive(untyped("1")), "archive", ["id"])
    yield* refuses(workflows.restore(untyped("1")), "restore", ["id"])
    yield* refuses(workflows.publish(noWorkflow, 0), "publish", ["expectedVersion"])
    yield* refuses(workflows.update(noWorkflow, 1.5, {}), "update", ["expectedVersion", "changes"])
    yield* refuses(workflows.findVersion(noWorkflow, 0), "findVersion", ["number"])
    yield* refuses(workflows.list({ limit: 0, state: untyped("gone") }), "list", ["limit", "state"])
    yield* refuses(workflows.list({ after: WorkflowCursor.make("page-2") }), "list", ["after"])
    yield* refuses(workflows.listVersions(noWorkflow, { limit: 1001 }), "listVersions", ["options.limit"])
    yield* refuses(Stream.runDrain(workflows.stream({ pageSize: 0 })), "stream", ["pageSize"])
  }),
  "finding nobody's workflow is none": Effect.gen(function* () {
    const workflows = yield* Workflows
    assert.deepEqual(yield* workflows.findById(noWorkflow), Option.none())
    assert.deepEqual(yield* workflows.findBySlug(yield* unique("none")), Option.none())
    assert.deepEqual(yield* workflows.findVersion(noWorkflow), Option.none())
    assert.deepEqual((yield* workflows.listVersions(noWorkflow)).items, [])
  })
}

const updating: Cases = {
  "update changes what it names and leaves the rest": Effect.gen(function* () {
    const workflows = yield* Workflows
    const owner = yield* newUser
    const workflow = yield* created({ ownerId: owner.id, description: "before" })
    yield* passTime("5 millis")
    const renamed = yield* workflows.update(workflow.id, 1, { name: "Renamed" })
    assert.deepEqual({ ...renamed, updatedAt: workflow.updatedAt }, { ...workflow, name: "Renamed", version: 2 })
    assert.ok(DateTime.isGreaterThan(renamed.updatedAt, workflow.updatedAt))
    const steps = stepsOf("other", { a: [], b: ["a"] })
    const changed = yield* workflows.update(workflow.id, 2, { steps, description: "", ownerId: null })
    assert.deepEqual(
      [changed.steps.map(({ key }) => key), changed.description, changed.ownerId, changed.version],
      [["a", "b"], "", null, 3]
    )
    assert.deepEqual(yield* workflows.findById(workflow.id), Option.some(changed))
  }),
  "of two edits of one version the second fails and changes nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* created()
    const won = yield* workflows.update(id, 1, { name: "First" })
    const error = yield* failsWith(workflows.update(id, 1, { name: "Second" }), "VersionConflict")
    assert.deepEqual([error.id, error.expected, error.actual], [id, 1, 2])
    assert.deepEqual(yield* workflows.findById(id), Option.some(won))
  }),
  "an edit is refused by the first of what stands in its way": Effect.gen(function* () {
    const workflows = yield* Workflows
    const other = yield* created()
    const { id } = yield* created()
    yield* failsWith(workflows.update(noWorkflow, 1, { slug: other.slug }), "WorkflowNotFound")
    yield* failsWith(workflows.update(id, 1, { slug: other.slug }), "WorkflowSlugTaken")
    const gone = yield* newUser
    yield* (yield* Users).delete(gone.id)
    yield* failsWith(workflows.update(id, 1, { ownerId: gone.id }), "UserNotFound")
    yield* workflows.archive(id)
    yield* failsWith(workflows.update(id, 1, { slug: other.slug }), "VersionConflict")
    yield* failsWith(workflows.update(id, 2, { slug: other.slug }), "WorkflowArchived")
  }),
  "archive and restore are told apart, and both count as edits": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* created()
    const archived = yield* workflows.archive(id)
    assert.deepEqual([archived.state, archived.version], ["archived", 2])
    const again = yield* failsWith(workflows.archive(id), "IllegalTransition")
    assert.deepEqual([again.id, again.from, again.to, again.allowed], [id, "archived", "archived", ["active"]])
    const restored = yield* workflows.restore(id)
    assert.deepEqual([restored.state, restored.version], ["active", 3])
    const twice = yield* failsWith(workflows.restore(id), "IllegalTransition")
    assert.deepEqual([twice.from, twice.to], ["active", "active"])
    yield* failsWith(workflows.archive(noWorkflow), "WorkflowNotFound")
    yield* failsWith(workflows.restore(noWorkflow), "WorkflowNotFound")
  })
}

const publishing: Cases = {
  "publish makes versions 1, 2, 3, each as the draft was, and is no edit": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* created({ steps: stepsOf("k", { a: [] }) })
    const first = yield* workflows.publish(id, 1)
    assert.deepEqual([first.workflowId, first.number, first.draftVersion], [id, 1, 1])
    yield* workflows.update(id, 1, { steps: stepsOf("k", { a: [], b: ["a"] }) })
    const second = yield* workflows.publish(id, 2)
    const third = yield* workflows.publish(id, 2)
    assert.deepEqual([second.number, third.number, third.draftVersion], [2, 3, 2])
    assert.deepEqual(
      [first, second].map(({ steps }) => steps.map(({ key }) => key)),
      [["a"], ["a", "b"]]
    )
    assert.deepEqual(yield* workflows.findVersion(id, 1), Option.some(first))
    assert.deepEqual(yield* workflows.findVersion(id), Option.some(third))
    assert.deepEqual(yield* workflows.findVersion(id, 4), Option.none())
    const { latestVersion, version } = Option.getOrThrow(yield* workflows.findById(id))
    assert.deepEqual([latestVersion, version], [3, 2])
  }),
  "publish is refused by the first of what stands in its way, and makes no version": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* created({ steps: [] })
    yield* failsWith(workflows.publish(noWorkflow, 1), "WorkflowNotFound")
    yield* failsWith(workflows.publish(id, 2), "VersionConflict")
    yield* failsWith(workflows.publish(id, 1), "WorkflowWithoutSteps")
    yield* workflows.archive(id)
    yield* failsWith(workflows.publish(id, 2), "WorkflowArchived")
    assert.deepEqual((yield* workflows.listVersions(id)).items, [])
  }),
  "versions are listed newest first, over pages": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* created()
    for (let i = 0; i < 5; i++) yield* workflows.publish(id, 1)
    const read = yield* pages((after: VersionCursor | undefined) => workflows.listVersions(id, { limit: 2, after }))
    assert.deepEqual(
      read.map((page) => page.map(({ number }) => number)),
      [[5, 4], [3, 2], [1]]
    )
  }),
  "a number that a failed transaction took is given again": Effect.gen(function* () {
    const workflows = yield* Workflows
    const transaction = yield* Transaction
    const { id } = yield* created()
    yield* workflows.publish(id, 1)
    yield* failure(transaction.run(Effect.andThen(workflows.publish(id, 1), Effect.fail(stop))))
    assert.equal((yield* workflows.publish(id, 1)).number, 2)
    assert.equal((yield* workflows.listVersions(id)).items.length, 2)
  })
}

const listing: Cases = {
  "pages hold every workflow of an owner once, newest first, whatever is made between them": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id: ownerId } = yield* newUser
    const made = yield* Effect.forEach([1, 2, 3, 4, 5], () => created({ ownerId }))
    const first = yield* workflows.list({ ownerId, limit: 2 })
    yield* created({ ownerId })
    const rest = yield* pages((after: WorkflowCursor | undefined) =>
      workflows.list({ ownerId, limit: 2, after: after ?? Option.getOrThrow(first.next) })
    )
    assert.deepEqual(
      [first.items, ...rest].map((page) => page.length),
      [2, 2, 1]
    )
    assert.deepEqual([first.items, ...rest].flat(), made.toReversed())
  }),
  "lists and streams are narrowed by state and owner": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id: ownerId } = yield* newUser
    const made = yield* Effect.forEach([1, 2, 3], () => created({ ownerId }))
    yield* created()
    const archived = yield* workflows.archive(made[1]!.id)
    const ids = (items: ReadonlyArray<{ readonly id: string }>) => items.map(({ id }) => id)
    assert.deepEqual((yield* workflows.list({ ownerId, state: "archived" })).items, [archived])
    assert.deepEqual(ids((yield* workflows.list({ ownerId, state: "active" })).items), [made[2]!.id, made[0]!.id])
    const streamed = yield* Stream.runCollect(workflows.stream({ ownerId, pageSize: 2 }))
    assert.deepEqual(ids(streamed), ids(made).toReversed())
    const everyones = yield* Stream.runCollect(Stream.take(workflows.stream({ pageSize: 2 }), 4))
    assert.equal(everyones.length, 4)
  }),
  "a cursor of another list is refused": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id: ownerId } = yield* newUser
    yield* created({ ownerId })
    yield* created({ ownerId })
    const { workflowId } = yield* started()
    yield* workflows.start({ workflowId })
    const ofWorkflows = Option.getOrThrow((yield* workflows.list({ ownerId, limit: 1 })).next)
    const ofExecutions = Option.getOrThrow((yield* workflows.listExecutions({ workflowId, limit: 1 })).next)
    yield* refuses(workflows.list({ after: untyped(ofExecutions) }), "list", ["after"])
    yield* refuses(workflows.listExecutions({ after: untyped(ofWorkflows) }), "listExecutions", ["after"])
    yield* refuses(workflows.listSchedules({ after: untyped(ofWorkflows) }), "listSchedules", ["after"])
    yield* refuses(workflows.listVersions(workflowId, { after: untyped(ofWorkflows) }), "listVersions", [
      "options.after"
    ])
  }),
  "a cursor of another workflow's versions is refused": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* created()
    for (let i = 0; i < 2; i++) yield* workflows.publish(id, 1)
    const after = Option.getOrThrow((yield* workflows.listVersions(id, { limit: 1 })).next)
    assert.equal((yield* workflows.listVersions(id, { after })).items.length, 1)
    yield* refuses(workflows.listVersions((yield* created()).id, { after }), "listVersions", ["options.after"])
  })
}

export const definitions: Cases = { ...creating, ...updating, ...publishing, ...listing }
