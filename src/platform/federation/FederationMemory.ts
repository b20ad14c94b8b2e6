import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { make } from "../tables/TablesMemory.ts"
import { Federation } from "./Federation.ts"
import { federationTables, providers, rules, services, targets } from "./FederationTables.ts"
import { type Choices, makeFederation } from "./makeFederation.ts"
import { serviceOf } from "./makeServices.ts"
import type { RouteChoice } from "./Route.ts"

const choicesFrom =
  ({ read }: PostgresMemory["Service"]): Choices =>
  (operation, capability, clientId) =>
    read(operation, (db) => {
      const found: Array<RouteChoice> = []
      for (const target of db.rows(targets)) {
        const rule = Option.getOrUndefined(db.get(rules, target.ruleId))
        const service = Option.getOrUndefined(db.get(services, target.serviceId))
        const provider = service && Option.getOrUndefined(db.get(providers, service.providerId))
        if (rule === undefined || service === undefined || provider === undefined) continue
        if (!rule.enabled || rule.capability !== capability) continue
        if (rule.clientId !== null && rule.clientId !== clientId) continue
        found.push({
          service: serviceOf(service),
          providerState: provider.state,
          targetWeight: target.weight,
          position: target.position,
          rule
        })
      }
      return found
    })

/** `Federation` in memory, under the transactions of all memory repositories; its time is the Clock's. */
export const layer: Layer.Layer<Federation, never, PostgresMemory> = Layer.effect(
  Federation,
  Effect.gen(function* () {
    return makeFederation(yield* make(...federationTables), choicesFrom(yield* PostgresMemory))
  })
)
