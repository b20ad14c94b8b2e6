import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { VersionConflict } from "../../core/Version.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { storedJson } from "../../core/StorableJson.ts"
import { UserNotFound } from "../users/Users.ts"
import {
  versionCursorAfter,
  type Workflow,
  WorkflowArchived,
  type WorkflowCursor,
  workflowCursorAfter,
  WorkflowId,
  WorkflowNotFound,
  WorkflowSlugTaken,
  type WorkflowState,
  workflowStates,
  type WorkflowVersion,
  WorkflowWithoutSteps
} from "./WorkflowDefinition.ts"
import type { Workflows } from "./Workflows.ts"
import { streamOf, WorkflowsInput } from "./WorkflowsInput.ts"
import { newestFirst, versionKey, versionsTable, workflowsTable } from "./WorkflowTables.ts"

const refused = ({ ownerId, slug }: Workflow) =>
  onConstraint({
    workflows_slug_key: () => new WorkflowSlugTaken({ slug }),
    ...(ownerId === null ? {} : { workflows_owner_id_fkey: () => new UserNotFound({ id: ownerId }) })
  })

type Numbered = Pick<WorkflowVersion, "number">
const newestVersionFirst: Order.Order<Numbered> = Order.flip(
  Order.mapInput(Order.Number, ({ number }: Numbered) => number)
)

/** The workflow, where it may be changed by who read this version. */
const editable = (db: MemoryReader, id: WorkflowId, expected: number) =>
  Option.match(db.get(workflowsTable, id), {
    onNone: () => Result.fail(new WorkflowNotFound({ id })),
    onSome: (workflow): Result.Result<Workflow, VersionConflict | WorkflowArchived> =>
      workflow.version !== expected
        ? Result.fail(new VersionConflict({ id, expected, actual: workflow.version }))
        : workflow.state === "archived"
          ? Result.fail(new WorkflowArchived({ id }))
          : Result.succeed(workflow)
  })

type Service = Workflows["Service"]

/** Definitions and their published versions in memory. */
export const makeDefinitions = ({ read, write }: PostgresMemory["Service"]) => {
  const nextId = makeIdsOf(WorkflowId)

  const create: Service["create"] = Effect.fnUntraced(function* (given) {
    const { description = "", name, ownerId = null, slug, steps = [] } = yield* WorkflowsInput.create(given)
    const now = yield* DateTime.now
    const workflow: Workflow = {
      id: yield* nextId,
      slug,
      name,
      description,
      ownerId,
      state: "active",
      steps: storedJson(steps),
      latestVersion: 0,
      version: 1,
      createdAt: now,
      updatedAt: now
    }
    return yield* write("Workflows.create", (db) =>
      Result.mapBoth(db.insert(workflowsTable, workflow), { onSuccess: () => workflow, onFailure: refused(workflow) })
    )
  })

  const findById: Service["findById"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* WorkflowsInput.workflow("findById", given)
    return yield* read("Workflows.findById", (db) => db.get(workflowsTable, id))
  })

  const findMany: Service["findMany"] = Effect.fnUntraced(function* (given) {
    const { ids } = yield* WorkflowsInput.findMany(given)
    return yield* read("Workflows.findMany", (db) => ids.map((id) => db.get(workflowsTable, id)))
  })

  const findBySlug: Service["findBySlug"] = Effect.fnUntraced(function* (given) {
    const { slug } = yield* WorkflowsInput.findBySlug(given)
    return yield* read("Workflows.findBySlug", (db) => db.find(workflowsTable, "workflows_slug_key", slug))
  })

  const update: Service["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { changes, expectedVersion, id } = yield* WorkflowsInput.update(givenId, givenVersion, givenChanges)
    const now = yield* DateTime.now
    return yield* write("Workflows.update", (db) =>
      Result.gen(function* () {
        const workflow = yield* editable(db, id, expectedVersion)
        const updated: Workflow = {
          ...workflow,
          ...changes,
          steps: storedJson(changes.steps ?? workflow.steps),
          version: workflow.version + 1,
          updatedAt: DateTime.max(workflow.updatedAt, now)
        }
        yield* Result.mapError(db.replace(workflowsTable, updated), refused(updated))
        return updated
      })
    )
  })

  const publish: Service["publish"] = Effect.fnUntraced(function* (givenId, givenVersion) {
    const { expectedVersion, id } = yield* WorkflowsInput.publish(givenId, givenVersion)
    const now = yield* DateTime.now
    return yield* write("Workflows.publish", (db) =>
      Result.gen(function* () {
        const workflow = yield* editable(db, id, expectedVersion)
        if (workflow.steps.length === 0) return yield* Result.fail(new WorkflowWithoutSteps({ id }))
        const version: WorkflowVersion = {
          workflowId: id,
          number: workflow.latestVersion + 1,
          steps: workflow.steps,
          draftVersion: workflow.version,
          createdAt: now
        }
        yield* db.replace(workflowsTable, { ...workflow, latestVersion: version.number })
        yield* db.insert(versionsTable, version)
        return version
      })
    )
  })

  const moved = Effect.fnUntraced(function* (method: string, given: WorkflowId, to: WorkflowState) {
    const { id } = yield* WorkflowsInput.workflow(method, given)
    const now = yield* DateTime.now
    return yield* write(`Workflows.${method}`, (db) =>
      Result.gen(function* () {
        const workflow = yield* Result.fromOption(db.get(workflowsTable, id), () => new WorkflowNotFound({ id }))
        const changed: Workflow = {
          ...workflow,
          state: yield* workflowStates.go(id, workflow.state, to),
          version: workflow.version + 1,
          updatedAt: DateTime.max(workflow.updatedAt, now)
        }
        yield* db.replace(workflowsTable, changed)
        return changed
      })
    )
  })

  const list: Service["list"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize, ownerId, state } = yield* WorkflowsInput.list(given)
    const sorted = yield* read("Workflows.list", (db) => db.sorted(workflowsTable, newestFirst))
    const wanted = sorted.filter(
      (workflow) =>
        (state === undefined || workflow.state === state) && (ownerId === undefined || workflow.ownerId === ownerId)
    )
    return pageOfSorted(wanted, newestFirst, after, limit, workflowCursorAfter)
  })

  const findVersion: Service["findVersion"] = Effect.fnUntraced(function* (givenId, givenNumber) {
    const { id, number } = yield* WorkflowsInput.findVersion(givenId, givenNumber)
    return yield* read("Workflows.findVersion", (db) =>
      Option.flatMap(db.get(workflowsTable, id), ({ latestVersion }) =>
        db.get(versionsTable, versionKey(id, number ?? latestVersion))
      )
    )
  })

  const listVersions: Service["listVersions"] = Effect.fnUntraced(function* (givenId, givenOptions) {
    const { id, options } = yield* WorkflowsInput.listVersions(givenId, givenOptions)
    const { after, limit = defaultPageSize } = options
    const versions = yield* read("Workflows.listVersions", (db) =>
      db.rows(versionsTable, ({ workflowId }) => workflowId === id).sort(newestVersionFirst)
    )
    return pageOfSorted(versions, newestVersionFirst, after, limit, versionCursorAfter)
  })

  return {
    create,
    findById,
    findMany,
    findBySlug,
    update,
    publish,
    archive: (id) => moved("archive", id, "archived"),
    restore: (id) => moved("restore", id, "active"),
    list,
    stream: ({ pageSize, ...filter } = {}) =>
      streamOf<Workflow, WorkflowCursor>("stream", pageSize, (page) => list({ ...filter, ...page })),
    findVersion,
    listVersions
  } satisfies Partial<Service>
}
