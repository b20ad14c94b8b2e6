import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { expectVersion } from "../../core/Version.ts"
import { makeContained } from "../../postgres/repository/Contained.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { UserNotFound, type UserId } from "../users/Users.ts"
import { writeOrExplain } from "../../postgres/repository/Attempts.ts"
import { StepDefinition } from "./WorkflowContent.ts"
import {
  versionCursorAfter,
  Workflow,
  WorkflowArchived,
  type WorkflowCursor,
  workflowCursorAfter,
  WorkflowId,
  WorkflowNotFound,
  WorkflowSlugTaken,
  type WorkflowState,
  workflowStates,
  WorkflowVersion,
  WorkflowWithoutSteps
} from "./WorkflowDefinition.ts"
import type { Workflows } from "./Workflows.ts"
import { streamOf, WorkflowsInput } from "./WorkflowsInput.ts"
import { lookupById } from "../tables/lookupById.ts"

// What is stored was checked when it was written: whether it is sound as a whole is not asked again.
const steps = Schema.Array(StepDefinition)
const workflowRows = rowReader(
  Workflow.mapFields((fields) => ({ ...fields, steps, createdAt: Timestamp, updatedAt: Timestamp }))
)
const versionRows = rowReader(WorkflowVersion.mapFields((fields) => ({ ...fields, steps, createdAt: Timestamp })))

const refused = (slug: string | undefined, ownerId: UserId | null | undefined) =>
  onConstraint({
    workflows_slug_key: () => new WorkflowSlugTaken({ slug: slug ?? "" }),
    ...(ownerId ? { workflows_owner_id_fkey: () => new UserNotFound({ id: ownerId }) } : {})
  })

interface Found {
  readonly version: number
  readonly state: WorkflowState
  readonly empty: boolean
}

type Service = Workflows["Service"]

