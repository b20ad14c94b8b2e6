import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { hashSecret, makeSecret } from "./Secret.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import type { MemoryWriter } from "../../postgres/memory/MemoryDatabase.ts"
import { afterEnd } from "../../postgres/transactions/AfterEnd.ts"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { makeSeesOthers } from "../SeesOthersMemory.ts"
import type { User, UserNotFound } from "./Users.ts"
import { presentUser, usersTable } from "./UsersMemory.ts"
import {
  SignInId,
  stolenStays,
  type TokenMarks,
  type TokenPurpose,
  TokenRefused,
  tokenRefusal,
  UserTokens
} from "./UserTokens.ts"
import { endSent, endSignIns, oneTimeTokens, refreshTokens } from "./UserTokenTables.ts"
import { UserTokensInput } from "./UserTokensInput.ts"

const unused = { usedAt: null, revokedAt: null } as const

/** Uses a token up, unless its user's e-mail is no longer the one that it was sent to; gives its user. */
const use = (
  db: MemoryWriter,
  purpose: TokenPurpose,
  hash: string,
  now: DateTime.Utc
): Result.Result<User, TokenRefused | StoreError> =>
  Result.gen(function* () {
    const token = Option.getOrUndefined(db.get(oneTimeTokens, hash))
    const because = token?.purpose === purpose ? tokenRefusal(token, now) : "unknown"
    if (token === undefined || because !== undefined) {
      return yield* Result.fail(new TokenRefused({ because: because ?? "unknown" }))
    }
    const user = Option.filter(db.get(usersTable, token.userId), ({ email }) => email === token.email)
    if (Option.isNone(user)) return yield* Result.fail(new TokenRefused({ because: "revoked" }))
    yield* db.replace(oneTimeTokens, { ...token, usedAt: now })
    return user.value
  })

