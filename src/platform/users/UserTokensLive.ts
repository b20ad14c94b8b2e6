import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { hashSecret, makeSecret } from "./Secret.ts"
import { makeIds, makeIdsOf } from "../../core/TimeOrderedId.ts"
import { makeContained } from "../../postgres/repository/Contained.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, SafeInteger, Timestamp } from "../../postgres/repository/Row.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { userColumns, userRows } from "./UserRow.ts"
import { UserId, UserNotFound } from "./Users.ts"
import { SignInId, type TokenPurpose, TokenRefused, tokenRefusal, UserTokens } from "./UserTokens.ts"
import { UserTokensInput } from "./UserTokensInput.ts"

const marks = { expiresAt: Timestamp, usedAt: NullableTimestamp }
const refreshTokens = rowReader(
  Schema.Struct({ signIn: SignInId, userId: UserId, ...marks, revokedAt: NullableTimestamp })
)
const oneTimeTokens = rowReader(Schema.Struct({ userId: UserId, email: Schema.String, ...marks }))
const counts = rowReader(Schema.Struct({ count: SafeInteger }))
const emails = rowReader(Schema.Struct({ email: Schema.String }))

const make = Effect.gen(function* () {
  const client = yield* PostgresClient
  const { keyed, query, sql } = client
  const { run } = yield* Transaction
  const contained = makeContained(client, { run })
  const nextId = makeIds()
  const nextSignIn = makeIdsOf(SignInId)

  const issue = Effect.fnUntraced(function* (
    operation: string,
    userId: UserId,
    signIn: SignInId,
    timeToLive: Duration.Duration
  ) {
    const secret = yield* makeSecret
    const now = yield* DateTime.now
    const expiresAt = DateTime.addDuration(now, timeToLive)
    yield* query(
      { operation, kind: "write" },
      keyed<object>`insert into ai_core.refresh_tokens (id, family_id, user_id, hash, created_at, expires_at)
        values (${yield* nextId}::uuid, ${signIn}::uuid, ${userId}::uuid, ${hashSecret(secret)},
          ${DateTime.toDateUtc(now)}, ${DateTime.toDateUtc(expiresAt)})`
    )
    return { secret, userId, signIn, expiresAt }
  })

  /** Ends sign-ins; gives one row for each token that was still good. */
  const end = (operation: string, where: "family_id" | "user_id", id: string, at: DateTime.Utc) =>
    Effect.map(
      query(
        { operation, kind: "write", idempotent: true },
        keyed<{ readonly good: boolean }>`update ai_core.refresh_tokens set revoked_at = ${DateTime.toDateUtc(at)}
          where ${sql(where)} = ${id}::uuid and revoked_at is null
          returning used_at is null and expires_at > ${DateTime.toDateUtc(at)} as good`
      ),
      (rows) => rows.filter(({ good }) => good).length
    )

  const signIn: UserTokens["Service"]["signIn"] = Effect.fnUntraced(function* (givenUser, givenTime) {
    const { timeToLive, user } = yield* UserTokensInput.signIn(givenUser, givenTime)
    return yield* Effect.mapError(
      contained(issue("UserTokens.signIn", user, yield* nextSignIn, timeToLive)),
      onConstraint({ refresh_tokens_user_id_fkey: () => new UserNotFound({ id: user }) })
    )
  })

  const refresh: UserTokens["Service"]["refresh"] = Effect.fnUntraced(function* (givenSecret, givenTime) {
    const operation = "UserTokens.refresh"
    const { secret, timeToLive } = yield* UserTokensInput.refresh(givenSecret, givenTime)
    const now = yield* DateTime.now
    // A refusal is a value here: it must not undo the end of the sign-in.
    const next = yield* run(
      Effect.gen(function* () {
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`select family_id as "signIn", user_id as "userId", expires_at as "expiresAt",
              used_at as "usedAt", revoked_at as "revokedAt"
            from ai_core.refresh_tokens where hash = ${hashSecret(secret)} for update`
        )
        const token = Option.getOrUndefined(yield* refreshTokens.option(operation, rows))
        const because = tokenRefusal(token, now)
        if (token === undefined || because !== undefined) {
          if (token !== undefined && because === "used") yield* end(operation, "family_id", token.signIn, now)
          return new TokenRefused({ because: because ?? "unknown" })
        }
        yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.refresh_tokens set used_at = ${DateTime.toDateUtc(now)}
            where hash = ${hashSecret(secret)}`
        )
        return yield* issue(operation, token.userId, token.signIn, timeToLive)
      })
    )
    return next instanceof TokenRefused ? yield* next : next
  })

  const signOut: UserTokens["Service"]["signOut"] = Effect.fnUntraced(function* (given) {
    const { signIn } = yield* UserTokensInput.signOut(given)
    yield* end("UserTokens.signOut", "family_id", signIn, yield* DateTime.now)
  })

  const signOutEverywhere: UserTokens["Service"]["signOutEverywhere"] = Effect.fnUntraced(function* (given) {
    const { user } = yield* UserTokensInput.signOutEverywhere(given)
    return yield* end("UserTokens.signOutEverywhere", "user_id", user, yield* DateTime.now)
  })

  const send: UserTokens["Service"]["send"] = Effect.fnUntraced(function* (givenUser, givenPurpose, givenTime) {
    const operation = "UserTokens.send"
    const { purpose, timeToLive, user } = yield* UserTokensInput.send(givenUser, givenPurpose, givenTime)
    const secret = yield* makeSecret
    const now = yield* DateTime.now
    const at = DateTime.toDateUtc(now)
    const expiresAt = DateTime.addDuration(now, timeToLive)
    return yield* run(
      Effect.gen(function* () {
        // Held until the end, so that of two tokens sent at once one is the newer.
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`select email from ai_core.users where id = ${user}::uuid for update`
        )
        const found = Option.getOrUndefined(yield* emails.option(operation, rows))
        if (found === undefined) return yield* new UserNotFound({ id: user })
        yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.one_time_tokens set used_at = ${at}
            where user_id = ${user}::uuid and purpose = ${purpose} and used_at is null`
        )
        yield* query(
          { operation, kind: "write" },
          keyed<object>`insert into ai_core.one_time_tokens
              (id, user_id, purpose, email, hash, created_at, expires_at)
            values (${yield* nextId}::uuid, ${user}::uuid, ${purpose}, ${found.email}, ${hashSecret(secret)}, ${at},
              ${DateTime.toDateUtc(expiresAt)})`
        )
        return { secret, userId: user, email: found.email, expiresAt }
      })
    )
  })

  /** Uses a token up; its row is locked, so that of several callers one gets it. */
  const use = (operation: string, purpose: TokenPurpose, secret: Redacted.Redacted, now: DateTime.Utc) =>
    Effect.gen(function* () {
      const rows = yield* query(
        { operation, kind: "write" },
        keyed<object>`select user_id as "userId", email, expires_at as "expiresAt", used_at as "usedAt"
          from ai_core.one_time_tokens where hash = ${hashSecret(secret)} and purpose = ${purpose} for update`
      )
      const token = Option.getOrUndefined(yield* oneTimeTokens.option(operation, rows))
      const because = tokenRefusal(token && { ...token, revokedAt: null }, now)
      if (token === undefined || because !== undefined) {
        return yield* new TokenRefused({ because: because ?? "unknown" })
      }
      yield* query(
        { operation, kind: "write" },
        keyed<object>`update ai_core.one_time_tokens set used_at = ${DateTime.toDateUtc(now)}
          where hash = ${hashSecret(secret)}`
      )
      return token
    })

  const verifyEmail: UserTokens["Service"]["verifyEmail"] = Effect.fnUntraced(function* (given) {
    const operation = "UserTokens.verifyEmail"
    const { secret } = yield* UserTokensInput.verifyEmail(given)
    const now = yield* DateTime.now
    return yield* run(
      Effect.gen(function* () {
        const token = yield* use(operation, "email-verification", secret, now)
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.users set version = version + 1,
              email_verified_at = ${DateTime.toDateUtc(now)}, updated_at = greatest(updated_at, ${DateTime.toDateUtc(now)})
            where id = ${token.userId}::uuid and email = ${token.email} returning ${userColumns(sql)}`
        )
        return yield* Effect.flatMap(
          userRows.option(operation, rows),
          Option.match({
            onNone: () => Effect.fail(new TokenRefused({ because: "revoked" })),
            onSome: Effect.succeed
          })
        )
      })
    )
  })

  const resetPassword: UserTokens["Service"]["resetPassword"] = Effect.fnUntraced(function* (givenSecret, givenHash) {
    const operation = "UserTokens.resetPassword"
    const { passwordHash, secret } = yield* UserTokensInput.resetPassword(givenSecret, givenHash)
    const now = yield* DateTime.now
    return yield* run(
      Effect.gen(function* () {
        const token = yield* use(operation, "password-reset", secret, now)
        yield* end(operation, "user_id", token.userId, now)
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.users set version = version + 1,
              password_hash = ${Redacted.value(passwordHash)},
              updated_at = greatest(updated_at, ${DateTime.toDateUtc(now)})
            where id = ${token.userId}::uuid returning ${userColumns(sql)}`
        )
        return yield* Effect.flatMap(
          userRows.option(operation, rows),
          Option.match({
            onNone: () => Effect.fail(new TokenRefused({ because: "revoked" })),
            onSome: Effect.succeed
          })
        )
      })
    )
  })

  const removeExpired: UserTokens["Service"]["removeExpired"] = Effect.fnUntraced(function* (given) {
    const operation = "UserTokens.removeExpired"
    const { before } = yield* UserTokensInput.removeExpired(given)
    const then = DateTime.toDateUtc(DateTime.subtractDuration(yield* DateTime.now, before))
    const rows = yield* query(
      { operation, kind: "write", idempotent: true },
      sql<object>`with
          a as (delete from ai_core.refresh_tokens where expires_at < ${then} returning 1),
          b as (delete from ai_core.one_time_tokens where expires_at < ${then} returning 1)
        select (select count(*) from a) + (select count(*) from b) as count`
    )
    return (yield* counts.one(operation, rows)).count
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

/** `UserTokens` on PostgreSQL: a server, or the embedded engine. Their tables come from the platform's migrations. */
export const layer: Layer.Layer<UserTokens, never, PostgresClient | Transaction> = Layer.effect(UserTokens, make)
