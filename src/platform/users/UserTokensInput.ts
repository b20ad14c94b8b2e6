import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { PasswordHash, UserId } from "./Users.ts"
import { TimeToLive } from "./Secret.ts"
import { SignInId, TokenPurpose } from "./UserTokens.ts"

const subject = (method: string) =>
  ({ store: "postgresql", operation: `UserTokens.${method}`, subject: "input" }) as const

const secret = Schema.Redacted(Schema.String)
const userFor = decodeInput(Schema.Struct({ user: UserId, timeToLive: TimeToLive }))
const refresh = decodeInput(Schema.Struct({ secret, timeToLive: TimeToLive }))
const signIn = decodeInput(Schema.Struct({ signIn: SignInId }))
const user = decodeInput(Schema.Struct({ user: UserId }))
const send = decodeInput(Schema.Struct({ user: UserId, purpose: TokenPurpose, timeToLive: TimeToLive }))
const secretOnly = decodeInput(Schema.Struct({ secret }))
const reset = decodeInput(Schema.Struct({ secret, passwordHash: PasswordHash }))
const before = decodeInput(Schema.Struct({ before: TimeToLive }))

/** The checks of what callers give to `UserTokens`: one for every implementation, so that all refuse the same. */
export const UserTokensInput = {
  signIn: (user: unknown, timeToLive: unknown) => userFor(subject("signIn"), { user, timeToLive }),
  refresh: (secret: unknown, timeToLive: unknown) => refresh(subject("refresh"), { secret, timeToLive }),
  signOut: (id: unknown) => signIn(subject("signOut"), { signIn: id }),
  signOutEverywhere: (id: unknown) => user(subject("signOutEverywhere"), { user: id }),
  send: (user: unknown, purpose: unknown, timeToLive: unknown) => send(subject("send"), { user, purpose, timeToLive }),
  verifyEmail: (secret: unknown) => secretOnly(subject("verifyEmail"), { secret }),
  resetPassword: (secret: unknown, passwordHash: unknown) => reset(subject("resetPassword"), { secret, passwordHash }),
  removeExpired: (span: unknown) => before(subject("removeExpired"), { before: span })
}
