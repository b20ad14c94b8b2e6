import { Effect } from "effect"
import { roleCursor, RoleId, Roles } from "../../../src/platform/users/Roles.ts"
import { UserId, type Users } from "../../../src/platform/users/Users.ts"
import { someUser } from "../../../src/testing/contracts/users.ts"
import type { Attempts } from "./Attempt.ts"
import { nothing, slug } from "./samples.ts"

const id = RoleId.make(nothing)
const user = UserId.make(nothing)

const newRole = Effect.map(slug("role"), (name) => ({ name, description: "Role", permissions: ["thing:do"] }))

const someRole = Effect.gen(function* () {
  const roles = yield* Roles
  return yield* roles.create(yield* newRole)
})

const stored = ({ id }: { readonly id: RoleId }) => Effect.flatMap(Roles, (roles) => roles.findById(id))

export const roles: Attempts<Roles["Service"], Roles | Users> = {
  create: { parameters: [""], samples: [Effect.map(newRole, (role) => [role])], keeps: stored },
  findById: { parameters: ["id"], samples: [Effect.succeed([id])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[id]])] },
  findByName: { parameters: ["name"], samples: [Effect.succeed(["nothing"])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* someRole
        return [id, version, yield* newRole] as const
      })
    ],
    keeps: stored
  },
  delete: { parameters: ["id"], samples: [Effect.map(someRole, ({ id }) => [id])] },
  list: { parameters: [""], samples: [Effect.succeed([{ limit: 1, after: roleCursor.after({ name: "a" }) }])] },
  grant: {
    parameters: ["user", "role"],
    samples: [
      Effect.gen(function* () {
        return [(yield* someUser()).id, (yield* someRole).id] as const
      })
    ]
  },
  revoke: { parameters: ["user", "role"], samples: [Effect.succeed([user, id])] },
  ofUser: { parameters: ["user"], samples: [Effect.succeed([user])] },
  permissionsOf: { parameters: ["user"], samples: [Effect.succeed([user])] },
  allows: { parameters: ["user", "permission"], samples: [Effect.succeed([user, "thing:do"])] }
}
