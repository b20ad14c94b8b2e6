import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Workflows } from "../../../platform/workflows/Workflows.ts"
import type { NewSchedule, ScheduleCursor, WorkflowSchedule } from "../../../platform/workflows/WorkflowSchedule.ts"
import { passTime } from "../../Contract.ts"
import {
  type Cases,
  created,
  failsWith,
  noSchedule,
  noWorkflow,
  pages,
  passUntil,
  published,
  refuses,
  untyped
} from "./fixtures.ts"

const everySecond = "* * * * * *"

/** A schedule of a new published workflow. */
const scheduled = (given: Partial<NewSchedule> = {}) =>
  Effect.gen(function* () {
    const workflows = yield* Workflows
    const { workflowId } = yield* published()
    const schedule = yield* workflows.createSchedule({ workflowId, name: "Nightly", cron: "0 3 * * *", ...given })
    return { schedule, id: schedule.id, workflowId, nextRunAt: schedule.nextRunAt! }
  })

/** What became of one schedule in a claim of all that are due. */
const fired = ({ id }: Pick<WorkflowSchedule, "id">, grace?: number) =>
  Effect.gen(function* () {
    const due = yield* (yield* Workflows).claimDueSchedules({ limit: 1000, grace })
    return due.filter(({ schedule }) => schedule.id === id)
  })

const executionsOf = (workflowId: WorkflowSchedule["workflowId"]) =>
  Effect.gen(function* () {
    return (yield* (yield* Workflows).listExecutions({ workflowId })).items
  })

/** Leaves no schedule behind that later cases would start. */
const without = <A, E, R>({ id }: Pick<WorkflowSchedule, "id">, use: Effect.Effect<A, E, R>) =>
  Effect.andThen(
    use,
    Effect.flatMap(Workflows, (workflows) => workflows.deleteSchedule(id))
  )

