import type { Users } from "../../../../src/platform/users/Users.ts"
import type { Workflows } from "../../../../src/platform/workflows/Workflows.ts"
import type { Attempts } from "../Attempt.ts"
import { definitions } from "./definitions.ts"
import { executions } from "./executions.ts"
import { schedules } from "./schedules.ts"
import { steps } from "./steps.ts"

export const workflows: Attempts<Workflows["Service"], Workflows | Users> = {
  ...definitions,
  ...executions,
  ...steps,
  ...schedules
}
