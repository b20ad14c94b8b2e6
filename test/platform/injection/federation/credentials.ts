import { DateTime, Effect } from "effect"
import {
  ProviderCredentialCursor,
  ProviderCredentialId,
  type ProviderCredentials
} from "../../../../src/platform/federation/Credentials.ts"
import { Federation } from "../../../../src/platform/federation/Federation.ts"
import { FederationProviderId } from "../../../../src/platform/federation/Providers.ts"
import { aCredential, aProvider } from "../../../../src/testing/contracts/federation/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing, time } from "../samples.ts"

const providerId = FederationProviderId.make(nothing)
const filter = { providerId, state: "active", expiresBefore: time, order: "newest-first" } as const
const after = ProviderCredentialCursor.make(cursorText("federation-credentials", atTime))

const some = Effect.map(aCredential(), ({ id }) => [id] as const)

export const credentials: Attempts<ProviderCredentials, Federation> = {
  add: {
    parameters: [""],
    samples: [
      Effect.gen(function* () {
        const { id } = yield* aProvider()
        const expiresAt = DateTime.add(yield* DateTime.now, { days: 1 })
        return [{ providerId: id, kind: "api-key", secretRef: "vault:kv/openai#key", expiresAt }] as const
      })
    ],
    keeps: ({ id }) => Effect.flatMap(Federation, ({ credentials }) => credentials.find(id))
  },
  find: { parameters: ["id"], samples: [Effect.succeed([ProviderCredentialId.make(nothing)])] },
  current: { parameters: ["providerId"], samples: [Effect.succeed([providerId])] },
  rotate: { parameters: ["id"], samples: [some] },
  retire: { parameters: ["id"], samples: [some] },
  markVerified: { parameters: ["id", "at"], samples: [Effect.map(some, ([id]) => [id, time])] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