const editing: Cases = {
  "create gives back a schedule with its first run": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, schedule, workflowId } = yield* scheduled({ input: { report: "daily" }, missedRuns: "catch-up" })
    const now = yield* DateTime.now
    assert.deepEqual(schedule, {
      ...schedule,
      workflowId,
      versionNumber: null,
      name: "Nightly",
      cron: "0 3 * * *",
      timeZone: "UTC",
      input: { report: "daily" },
      missedRuns: "catch-up",
      enabled: true,
      lastRunAt: null,
      version: 1
    })
    const next = schedule.nextRunAt!
    assert.ok(
      DateTime.isGreaterThan(next, now) && DateTime.isLessThan(next, DateTime.add(now, { days: 1, minutes: 1 }))
    )
    assert.deepEqual(DateTime.toPartsUtc(next).hour, 3)
    assert.deepEqual(yield* workflows.findSchedule(id), Option.some(schedule))
    assert.deepEqual(yield* workflows.findSchedule(noSchedule), Option.none())
  }),
  "a cron text is read in its time zone": Effect.gen(function* () {
    const { nextRunAt } = yield* scheduled({ cron: "30 9 * * *", timeZone: "Asia/Kolkata" })
    const { hour, minute } = DateTime.toPartsUtc(nextRunAt)
    assert.deepEqual([hour, minute], [4, 0])
  }),
  "what is no cron text, no time zone, or names no day that comes is refused": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { workflowId } = yield* published()
    const base = { workflowId, name: "n", cron: "0 3 * * *" }
    for (const cron of ["", "daily", "* * * *", "61 * * * *", "* * * * * * *", "0 0 30 2 *", "0 0 * * *\0"]) {
      yield* refuses(workflows.createSchedule({ ...base, cron }), "createSchedule", ["cron"])
    }
    for (const timeZone of ["", "Mars/Olympus", "+99:00"]) {
      yield* refuses(workflows.createSchedule({ ...base, timeZone }), "createSchedule", ["timeZone"])
    }
    yield* refuses(
      workflows.createSchedule(untyped({ name: "", missedRuns: "all", enabled: 1, input: 1, versionNumber: 0 })),
      "createSchedule",
      ["workflowId", "name", "cron", "missedRuns", "enabled", "input", "versionNumber"]
    )
    yield* refuses(workflows.updateSchedule(noSchedule, 0, {}), "updateSchedule", ["expectedVersion", "changes"])
    yield* refuses(workflows.updateSchedule(noSchedule, 1, { cron: "x" }), "updateSchedule", ["changes.cron"])
    yield* refuses(workflows.findSchedule(untyped("1")), "findSchedule", ["id"])
    yield* refuses(workflows.deleteSchedule(untyped("1")), "deleteSchedule", ["id"])
    yield* refuses(workflows.listSchedules(untyped({ limit: 0, enabled: 1 })), "listSchedules", ["limit", "enabled"])
    yield* refuses(workflows.claimDueSchedules({ limit: 0, grace: -1 }), "claimDueSchedules", ["limit", "grace"])
    assert.deepEqual((yield* workflows.listSchedules({ workflowId })).items, [])
  }),
  "a schedule is of a published workflow": Effect.gen(function* () {
    const workflows = yield* Workflows
    const draft = yield* created()
    const base = { name: "n", cron: "0 3 * * *" }
    yield* failsWith(workflows.createSchedule({ ...base, workflowId: noWorkflow }), "WorkflowNotFound")
    yield* failsWith(workflows.createSchedule({ ...base, workflowId: draft.id }), "WorkflowVersionNotFound")
    const { schedule, workflowId } = yield* scheduled()
    yield* failsWith(workflows.createSchedule({ ...base, workflowId, versionNumber: 2 }), "WorkflowVersionNotFound")
    yield* failsWith(workflows.updateSchedule(schedule.id, 1, { versionNumber: 2 }), "WorkflowVersionNotFound")
    assert.equal((yield* workflows.updateSchedule(schedule.id, 1, { versionNumber: 1 })).versionNumber, 1)
    assert.equal((yield* workflows.updateSchedule(schedule.id, 2, { versionNumber: null })).versionNumber, null)
  }),
  "an edit changes what it names; only new times, or waking up, make the next run anew": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, nextRunAt, schedule } = yield* scheduled()
    const renamed = yield* workflows.updateSchedule(id, 1, { name: "Renamed", input: { n: 1 }, missedRuns: "catch-up" })
    assert.deepEqual(
      { ...renamed, updatedAt: schedule.updatedAt },
      { ...schedule, name: "Renamed", input: { n: 1 }, missedRuns: "catch-up", version: 2 }
    )
    const moved = yield* workflows.updateSchedule(id, 2, { cron: "0 4 * * *" })
    assert.equal(DateTime.toPartsUtc(moved.nextRunAt!).hour, 4)
    const zoned = yield* workflows.updateSchedule(id, 3, { timeZone: "Asia/Tokyo" })
    assert.equal(DateTime.toPartsUtc(zoned.nextRunAt!).hour, 19)
    const resting = yield* workflows.updateSchedule(id, 4, { enabled: false })
    assert.deepEqual([resting.enabled, resting.nextRunAt], [false, null])
    const woken = yield* workflows.updateSchedule(id, 5, { enabled: true, cron: schedule.cron, timeZone: "UTC" })
    assert.deepEqual(woken.nextRunAt, nextRunAt)
    assert.deepEqual(yield* workflows.findSchedule(id), Option.some(woken))
  }),
  "of two edits of one version the second fails": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id } = yield* scheduled()
    yield* workflows.updateSchedule(id, 1, { name: "First" })
    const error = yield* failsWith(workflows.updateSchedule(id, 1, { name: "Second" }), "VersionConflict")
    assert.deepEqual([error.id, error.expected, error.actual], [id, 1, 2])
    yield* failsWith(workflows.updateSchedule(noSchedule, 1, { name: "x" }), "ScheduleNotFound")
  }),
  "delete removes a schedule; what it started stays": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { id, nextRunAt, schedule, workflowId } = yield* scheduled({ cron: everySecond })
    yield* passUntil(nextRunAt)
    const [run] = yield* fired(schedule)
    assert.equal(run?.execution?.scheduleId, id)
    yield* workflows.deleteSchedule(id)
    yield* failsWith(workflows.deleteSchedule(id), "ScheduleNotFound")
    assert.deepEqual(yield* workflows.findSchedule(id), Option.none())
    const [execution] = yield* executionsOf(workflowId)
    assert.deepEqual([execution?.id, execution?.scheduleId], [run?.execution?.id, null])
  }),
  "schedules are listed newest first, over pages, by workflow and by whether they run": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { workflowId } = yield* published()
    const made = yield* Effect.forEach([true, false, true, true, true], (enabled) =>
      workflows.createSchedule({ workflowId, name: "n", cron: "0 3 1 1 *", enabled })
    )
    const read = yield* pages((after: ScheduleCursor | undefined) =>
      workflows.listSchedules({ workflowId, limit: 2, after })
    )
    assert.deepEqual(
      read.map((page) => page.length),
      [2, 2, 1]
    )
    assert.deepEqual(read.flat(), made.toReversed())
    assert.deepEqual((yield* workflows.listSchedules({ workflowId, enabled: false })).items, [made[1]])
    assert.equal((yield* workflows.listSchedules({ workflowId, enabled: true })).items.length, 4)
  })
}