const make = Effect.gen(function* () {
  const memory = yield* PostgresMemory
  const { register, write } = memory
  const seesOthers = makeSeesOthers(memory)
  yield* register(usersTable, refreshTokens, oneTimeTokens)
  const nextSignIn = makeIdsOf(SignInId)

  /** Ends one sign-in. */
  const end = (operation: string, ended: SignInId, now: DateTime.Utc) =>
    write(operation, (db) => endSignIns(db, ({ signIn }) => signIn === ended, now))

  const signIn: UserTokens["Service"]["signIn"] = Effect.fnUntraced(function* (givenUser, givenTime) {
    const { timeToLive, user } = yield* UserTokensInput.signIn(givenUser, givenTime)
    const signIn = yield* nextSignIn
    const secret = yield* makeSecret
    const expiresAt = DateTime.addDuration(yield* DateTime.now, timeToLive)
    yield* write<void, UserNotFound | StoreError>("UserTokens.signIn", (db) =>
      Result.andThen(presentUser(db, user), () =>
        db.insert(refreshTokens, { hash: hashSecret(secret), userId: user, signIn, expiresAt, ...unused })
      )
    )
    return { secret, userId: user, signIn, expiresAt }
  })

  const refresh: UserTokens["Service"]["refresh"] = Effect.fnUntraced(function* (givenSecret, givenTime) {
    const { secret, timeToLive } = yield* UserTokensInput.refresh(givenSecret, givenTime)
    const now = yield* DateTime.now
    const nextSecret = yield* makeSecret
    // A refusal is a value here: it must not undo the end of the sign-in. A transaction around, which fails with it, would.
    const next = yield* write("UserTokens.refresh", (db) =>
      Result.gen(function* () {
        const token = Option.getOrUndefined(db.get(refreshTokens, hashSecret(secret)))
        const because = tokenRefusal(token, now)
        if (token === undefined || because !== undefined) {
          const stolen = because === "used" ? token?.signIn : undefined
          if (stolen !== undefined) yield* endSignIns(db, ({ signIn }) => signIn === stolen, now)
          return { refused: new TokenRefused({ because: because ?? "unknown" }), stolen }
        }
        const { signIn, userId } = token
        const expiresAt = DateTime.addDuration(now, timeToLive)
        yield* db.replace(refreshTokens, { ...token, usedAt: now })
        yield* db.insert(refreshTokens, { hash: hashSecret(nextSecret), userId, signIn, expiresAt, ...unused })
        return { secret: nextSecret, userId, signIn, expiresAt }
      })
    )
    if (!("refused" in next)) return next
    if (next.stolen !== undefined) {
      yield* afterEnd(
        Effect.ignoreCause(end("UserTokens.refresh", next.stolen, now), { log: "Error", message: stolenStays })
      )
    }
    return yield* next.refused
  })

  const signOut: UserTokens["Service"]["signOut"] = Effect.fnUntraced(function* (given) {
    const { signIn } = yield* UserTokensInput.signOut(given)
    yield* end("UserTokens.signOut", signIn, yield* DateTime.now)
  })

  const signOutEverywhere: UserTokens["Service"]["signOutEverywhere"] = Effect.fnUntraced(function* (given) {
    const { user } = yield* UserTokensInput.signOutEverywhere(given)
    yield* seesOthers("UserTokens.signOutEverywhere")
    const now = yield* DateTime.now
    return yield* write("UserTokens.signOutEverywhere", (db) => endSignIns(db, ({ userId }) => userId === user, now))
  })

  const send: UserTokens["Service"]["send"] = Effect.fnUntraced(function* (givenUser, givenPurpose, givenTime) {
    const { purpose, timeToLive, user } = yield* UserTokensInput.send(givenUser, givenPurpose, givenTime)
    yield* seesOthers("UserTokens.send")
    const secret = yield* makeSecret
    const now = yield* DateTime.now
    const expiresAt = DateTime.addDuration(now, timeToLive)
    return yield* write("UserTokens.send", (db) =>
      Result.gen(function* () {
        const { email } = yield* presentUser(db, user)
        const older = db.rows(
          oneTimeTokens,
          (token) => token.userId === user && token.purpose === purpose && token.usedAt === null
        )
        for (const token of older) yield* db.replace(oneTimeTokens, { ...token, usedAt: now })
        yield* db.insert(oneTimeTokens, {
          hash: hashSecret(secret),
          userId: user,
          purpose,
          email,
          expiresAt,
          ...unused
        })
        return { secret, userId: user, email, expiresAt }
      })
    )
  })

  const change = (
    db: MemoryWriter,
    user: User,
    changes: Partial<User>,
    now: DateTime.Utc
  ): Result.Result<User, StoreError> => {
    const changed: User = {
      ...user,
      ...changes,
      version: user.version + 1,
      updatedAt: DateTime.max(user.updatedAt, now)
    }
    return Result.map(db.replace(usersTable, changed), () => changed)
  }

  const verifyEmail: UserTokens["Service"]["verifyEmail"] = Effect.fnUntraced(function* (given) {
    const { secret } = yield* UserTokensInput.verifyEmail(given)
    const now = yield* DateTime.now
    return yield* write("UserTokens.verifyEmail", (db) =>
      Result.flatMap(use(db, "email-verification", hashSecret(secret), now), (user) =>
        change(db, user, { emailVerifiedAt: now }, now)
      )
    )
  })

  const resetPassword: UserTokens["Service"]["resetPassword"] = Effect.fnUntraced(function* (givenSecret, givenHash) {
    const { passwordHash, secret } = yield* UserTokensInput.resetPassword(givenSecret, givenHash)
    yield* seesOthers("UserTokens.resetPassword")
    const now = yield* DateTime.now
    return yield* write<User, TokenRefused | StoreError>("UserTokens.resetPassword", (db) =>
      Result.gen(function* () {
        const user = yield* use(db, "password-reset", hashSecret(secret), now)
        const changed = yield* change(db, user, { passwordHash }, now)
        yield* endSignIns(db, ({ userId }) => userId === user.id, now)
        yield* endSent(db, changed, true, now)
        return changed
      })
    )
  })

  const removeExpired: UserTokens["Service"]["removeExpired"] = Effect.fnUntraced(function* (given) {
    const { before } = yield* UserTokensInput.removeExpired(given)
    const then = DateTime.subtractDuration(yield* DateTime.now, before)
    const old = ({ expiresAt }: TokenMarks) => DateTime.isLessThan(expiresAt, then)
    return yield* write("UserTokens.removeExpired", (db) =>
      Result.gen(function* () {
        const refresh = db.rows(refreshTokens, old)
        const oneTime = db.rows(oneTimeTokens, old)
        for (const { hash } of refresh) yield* db.remove(refreshTokens, hash)
        for (const { hash } of oneTime) yield* db.remove(oneTimeTokens, hash)
        return refresh.length + oneTime.length
      })
    )
  })

  return UserTokens.of({
    signIn,
    refresh,
    signOut,
    signOutEverywhere,
    send,
    verifyEmail,
    resetPassword,
    removeExpired
  })
})

/** `UserTokens` in memory, under the transactions of all memory repositories. */
export const layer: Layer.Layer<UserTokens, never, PostgresMemory> = Layer.effect(UserTokens, make)
