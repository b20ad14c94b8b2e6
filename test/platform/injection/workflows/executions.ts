import { Effect } from "effect"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { ExecutionCursor } from "../../../../src/platform/workflows/WorkflowExecution.ts"
import { Workflows } from "../../../../src/platform/workflows/Workflows.ts"
import {
  claimOne,
  noExecution,
  noWorkflow,
  published,
  started
} from "../../../../src/testing/contracts/workflows/fixtures.ts"
import { unique } from "../../../../src/testing/Contract.ts"
import type { Attempts } from "../Attempt.ts"
import { cursorText, json, later, nothing, time } from "../samples.ts"

const filter = { workflowId: noWorkflow, states: ["failed"], from: time, until: later } as const
const after = ExecutionCursor.make(
  cursorText("workflow-executions", { createdAt: time.epochMilliseconds, id: nothing })
)

const some = Effect.map(started(), ({ id }) => [id] as const)

type Executions = Pick<
  Workflows["Service"],
  | "start"
  | "findExecution"
  | "findExecutions"
  | "listExecutions"
  | "streamExecutions"
  | "countExecutions"
  | "pauseExecution"
  | "resumeExecution"
  | "cancelExecution"
  | "retryExecution"
  | "findSteps"
  | "purgeExecutions"
>

export const executions: Attempts<Executions, Workflows | Users> = {
  start: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { version, workflowId } = yield* published()
        const idempotencyKey = yield* unique("start")
        return [
          { workflowId, versionNumber: version.number, input: json, idempotencyKey, trigger: "api", currency: "EUR" }
        ] as const
      })
    ],
    keeps: ({ id }) => Effect.flatMap(Workflows, ({ findExecution }) => findExecution(id))
  },
  findExecution: { parameters: ["id"], samples: [Effect.succeed([noExecution])] },
  findExecutions: { parameters: ["ids"], samples: [Effect.succeed([[noExecution]])] },
  listExecutions: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  streamExecutions: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  countExecutions: { parameters: [""], samples: [Effect.succeed([filter])] },
  pauseExecution: { parameters: ["id"], samples: [some] },
  resumeExecution: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const [id] = yield* some
        yield* (yield* Workflows).pauseExecution(id)
        return [id] as const
      })
    ]
  },
  cancelExecution: { parameters: ["id"], samples: [some] },
  retryExecution: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const { id, kind } = yield* started()
        const { step, token } = yield* claimOne(kind)
        yield* (yield* Workflows).failStep(step.id, token, { error: "Broken", retry: false })
        return [id] as const
      })
    ]
  },
  findSteps: { parameters: ["id"], samples: [some] },
  purgeExecutions: { parameters: [""], samples: [Effect.succeed([{ finishedBefore: time, limit: 1 }])] }
}
