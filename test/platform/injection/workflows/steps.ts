import { Effect } from "effect"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { Workflows } from "../../../../src/platform/workflows/Workflows.ts"
import type { WorkflowStep } from "../../../../src/platform/workflows/WorkflowStep.ts"
import { claimOne, started } from "../../../../src/testing/contracts/workflows/fixtures.ts"
import type { Attempts } from "../Attempt.ts"
import { json } from "../samples.ts"

const claimed = Effect.flatMap(started(), ({ kind }) => claimOne(kind))

const stored = ({ step }: { readonly step: WorkflowStep }) =>
  Effect.flatMap(Workflows, ({ findSteps }) => findSteps(step.executionId))

type Steps = Pick<Workflows["Service"], "claimSteps" | "heartbeat" | "completeStep" | "failStep">

export const steps: Attempts<Steps, Workflows | Users> = {
  claimSteps: {
    parameters: [""],
    samples: [Effect.map(started(), ({ kind }) => [{ kinds: [kind], limit: 1, lease: "1 minute", worker: "worker" }])],
    keeps: (claimed) => Effect.forEach(claimed, stored)
  },
  heartbeat: {
    parameters: ["id", "token", "lease"],
    samples: [Effect.map(claimed, ({ step, token }) => [step.id, token, "1 minute"])]
  },
  completeStep: {
    parameters: ["id", "token", "success"],
    samples: [Effect.map(claimed, ({ step, token }) => [step.id, token, { output: json, costMinor: 1 }])],
    keeps: stored
  },
  failStep: {
    parameters: ["id", "token", "failure"],
    samples: [
      Effect.map(claimed, ({ step, token }) => [
        step.id,
        token,
        { error: "Broken", retry: true, retryAfter: "1 hour", costMinor: 1 }
      ])
    ],
    keeps: stored
  }
}
