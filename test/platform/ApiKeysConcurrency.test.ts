import { it } from "@effect/vitest"
import { DateTime, Effect, Exit, type Redacted } from "effect"
import * as assert from "node:assert/strict"
import type { StoreError } from "../../src/core/StoreError.ts"
import { type ApiKey, type ApiKeyNotFound, type ApiKeyRefused, ApiKeys } from "../../src/platform/users/ApiKeys.ts"
import { type UserId, type UserInUse, type UserNotFound, Users } from "../../src/platform/users/Users.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { later, someUser } from "../../src/testing/contracts/users.ts"
import { describeLive } from "../servers/index.ts"
import { behind, healthy, race, repositories, tally } from "./manyCallers.ts"

const issued = (userId: UserId) =>
  Effect.flatMap(ApiKeys, (keys) => keys.issue({ userId, name: "import", scopes: ["read"] }))

const keyOf = (user: UserId) =>
  Effect.gen(function* () {
    const keys = yield* ApiKeys
    const { items } = yield* keys.list(user)
    assert.equal(items.length, 1)
    return items[0]!
  })

describeLive("postgresql", "ApiKeys on a server, many callers at once", () => {
  it.layer(repositories(8), { excludeTestServices: true, timeout: "1 minute" })("pool of 8", (it) => {
    it.effect("20 who revoke one key are all told of the same end", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const { id: user } = yield* someUser()
        const { key } = yield* issued(user)
        const exits = yield* race(20, (i) => later(`${i} millis`)(keys.revoke(key.id)))
        assert.deepEqual(tally(exits), { won: 20 })
        const { revokedAt } = yield* keyOf(user)
        assert.ok(revokedAt !== null)
        for (const exit of exits) if (Exit.isSuccess(exit)) assert.deepEqual(exit.value.revokedAt, revokedAt)
        yield* healthy
      })
    )

    it.effect("a key is accepted before it is revoked, and never afterwards", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        for (let round = 0; round < 5; round++) {
          const { key, secret } = yield* issued((yield* someUser()).id)
          let revoked = false
          const exits = yield* race(24, (i): Effect.Effect<ApiKey, ApiKeyNotFound | ApiKeyRefused | StoreError> =>
            i === 8
              ? Effect.tap(keys.revoke(key.id), () => Effect.sync(() => void (revoked = true)))
              : Effect.gen(function* () {
                  const after = revoked
                  const accepted = yield* keys.authenticate(secret)
                  assert.ok(!after, "accepted after the end was told")
                  return accepted
                })
          )
          const { ApiKeyRefused = 0, won = 0 } = tally(exits)
          assert.equal(won + ApiKeyRefused, 24)
          const late = yield* Effect.flip(keys.authenticate(secret))
          assert.ok(late._tag === "ApiKeyRefused" && late.because === "revoked")
        }
        yield* healthy
      })
    )

    it.effect("a use that waits for the end of its key is refused, and does not undo it", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const { id: user } = yield* someUser()
        const { key, secret } = yield* issued(user)
        const [ended, [used]] = yield* behind(keys.revoke(key.id), [Effect.flip(keys.authenticate(secret))])
        assert.ok(used?._tag === "ApiKeyRefused" && used.because === "revoked")
        assert.deepEqual(yield* keyOf(user), ended)
        assert.equal(ended.lastUsedAt, null)
      })
    )

    it.effect("30 who use one key at once are all let in, and its use is noted once", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const { id: user } = yield* someUser()
        const { key, secret } = yield* issued(user)
        const { sql } = yield* PostgresClient
        yield* sql`create table public.noted (id uuid not null)`
        yield* sql`create function public.note() returns trigger language plpgsql as $$
          begin insert into public.noted values (new.id); return new; end $$`
        yield* sql`create trigger note after update on ai_core.api_keys for each row execute function public.note()`
        const before = yield* DateTime.now
        const exits = yield* race(30, () => keys.authenticate(secret))
        assert.deepEqual(tally(exits), { won: 30 })
        assert.deepEqual(yield* sql`select id from public.noted`, [{ id: key.id }])
        const { lastUsedAt } = yield* keyOf(user)
        assert.ok(lastUsedAt !== null && DateTime.isGreaterThanOrEqualTo(lastUsedAt, before))
        yield* keys.authenticate(secret)
        assert.deepEqual((yield* keyOf(user)).lastUsedAt, lastUsedAt)
        yield* healthy
      })
    )

    it.effect("a user is removed, or given a key before, which goes too", () =>
      Effect.gen(function* () {
        const keys = yield* ApiKeys
        const users = yield* Users
        const { id: user } = yield* someUser()
        const secrets: Array<Redacted.Redacted> = []
        const exits = yield* race(20, (i): Effect.Effect<unknown, UserInUse | UserNotFound | StoreError, ApiKeys> =>
          i === 10 ? users.delete(user) : Effect.map(issued(user), ({ secret }) => secrets.push(secret))
        )
        const { UserNotFound = 0, won = 0 } = tally(exits)
        assert.deepEqual([won + UserNotFound, tally(exits)["died"]], [20, undefined])
        assert.deepEqual((yield* keys.list(user)).items, [])
        for (const secret of secrets) {
          const refused = yield* Effect.flip(keys.authenticate(secret))
          assert.ok(refused._tag === "ApiKeyRefused" && refused.because === "unknown")
        }
        yield* healthy
      })
    )
  })
})
