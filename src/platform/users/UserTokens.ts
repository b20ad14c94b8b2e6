import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { StoreError } from "../../core/StoreError.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import type { User, UserId, UserNotFound } from "./Users.ts"

/** All refresh tokens that follow from one sign-in. */
export const SignInId = TimeOrderedId.pipe(Schema.brand("SignInId"))
export type SignInId = typeof SignInId.Type

/** A token, told once; only its hash is kept. */
export interface IssuedToken {
  readonly secret: Redacted.Redacted
  readonly userId: UserId
  readonly expiresAt: DateTime.Utc
}

/** A refresh token, and the sign-in that it continues. */
export interface IssuedRefreshToken extends IssuedToken {
  readonly signIn: SignInId
}

/** What a token that was sent by e-mail is good for. */
export const TokenPurpose = Schema.Literals(["email-verification", "password-reset"])
export type TokenPurpose = typeof TokenPurpose.Type

/** Why a token is refused. Tell its bearer no more than that it is. */
export const TokenRefusal = Schema.Literals(["unknown", "expired", "used", "revoked"])
export type TokenRefusal = typeof TokenRefusal.Type

/** There is no such token, or it is good no longer. */
export class TokenRefused extends Schema.TaggedError<TokenRefused>("@ai-core/database/TokenRefused")("TokenRefused", {
  because: TokenRefusal
}) {
  override get message(): string {
    return `the token is ${this.because}`
  }
}

/** The marks of a token that say whether it is good. */
export interface TokenMarks {
  readonly expiresAt: DateTime.Utc
  readonly usedAt: DateTime.Utc | null
  readonly revokedAt: DateTime.Utc | null
}

/** Why a token is refused at a moment; nothing where it is good. */
export const tokenRefusal = (token: TokenMarks | undefined, now: DateTime.Utc): TokenRefusal | undefined => {
  if (token === undefined) return "unknown"
  if (token.revokedAt !== null) return "revoked"
  if (token.usedAt !== null) return "used"
  return token.expiresAt.epochMilliseconds <= now.epochMilliseconds ? "expired" : undefined
}

/** What is logged where a sign-in could not be ended behind the transaction that its end was undone in. */
export const stolenStays = "A refresh token was used twice, and its sign-in could not be ended"

/**
 * Tokens that users are given: to stay signed in, to prove an e-mail, to set a new password.
 *
 * Each is 32 random bytes of which only the hash is kept, expires, and is good for one use. What was sent is good as long as the
 * user's e-mail is the one that it was sent to; a new password, set by `resetPassword` or by `Users.update`, ends all sign-ins of
 * its user and what would set another. What gives, uses and ends tokens of one user does so in turn, so that none that is being
 * given at that moment outlives the end of the others. Every method may fail with `StoreError`, takes part in the `Transaction`
 * around it, and leaves it usable where it fails with a domain error. `send`, `resetPassword` and `signOutEverywhere` are refused
 * (`InvalidData` naming `isolation`) inside a transaction stricter than `read committed`: its snapshot would hide what is given
 * meanwhile.
 *
 * @example
 * ```ts
 * const first = yield* tokens.signIn(alice.id, "30 days")
 * const next = yield* tokens.refresh(first.secret, "30 days") // first.secret is used up now
 * ```
 */
export class UserTokens extends Context.Service<
  UserTokens,
  {
    /** Begins a sign-in: gives its first refresh token, which lives this long. */
    readonly signIn: (
      user: UserId,
      timeToLive: Duration.Input
    ) => Effect.Effect<IssuedRefreshToken, UserNotFound | StoreError>
    /**
     * Uses a refresh token up and gives the next one of its sign-in.
     *
     * A used token that comes back was stolen from somebody: the whole sign-in is ended, and that stays so although the call
     * fails. Where a transaction around is rolled back by the failure, the sign-in is ended once more behind it, before `run`
     * returns; what fails there is logged. Behind a transaction that `Transaction.run` did not begin it is not: do not refresh
     * inside `sql.withTransaction`. Of several callers with one token one wins. (Refresh token rotation, RFC 9700, section 4.14.2.)
     */
    readonly refresh: (
      secret: Redacted.Redacted,
      timeToLive: Duration.Input
    ) => Effect.Effect<IssuedRefreshToken, TokenRefused | StoreError>
    /** Ends one sign-in; ending it again changes nothing. */
    readonly signOut: (signIn: SignInId) => Effect.Effect<void, StoreError>
    /** Ends every sign-in of a user; says how many it ended. */
    readonly signOutEverywhere: (user: UserId) => Effect.Effect<number, StoreError>
    /** Makes a token to be sent to the user's present e-mail; older ones for the purpose are good no longer. */
    readonly send: (
      user: UserId,
      purpose: TokenPurpose,
      timeToLive: Duration.Input
    ) => Effect.Effect<IssuedToken & { readonly email: string }, UserNotFound | StoreError>
    /** Uses a token up and marks its user's e-mail as verified; refused (`revoked`) where the e-mail has changed since it was sent. */
    readonly verifyEmail: (secret: Redacted.Redacted) => Effect.Effect<User, TokenRefused | StoreError>
    /**
     * Uses a token up, sets the password hash of its user, and ends all of the user's sign-ins; refused (`revoked`) where the
     * e-mail or the password has changed since it was sent.
     */
    readonly resetPassword: (
      secret: Redacted.Redacted,
      passwordHash: Redacted.Redacted
    ) => Effect.Effect<User, TokenRefused | StoreError>
    /** Removes tokens that expired before this long ago; says how many. Run it now and then. */
    readonly removeExpired: (before: Duration.Input) => Effect.Effect<number, StoreError>
  }
>()("@ai-core/database/platform/UserTokens") {}
