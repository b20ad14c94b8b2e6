import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as assert from "node:assert/strict"
import { ApiKey, type ApiKeyCursor, ApiKeyId, ApiKeys } from "../../platform/users/ApiKeys.ts"
import { Users } from "../../platform/users/Users.ts"
import { Transaction } from "../../postgres/Transaction.ts"
import { type Contract, make, passTime } from "../Contract.ts"
import { failsWith, pages, refuses, untyped } from "../Expectations.ts"
import { hostile, later, nobody, someUser } from "./users.ts"

type Run = Effect.Effect<void, unknown, ApiKeys | Users | Transaction>

const noKey = ApiKeyId.make("01900000-0000-7000-8000-000000000000")

/** Why a secret is refused. */
const refusal = (secret: Redacted.Redacted) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip((yield* ApiKeys).authenticate(secret))
    return error._tag === "ApiKeyRefused" ? error.because : error._tag
  })

const cases: Record<string, Run> = {
  "a key opens for the user it was issued to, with its scopes": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const user = yield* someUser()
    const { key, secret } = yield* keys.issue({ userId: user.id, name: hostile, scopes: ["read", "write"] })
    assert.deepEqual(
      [key.userId, key.name, key.scopes, key.expiresAt, key.lastUsedAt, key.revokedAt],
      [user.id, hostile, ["read", "write"], null, null, null]
    )
    assert.deepEqual(Object.keys(key).toSorted(), Object.keys(ApiKey.fields).toSorted())
    const opened = yield* keys.authenticate(secret)
    assert.deepEqual({ ...opened, lastUsedAt: null }, key)
    assert.ok(opened.lastUsedAt !== null && DateTime.isGreaterThanOrEqualTo(opened.lastUsedAt, key.createdAt))
  }),
  "a secret has 43 characters, no two are alike, and its prefix tells which is which": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    const made = yield* Effect.forEach([1, 2, 3], (n) => keys.issue({ userId, name: `key ${n}` }))
    assert.equal(new Set(made.map(({ secret }) => Redacted.value(secret))).size, 3)
    for (const { key, secret } of made) {
      assert.match(Redacted.value(secret), /^[\w-]{43}$/)
      assert.equal(key.prefix, Redacted.value(secret).slice(0, 8))
      assert.ok(!JSON.stringify({ key, secret }).includes(Redacted.value(secret)))
    }
  }),
  "an erased user has no key, and is given none": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const users = yield* Users
    const { run } = yield* Transaction
    const [user, neighbour] = [yield* someUser(), yield* someUser()]
    const { key, secret } = yield* keys.issue({ userId: user.id, name: "import" })
    const kept = yield* keys.issue({ userId: neighbour.id, name: "import" })
    yield* users.erase(user.id)
    assert.equal(yield* refusal(secret), "unknown")
    assert.deepEqual((yield* keys.list(user.id)).items, [])
    yield* failsWith(keys.revoke(key.id), "ApiKeyNotFound")
    yield* run(
      Effect.gen(function* () {
        yield* failsWith(keys.issue({ userId: user.id, name: "import" }), "UserNotFound")
        assert.equal((yield* keys.authenticate(kept.secret)).userId, neighbour.id)
      })
    )
  }),
  "what is no key is refused": Effect.gen(function* () {
    assert.equal(yield* refusal(Redacted.make(hostile)), "unknown")
    assert.equal(yield* refusal(Redacted.make("")), "unknown")
    const { secret } = yield* (yield* ApiKeys).issue({ userId: (yield* someUser()).id, name: "guessed" })
    const text = Redacted.value(secret)
    assert.equal(yield* refusal(Redacted.make(text.slice(0, 42))), "unknown")
    assert.equal(yield* refusal(Redacted.make(`${text.slice(0, 42)}${text.endsWith("A") ? "E" : "A"}`)), "unknown")
  }),
  "a key expires": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    const { key, secret } = yield* keys.issue({ userId, name: "short", timeToLive: "2 seconds" })
    assert.equal(key.expiresAt && DateTime.toEpochMillis(key.expiresAt) - DateTime.toEpochMillis(key.createdAt), 2000)
    yield* keys.authenticate(secret)
    yield* passTime("2 seconds")
    assert.equal(yield* refusal(secret), "expired")
  }),
  "a revoked key is refused, and revoking again keeps the first time": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    const { key, secret } = yield* keys.issue({ userId, name: "leaked" })
    const other = yield* keys.issue({ userId, name: "kept" })
    const revoked = yield* keys.revoke(key.id)
    assert.ok(revoked.revokedAt !== null)
    yield* passTime("5 millis")
    assert.deepEqual(yield* keys.revoke(key.id), revoked)
    assert.equal(yield* refusal(secret), "revoked")
    assert.equal((yield* keys.authenticate(other.secret)).id, other.key.id)
    yield* failsWith(keys.revoke(noKey), "ApiKeyNotFound")
  }),
  "a key that is used all the time is noted once a minute": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    const { secret } = yield* keys.issue({ userId, name: "busy" })
    const first = yield* keys.authenticate(secret)
    yield* passTime("20 millis")
    assert.deepEqual(yield* keys.authenticate(secret), first)
    const noted = yield* keys.authenticate(secret).pipe(later("1 minute"))
    const since = Number(noted.lastUsedAt?.epochMilliseconds) - Number(first.lastUsedAt?.epochMilliseconds)
    assert.ok(since >= 60_020, `${since} ms`)
  }),
  "a key opens in a read-only transaction too, which cannot note its use": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { run } = yield* Transaction
    const { id: userId } = yield* someUser()
    const { key, secret } = yield* keys.issue({ userId, name: "report" })
    const ended = yield* keys.issue({ userId, name: "leaked" })
    yield* keys.revoke(ended.key.id)
    yield* run(
      Effect.gen(function* () {
        assert.deepEqual(yield* keys.authenticate(secret), key)
        assert.equal(yield* refusal(ended.secret), "revoked")
        assert.equal(yield* refusal(Redacted.make(hostile)), "unknown")
        assert.equal((yield* keys.list(userId)).items.length, 2)
      }),
      { readOnly: true }
    )
    assert.notEqual((yield* keys.authenticate(secret)).lastUsedAt, null)
  }),
  "a removed user's keys are gone": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const users = yield* Users
    const { id: userId } = yield* someUser()
    const { secret } = yield* keys.issue({ userId, name: "orphan" })
    yield* users.delete(userId)
    assert.equal(yield* refusal(secret), "unknown")
    assert.deepEqual((yield* keys.list(userId)).items, [])
  }),
  "nobody is issued a key, and the transaction around goes on": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { run } = yield* Transaction
    const { id: userId } = yield* someUser()
    const { secret } = yield* run(
      Effect.andThen(
        failsWith(keys.issue({ userId: nobody, name: "none" }), "UserNotFound"),
        keys.issue({ userId, name: "some" })
      )
    )
    assert.equal((yield* keys.authenticate(secret)).userId, userId)
  }),
  "a key that was issued in a failed transaction opens nothing": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { run } = yield* Transaction
    const { id: userId } = yield* someUser()
    const secret = yield* Effect.flip(
      run(Effect.flatMap(keys.issue({ userId, name: "undone" }), ({ secret }) => Effect.fail(secret)))
    )
    assert.ok(Redacted.isRedacted(secret))
    assert.equal(yield* refusal(Redacted.make(String(Redacted.value(secret)))), "unknown")
  }),
  "pages list a user's keys once, oldest first, and nobody else's": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    const other = yield* someUser()
    yield* keys.issue({ userId: other.id, name: "foreign" })
    const made = yield* Effect.forEach([1, 2, 3, 4, 5], (n) =>
      Effect.map(keys.issue({ userId, name: `key ${n}` }), ({ key }) => key)
    )
    const read = yield* pages((after: ApiKeyCursor | undefined) => keys.list(userId, { limit: 2, after }))
    assert.deepEqual(read, [made.slice(0, 2), made.slice(2, 4), made.slice(4)])
  }),
  "a cursor of another user's keys is refused": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    yield* Effect.forEach(["a", "b"], (name) => keys.issue({ userId, name }))
    const after = Option.getOrThrow((yield* keys.list(userId, { limit: 1 })).next)
    yield* refuses(keys.list((yield* someUser()).id, { after }), "ApiKeys.list", ["options.after"])
  }),
  "a list has the keys that have ended too, and 50 of them where nobody says": Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { id: userId } = yield* someUser()
    const made = yield* Effect.forEach(Array.from({ length: 51 }), () => keys.issue({ userId, name: "one of many" }))
    const revoked = yield* keys.revoke(made[0]!.key.id)
    const { items, next } = yield* keys.list(userId)
    assert.deepEqual(items[0], revoked)
    assert.equal(items.length, 50)
    assert.ok(Option.isSome(next))
  }),
  "wrong input is refused before anything is sent, each field by name": Effect.gen(function* () {
    const keys = yield* ApiKeys
    yield* refuses(keys.issue({ userId: untyped("x"), name: "", scopes: ["NO"], timeToLive: 0 }), "ApiKeys.issue", [
      "userId",
      "name",
      "scopes[0]",
      "timeToLive"
    ])
    yield* refuses(keys.issue({ userId: nobody, name: "a", timeToLive: "-1 day" as never }), "ApiKeys.issue", [
      "timeToLive"
    ])
    yield* refuses(keys.authenticate(untyped("not redacted")), "ApiKeys.authenticate", ["secret"])
    yield* refuses(keys.revoke(untyped(hostile)), "ApiKeys.revoke", ["id"])
    yield* refuses(keys.list(nobody, { limit: 0 }), "ApiKeys.list", ["options.limit"])
  })
}

export const ApiKeysContract: Contract<ApiKeys | Users | Transaction> = make("ApiKeys", cases)
