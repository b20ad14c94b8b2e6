import { Effect } from "effect"
import { Billing } from "../../../../src/platform/billing/Billing.ts"
import { PlanCursor, PlanId, PriceId, type Plans } from "../../../../src/platform/billing/Plans.ts"
import { aPlan, aPrice, aSlug, eur, tokens } from "../../../../src/testing/contracts/billing/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing } from "../samples.ts"

const id = PlanId.make(nothing)
const newPlan = Effect.map(aSlug, (slug) => ({ slug, name: "Pro" }))
const stored = ({ id }: { readonly id: PlanId }) => Effect.flatMap(Billing, ({ plans }) => plans.find(id))
const after = PlanCursor.make(cursorText("plans", atTime))

export const plans: Attempts<Plans, Billing> = {
  create: { parameters: [""], samples: [Effect.map(newPlan, (plan) => [plan])], keeps: stored },
  find: { parameters: ["id"], samples: [Effect.succeed([id])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[id]])] },
  findBySlug: { parameters: ["slug"], samples: [Effect.succeed(["nothing"])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* aPlan()
        return [id, version, yield* newPlan] as const
      })
    ],
    keeps: stored
  },
  archive: { parameters: ["id"], samples: [Effect.map(aPlan(), ({ id }) => [id])] },
  restore: { parameters: ["id"], samples: [Effect.map(aPlan(), ({ id }) => [id])] },
  list: {
    parameters: [""],
    samples: [Effect.succeed([{ archived: true, limit: 1, order: "newest-first", after }])]
  },
  stream: { parameters: [""], samples: [Effect.succeed([{ archived: true, order: "newest-first", pageSize: 1 }])] },
  addPrice: {
    parameters: [""],
    samples: [Effect.map(aPlan(), ({ id }) => [{ planId: id, amount: eur(2000), interval: "month", usage: tokens }])]
  },
  findPrice: { parameters: ["id"], samples: [Effect.succeed([PriceId.make(nothing)])] },
  prices: { parameters: ["planId"], samples: [Effect.succeed([id])] },
  archivePrice: { parameters: ["id"], samples: [Effect.map(aPrice(), ({ id }) => [id])] }
}
