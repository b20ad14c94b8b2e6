import { Effect } from "effect"
import { SignInId, UserTokens } from "../../../src/platform/users/UserTokens.ts"
import { Users } from "../../../src/platform/users/Users.ts"
import { someUser } from "../../../src/testing/contracts/users.ts"
import type { Attempts } from "./Attempt.ts"
import { hash, nothing } from "./samples.ts"

const signedIn = Effect.gen(function* () {
  const tokens = yield* UserTokens
  return yield* tokens.signIn((yield* someUser()).id, "1 hour")
})

const sent = (purpose: "email-verification" | "password-reset") =>
  Effect.gen(function* () {
    const tokens = yield* UserTokens
    return yield* tokens.send((yield* someUser()).id, purpose, "1 hour")
  })

export const userTokens: Attempts<UserTokens["Service"], UserTokens | Users> = {
  signIn: {
    parameters: ["user", "timeToLive"],
    samples: [Effect.map(someUser(), ({ id }) => [id, "1 hour"])]
  },
  refresh: {
    parameters: ["secret", "timeToLive"],
    samples: [Effect.map(signedIn, ({ secret }) => [secret, "1 hour"])],
    refusals: ["TokenRefused"]
  },
  signOut: { parameters: ["signIn"], samples: [Effect.succeed([SignInId.make(nothing)])] },
  signOutEverywhere: { parameters: ["user"], samples: [Effect.map(someUser(), ({ id }) => [id])] },
  send: {
    parameters: ["user", "purpose", "timeToLive"],
    samples: [Effect.map(someUser(), ({ id }) => [id, "email-verification", "1 hour"])]
  },
  verifyEmail: {
    parameters: ["secret"],
    samples: [Effect.map(sent("email-verification"), ({ secret }) => [secret])],
    refusals: ["TokenRefused"]
  },
  resetPassword: {
    parameters: ["secret", "passwordHash"],
    samples: [Effect.map(sent("password-reset"), ({ secret }) => [secret, hash])],
    keeps: ({ id }) => Effect.flatMap(Users, (users) => users.findById(id)),
    refusals: ["TokenRefused"]
  },
  removeExpired: { parameters: ["before"], samples: [Effect.succeed(["365 days"])] }
}
