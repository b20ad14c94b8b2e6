import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Statement from "effect/sql/Statement"
import { hashSecret, makeSecret } from "./Secret.ts"
import { afterEnd } from "../../postgres/transactions/AfterEnd.ts"
import { makeIds, makeIdsOf } from "../../core/TimeOrderedId.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { NullableTimestamp, rowReader, SafeInteger, Timestamp } from "../../postgres/repository/Row.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { makeSeesOthers } from "../SeesOthersLive.ts"
import { presentInTurn, userColumns, userRows } from "./UserRow.ts"
import { makeTokenEnds } from "./UserTokenRows.ts"
import { UserId, UserNotFound } from "./Users.ts"
import { SignInId, stolenStays, type TokenPurpose, TokenRefused, tokenRefusal, UserTokens } from "./UserTokens.ts"
import { UserTokensInput } from "./UserTokensInput.ts"

const marks = { expiresAt: Timestamp, usedAt: NullableTimestamp, revokedAt: NullableTimestamp }
const refreshTokens = rowReader(Schema.Struct({ signIn: SignInId, ...marks }))
const oneTimeTokens = rowReader(Schema.Struct({ email: Schema.String, ...marks }))
const counts = rowReader(Schema.Struct({ count: SafeInteger }))
const holders = rowReader(Schema.Struct({ id: UserId, email: Schema.String, erased: Schema.Boolean }))

