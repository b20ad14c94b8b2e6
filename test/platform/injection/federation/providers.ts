import { Effect } from "effect"
import { Federation } from "../../../../src/platform/federation/Federation.ts"
import {
  FederationProviderCursor,
  FederationProviderId,
  type FederationProviders
} from "../../../../src/platform/federation/Providers.ts"
import { aProvider, aSlug } from "../../../../src/testing/contracts/federation/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing } from "../samples.ts"

const filter = { kind: "nothing", state: "active", order: "newest-first" } as const
const after = FederationProviderCursor.make(cursorText("federation-providers", atTime))

const newProvider = Effect.map(aSlug("provider"), (slug) => ({
  slug,
  name: "OpenAI",
  kind: "openai-compatible",
  baseUrl: "https://api.example.com/v1"
}))

const stored = ({ id }: { readonly id: FederationProviderId }) =>
  Effect.flatMap(Federation, ({ providers }) => providers.find(id))

const some = Effect.map(aProvider(), ({ id }) => [id] as const)

export const providers: Attempts<FederationProviders, Federation> = {
  create: { parameters: [""], samples: [Effect.map(newProvider, (provider) => [provider])], keeps: stored },
  find: { parameters: ["id"], samples: [Effect.succeed([FederationProviderId.make(nothing)])] },
  findBySlug: { parameters: ["slug"], samples: [Effect.succeed(["nothing"])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* aProvider()
        return [id, version, yield* newProvider] as const
      })
    ],
    keeps: stored
  },
  disable: { parameters: ["id"], samples: [some] },
  enable: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const [id] = yield* some
        yield* (yield* Federation).providers.disable(id)
        return [id] as const
      })
    ]
  },
  remove: { parameters: ["id"], samples: [some] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
