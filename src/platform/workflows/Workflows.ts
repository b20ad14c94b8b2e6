import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type * as Duration from "effect/Duration"
import type { Page } from "../../core/KeysetPage.ts"
import type { IllegalTransition } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { VersionConflict } from "../../core/Version.ts"
import type { StreamPages } from "../StreamPages.ts"
import type { UserNotFound } from "../users/Users.ts"
import type {
  NewWorkflow,
  VersionCursor,
  VersionListOptions,
  Workflow,
  WorkflowArchived,
  WorkflowChanges,
  WorkflowCursor,
  WorkflowFilter,
  WorkflowId,
  WorkflowListOptions,
  WorkflowNotFound,
  WorkflowSlugTaken,
  WorkflowVersion,
  WorkflowVersionNotFound,
  WorkflowWithoutSteps
} from "./WorkflowDefinition.ts"
import type {
  ExecutionCounts,
  ExecutionCursor,
  ExecutionFilter,
  ExecutionId,
  ExecutionListOptions,
  ExecutionNotFound,
  NewExecution,
  WorkflowExecution
} from "./WorkflowExecution.ts"
import type {
  ClaimDueSchedulesOptions,
  FiredSchedule,
  NewSchedule,
  ScheduleChanges,
  ScheduleCursor,
  ScheduleId,
  ScheduleListOptions,
  ScheduleNotFound,
  WorkflowSchedule
} from "./WorkflowSchedule.ts"
import type {
  ClaimedStep,
  ClaimStepsOptions,
  FinishedStep,
  LeaseToken,
  StepFailure,
  StepId,
  StepLeaseLost,
  StepNotFound,
  StepSuccess,
  WorkflowStep
} from "./WorkflowStep.ts"

/**
 * The workflows of the platform: their definitions and published versions, their executions and steps, their schedules.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent. All of
 * them take part in the `Transaction` around them, and a domain error leaves that transaction usable. Lists and streams begin
 * with the newest; what exists throughout is listed exactly once, whatever is added or removed between the pages.
 *
 * Steps are worked on at least once: a worker that outlives its lease may have done what another one does again, but only the
 * holder of the lease can finish a step, and what depends on it is released exactly once.
 *
 * @example
 * ```ts
 * const workflows = yield* Workflows
 * const draft = yield* workflows.create({
 *   slug: "onboarding",
 *   name: "Onboarding",
 *   steps: [
 *     { key: "fetch", kind: "http.request", config: { url: "https://example.com" } },
 *     { key: "mail", kind: "mail.send", dependsOn: ["fetch"] }
 *   ]
 * })
 * yield* workflows.publish(draft.id, draft.version)
 * yield* workflows.start({ workflowId: draft.id, input: { user: "alice" } })
 * // at a worker's:
 * const [claimed] = yield* workflows.claimSteps({ limit: 1, lease: "1 minute", worker: "worker-1" })
 * if (claimed !== undefined) yield* workflows.completeStep(claimed.step.id, claimed.token, { output: { status: 200 } })
 * ```
 */
