import { Effect } from "effect"
import { FederationClientId } from "../../../../src/platform/federation/Clients.ts"
import { Federation } from "../../../../src/platform/federation/Federation.ts"
import { RoutingRuleCursor, RoutingRuleId, type RoutingRules } from "../../../../src/platform/federation/Rules.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { aClient, aRule, aService } from "../../../../src/testing/contracts/federation/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing } from "../samples.ts"

const capability = "chat.complete"
const filter = {
  clientId: FederationClientId.make(nothing),
  capability: "nothing",
  enabled: true,
  order: "newest-first"
} as const
const after = RoutingRuleCursor.make(cursorText("federation-rules", atTime))

const choice = Effect.map(aService(), ({ id }) => ({
  name: "Rule",
  priority: 1,
  condition: { region: "eu", plan: ["pro", "team"] },
  targets: [{ serviceId: id, weight: 1 }],
  enabled: true
}))

const stored = ({ id }: { readonly id: RoutingRuleId }) => Effect.flatMap(Federation, ({ rules }) => rules.find(id))

const some = Effect.flatMap(aService(), (service) => aRule(capability, [service]))

export const rules: Attempts<RoutingRules, Federation | Users> = {
  create: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { id } = yield* aClient()
        return [{ ...(yield* choice), clientId: id, capability }] as const
      })
    ],
    keeps: stored
  },
  find: { parameters: ["id"], samples: [Effect.succeed([RoutingRuleId.make(nothing)])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* some
        return [id, version, yield* choice] as const
      })
    ],
    keeps: stored
  },
  remove: { parameters: ["id"], samples: [Effect.map(some, ({ id }) => [id])] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
