import { Effect } from "effect"
import { cursorAfter, UserId, Users } from "../../../src/platform/users/Users.ts"
import { unique } from "../../../src/testing/Contract.ts"
import { someUser } from "../../../src/testing/contracts/users.ts"
import type { Attempts } from "./Attempt.ts"
import { hash, nothing } from "./samples.ts"

const id = UserId.make(nothing)

const newUser = Effect.map(unique("user"), (name) => ({
  email: `${name}@example.com`,
  username: name,
  passwordHash: hash
}))

const stored = ({ id }: { readonly id: UserId }) => Effect.flatMap(Users, (users) => users.findById(id))

const filter = { erased: false, emailPrefix: "nobody", during: { _tag: "Last", duration: "1 hour" } } as const

const after = Effect.map(someUser(), (user) => cursorAfter("newest-first", user))

export const users: Attempts<Users["Service"], Users> = {
  create: {
    parameters: [""],
    samples: [Effect.map(newUser, (user) => [user])],
    keeps: stored
  },
  createMany: {
    parameters: ["users"],
    samples: [Effect.map(Effect.all([newUser, newUser]), (users) => [users])],
    keeps: (users) => Effect.forEach(users, stored)
  },
  findById: { parameters: ["id"], samples: [Effect.succeed([id])] },
  findMany: { parameters: ["ids"], samples: [Effect.succeed([[id]])] },
  findByEmail: { parameters: ["email"], samples: [Effect.succeed(["nobody@example.com"])] },
  findByUsername: { parameters: ["username"], samples: [Effect.succeed(["nobody"])] },
  update: {
    parameters: ["id", "expectedVersion", "changes"],
    samples: [
      Effect.gen(function* () {
        const { id, version } = yield* someUser()
        return [id, version, yield* newUser] as const
      })
    ],
    keeps: stored
  },
  delete: { parameters: ["id"], samples: [Effect.map(someUser(), ({ id }) => [id])] },
  erase: { parameters: ["id"], samples: [Effect.map(someUser(), ({ id }) => [id])] },
  list: {
    parameters: [""],
    samples: [Effect.map(after, (after) => [{ limit: 1, order: "newest-first", after, ...filter }])]
  },
  stream: { parameters: [""], samples: [Effect.succeed([{ order: "newest-first", pageSize: 1000, ...filter }])] }
}
