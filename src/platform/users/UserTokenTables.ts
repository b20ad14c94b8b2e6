import type * as DateTime from "effect/DateTime"
import * as Result from "effect/Result"
import type { MemoryWriter } from "../../postgres/memory/MemoryDatabase.ts"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import type { User, UserId } from "./Users.ts"
import { type SignInId, type TokenMarks, type TokenPurpose, tokenRefusal } from "./UserTokens.ts"

export interface RefreshToken extends TokenMarks {
  readonly hash: string
  readonly userId: UserId
  readonly signIn: SignInId
}

/** The table of refresh tokens in memory. */
export const refreshTokens = memoryTable<RefreshToken>({
  name: "refresh_tokens",
  key: ({ hash }) => hash,
  references: { refresh_tokens_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "cascade" } }
})

export interface OneTimeToken extends TokenMarks {
  readonly hash: string
  readonly userId: UserId
  readonly purpose: TokenPurpose
  readonly email: string
}

/** The table, in memory, of tokens that were sent by e-mail. */
export const oneTimeTokens = memoryTable<OneTimeToken>({
  name: "one_time_tokens",
  key: ({ hash }) => hash,
  references: { one_time_tokens_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "cascade" } }
})

/** Ends the sign-ins of those tokens; gives how many were still good. */
export const endSignIns = (db: MemoryWriter, which: (token: RefreshToken) => boolean, now: DateTime.Utc) =>
  Result.gen(function* () {
    let good = 0
    for (const token of db.rows(refreshTokens, which)) {
      if (token.revokedAt !== null) continue
      if (tokenRefusal(token, now) === undefined) good++
      yield* db.replace(refreshTokens, { ...token, revokedAt: now })
    }
    return good
  })

/** Ends what was sent to another e-mail than the user's, and where the password is a new one what would reset it. */
export const endSent = (db: MemoryWriter, { email, id }: User, newPassword: boolean, now: DateTime.Utc) =>
  Result.gen(function* () {
    const outstanding = db.rows(
      oneTimeTokens,
      ({ revokedAt, usedAt, userId }) => userId === id && usedAt === null && revokedAt === null
    )
    for (const token of outstanding) {
      if (token.email === email && !(newPassword && token.purpose === "password-reset")) continue
      yield* db.replace(oneTimeTokens, { ...token, revokedAt: now })
    }
  })