export class Workflows extends Context.Service<
  Workflows,
  {
    // ---- definitions

    /** Stores a new workflow, a draft at version 1. Not idempotent: after an unknown outcome, look for the slug. */
    readonly create: (workflow: NewWorkflow) => Effect.Effect<Workflow, WorkflowSlugTaken | UserNotFound | StoreError>
    /** Finds a workflow by id; concurrent calls go together. */
    readonly findById: (id: WorkflowId) => Effect.Effect<Option.Option<Workflow>, StoreError>
    /** Finds workflows by id, each in the place of its id; none where there is no such workflow. */
    readonly findMany: (
      ids: ReadonlyArray<WorkflowId>
    ) => Effect.Effect<ReadonlyArray<Option.Option<Workflow>>, StoreError>
    readonly findBySlug: (slug: string) => Effect.Effect<Option.Option<Workflow>, StoreError>
    /**
     * Edits a workflow that still is at the version that the caller read; of two such edits one wins.
     *
     * Where several failures hold, the first of these is told: `WorkflowNotFound`, `VersionConflict`, `WorkflowArchived`,
     * `WorkflowSlugTaken`, `UserNotFound`.
     */
    readonly update: (
      id: WorkflowId,
      expectedVersion: number,
      changes: WorkflowChanges
    ) => Effect.Effect<
      Workflow,
      WorkflowNotFound | VersionConflict | WorkflowArchived | WorkflowSlugTaken | UserNotFound | StoreError
    >
    /**
     * Makes the next version of the draft that the caller read; it never changes.
     *
     * Numbers are 1, 2, 3 … without a gap, however many publish at once. Not idempotent: after an unknown outcome, see whether
     * the newest version's `draftVersion` is this one. Fails, the first of these first, with `WorkflowNotFound`,
     * `VersionConflict`, `WorkflowArchived`, `WorkflowWithoutSteps`.
     */
    readonly publish: (
      id: WorkflowId,
      expectedVersion: number
    ) => Effect.Effect<
      WorkflowVersion,
      WorkflowNotFound | VersionConflict | WorkflowArchived | WorkflowWithoutSteps | StoreError
    >
    /** Puts a workflow away: it is not started any more, by schedules neither. Executions under way go on. */
    readonly archive: (id: WorkflowId) => Effect.Effect<Workflow, WorkflowNotFound | IllegalTransition | StoreError>
    readonly restore: (id: WorkflowId) => Effect.Effect<Workflow, WorkflowNotFound | IllegalTransition | StoreError>
    readonly list: (options?: WorkflowListOptions) => Effect.Effect<Page<Workflow, WorkflowCursor>, StoreError>
    readonly stream: (options?: WorkflowFilter & StreamPages) => Stream.Stream<Workflow, StoreError>
    /** Finds a published version: the newest one where no number is given. */
    readonly findVersion: (id: WorkflowId, number?: number) => Effect.Effect<Option.Option<WorkflowVersion>, StoreError>
    /** Lists the versions of a workflow, the newest first; none of a workflow that is not there. */
    readonly listVersions: (
      id: WorkflowId,
      options?: VersionListOptions
    ) => Effect.Effect<Page<WorkflowVersion, VersionCursor>, StoreError>

    // ---- executions

    /**
     * Starts a published version: the execution is `pending`, its steps that wait for no other are ready.
     *
     * With an `idempotencyKey` it is idempotent: the execution that was started with this key first is given back as it is now,
     * whatever else is asked for. Without one it is not.
     */
    readonly start: (
      execution: NewExecution
    ) => Effect.Effect<WorkflowExecution, WorkflowNotFound | WorkflowArchived | WorkflowVersionNotFound | StoreError>
    /** Finds an execution by id; concurrent calls go together. */
    readonly findExecution: (id: ExecutionId) => Effect.Effect<Option.Option<WorkflowExecution>, StoreError>
    /** Finds executions by id, each in the place of its id; none where there is no such execution. */
    readonly findExecutions: (
      ids: ReadonlyArray<ExecutionId>
    ) => Effect.Effect<ReadonlyArray<Option.Option<WorkflowExecution>>, StoreError>
    readonly listExecutions: (
      options?: ExecutionListOptions
    ) => Effect.Effect<Page<WorkflowExecution, ExecutionCursor>, StoreError>
    readonly streamExecutions: (options?: ExecutionFilter & StreamPages) => Stream.Stream<WorkflowExecution, StoreError>
    /** Counts executions by state; every state is told. */
    readonly countExecutions: (filter?: ExecutionFilter) => Effect.Effect<ExecutionCounts, StoreError>
    /** No further step is taken until it is resumed; a claim of the same moment may still take one. */
    readonly pauseExecution: (
      id: ExecutionId
    ) => Effect.Effect<WorkflowExecution, ExecutionNotFound | IllegalTransition | StoreError>
    /** Lets the steps of a paused execution be taken again: it is `running`. */
    readonly resumeExecution: (
      id: ExecutionId
    ) => Effect.Effect<WorkflowExecution, ExecutionNotFound | IllegalTransition | StoreError>
    /** Ends an execution; its unfinished steps are canceled, and who works on one has lost the lease. */
    readonly cancelExecution: (
      id: ExecutionId
    ) => Effect.Effect<WorkflowExecution, ExecutionNotFound | IllegalTransition | StoreError>
    /** Takes up a failed execution where it stopped: dead and skipped steps get fresh attempts, what succeeded stays. */
    readonly retryExecution: (
      id: ExecutionId
    ) => Effect.Effect<WorkflowExecution, ExecutionNotFound | IllegalTransition | StoreError>
    /** The steps of an execution, in the order of the workflow. */
    readonly findSteps: (id: ExecutionId) => Effect.Effect<ReadonlyArray<WorkflowStep>, ExecutionNotFound | StoreError>
    /**
     * Removes up to `limit` executions (1000 where nothing is said) that ended before a time, with their steps, and tells how
     * many; ask again until it is fewer.
     */
    readonly purgeExecutions: (options: {
      readonly finishedBefore: DateTime.Utc
      readonly limit?: number | undefined
    }) => Effect.Effect<number, StoreError>

    // ---- steps, for workers

    /**
     * Takes up to `limit` steps that are ready, or whose lease has ended, oldest first, and leases them.
     *
     * Several workers share the steps without waiting: none gets a step that another one has. Steps of paused and ended
     * executions are not taken. A step whose last try ended without a word is dead, and fails its execution. Not idempotent:
     * after an unknown outcome, steps come back when the lease has ended.
     */
    readonly claimSteps: (options: ClaimStepsOptions) => Effect.Effect<ReadonlyArray<ClaimedStep>, StoreError>
    /** Keeps a step for so long from now, at most until its timeout; gives the end of the lease. Idempotent. */
    readonly heartbeat: (
      id: StepId,
      token: LeaseToken,
      lease: Duration.Input
    ) => Effect.Effect<DateTime.Utc, StepNotFound | StepLeaseLost | StoreError>
    /**
     * Finishes a step: what waited for it alone is ready, and the execution succeeds with its last step.
     *
     * Idempotent: completing it again with the same token changes nothing and gives the same step.
     */
    readonly completeStep: (
      id: StepId,
      token: LeaseToken,
      success?: StepSuccess
    ) => Effect.Effect<FinishedStep, StepNotFound | StepLeaseLost | StoreError>
    /**
     * Ends a try: the step is ready again after a pause, or dead where that was its last.
     *
     * A dead step fails the execution and skips the steps that nobody has taken; those at a worker's may still be finished,
     * so that a retry need not repeat them. Not idempotent: after an unknown outcome it may answer `StepLeaseLost`.
     */
    readonly failStep: (
      id: StepId,
      token: LeaseToken,
      failure: StepFailure
    ) => Effect.Effect<FinishedStep, StepNotFound | StepLeaseLost | StoreError>

    // ---- schedules

    /** Stores a new schedule of a published workflow, at version 1. Not idempotent. */
    readonly createSchedule: (
      schedule: NewSchedule
    ) => Effect.Effect<WorkflowSchedule, WorkflowNotFound | WorkflowVersionNotFound | StoreError>
    /** Finds a schedule by id; concurrent calls go together. */
    readonly findSchedule: (id: ScheduleId) => Effect.Effect<Option.Option<WorkflowSchedule>, StoreError>
    /** Edits a schedule that still is at the version that the caller read; runs do not change the version. */
    readonly updateSchedule: (
      id: ScheduleId,
      expectedVersion: number,
      changes: ScheduleChanges
    ) => Effect.Effect<WorkflowSchedule, ScheduleNotFound | VersionConflict | WorkflowVersionNotFound | StoreError>
    /** Removes a schedule; what it started stays. */
    readonly deleteSchedule: (id: ScheduleId) => Effect.Effect<void, ScheduleNotFound | StoreError>
    readonly listSchedules: (
      options?: ScheduleListOptions
    ) => Effect.Effect<Page<WorkflowSchedule, ScheduleCursor>, StoreError>
    /**
     * Takes up to `limit` schedules whose time has come, and starts an execution of each, all in one transaction.
     *
     * Each time starts one execution, however many ask at once. Where several times have come since anybody asked, the last of
     * them counts; one that is later than `grace` is missed, and `missedRuns` of the schedule says whether it still runs.
     * Schedules of archived workflows rest.
     */
    readonly claimDueSchedules: (
      options: ClaimDueSchedulesOptions
    ) => Effect.Effect<ReadonlyArray<FiredSchedule>, StoreError>
  }
>()("@ai-core/database/platform/Workflows") {}
