import { Effect } from "effect"
import type { Federation } from "../../../../src/platform/federation/Federation.ts"
import type { Users } from "../../../../src/platform/users/Users.ts"
import { aClient, aRule, aService, aSlug } from "../../../../src/testing/contracts/federation/support.ts"
import type { Attempts } from "../Attempt.ts"
import { clients } from "./clients.ts"
import { credentials } from "./credentials.ts"
import { providers } from "./providers.ts"
import { rules } from "./rules.ts"
import { services } from "./services.ts"

/** A route that its rule chooses for one region only, so that a request of any other text has none. */
const route = Effect.gen(function* () {
  const capability = yield* aSlug("capability")
  const service = yield* aService({ capabilities: [capability] })
  yield* aRule(capability, [service], { condition: { region: "eu" } })
  return [{ clientId: (yield* aClient()).id, capability, attributes: { region: "eu" } }] as const
})

export const federation: Attempts<Federation["Service"], Federation | Users> = {
  clients,
  providers,
  services,
  credentials,
  rules,
  // What a request says of itself is compared in the program; the answer tells the capability that was asked for.
  route: { parameters: [""], samples: [route], passing: ["attributes", "attributes.region"] }
}