const make = Effect.gen(function* () {
  const client = yield* PostgresClient
  const { keyed, query, sql } = client
  const { run } = yield* Transaction
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
    const rows = yield* query(
      { operation, kind: "write" },
      keyed<object>`insert into ai_core.refresh_tokens (id, family_id, user_id, hash, created_at, expires_at)
        select ${yield* nextId}::uuid, ${signIn}::uuid, id, ${hashSecret(secret)}, ${DateTime.toDateUtc(now)}::timestamptz,
          ${DateTime.toDateUtc(expiresAt)}::timestamptz
        from ai_core.users where ${presentInTurn(sql, userId)} returning id`
    )
    if (rows.length === 0) return yield* new UserNotFound({ id: userId })
    return { secret, userId, signIn, expiresAt }
  })

  const seesOthers = makeSeesOthers(client, { run })
  const ends = makeTokenEnds(client)

  /**
   * Holds the row of a user until the transaction ends: who gives, uses and ends tokens of one user do it in turn, and find
   * what the one before has left. The user's row comes first, here and in `Users.update`, so that nobody waits in a circle.
   */
  const hold = (operation: string, id: Statement.Fragment) =>
    Effect.flatMap(
      query(
        { operation, kind: "write" },
        keyed<object>`select id, email, erased_at is not null as erased from ai_core.users where id = ${id} for no key update`
      ),
      (rows) => Effect.map(holders.option(operation, rows), Option.getOrUndefined)
    )

  /** Ends one sign-in. */
  const end = (operation: string, signIn: SignInId, now: DateTime.Utc) => {
    const user = sql`(select user_id from ai_core.refresh_tokens where family_id = ${signIn}::uuid limit 1)`
    return run(Effect.andThen(hold(operation, user), ends.signIns(operation, "family_id", signIn, now)))
  }

  const endAgain = (operation: string, signIn: SignInId, now: DateTime.Utc) =>
    Effect.ignoreCause(end(operation, signIn, now), { log: "Error", message: stolenStays })

  const signIn: UserTokens["Service"]["signIn"] = Effect.fnUntraced(function* (givenUser, givenTime) {
    const { timeToLive, user } = yield* UserTokensInput.signIn(givenUser, givenTime)
    return yield* issue("UserTokens.signIn", user, yield* nextSignIn, timeToLive)
  })

  const refresh: UserTokens["Service"]["refresh"] = Effect.fnUntraced(function* (givenSecret, givenTime) {
    const operation = "UserTokens.refresh"
    const { secret, timeToLive } = yield* UserTokensInput.refresh(givenSecret, givenTime)
    const now = yield* DateTime.now
    // A refusal is a value here: it must not undo the end of the sign-in. A transaction around, which fails with it, would.
    const next = yield* run(
      Effect.gen(function* () {
        const hash = hashSecret(secret)
        const user = yield* hold(operation, sql`(select user_id from ai_core.refresh_tokens where hash = ${hash})`)
        if (user === undefined) return new TokenRefused({ because: "unknown" })
        const rows = yield* query(
          { operation, kind: "write" },
          keyed<object>`select family_id as "signIn", expires_at as "expiresAt", used_at as "usedAt",
              revoked_at as "revokedAt"
            from ai_core.refresh_tokens where hash = ${hash} for update`
        )
        const token = Option.getOrUndefined(yield* refreshTokens.option(operation, rows))
        const because = tokenRefusal(token, now)
        if (token === undefined || because !== undefined) {
          if (token !== undefined && because === "used") {
            yield* ends.signIns(operation, "family_id", token.signIn, now)
            yield* afterEnd(endAgain(operation, token.signIn, now))
          }
          return new TokenRefused({ because: because ?? "unknown" })
        }
        yield* query(
          { operation, kind: "write" },
          keyed<object>`update ai_core.refresh_tokens set used_at = ${DateTime.toDateUtc(now)}
            where hash = ${hash}`
        )
        // Nobody erases or removes a user who is held.
        return yield* Effect.catchTag(issue(operation, user.id, token.signIn, timeToLive), "UserNotFound", Effect.die)
      })
    )
    return next instanceof TokenRefused ? yield* next : next
  })

  const signOut: UserTokens["Service"]["signOut"] = Effect.fnUntraced(function* (given) {
    const { signIn } = yield* UserTokensInput.signOut(given)
    yield* end("UserTokens.signOut", signIn, yield* DateTime.now)
  })

  const signOutEverywhere: UserTokens["Service"]["signOutEverywhere"] = Effect.fnUntraced(function* (given) {
    const operation = "UserTokens.signOutEverywhere"
    const { user } = yield* UserTokensInput.signOutEverywhere(given)
    const now = yield* DateTime.now
    return yield* seesOthers(
      operation,
      Effect.andThen(hold(operation, sql`${user}::uuid`), ends.signIns(operation, "user_id", user, now))
    )
  })

  const send: UserTokens["Service"]["send"] = Effect.fnUntraced(function* (givenUser, givenPurpose, givenTime) {
    const operation = "UserTokens.send"
    const { purpose, timeToLive, user } = yield* UserTokensInput.send(givenUser, givenPurpose, givenTime)
    const secret = yield* makeSecret
    const now = yield* DateTime.now
    const at = DateTime.toDateUtc(now)
    const expiresAt = DateTime.addDuration(now, timeToLive)
    return yield* seesOthers(
      operation,
      Effect.gen(function* () {
        const found = yield* hold(operation, sql`${user}::uuid`)
        if (found === undefined || found.erased) return yield* new UserNotFound({ id: user })
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

  /** Uses a token up, unless its user's e-mail is no longer the one that it was sent to; gives its user's id. */
  const use = (operation: string, purpose: TokenPurpose, secret: Redacted.Redacted, now: DateTime.Utc) =>
    Effect.gen(function* () {
      const hash = hashSecret(secret)
      const user = yield* hold(operation, sql`(select user_id from ai_core.one_time_tokens where hash = ${hash})`)
      const rows = yield* query(
        { operation, kind: "write" },
        keyed<object>`select email, expires_at as "expiresAt", used_at as "usedAt", revoked_at as "revokedAt"
          from ai_core.one_time_tokens where hash = ${hash} and purpose = ${purpose} for update`
      )
      const token = Option.getOrUndefined(yield* oneTimeTokens.option(operation, rows))
      const because = tokenRefusal(token, now)
      if (user === undefined || token === undefined || because !== undefined) {
        return yield* new TokenRefused({ because: because ?? "unknown" })
      }
      if (token.email !== user.email) return yield* new TokenRefused({ because: "revoked" })
      yield* query(
        { operation, kind: "write" },
        keyed<object>`update ai_core.one_time_tokens set used_at = ${DateTime.toDateUtc(now)} where hash = ${hash}`
      )
      return user.id
    })

  /** Changes a user whose row is held; gives the user as it is then. */
  const change = (operation: string, id: UserId, changes: Statement.Fragment, now: DateTime.Utc) =>
    Effect.flatMap(
      query(
        { operation, kind: "write" },
        keyed<object>`update ai_core.users set version = version + 1, ${changes},
            updated_at = greatest(updated_at, ${DateTime.toDateUtc(now)})
          where id = ${id}::uuid returning ${userColumns(sql)}`
      ),
      (rows) => userRows.one(operation, rows)
    )

  const verifyEmail: UserTokens["Service"]["verifyEmail"] = Effect.fnUntraced(function* (given) {
    const operation = "UserTokens.verifyEmail"
    const { secret } = yield* UserTokensInput.verifyEmail(given)
    const now = yield* DateTime.now
    return yield* run(
      Effect.flatMap(use(operation, "email-verification", secret, now), (id) =>
        change(operation, id, sql`email_verified_at = ${DateTime.toDateUtc(now)}`, now)
      )
    )
  })

  const resetPassword: UserTokens["Service"]["resetPassword"] = Effect.fnUntraced(function* (givenSecret, givenHash) {
    const operation = "UserTokens.resetPassword"
    const { passwordHash, secret } = yield* UserTokensInput.resetPassword(givenSecret, givenHash)
    const now = yield* DateTime.now
    return yield* seesOthers(
      operation,
      Effect.gen(function* () {
        const id = yield* use(operation, "password-reset", secret, now)
        const user = yield* change(operation, id, sql`password_hash = ${Redacted.value(passwordHash)}`, now)
        yield* ends.signIns(operation, "user_id", id, now)
        yield* ends.sent(operation, user, true, now)
        return user
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
