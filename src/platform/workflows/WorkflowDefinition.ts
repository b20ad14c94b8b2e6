import * as Schema from "effect/Schema"
import { cursor, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import { stateMachine } from "../../core/StateMachine.ts"
import { Name, Slug, textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version } from "../../core/Version.ts"
import { UserId } from "../users/Users.ts"
import { StepDefinitions } from "./WorkflowContent.ts"

/** A workflow's id: a UUIDv7 in lower case. */
export const WorkflowId = TimeOrderedId.pipe(Schema.brand("WorkflowId"))
export type WorkflowId = typeof WorkflowId.Type

/** An archived workflow is kept and listed; it is not edited, published or started until it is restored. */
export const workflowStates = stateMachine("workflow", { active: ["archived"], archived: ["active"] })
export const WorkflowState = Schema.Literals(["active", "archived"])
export type WorkflowState = typeof WorkflowState.Type

/** A workflow as people edit it. */
export const Workflow = Schema.Struct({
  id: WorkflowId,
  /** Unique, also among archived workflows. */
  slug: Schema.String,
  name: Schema.String,
  description: Schema.String,
  /** Nobody where no owner was named, or the owner is gone. */
  ownerId: Schema.NullOr(UserId),
  state: WorkflowState,
  /** The draft; what runs are published versions. */
  steps: StepDefinitions,
  /** Number of the newest published version; 0 where there is none. */
  latestVersion: Schema.Int,
  /** 1 when made, one more with every edit; publishing is none. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Workflow = typeof Workflow.Type

const Description = textOf(0, 5000)

/** What a new workflow is made of. */
export const NewWorkflow = Schema.Struct({
  slug: Slug,
  name: Name,
  description: Schema.optionalKey(Description),
  ownerId: Schema.optionalKey(UserId),
  steps: Schema.optionalKey(StepDefinitions)
})
export type NewWorkflow = typeof NewWorkflow.Encoded & { readonly ownerId?: UserId }

/** What an edit changes: at least one field; what is left out stays as it is. */
export const WorkflowChanges = Schema.Struct({
  slug: Schema.optionalKey(Slug),
  name: Schema.optionalKey(Name),
  description: Schema.optionalKey(Description),
  /** `null` takes the owner away. */
  ownerId: Schema.optionalKey(Schema.NullOr(UserId)),
  steps: Schema.optionalKey(StepDefinitions)
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type WorkflowChanges = typeof WorkflowChanges.Encoded & { readonly ownerId?: UserId | null }

/** What a workflow was when it was published; it never changes. */
export const WorkflowVersion = Schema.Struct({
  workflowId: WorkflowId,
  /** 1, 2, 3 … without a gap. */
  number: Version,
  steps: StepDefinitions,
  /** The workflow's `version` that was published. */
  draftVersion: Version,
  createdAt: Schema.DateTimeUtc
})
export type WorkflowVersion = typeof WorkflowVersion.Type

/** Continues a list of workflows. */
export const WorkflowCursor = Schema.String.pipe(Schema.brand("WorkflowCursor"))
export type WorkflowCursor = typeof WorkflowCursor.Type

export const workflowCursor = cursor(
  "workflows",
  WorkflowCursor,
  Schema.Struct({ createdAt: MomentFromMillis, id: WorkflowId })
)
export const workflowCursorAfter = ({ createdAt, id }: Workflow): WorkflowCursor =>
  workflowCursor.after({ createdAt, id })

/** Which workflows a page lists. */
export const WorkflowList = Schema.Struct({
  state: Schema.optional(WorkflowState),
  ownerId: Schema.optional(UserId),
  limit: Schema.optional(PageSize),
  after: Schema.optional(workflowCursor.key)
})
export interface WorkflowFilter {
  readonly state?: WorkflowState | undefined
  readonly ownerId?: UserId | undefined
}
export interface WorkflowListOptions extends WorkflowFilter {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: WorkflowCursor | undefined
}

/** Continues a list of the versions of a workflow. */
export const VersionCursor = Schema.String.pipe(Schema.brand("VersionCursor"))
export type VersionCursor = typeof VersionCursor.Type

export const versionCursor = cursor(
  "workflow-versions",
  VersionCursor,
  Schema.Struct({ id: WorkflowId, number: Version })
)
export const versionCursorAfter = ({ number, workflowId }: WorkflowVersion): VersionCursor =>
  versionCursor.after({ id: workflowId, number })

/** Which versions of a workflow a page lists. */
export const VersionList = Schema.Struct({
  limit: Schema.optional(PageSize),
  after: Schema.optional(versionCursor.key)
})
export interface VersionListOptions {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: VersionCursor | undefined
}

/** There is no workflow with this id. */
export class WorkflowNotFound extends Schema.TaggedError<WorkflowNotFound>("@ai-core/database/WorkflowNotFound")(
  "WorkflowNotFound",
  { id: WorkflowId }
) {
  override get message(): string {
    return `there is no workflow ${this.id}`
  }
}

/** Another workflow has this slug. */
export class WorkflowSlugTaken extends Schema.TaggedError<WorkflowSlugTaken>("@ai-core/database/WorkflowSlugTaken")(
  "WorkflowSlugTaken",
  { slug: Schema.String }
) {
  override get message(): string {
    return "another workflow has this slug"
  }
}

/** The workflow is archived: restore it before it is edited, published or started. */
export class WorkflowArchived extends Schema.TaggedError<WorkflowArchived>("@ai-core/database/WorkflowArchived")(
  "WorkflowArchived",
  { id: WorkflowId }
) {
  override get message(): string {
    return `workflow ${this.id} is archived`
  }
}

/** The draft has no steps, so there is nothing to publish. */
export class WorkflowWithoutSteps extends Schema.TaggedError<WorkflowWithoutSteps>(
  "@ai-core/database/WorkflowWithoutSteps"
)("WorkflowWithoutSteps", { id: WorkflowId }) {
  override get message(): string {
    return `workflow ${this.id} has no steps to publish`
  }
}

/** The workflow has no such published version; none at all where no number was asked for. */
export class WorkflowVersionNotFound extends Schema.TaggedError<WorkflowVersionNotFound>(
  "@ai-core/database/WorkflowVersionNotFound"
)("WorkflowVersionNotFound", { id: WorkflowId, number: Schema.NullOr(Version) }) {
  override get message(): string {
    return this.number === null
      ? `workflow ${this.id} has not been published`
      : `workflow ${this.id} has no version ${this.number}`
  }
}
