import type { Users } from "../../platform/users/Users.ts"
import type { Workflows } from "../../platform/workflows/Workflows.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make } from "../Contract.ts"
import { definitions } from "./workflows/definitions.ts"
import { executions } from "./workflows/executions.ts"
import { schedules } from "./workflows/schedules.ts"
import { steps } from "./workflows/steps.ts"
import { transactions } from "./workflows/transactions.ts"

/** What every implementation of `Workflows` does, beside the `Users` and under the `Transaction` of the same store. */
export const WorkflowsContract: Contract<Workflows | Users | Transaction> = make("Workflows", {
  ...definitions,
  ...executions,
  ...steps,
  ...schedules,
  ...transactions
})
