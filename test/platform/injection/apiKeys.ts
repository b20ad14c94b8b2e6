import { Effect, Redacted } from "effect"
import { ApiKeyCursor, ApiKeys } from "../../../src/platform/users/ApiKeys.ts"
import { UserId, type Users } from "../../../src/platform/users/Users.ts"
import { someUser } from "../../../src/testing/contracts/users.ts"
import type { Attempts } from "./Attempt.ts"
import { cursorText, nothing } from "./samples.ts"

const user = UserId.make(nothing)
const after = ApiKeyCursor.make(cursorText("api-keys", { user: nothing, id: nothing }))

const newKey = Effect.map(someUser(), ({ id }) => ({
  userId: id,
  name: "Key",
  scopes: ["thing:do"],
  timeToLive: "1 hour" as const
}))

const issued = Effect.gen(function* () {
  const apiKeys = yield* ApiKeys
  return yield* apiKeys.issue(yield* newKey)
})

export const apiKeys: Attempts<ApiKeys["Service"], ApiKeys | Users> = {
  issue: {
    parameters: [""],
    samples: [Effect.map(newKey, (key) => [key])],
    keeps: ({ key }) => Effect.flatMap(ApiKeys, (apiKeys) => apiKeys.list(key.userId))
  },
  authenticate: {
    parameters: ["secret"],
    samples: [Effect.map(issued, ({ secret }) => [Redacted.make(Redacted.value(secret))])],
    refusals: ["ApiKeyRefused"]
  },
  revoke: { parameters: ["id"], samples: [Effect.map(issued, ({ key }) => [key.id])] },
  list: {
    parameters: ["user", "options"],
    samples: [Effect.succeed([user, { limit: 1, after }])]
  }
}
