import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import { defaultPageSize, pageOfSorted } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { VersionConflict } from "../../core/Version.ts"
import type { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { storedJson } from "../../core/StorableJson.ts"
import { findStartable, type makeExecutions } from "./ExecutionsMemory.ts"
import { WorkflowVersionNotFound } from "./WorkflowDefinition.ts"
import type { Workflows } from "./Workflows.ts"
import {
  changedSchedule,
  defaultGrace,
  dueSchedule,
  newSchedule,
  scheduleCursorAfter,
  ScheduleId,
  ScheduleNotFound,
  type WorkflowSchedule
} from "./WorkflowSchedule.ts"
import { WorkflowsInput } from "./WorkflowsInput.ts"
import { newestFirst, schedulesTable, versionKey, versionsTable, workflowsTable } from "./WorkflowTables.ts"

const isDue =
  (now: DateTime.Utc) =>
  ({ nextRunAt }: WorkflowSchedule): boolean =>
    nextRunAt !== null && DateTime.isLessThanOrEqualTo(nextRunAt, now)

const byNextRun: Order.Order<WorkflowSchedule> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt, nextRunAt }: WorkflowSchedule) => nextRunAt ?? createdAt),
  Order.mapInput(Order.String, ({ id }: WorkflowSchedule) => id)
)

type Service = Workflows["Service"]

/** Schedules in memory; times are the Clock's. */
export const makeSchedules = (
  { read, transaction, write }: PostgresMemory["Service"],
  { insert }: Pick<ReturnType<typeof makeExecutions>, "insert">
) => {
  const nextId = makeIdsOf(ScheduleId)

  const createSchedule: Service["createSchedule"] = Effect.fnUntraced(function* (given) {
    const fields = yield* WorkflowsInput.createSchedule(given)
    const made = newSchedule(yield* nextId, fields, yield* DateTime.now)
    const schedule = { ...made, input: storedJson(made.input) }
    return yield* write("Workflows.createSchedule", (db) =>
      Result.gen(function* () {
        yield* findStartable(db, schedule.workflowId, schedule.versionNumber)
        yield* db.insert(schedulesTable, schedule)
        return schedule
      })
    )
  })

  const findSchedule: Service["findSchedule"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* WorkflowsInput.schedule("findSchedule", given)
    return yield* read("Workflows.findSchedule", (db) => db.get(schedulesTable, id))
  })

  const updateSchedule: Service["updateSchedule"] = Effect.fnUntraced(function* (givenId, givenVersion, given) {
    const { changes, expectedVersion, id } = yield* WorkflowsInput.updateSchedule(givenId, givenVersion, given)
    const now = yield* DateTime.now
    return yield* write("Workflows.updateSchedule", (db) =>
      Result.gen(function* () {
        const schedule = yield* Result.fromOption(db.get(schedulesTable, id), () => new ScheduleNotFound({ id }))
        if (schedule.version !== expectedVersion) {
          return yield* Result.fail(new VersionConflict({ id, expected: expectedVersion, actual: schedule.version }))
        }
        const { versionNumber: number, workflowId } = { ...schedule, ...changes }
        if (number !== null && Option.isNone(db.get(versionsTable, versionKey(workflowId, number)))) {
          return yield* Result.fail(new WorkflowVersionNotFound({ id: workflowId, number }))
        }
        const changed = changedSchedule(schedule, changes, now)
        const after = { ...changed, input: storedJson(changed.input) }
        yield* db.replace(schedulesTable, after)
        return after
      })
    )
  })

  const deleteSchedule: Service["deleteSchedule"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* WorkflowsInput.schedule("deleteSchedule", given)
    yield* write("Workflows.deleteSchedule", (db) =>
      Result.gen(function* () {
        yield* Result.fromOption(db.get(schedulesTable, id), () => new ScheduleNotFound({ id }))
        yield* db.remove(schedulesTable, id)
      })
    )
  })

  const listSchedules: Service["listSchedules"] = Effect.fnUntraced(function* (given) {
    const { after, enabled, limit = defaultPageSize, workflowId } = yield* WorkflowsInput.listSchedules(given)
    const sorted = yield* read("Workflows.listSchedules", (db) => db.sorted(schedulesTable, newestFirst))
    const wanted = sorted.filter(
      (schedule) =>
        (workflowId === undefined || schedule.workflowId === workflowId) &&
        (enabled === undefined || schedule.enabled === enabled)
    )
    return pageOfSorted(wanted, newestFirst, after, limit, scheduleCursorAfter)
  })

  const claimDueSchedules: Service["claimDueSchedules"] = Effect.fnUntraced(function* (given) {
    const { grace = defaultGrace, limit } = yield* WorkflowsInput.claimDueSchedules(given)
    const now = yield* DateTime.now
    const operation = "Workflows.claimDueSchedules"

    const fire = Effect.fnUntraced(function* (schedule: WorkflowSchedule) {
      const { after, leftOut, scheduledFor } = dueSchedule(schedule, grace, now)
      yield* write(operation, (db) => db.replace(schedulesTable, after))
      const { id, input, versionNumber, workflowId } = schedule
      const started = leftOut
        ? Option.none()
        : yield* insert(operation, {
            workflowId,
            input,
            trigger: "schedule",
            schedule: { id, scheduledFor },
            ...(versionNumber === null ? {} : { versionNumber })
          })
      return { schedule: after, scheduledFor, execution: Option.getOrNull(started) }
    })

    const due = read(operation, (db) =>
      db
        .rows(schedulesTable, isDue(now))
        .filter(({ workflowId }) =>
          Option.exists(db.get(workflowsTable, workflowId), ({ state }) => state === "active")
        )
        .sort(byNextRun)
        .slice(0, limit)
    )
    return yield* transaction(Effect.flatMap(due, (schedules) => Effect.forEach(schedules, fire))).pipe(
      // Nobody else writes between the look and the start.
      Effect.catchTag(["WorkflowNotFound", "WorkflowVersionNotFound", "WorkflowArchived"], Effect.die)
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