const running: Cases = {
  "a due schedule starts its workflow once, for its time, and moves on": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { nextRunAt, schedule, workflowId } = yield* scheduled({ cron: everySecond, input: { n: 1 } })
    yield* passUntil(nextRunAt)
    const [run, ...others] = yield* fired(schedule)
    assert.deepEqual(others, [])
    assert.ok(run !== undefined && run.execution !== null)
    assert.ok(DateTime.isGreaterThanOrEqualTo(run.scheduledFor, nextRunAt))
    const { execution } = run
    assert.deepEqual(
      [execution.trigger, execution.scheduleId, execution.scheduledFor, execution.input, execution.state],
      ["schedule", schedule.id, run.scheduledFor, { n: 1 }, "pending"]
    )
    assert.deepEqual(run.schedule.lastRunAt, run.scheduledFor)
    assert.ok(DateTime.isGreaterThan(run.schedule.nextRunAt!, run.scheduledFor))
    assert.equal(run.schedule.version, 1)
    assert.deepEqual(yield* workflows.findSchedule(schedule.id), Option.some(run.schedule))
    assert.deepEqual(yield* executionsOf(workflowId), [execution])
    yield* workflows.deleteSchedule(schedule.id)
  }),
  "a schedule that is not due, or rests, starts nothing": Effect.gen(function* () {
    const workflows = yield* Workflows
    const later = yield* scheduled({ cron: "0 0 1 1 *" })
    const resting = yield* scheduled({ cron: everySecond, enabled: false })
    const archived = yield* scheduled({ cron: everySecond })
    yield* workflows.archive(archived.workflowId)
    yield* passUntil(archived.nextRunAt)
    for (const { schedule, workflowId } of [later, resting, archived]) {
      assert.deepEqual(yield* fired(schedule), [])
      assert.deepEqual(yield* executionsOf(workflowId), [])
    }
    yield* workflows.restore(archived.workflowId)
    yield* without(
      archived,
      Effect.map(fired(archived.schedule), (runs) => assert.equal(runs.length, 1))
    )
  }),
  "of the times that were missed the last one is made up for, once": Effect.gen(function* () {
    const { nextRunAt, schedule, workflowId } = yield* scheduled({ cron: everySecond, missedRuns: "catch-up" })
    yield* passUntil(DateTime.add(nextRunAt, { seconds: 1 }))
    yield* without(
      schedule,
      Effect.gen(function* () {
        const [run] = yield* fired(schedule, 0)
        assert.ok(run !== undefined && run.execution !== null)
        assert.ok(DateTime.isGreaterThan(run.scheduledFor, nextRunAt))
        assert.equal((yield* executionsOf(workflowId)).length, 1)
      })
    )
  }),
  "a missed time is left out where the schedule says so, and told": Effect.gen(function* () {
    const { nextRunAt, schedule, workflowId } = yield* scheduled({ cron: everySecond, missedRuns: "skip" })
    yield* passUntil(nextRunAt)
    yield* without(
      schedule,
      Effect.gen(function* () {
        const [run] = yield* fired(schedule, 0)
        assert.ok(run !== undefined)
        assert.equal(run.execution, null)
        assert.equal(run.schedule.lastRunAt, null)
        assert.ok(DateTime.isGreaterThan(run.schedule.nextRunAt!, nextRunAt))
        assert.deepEqual(yield* executionsOf(workflowId), [])
      })
    )
  }),
  "a time within the grace is not missed": Effect.gen(function* () {
    const { nextRunAt, schedule, workflowId } = yield* scheduled({ cron: everySecond, missedRuns: "skip" })
    yield* passUntil(nextRunAt)
    yield* without(
      schedule,
      Effect.gen(function* () {
        const [run] = yield* fired(schedule, 5000)
        assert.notEqual(run?.execution ?? null, null)
        assert.equal((yield* executionsOf(workflowId)).length, 1)
      })
    )
  }),
  "a schedule starts the version that it names, or the latest by then": Effect.gen(function* () {
    const workflows = yield* Workflows
    const { nextRunAt, schedule, workflowId } = yield* scheduled({ cron: everySecond })
    const pinned = yield* workflows.createSchedule({ workflowId, versionNumber: 1, name: "pinned", cron: everySecond })
    yield* workflows.publish(workflowId, 1)
    yield* passUntil(nextRunAt, 1100)
    const due = yield* workflows.claimDueSchedules({ limit: 1000 })
    const versionOf = ({ id }: WorkflowSchedule) => due.find((run) => run.schedule.id === id)?.execution?.versionNumber
    assert.deepEqual([versionOf(schedule), versionOf(pinned)], [2, 1])
    yield* workflows.deleteSchedule(schedule.id)
    yield* workflows.deleteSchedule(pinned.id)
  }),
  "a claim takes no more than its limit, the longest due first": Effect.gen(function* () {
    const workflows = yield* Workflows
    // Other cases leave schedules of every night behind, of which one may have become due just now.
    yield* workflows.claimDueSchedules({ limit: 1000 })
    const first = yield* scheduled({ cron: everySecond })
    yield* passUntil(first.nextRunAt, 100)
    const second = yield* scheduled({ cron: everySecond })
    yield* passUntil(second.nextRunAt, 100)
    const one = yield* workflows.claimDueSchedules({ limit: 1 })
    const two = yield* workflows.claimDueSchedules({ limit: 1 })
    assert.deepEqual(
      [one, two].map((runs) => runs.map(({ schedule }) => schedule.id)),
      [[first.id], [second.id]]
    )
    yield* workflows.deleteSchedule(first.id)
    yield* workflows.deleteSchedule(second.id)
    yield* passTime(1)
  })
}

export const schedules: Cases = { ...editing, ...running }