/** Definitions and their published versions on PostgreSQL. */
export const makeDefinitions = (client: PostgresClient["Service"], transaction: Transaction["Service"]) => {
  const { keyed, query, sql } = client
  const contained = makeContained(client, transaction)
  const nextId = makeIdsOf(WorkflowId)

  const columns = sql`w.id, w.slug, w.name, w.description, w.owner_id as "ownerId", w.state, w.steps,
    w.latest_version as "latestVersion", w.version, w.created_at as "createdAt", w.updated_at as "updatedAt"`
  const versionColumns = sql`v.workflow_id as "workflowId", v.number, v.steps, v.draft_version as "draftVersion",
    v.created_at as "createdAt"`

  /** What stands in a write's way, held until the transaction ends. */
  const look = (operation: string, id: WorkflowId) =>
    Effect.map(
      query(
        { operation, kind: "write" },
        keyed<Found>`select version, state, steps = '[]' as empty from ai_core.workflows where id = ${id} for update`
      ),
      ([found]) => found
    )

  /** Says why a write of the draft at this version found nothing. */
  const explain = Effect.fnUntraced(function* (operation: string, id: WorkflowId, expectedVersion: number) {
    const stored = Option.fromUndefinedOr(yield* look(operation, id))
    const found = yield* Effect.fromResult(
      expectVersion(id, expectedVersion, stored, () => new WorkflowNotFound({ id }))
    )
    if (found.state === "archived") return yield* new WorkflowArchived({ id })
    return found
  })

  const create: Service["create"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.create"
    const { description = "", name, ownerId, slug, steps = [] } = yield* WorkflowsInput.create(given)
    const id = yield* nextId
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const rows = yield* contained(
      query(
        { operation, kind: "write" },
        keyed<object>`insert into ai_core.workflows as w
          (id, slug, name, description, owner_id, steps, created_at, updated_at)
          values (${id}, ${slug}, ${name}, ${description}, ${ownerId ?? null}::uuid, ${sql.json(steps)}, ${now}, ${now})
          returning ${columns}`
      )
    ).pipe(Effect.mapError(refused(slug, ownerId)))
    return yield* workflowRows.one(operation, rows)
  })

  const byId = lookupById(client, {
    operation: "Workflows.findById",
    id: sql`w.id`,
    select: (condition) =>
      keyed<{ readonly id: WorkflowId }>`select ${columns} from ai_core.workflows as w where ${condition}`,
    rows: workflowRows
  })

  const findById: Service["findById"] = (given) =>
    Effect.flatMap(WorkflowsInput.workflow("findById", given), ({ id }) => byId.find(id))

  const findMany: Service["findMany"] = (given) =>
    Effect.flatMap(WorkflowsInput.findMany(given), ({ ids }) =>
      Effect.mapError(byId.findMany(ids), (error) => error.during("Workflows.findMany"))
    )

  const findBySlug: Service["findBySlug"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Workflows.findBySlug", kind: "read" } as const
    const { slug } = yield* WorkflowsInput.findBySlug(given)
    const rows = yield* query(call, keyed<object>`select ${columns} from ai_core.workflows as w where w.slug = ${slug}`)
    return yield* workflowRows.option(call, rows)
  })

  const update: Service["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const operation = "Workflows.update"
    const { changes, expectedVersion, id } = yield* WorkflowsInput.update(givenId, givenVersion, givenChanges)
    const { description, name, ownerId, slug, steps } = changes
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const write = contained(
      query(
        { operation, kind: "write" },
        keyed<object>`update ai_core.workflows as w set
          slug = coalesce(${slug ?? null}::text, w.slug),
          name = coalesce(${name ?? null}::text, w.name),
          description = coalesce(${description ?? null}::text, w.description),
          owner_id = case when ${ownerId === undefined}::boolean then w.owner_id else ${ownerId ?? null}::uuid end,
          steps = coalesce(${steps === undefined ? null : sql.json(steps)}::jsonb, w.steps),
          version = w.version + 1,
          updated_at = greatest(w.updated_at, ${now})
        where w.id = ${id}::uuid and w.version = ${expectedVersion}::int and w.state = 'active'
        returning ${columns}`
      )
    ).pipe(Effect.mapError(refused(slug, ownerId)))
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (rows) => workflowRows.option(operation, rows)),
      explain(operation, id, expectedVersion)
    )
  })

  const publish: Service["publish"] = Effect.fnUntraced(function* (givenId, givenVersion) {
    const operation = "Workflows.publish"
    const { expectedVersion, id } = yield* WorkflowsInput.publish(givenId, givenVersion)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    // Who publishes holds the workflow's row until the version is committed, so that no number is left out or given twice.
    const write = query(
      { operation, kind: "write" },
      keyed<object>`with w as (
          update ai_core.workflows set latest_version = latest_version + 1
          where id = ${id}::uuid and version = ${expectedVersion}::int and state = 'active' and steps <> '[]'
          returning id, latest_version, steps, version
        )
        insert into ai_core.workflow_versions as v (workflow_id, number, steps, draft_version, created_at)
        select w.id, w.latest_version, w.steps, w.version, ${now}::timestamptz from w
        returning ${versionColumns}`
    )
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (rows) => versionRows.option(operation, rows)),
      Effect.gen(function* () {
        const found = yield* explain(operation, id, expectedVersion)
        if (found?.empty === true) return yield* new WorkflowWithoutSteps({ id })
      })
    )
  })

  const moved = Effect.fnUntraced(function* (method: string, given: WorkflowId, to: WorkflowState) {
    const operation = `Workflows.${method}`
    const { id } = yield* WorkflowsInput.workflow(method, given)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const write = query(
      { operation, kind: "write" },
      keyed<object>`update ai_core.workflows as w set
        state = ${to}, version = w.version + 1, updated_at = greatest(w.updated_at, ${now})
        where w.id = ${id}::uuid and w.state = any(${workflowStates.before(to)}::text[])
        returning ${columns}`
    )
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (rows) => workflowRows.option(operation, rows)),
      Effect.gen(function* () {
        const found = yield* look(operation, id)
        if (found === undefined) return yield* new WorkflowNotFound({ id })
        yield* Effect.fromResult(workflowStates.go(id, found.state, to))
      })
    )
  })

  const list: Service["list"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Workflows.list", kind: "read" } as const
    const { after, limit = defaultPageSize, ownerId, state } = yield* WorkflowsInput.list(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}::timestamptz`, sql`${after.id}::uuid`]
    )
    const where = sql.and([
      page.behind,
      ...(state === undefined ? [] : [sql`w.state = ${state}`]),
      ...(ownerId === undefined ? [] : [sql`w.owner_id = ${ownerId}::uuid`])
    ])
    const rows = yield* query(
      call,
      sql<object>`select ${columns} from ai_core.workflows as w where ${where} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* workflowRows.all(call, rows), limit, workflowCursorAfter)
  })

  const findVersion: Service["findVersion"] = Effect.fnUntraced(function* (givenId, givenNumber) {
    const call = { operation: "Workflows.findVersion", kind: "read" } as const
    const { id, number } = yield* WorkflowsInput.findVersion(givenId, givenNumber)
    const rows = yield* query(
      call,
      keyed<object>`select ${versionColumns} from ai_core.workflow_versions as v
        where v.workflow_id = ${id}::uuid and (${number ?? null}::int is null or v.number = ${number ?? null}::int)
        order by v.number desc limit 1`
    )
    return yield* versionRows.option(call, rows)
  })

  const listVersions: Service["listVersions"] = Effect.fnUntraced(function* (givenId, givenOptions) {
    const call = { operation: "Workflows.listVersions", kind: "read" } as const
    const { id, options } = yield* WorkflowsInput.listVersions(givenId, givenOptions)
    const { after, limit = defaultPageSize } = options
    const page = keyset(sql, ["number"], "descending", after && [sql`${after.number}::int`])
    const rows = yield* query(
      call,
      sql<object>`select ${versionColumns} from ai_core.workflow_versions as v
        where v.workflow_id = ${id}::uuid and ${page.behind} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* versionRows.all(call, rows), limit, versionCursorAfter)
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
