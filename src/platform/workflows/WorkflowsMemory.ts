import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { makeDefinitions } from "./DefinitionsMemory.ts"
import { makeExecutions } from "./ExecutionsMemory.ts"
import { makeSchedules } from "./SchedulesMemory.ts"
import { makeSteps } from "./StepsMemory.ts"
import { Workflows } from "./Workflows.ts"
import { executionsTable, schedulesTable, stepsTable, versionsTable, workflowsTable } from "./WorkflowTables.ts"

const make = Effect.gen(function* () {
  const memory = yield* PostgresMemory
  yield* memory.register(workflowsTable, versionsTable, schedulesTable, executionsTable, stepsTable)
  const executions = makeExecutions(memory)
  return Workflows.of({
    ...makeDefinitions(memory),
    ...executions.service,
    ...makeSteps(memory),
    ...makeSchedules(memory, executions)
  })
})

/** `Workflows` in memory, under the transactions of all memory repositories; its time is the Clock's. */
export const layer: Layer.Layer<Workflows, never, PostgresMemory> = Layer.effect(Workflows, make)
