import * as DateTime from "effect/DateTime"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import type * as Duration from "effect/Duration"
import { durationBetween } from "../../core/DurationInput.ts"
import { stateMachine } from "../../core/StateMachine.ts"
import { Slug, textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { LeaseToken, type Pauses, type WorkStates, workItemFields } from "../../postgres/repository/WorkItem.ts"
import { StorableJson } from "../../core/StorableJson.ts"
import type { WorkflowId } from "./WorkflowDefinition.ts"
import { ExecutionId, type WorkflowExecution } from "./WorkflowExecution.ts"

export { LeaseToken }

/** A step's id: a UUIDv7 in lower case. */
export const StepId = TimeOrderedId.pipe(Schema.brand("StepId"))
export type StepId = typeof StepId.Type

/**
 * `blocked` until all it depends on has succeeded; `ready` to be taken; `running` at a worker's; `dead` after its last try.
 * `skipped`: another step failed the execution before this one was taken. Retrying an execution revives the dead and skipped.
 */
export const stepStates = stateMachine("workflow step", {
  blocked: ["ready", "skipped", "canceled"],
  ready: ["running", "skipped", "canceled"],
  running: ["ready", "succeeded", "dead", "skipped", "canceled"],
  succeeded: [],
  dead: ["blocked", "ready"],
  skipped: ["blocked", "ready"],
  canceled: []
})
export const StepState = Schema.Literals(["blocked", "ready", "running", "succeeded", "dead", "skipped", "canceled"])
export type StepState = typeof StepState.Type

/** How workers share steps. */
export const stepWork: WorkStates<StepState> = { waiting: "ready", running: "running", dead: "dead" }

/** The pauses between a step's tries. */
export const pausesOf = ({ backoffMillis }: { readonly backoffMillis: number }): Pauses => ({
  first: backoffMillis,
  longest: Math.max(backoffMillis, 3_600_000)
})

/** A step of an execution. Its times are the server's. */
export const WorkflowStep = Schema.Struct({
  id: StepId,
  executionId: ExecutionId,
  /** Its place in the workflow, from 0. */
  position: Schema.Int,
  key: Schema.String,
  kind: Schema.String,
  dependsOn: Schema.Array(Schema.String),
  state: StepState,
  attempts: workItemFields.attempts,
  maxAttempts: workItemFields.maxAttempts,
  timeoutMillis: Schema.Int,
  backoffMillis: Schema.Int,
  availableAt: workItemFields.availableAt,
  leaseUntil: workItemFields.leaseUntil,
  /** Who took it last. */
  worker: Schema.NullOr(Schema.String),
  /** What the last failed try said. */
  lastError: workItemFields.lastError,
  /** What it gave once it succeeded. */
  output: Schema.Json,
  /** What its tries have cost so far, in the smallest unit of the execution's currency. */
  costMinor: Schema.Int,
  /** When it was first taken. */
  startedAt: Schema.NullOr(Schema.DateTimeUtc),
  /** When it succeeded, died, was skipped or canceled. */
  finishedAt: Schema.NullOr(Schema.DateTimeUtc)
})
export type WorkflowStep = typeof WorkflowStep.Type

/** The order in which steps are taken. */
export const byTurn: Order.Order<Pick<WorkflowStep, "availableAt" | "id">> = Order.combine(
  Order.mapInput(DateTime.Order, ({ availableAt }) => availableAt),
  Order.mapInput(Order.String, ({ id }) => id)
)

/** A step that was taken, and all that its worker needs. */
export interface ClaimedStep {
  readonly step: WorkflowStep
  readonly workflowId: WorkflowId
  /** Shows that the step is one's own: `heartbeat`, `completeStep` and `failStep` ask for it. */
  readonly token: LeaseToken
  /** The step's own configuration, from the published workflow. */
  readonly config: Schema.JsonObject
  /** The execution's input. */
  readonly input: Schema.JsonObject
  /** The outputs of the steps it depends on, by their keys. */
  readonly dependencies: Schema.JsonObject
}

/** What finishing a step came to, and the state that its execution is in now. */
export interface FinishedStep {
  readonly step: WorkflowStep
  readonly execution: WorkflowExecution
}

const Lease = durationBetween("1 milli", "7 days")

/** Which steps are taken, and for how long. */
export const StepClaim = Schema.Struct({
  kinds: Schema.optional(
    Schema.Array(Slug).check(
      Schema.isMinLength(1, { expected: "at least one kind" }),
      Schema.isMaxLength(100, { expected: "at most 100 kinds" })
    )
  ),
  limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })),
  lease: Lease,
  worker: textOf(1, 200)
})
export interface ClaimStepsOptions {
  /** Steps of these kinds; of every kind where nothing is said. */
  readonly kinds?: ReadonlyArray<string> | undefined
  /** 1 to 1000. */
  readonly limit: number
  /** 1 millisecond to 7 days; a step's timeout cuts it short. */
  readonly lease: Duration.Input
  /** Says to people who has the step. */
  readonly worker: string
}

export const StepLease = Schema.Struct({ id: StepId, token: LeaseToken, lease: Lease })

const Cost = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: 1e12 }, { expected: "a whole number from 0 to 1,000,000,000,000" })
)

/** What a step gave. */
export const StepSuccess = Schema.Struct({
  /** `null` where nothing is said. */
  output: Schema.optionalKey(StorableJson),
  /** What this try cost, in the smallest unit of the execution's currency; 0 where nothing is said. */
  costMinor: Schema.optionalKey(Cost)
})
export type StepSuccess = typeof StepSuccess.Type

/** Why a try failed. */
export const StepFailure = Schema.Struct({
  error: textOf(1, 10_000),
  /** `false` where trying again cannot help: the step is dead at once. */
  retry: Schema.optionalKey(Schema.Boolean),
  /** When it may be tried again, in place of the step's own pauses: what a rate limit asked for. */
  retryAfter: Schema.optionalKey(durationBetween(0, "7 days")),
  costMinor: Schema.optionalKey(Cost)
})
export interface StepFailure {
  readonly error: string
  readonly retry?: boolean
  readonly retryAfter?: Duration.Input
  readonly costMinor?: number
}

/** There is no step with this id. */
export class StepNotFound extends Schema.TaggedError<StepNotFound>("@ai-core/database/StepNotFound")("StepNotFound", {
  id: StepId
}) {
  override get message(): string {
    return `there is no workflow step ${this.id}`
  }
}

/** The step is not the caller's any more: its lease ended, somebody else has it, or it has ended. Nothing was changed. */
export class StepLeaseLost extends Schema.TaggedError<StepLeaseLost>("@ai-core/database/StepLeaseLost")(
  "StepLeaseLost",
  {
    id: StepId,
    /** The state that the step is in now. */
    state: StepState
  }
) {
  override get message(): string {
    return `the lease of workflow step ${this.id} is lost; the step is ${this.state} now`
  }
}
