import { Effect } from "effect"
import { Federation } from "../../../../src/platform/federation/Federation.ts"
import { FederationProviderId } from "../../../../src/platform/federation/Providers.ts"
import {
  FederationServiceCursor,
  FederationServiceId,
  type FederationServices,
  StaleServiceCursor
} from "../../../../src/platform/federation/Services.ts"
import { aProvider, aService, aSlug } from "../../../../src/testing/contracts/federation/support.ts"
import { make as money } from "../../../../src/platform/Money.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing, time } from "../samples.ts"

const filter = {
  providerId: FederationProviderId.make(nothing),
  name: "nothing",
  capability: "chat.complete",
  health: "healthy",
  order: "newest-first"
} as const
const after = FederationServiceCursor.make(cursorText("federation-services", atTime))
const staleAfter = StaleServiceCursor.make(
  cursorText("stale-federation-services", { heardAt: time.epochMilliseconds, id: nothing })
)

const offer = {
  endpointUrl: "https://api.example.com/v1/chat?version=1",
  capabilities: ["chat.complete"],
  weight: 1,
  cost: money(1, "EUR")
}

const stored = ({ id }: { readonly id: FederationServiceId }) =>
  Effect.flatMap(Federation, ({ services }) => services.find(id))

export const services: Attempts<FederationServices, Federation> = {
  register: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { id } = yield* aProvider()
        return [{ ...offer, providerId: id, name: yield* aSlug("service"), release: "1.0.0-rc.1+build" }] as const
      })
    ],
    keeps: stored
  },
  find: { parameters: ["id"], samples: [Effect.succeed([FederationServiceId.make(nothing)])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[FederationServiceId.make(nothing)]])] },
  findRelease: {
    parameters: ["providerId", "name", "release"],
    samples: [Effect.succeed([filter.providerId, "nothing", "1.0.0"])]
  },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [Effect.map(aService(), ({ id, version }) => [id, version, offer])],
    keeps: stored
  },
  reportHealth: {
    parameters: ["id", "report"],
    samples: [Effect.map(aService(), ({ id }) => [id, { health: "healthy", at: time }])]
  },
  deregister: { parameters: ["id"], samples: [Effect.map(aService(), ({ id }) => [id])] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] },
  stale: { parameters: [""], samples: [Effect.succeed([{ since: time, limit: 1, after: staleAfter }])] }
}
