import * as Schema from "effect/Schema"
import { cursor, PageSize } from "../../core/KeysetPage.ts"
import { Moment, MomentFromMillis } from "../../core/Moment.ts"
import { stateMachine } from "../../core/StateMachine.ts"
import { textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version } from "../../core/Version.ts"
import { StorableJsonObject } from "../../core/StorableJson.ts"
import { WorkflowId } from "./WorkflowDefinition.ts"
import { ScheduleId } from "./WorkflowSchedule.ts"

/** An execution's id: a UUIDv7 in lower case. */
export const ExecutionId = TimeOrderedId.pipe(Schema.brand("ExecutionId"))
export type ExecutionId = typeof ExecutionId.Type

/**
 * `pending` until its first step is taken. `paused`: no step is taken until it is resumed; those under way may be finished,
 * which may end it. `failed`: a step is dead; it may be retried, and is `pending` again.
 */
export const executionStates = stateMachine("workflow execution", {
  pending: ["running", "paused", "canceled"],
  running: ["paused", "succeeded", "failed", "canceled"],
  paused: ["running", "succeeded", "failed", "canceled"],
  succeeded: [],
  failed: ["pending"],
  canceled: []
})
export const ExecutionState = Schema.Literals(["pending", "running", "paused", "succeeded", "failed", "canceled"])
export type ExecutionState = typeof ExecutionState.Type

/** It has not ended. */
export const isGoing = (state: ExecutionState): boolean =>
  state === "pending" || state === "running" || state === "paused"

/** What a state is once a step was taken: nothing is `pending` any more. */
export const begun = (state: ExecutionState): ExecutionState => (state === "pending" ? "running" : state)

/** What started an execution. */
export const ExecutionTrigger = Schema.Literals(["manual", "api", "schedule"])
export type ExecutionTrigger = typeof ExecutionTrigger.Type

/** Three capital letters of ISO 4217. */
export const Currency = Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/, { expected: "an ISO 4217 currency" }))

/** A run of a published workflow. Times of work are the server's. */
export const WorkflowExecution = Schema.Struct({
  id: ExecutionId,
  workflowId: WorkflowId,
  versionNumber: Version,
  state: ExecutionState,
  trigger: ExecutionTrigger,
  /** The schedule that started it; `null` too where that is gone. */
  scheduleId: Schema.NullOr(ScheduleId),
  /** The time that the schedule started it for. */
  scheduledFor: Schema.NullOr(Schema.DateTimeUtc),
  idempotencyKey: Schema.NullOr(Schema.String),
  input: Schema.JsonObject,
  /** Once it has succeeded: the output of each step that no other waits for, by its key. */
  result: Schema.NullOr(Schema.JsonObject),
  /** Once it has failed: what the dead step said. */
  error: Schema.NullOr(Schema.String),
  /** Key of the dead step that failed it. */
  failedStep: Schema.NullOr(Schema.String),
  /** What its steps have cost so far, in the smallest unit of the currency. */
  costMinor: Schema.Int,
  currency: Schema.String,
  createdAt: Schema.DateTimeUtc,
  /** When its first step was taken. */
  startedAt: Schema.NullOr(Schema.DateTimeUtc),
  /** When it succeeded, failed or was canceled. */
  finishedAt: Schema.NullOr(Schema.DateTimeUtc)
})
export type WorkflowExecution = typeof WorkflowExecution.Type

/** How a workflow is started. */
export const NewExecution = Schema.Struct({
  workflowId: WorkflowId,
  /** The latest published version where nothing is said. */
  versionNumber: Schema.optionalKey(Version),
  /** An empty object where nothing is said. */
  input: Schema.optionalKey(StorableJsonObject),
  /** Two starts of one workflow with the same key are one execution. */
  idempotencyKey: Schema.optionalKey(textOf(1, 200)),
  /** `manual` where nothing is said. */
  trigger: Schema.optionalKey(Schema.Literals(["manual", "api"])),
  /** What its steps' costs are counted in; `USD` where nothing is said. */
  currency: Schema.optionalKey(Currency)
})
export type NewExecution = typeof NewExecution.Type

/** Continues a list of executions. */
export const ExecutionCursor = Schema.String.pipe(Schema.brand("ExecutionCursor"))
export type ExecutionCursor = typeof ExecutionCursor.Type

export const executionCursor = cursor(
  "workflow-executions",
  ExecutionCursor,
  Schema.Struct({ createdAt: MomentFromMillis, id: ExecutionId })
)
export const executionCursorAfter = ({ createdAt, id }: WorkflowExecution): ExecutionCursor =>
  executionCursor.after({ createdAt, id })

const filter = {
  workflowId: Schema.optional(WorkflowId),
  /** Those in one of these states. */
  states: Schema.optional(
    Schema.Array(ExecutionState).check(Schema.isMinLength(1, { expected: "at least one state" }))
  ),
  /** Made at this time or later. */
  from: Schema.optional(Moment),
  /** Made before this time. */
  until: Schema.optional(Moment)
}

/** Which executions are counted. */
export const ExecutionFilter = Schema.Struct(filter)
export interface ExecutionFilter {
  readonly workflowId?: WorkflowId | undefined
  readonly states?: ReadonlyArray<ExecutionState> | undefined
  readonly from?: typeof Schema.DateTimeUtc.Type | undefined
  readonly until?: typeof Schema.DateTimeUtc.Type | undefined
}

/** Which executions a page lists. */
export const ExecutionList = Schema.Struct({
  ...filter,
  limit: Schema.optional(PageSize),
  after: Schema.optional(executionCursor.key)
})
export interface ExecutionListOptions extends ExecutionFilter {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: ExecutionCursor | undefined
}

/** Which ended executions are removed. */
export const ExecutionPurge = Schema.Struct({ finishedBefore: Moment, limit: Schema.optional(PageSize) })

/** How many executions are in each state. */
export type ExecutionCounts = Readonly<Record<ExecutionState, number>>

/** There is no execution with this id. */
export class ExecutionNotFound extends Schema.TaggedError<ExecutionNotFound>("@ai-core/database/ExecutionNotFound")(
  "ExecutionNotFound",
  { id: ExecutionId }
) {
  override get message(): string {
    return `there is no workflow execution ${this.id}`
  }
}
