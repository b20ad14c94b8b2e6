import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { decodeInput } from "../../core/Decode.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { Tables } from "../tables/Tables.ts"
import { FederationClientNotActive, type FederationClientId, FederationClientNotFound } from "./Clients.ts"
import { Federation } from "./Federation.ts"
import { clients } from "./FederationTables.ts"
import { makeClients } from "./makeClients.ts"
import { makeCredentials } from "./makeCredentials.ts"
import { makeProviders } from "./makeProviders.ts"
import { makeRules } from "./makeRules.ts"
import { makeServices } from "./makeServices.ts"
import { type RouteChoice, routeOf, RouteRequest } from "./Route.ts"

const request = decodeInput(RouteRequest)

const at = { store: "postgresql", operation: "Federation.route", subject: "input" } as const

/** Reads what the enabled rules for a capability choose: those for everybody, and those for one client. */
export type Choices = (
  operation: string,
  capability: string,
  clientId: FederationClientId | null
) => Effect.Effect<ReadonlyArray<RouteChoice>, StoreError>

/** The rules of federation, over the rows of PostgreSQL or of memory: one text for both, so that they cannot differ. */
export const makeFederation = (tables: Tables, choices: Choices): Federation["Service"] => {
  const route: Federation["Service"]["route"] = Effect.fnUntraced(function* (given) {
    const asked = yield* request(at, given)
    const { capability, clientId: id } = asked
    if (id !== undefined) {
      const client = Option.getOrUndefined(yield* tables.one(at.operation, clients, { where: { id } }))
      if (client === undefined) return yield* new FederationClientNotFound({ id })
      if (client.state !== "active") return yield* new FederationClientNotActive({ id, state: client.state })
    }
    return routeOf(asked, yield* choices(at.operation, capability, id ?? null))
  })

  return Federation.of({
    clients: makeClients(tables),
    providers: makeProviders(tables),
    services: makeServices(tables),
    credentials: makeCredentials(tables),
    rules: makeRules(tables),
    route
  })
}
