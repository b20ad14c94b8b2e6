import { Effect } from "effect"
import {
  FederationClientCursor,
  FederationClientId,
  type FederationClients
} from "../../../../src/platform/federation/Clients.ts"
import { Federation } from "../../../../src/platform/federation/Federation.ts"
import { UserId, type Users } from "../../../../src/platform/users/Users.ts"
import { aClient, aSlug, someUser } from "../../../../src/testing/contracts/federation/support.ts"
import type { Attempts } from "../Attempt.ts"
import { atTime, cursorText, nothing } from "../samples.ts"

const filter = { ownerId: UserId.make(nothing), state: "active", order: "newest-first" } as const
const after = FederationClientCursor.make(cursorText("federation-clients", atTime))

const newClient = Effect.gen(function* () {
  const [slug, { id }] = [yield* aSlug("client"), yield* someUser()]
  return { slug, name: "Acme", ownerId: id, scopes: ["chat.read"], rateTier: "standard" }
})

const stored = ({ id }: { readonly id: FederationClientId }) =>
  Effect.flatMap(Federation, ({ clients }) => clients.find(id))

const some = Effect.map(aClient(), ({ id }) => [id] as const)

export const clients: Attempts<FederationClients, Federation | Users> = {
  create: { parameters: [""], samples: [Effect.map(newClient, (client) => [client])], keeps: stored },
  find: { parameters: ["id"], samples: [Effect.succeed([FederationClientId.make(nothing)])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[FederationClientId.make(nothing)]])] },
  findBySlug: { parameters: ["slug"], samples: [Effect.succeed(["nothing"])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* aClient()
        return [id, version, yield* newClient] as const
      })
    ],
    keeps: stored
  },
  suspend: { parameters: ["id"], samples: [some] },
  resume: {
    parameters: ["id"],
    samples: [
      Effect.gen(function* () {
        const [id] = yield* some
        yield* (yield* Federation).clients.suspend(id)
        return [id] as const
      })
    ]
  },
  revoke: { parameters: ["id"], samples: [some] },
  list: { parameters: [""], samples: [Effect.succeed([{ ...filter, limit: 1, after }])] },
  stream: { parameters: [""], samples: [Effect.succeed([{ ...filter, pageSize: 1 }])] }
}
