import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { expectVersion } from "../../core/Version.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import type { makeExecutions } from "./ExecutionsLive.ts"
import type { Workflows } from "./Workflows.ts"
import {
  changedSchedule,
  defaultGrace,
  dueSchedule,
  newSchedule,
  scheduleCursorAfter,
  ScheduleId,
  ScheduleNotFound,
  WorkflowSchedule
} from "./WorkflowSchedule.ts"
import { WorkflowsInput } from "./WorkflowsInput.ts"
import { lookupById } from "../tables/lookupById.ts"

const ScheduleRow = WorkflowSchedule.mapFields((fields) => ({
  ...fields,
  nextRunAt: NullableTimestamp,
  lastRunAt: NullableTimestamp,
  createdAt: Timestamp,
  updatedAt: Timestamp
}))
const scheduleRows = rowReader(ScheduleRow)
const dueRows = rowReader(Schema.Struct({ ...ScheduleRow.fields, now: Timestamp }))

const dateOf = (time: DateTime.Utc | null): Date | null => time && DateTime.toDateUtc(time)

type Service = Workflows["Service"]

/** Schedules on PostgreSQL. */
export const makeSchedules = (
  client: PostgresClient["Service"],
  { run }: Transaction["Service"],
  { findStartable, insert }: Pick<ReturnType<typeof makeExecutions>, "findStartable" | "insert">
) => {
  const { keyed, query, sql } = client
  const nextId = makeIdsOf(ScheduleId)
  const columns = sql`s.id, s.workflow_id as "workflowId", s.version_number as "versionNumber", s.name, s.cron,
    s.time_zone as "timeZone", s.input, s.missed_runs as "missedRuns", s.enabled, s.next_run_at as "nextRunAt",
    s.last_run_at as "lastRunAt", s.version, s.created_at as "createdAt", s.updated_at as "updatedAt"`

  const createSchedule: Service["createSchedule"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.createSchedule"
    const fields = yield* WorkflowsInput.createSchedule(given)
    yield* findStartable(operation, fields.workflowId, fields.versionNumber ?? null)
    const made = newSchedule(yield* nextId, fields, yield* DateTime.now)
    const now = dateOf(made.createdAt)
    const rows = yield* query(
      { operation, kind: "write" },
      keyed<object>`insert into ai_core.workflow_schedules as s (id, workflow_id, version_number, name, cron, time_zone,
          input, missed_runs, enabled, next_run_at, created_at, updated_at)
        values (${made.id}, ${made.workflowId}, ${made.versionNumber}::int, ${made.name}, ${made.cron}, ${made.timeZone},
          ${sql.json(made.input)}, ${made.missedRuns}, ${made.enabled}, ${dateOf(made.nextRunAt)}::timestamptz, ${now}, ${now})
        returning ${columns}`
    )
    return yield* scheduleRows.one(operation, rows)
  })

  const byId = lookupById(client, {
    operation: "Workflows.findSchedule",
    id: sql`s.id`,
    select: (condition) =>
      keyed<{ readonly id: ScheduleId }>`select ${columns} from ai_core.workflow_schedules as s where ${condition}`,
    rows: scheduleRows
  })

  const findSchedule: Service["findSchedule"] = (given) =>
    Effect.flatMap(WorkflowsInput.schedule("findSchedule", given), ({ id }) => byId.find(id))

  const updateSchedule: Service["updateSchedule"] = Effect.fnUntraced(function* (givenId, givenVersion, given) {
    const operation = "Workflows.updateSchedule"
    const { changes, expectedVersion, id } = yield* WorkflowsInput.updateSchedule(givenId, givenVersion, given)
    const now = yield* DateTime.now
    return yield* run(
      Effect.gen(function* () {
        // Held, so that no run comes between the look and the write.
        const found = yield* query(
          { operation, kind: "write" },
          keyed<object>`select ${columns} from ai_core.workflow_schedules as s where s.id = ${id} for update`
        )
        const stored = yield* scheduleRows.option(operation, found)
        const held = yield* Effect.fromResult(
          expectVersion(id, expectedVersion, stored, () => new ScheduleNotFound({ id }))
        )
        if (changes.versionNumber !== undefined && changes.versionNumber !== null) {
          // A schedule's workflow is never removed.
          yield* Effect.catchTag(
            findStartable(operation, held.workflowId, changes.versionNumber),
            "WorkflowNotFound",
            Effect.die
          )
        }
        const after = changedSchedule(held, changes, now)
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.workflow_schedules as s set
            version_number = ${after.versionNumber}::int, name = ${after.name}, cron = ${after.cron},
            time_zone = ${after.timeZone}, input = ${sql.json(after.input)}, missed_runs = ${after.missedRuns},
            enabled = ${after.enabled}, next_run_at = ${dateOf(after.nextRunAt)}::timestamptz, version = ${after.version}::int,
            updated_at = ${dateOf(after.updatedAt)}::timestamptz
          where s.id = ${id}::uuid returning ${columns}`
        )
        return yield* scheduleRows.one(operation, rows)
      })
    )
  })

  const deleteSchedule: Service["deleteSchedule"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* WorkflowsInput.schedule("deleteSchedule", given)
    const rows = yield* query(
      { operation: "Workflows.deleteSchedule", kind: "write" },
      keyed<object>`delete from ai_core.workflow_schedules where id = ${id} returning id`
    )
    if (rows.length === 0) return yield* new ScheduleNotFound({ id })
  })

  const listSchedules: Service["listSchedules"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Workflows.listSchedules", kind: "read" } as const
    const { after, enabled, limit = defaultPageSize, workflowId } = yield* WorkflowsInput.listSchedules(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}::timestamptz`, sql`${after.id}::uuid`]
    )
    const where = sql.and([
      page.behind,
      ...(workflowId === undefined ? [] : [sql`s.workflow_id = ${workflowId}::uuid`]),
      ...(enabled === undefined ? [] : [sql`s.enabled = ${enabled}::boolean`])
    ])
    const rows = yield* query(
      call,
      sql<object>`select ${columns} from ai_core.workflow_schedules as s
        where ${where} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* scheduleRows.all(call, rows), limit, scheduleCursorAfter)
  })

  const claimDueSchedules: Service["claimDueSchedules"] = Effect.fnUntraced(function* (given) {
    const operation = "Workflows.claimDueSchedules"
    const { grace = defaultGrace, limit } = yield* WorkflowsInput.claimDueSchedules(given)

    const fire = Effect.fnUntraced(function* ({ now, ...schedule }: WorkflowSchedule & { readonly now: DateTime.Utc }) {
      const { after, leftOut, scheduledFor } = dueSchedule(schedule, grace, now)
      yield* query(
        { operation, kind: "write" },
        keyed`update ai_core.workflow_schedules set enabled = ${after.enabled},
          next_run_at = ${dateOf(after.nextRunAt)}::timestamptz, last_run_at = ${dateOf(after.lastRunAt)}::timestamptz
          where id = ${schedule.id}::uuid`
      )
      const { id, input, versionNumber, workflowId } = schedule
      const started = leftOut
        ? Option.none()
        : yield* Effect.catchTag(
            insert(operation, {
              workflowId,
              input,
              trigger: "schedule",
              schedule: { id, scheduledFor },
              ...(versionNumber === null ? {} : { versionNumber })
            }),
            // Archived in this very moment.
            ["WorkflowNotFound", "WorkflowVersionNotFound", "WorkflowArchived"],
            () => Effect.succeedNone
          )
      return { schedule: after, scheduledFor, execution: Option.getOrNull(started) }
    })

    return yield* run(
      Effect.gen(function* () {
        const rows = yield* query(
          { operation, kind: "write" },
          sql<object>`select ${columns}, date_trunc('milliseconds', clock_timestamp()) as now
            from ai_core.workflow_schedules as s join ai_core.workflows as w on w.id = s.workflow_id and w.state = 'active'
            where s.enabled and s.next_run_at <= statement_timestamp()
            order by s.next_run_at, s.id limit ${limit}::int for update of s skip locked`
        )
        return yield* Effect.forEach(yield* dueRows.all(operation, rows), fire)
      })
    )
  })

  return {
    createSchedule,
    findSchedule,
    updateSchedule,
    deleteSchedule,
    listSchedules,
    claimDueSchedules
  } satisfies Partial<Service>
}
