import { Effect } from "effect"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { Workflows } from "../../../../src/platform/workflows/Workflows.ts"
import { ScheduleCursor, type ScheduleId } from "../../../../src/platform/workflows/WorkflowSchedule.ts"
import { noSchedule, noWorkflow, published } from "../../../../src/testing/contracts/workflows/fixtures.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, json, nothing, time } from "../samples.ts"

const after = ScheduleCursor.make(cursorText("workflow-schedules", { createdAt: time.epochMilliseconds, id: nothing }))

const timing = {
  versionNumber: 1,
  name: "Nightly",
  cron: "0 3 * * *",
  timeZone: "Europe/Vienna",
  input: json,
  missedRuns: "skip",
  enabled: true
} as const

const scheduled = Effect.gen(function* () {
  const { workflowId } = yield* published()
  return yield* (yield* Workflows).createSchedule({ workflowId, name: "Nightly", cron: "0 3 * * *" })
})

const stored = ({ id }: { readonly id: ScheduleId }) =>
  Effect.flatMap(Workflows, ({ findSchedule }) => findSchedule(id))

type Schedules = Pick<
  Workflows["Service"],
  "createSchedule" | "findSchedule" | "updateSchedule" | "deleteSchedule" | "listSchedules" | "claimDueSchedules"
>

export const schedules: Attempts<Schedules, Workflows | Users> = {
  createSchedule: {
    parameters: [""],
    samples: [Effect.map(published(), ({ workflowId }) => [{ workflowId, ...timing }])],
    keeps: stored
  },
  findSchedule: { parameters: ["id"], samples: [Effect.succeed([noSchedule])] },
  updateSchedule: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [Effect.map(scheduled, ({ id, version }) => [id, version, timing])],
    keeps: stored
  },
  deleteSchedule: { parameters: ["id"], samples: [Effect.map(scheduled, ({ id }) => [id])] },
  listSchedules: {
    parameters: [""],
    samples: [Effect.succeed([{ workflowId: noWorkflow, enabled: true, limit: 1, after }])]
  },
  claimDueSchedules: { parameters: [""], samples: [Effect.succeed([{ limit: 1, grace: "1 minute" }])] }
}
