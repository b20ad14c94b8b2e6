import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { cursorAgrees } from "../../core/KeysetPage.ts"
import { Slug } from "../../core/Text.ts"
import { Version } from "../../core/Version.ts"
import { type ListPage, streamList } from "../StreamPages.ts"
import { NewWorkflow, VersionList, WorkflowChanges, WorkflowId, WorkflowList } from "./WorkflowDefinition.ts"
import { ExecutionFilter, ExecutionId, ExecutionList, ExecutionPurge, NewExecution } from "./WorkflowExecution.ts"
import { DueSchedules, NewSchedule, ScheduleChanges, ScheduleId, ScheduleList } from "./WorkflowSchedule.ts"
import { LeaseToken, StepClaim, StepFailure, StepId, StepLease, StepSuccess } from "./WorkflowStep.ts"

const subject = (method: string) =>
  ({ store: "postgresql", operation: `Workflows.${method}`, subject: "input" }) as const

const workflowOnly = decodeInput(Schema.Struct({ id: WorkflowId }))
const executionOnly = decodeInput(Schema.Struct({ id: ExecutionId }))
const scheduleOnly = decodeInput(Schema.Struct({ id: ScheduleId }))
const workflowsOnly = decodeInput(Schema.Struct({ ids: Schema.Array(WorkflowId) }))
const executionsOnly = decodeInput(Schema.Struct({ ids: Schema.Array(ExecutionId) }))
const slugOnly = decodeInput(Schema.Struct({ slug: Slug }))

const newWorkflow = decodeInput(NewWorkflow)
const update = decodeInput(Schema.Struct({ id: WorkflowId, expectedVersion: Version, changes: WorkflowChanges }))
const publish = decodeInput(Schema.Struct({ id: WorkflowId, expectedVersion: Version }))
const list = decodeInput(WorkflowList)
const findVersion = decodeInput(Schema.Struct({ id: WorkflowId, number: Schema.optional(Version) }))
const listVersions = decodeInput(Schema.Struct({ id: WorkflowId, options: VersionList }).check(cursorAgrees("id")))

const start = decodeInput(NewExecution)
const listExecutions = decodeInput(ExecutionList)
const countExecutions = decodeInput(ExecutionFilter)
const purgeExecutions = decodeInput(ExecutionPurge)

const claimSteps = decodeInput(StepClaim)
const heartbeat = decodeInput(StepLease)
const completeStep = decodeInput(Schema.Struct({ id: StepId, token: LeaseToken, success: StepSuccess }))
const failStep = decodeInput(Schema.Struct({ id: StepId, token: LeaseToken, failure: StepFailure }))

const newSchedule = decodeInput(NewSchedule)
const updateSchedule = decodeInput(
  Schema.Struct({ id: ScheduleId, expectedVersion: Version, changes: ScheduleChanges })
)
const listSchedules = decodeInput(ScheduleList)
const dueSchedules = decodeInput(DueSchedules)

/** The checks of what callers give to `Workflows`: one for every implementation, so that all refuse the same. */
export const WorkflowsInput = {
  workflow: (method: string, id: unknown) => workflowOnly(subject(method), { id }),
  execution: (method: string, id: unknown) => executionOnly(subject(method), { id }),
  schedule: (method: string, id: unknown) => scheduleOnly(subject(method), { id }),

  create: (workflow: unknown) => newWorkflow(subject("create"), workflow),
  findMany: (ids: unknown) => workflowsOnly(subject("findMany"), { ids }),
  findBySlug: (slug: unknown) => slugOnly(subject("findBySlug"), { slug }),
  update: (id: unknown, expectedVersion: unknown, changes: unknown) =>
    update(subject("update"), { id, expectedVersion, changes }),
  publish: (id: unknown, expectedVersion: unknown) => publish(subject("publish"), { id, expectedVersion }),
  list: (options: unknown) => list(subject("list"), options ?? {}),
  findVersion: (id: unknown, number: unknown) => findVersion(subject("findVersion"), { id, number }),
  listVersions: (id: unknown, options: unknown) =>
    listVersions(subject("listVersions"), { id, options: options ?? {} }),

  start: (execution: unknown) => start(subject("start"), execution),
  findExecutions: (ids: unknown) => executionsOnly(subject("findExecutions"), { ids }),
  listExecutions: (options: unknown) => listExecutions(subject("listExecutions"), options ?? {}),
  countExecutions: (filter: unknown) => countExecutions(subject("countExecutions"), filter ?? {}),
  purgeExecutions: (options: unknown) => purgeExecutions(subject("purgeExecutions"), options),

  claimSteps: (options: unknown) => claimSteps(subject("claimSteps"), options),
  heartbeat: (id: unknown, token: unknown, lease: unknown) => heartbeat(subject("heartbeat"), { id, token, lease }),
  completeStep: (id: unknown, token: unknown, success: unknown) =>
    completeStep(subject("completeStep"), { id, token, success: success ?? {} }),
  failStep: (id: unknown, token: unknown, failure: unknown) => failStep(subject("failStep"), { id, token, failure }),

  createSchedule: (schedule: unknown) => newSchedule(subject("createSchedule"), schedule),
  updateSchedule: (id: unknown, expectedVersion: unknown, changes: unknown) =>
    updateSchedule(subject("updateSchedule"), { id, expectedVersion, changes }),
  listSchedules: (options: unknown) => listSchedules(subject("listSchedules"), options ?? {}),
  claimDueSchedules: (options: unknown) => dueSchedules(subject("claimDueSchedules"), options)
}

/** Streams an implementation's own list, which checks the filter. */
export const streamOf = <A, Cursor>(method: string, pageSize: unknown, list: ListPage<A, Cursor>) =>
  streamList(subject(method).operation, pageSize, list)
