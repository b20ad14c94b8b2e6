import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { makeDefinitions } from "./DefinitionsLive.ts"
import { makeExecutions } from "./ExecutionsLive.ts"
import { makeSchedules } from "./SchedulesLive.ts"
import { makeSteps } from "./StepsLive.ts"
import { Workflows } from "./Workflows.ts"

const make = Effect.gen(function* () {
  const client = yield* PostgresClient
  const transaction = yield* Transaction
  const executions = makeExecutions(client, transaction)
  return Workflows.of({
    ...makeDefinitions(client, transaction),
    ...executions.service,
    ...makeSteps(client, transaction),
    ...makeSchedules(client, transaction, executions)
  })
})

/** `Workflows` on PostgreSQL: a server, or the embedded engine. Its tables come from the platform's migrations. */
export const layer: Layer.Layer<Workflows, never, PostgresClient | Transaction> = Layer.effect(Workflows, make)
