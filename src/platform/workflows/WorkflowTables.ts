import * as DateTime from "effect/DateTime"
import * as Order from "effect/Order"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import type { Workflow, WorkflowVersion } from "./WorkflowDefinition.ts"
import type { WorkflowExecution } from "./WorkflowExecution.ts"
import type { WorkflowSchedule } from "./WorkflowSchedule.ts"
import type { LeaseToken, WorkflowStep } from "./WorkflowStep.ts"

/** Definitions in memory. */
export const workflowsTable = memoryTable<Workflow>({
  name: "workflows",
  key: ({ id }) => id,
  unique: { workflows_slug_key: ({ slug }) => slug },
  references: {
    workflows_owner_id_fkey: {
      to: "users",
      key: ({ ownerId }) => ownerId ?? undefined,
      onRemoval: (workflow) => ({ ...workflow, ownerId: null })
    }
  }
})

export const versionKey = (workflowId: string, number: number): string => `${workflowId}/${number}`

/** Published versions in memory. */
export const versionsTable = memoryTable<WorkflowVersion>({
  name: "workflow_versions",
  key: ({ number, workflowId }) => versionKey(workflowId, number)
})

/** Schedules in memory. */
export const schedulesTable = memoryTable<WorkflowSchedule>({ name: "workflow_schedules", key: ({ id }) => id })

const costFits = ({ costMinor }: { readonly costMinor: number }): boolean => costMinor <= Number.MAX_SAFE_INTEGER

export const idempotencyValue = (workflowId: string, key: string): string => `${workflowId}/${key}`

export const scheduledValue = ({
  scheduledFor,
  scheduleId
}: Pick<WorkflowExecution, "scheduledFor" | "scheduleId">): string | undefined =>
  scheduledFor === null || scheduleId === null ? undefined : `${scheduleId}/${DateTime.toEpochMillis(scheduledFor)}`

/** Executions in memory. */
export const executionsTable = memoryTable<WorkflowExecution>({
  name: "workflow_executions",
  key: ({ id }) => id,
  unique: {
    workflow_executions_idempotency_key: ({ idempotencyKey, workflowId }) =>
      idempotencyKey === null ? undefined : idempotencyValue(workflowId, idempotencyKey),
    workflow_executions_scheduled_key: scheduledValue
  },
  references: {
    workflow_executions_schedule_id_fkey: {
      to: "workflow_schedules",
      key: ({ scheduleId }) => scheduleId ?? undefined,
      onRemoval: (execution) => ({ ...execution, scheduleId: null })
    }
  },
  checks: { workflow_executions_cost_minor_check: costFits }
})

/** A step, and what only its holder knows of it. */
export interface StoredStep extends WorkflowStep {
  readonly leaseToken: LeaseToken | null
  readonly takenAt: DateTime.Utc | null
  readonly finishedBy: LeaseToken | null
}

/** Steps in memory. */
export const stepsTable = memoryTable<StoredStep>({
  name: "workflow_steps",
  key: ({ id }) => id,
  references: {
    workflow_steps_execution_id_fkey: {
      to: "workflow_executions",
      key: ({ executionId }) => executionId,
      onRemoval: "cascade"
    }
  },
  checks: { workflow_steps_cost_minor_check: costFits }
})

/** What is made at one time is told apart by its id. */
export interface Place {
  readonly createdAt: DateTime.Utc
  readonly id: string
}

export const newestFirst: Order.Order<Place> = Order.flip(
  Order.combine(
    Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
    Order.mapInput(Order.String, ({ id }: Place) => id)
  )
)
