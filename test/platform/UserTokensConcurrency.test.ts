import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Option, Redacted, Result } from "effect"
import * as assert from "node:assert/strict"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import { ApiKeys } from "../../src/platform/users/ApiKeys.ts"
import { type RoleNotFound, Roles } from "../../src/platform/users/Roles.ts"
import { type User, UserNotFound, Users } from "../../src/platform/users/Users.ts"
import { type SignInId, UserTokens } from "../../src/platform/users/UserTokens.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { unique } from "../../src/testing/Contract.ts"
import { someUser } from "../../src/testing/contracts/users.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"
import { behind } from "./manyCallers.ts"

const layer = PostgresRepositoriesLive.layer.pipe(
  Layer.provide(PlatformMigrations.layerPostgres),
  Layer.provideMerge(freshClient(8))
)

/** Deadlocks that the server has ended in this database; what a session has to tell is told a moment later. */
const deadlocks = Effect.flatMap(PostgresClient, ({ sql }) =>
  Effect.map(
    Effect.andThen(
      Effect.sleep("1 second"),
      sql<{ readonly n: bigint }>`select deadlocks as n from pg_stat_database where datname = current_database()`
    ),
    ([row]) => Number(row?.n)
  )
)

const atOnce = <A, E, R>(times: number, run: Effect.Effect<A, E, R>) =>
  Effect.forEach(Array.from({ length: times }), () => Effect.result(run), { concurrency: times })

describeLive("postgresql", "UserTokens on a server, many callers at once", () => {
  it.layer(layer, { excludeTestServices: true })("pool of 8", (it) => {
    it.effect("of 30 who refresh with one token one is given the next, and the sign-in ends", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const user = yield* someUser()
        const first = yield* tokens.signIn(user.id, "1 hour")
        const results = yield* atOnce(30, tokens.refresh(first.secret, "1 hour"))
        const given = results.filter(Result.isSuccess)
        assert.equal(given.length, 1)
        // The others had the token too: somebody has stolen it.
        const late = yield* Effect.flip(tokens.refresh(given[0]!.success.secret, "1 hour"))
        assert.ok(late._tag === "TokenRefused" && late.because === "revoked")
      })
    )

    it.effect("of 30 who reset a password with one token one does", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const user = yield* someUser()
        const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
        const results = yield* atOnce(30, tokens.resetPassword(sent.secret, Redacted.make("$argon2id$new")))
        assert.equal(results.filter(Result.isSuccess).length, 1)
        assert.ok(results.every((result) => Result.isSuccess(result) || result.failure._tag === "TokenRefused"))
      })
    )

    it.effect("of a reset and a change of the e-mail at once one wins, and nobody waits for the other for ever", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const users = yield* Users
        const before = yield* deadlocks
        const both = Effect.gen(function* () {
          const user = yield* someUser()
          const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
          const email = `${yield* unique("new")}@example.com`
          const [reset, moved] = yield* Effect.all(
            [
              Effect.result(tokens.resetPassword(sent.secret, Redacted.make("$argon2id$reset"))),
              Effect.result(users.update(user.id, 1, { email }))
            ],
            { concurrency: 2 }
          )
          const stored = Option.getOrThrow(yield* users.findById(user.id))
          assert.equal(stored.version, 2)
          assert.notEqual(Result.isSuccess(reset), Result.isSuccess(moved))
          if (Result.isFailure(reset)) assert.equal(reset.failure._tag, "TokenRefused")
          if (Result.isFailure(moved)) assert.equal(moved.failure._tag, "VersionConflict")
        })
        yield* Effect.forEach(Array.from({ length: 40 }), () => both, { concurrency: 4, discard: true })
        assert.equal(yield* deadlocks, before)
      })
    )

    it.effect("a reset that waits for a change of the e-mail finds its token ended", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const users = yield* Users
        const user = yield* someUser()
        const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
        const email = `${yield* unique("new")}@example.com`
        const [moved, [reset]] = yield* behind(users.update(user.id, 1, { email }), [
          Effect.flip(tokens.resetPassword(sent.secret, Redacted.make("$argon2id$new")))
        ])
        assert.equal(reset?._tag, "TokenRefused")
        assert.deepEqual(yield* users.findById(user.id), Option.some(moved))
      })
    )

    const endings: Record<
      string,
      (user: User, signIn: SignInId) => Effect.Effect<unknown, unknown, Users | UserTokens>
    > = {
      "a new password": ({ id, version }) =>
        Effect.flatMap(Users, (users) => users.update(id, version, { passwordHash: Redacted.make("$argon2id$new") })),
      "signing out": (_, signIn) => Effect.flatMap(UserTokens, (tokens) => tokens.signOut(signIn)),
      "signing out everywhere": ({ id }) => Effect.flatMap(UserTokens, (tokens) => tokens.signOutEverywhere(id))
    }
    for (const [what, ending] of Object.entries(endings)) {
      it.effect(`${what} ends the token, too, that a refresh is giving at that moment`, () =>
        Effect.gen(function* () {
          const tokens = yield* UserTokens
          const user = yield* someUser()
          const first = yield* tokens.signIn(user.id, "1 hour")
          const [next] = yield* behind(tokens.refresh(first.secret, "1 hour"), [ending(user, first.signIn)])
          const late = yield* Effect.flip(tokens.refresh(next.secret, "1 hour"))
          assert.ok(late._tag === "TokenRefused" && late.because === "revoked")
        })
      )
    }

    const allEndings: Record<string, (user: User) => Effect.Effect<unknown, unknown, Users | UserTokens>> = {
      "a new password": ({ id, version }) =>
        Effect.flatMap(Users, (users) => users.update(id, version, { passwordHash: Redacted.make("$argon2id$new") })),
      "signing out everywhere": ({ id }) => Effect.flatMap(UserTokens, (tokens) => tokens.signOutEverywhere(id))
    }
    for (const [what, ending] of Object.entries(allEndings)) {
      it.effect(`${what} ends the sign-in, too, that begins at that moment`, () =>
        Effect.gen(function* () {
          const tokens = yield* UserTokens
          const user = yield* someUser()
          const [first] = yield* behind(tokens.signIn(user.id, "1 hour"), [ending(user)])
          const late = yield* Effect.flip(tokens.refresh(first.secret, "1 hour"))
          assert.ok(late._tag === "TokenRefused" && late.because === "revoked")
        })
      )
    }

    it.effect("a reset ends the sign-in, too, that begins at that moment", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const user = yield* someUser()
        const sent = yield* tokens.send(user.id, "password-reset", "1 hour")
        const [first] = yield* behind(tokens.signIn(user.id, "1 hour"), [
          tokens.resetPassword(sent.secret, Redacted.make("$argon2id$new"))
        ])
        const late = yield* Effect.flip(tokens.refresh(first.secret, "1 hour"))
        assert.ok(late._tag === "TokenRefused" && late.because === "revoked")
      })
    )

    it.effect("a stolen token that comes back ends the token, too, that a refresh is giving at that moment", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const user = yield* someUser()
        const stolen = yield* tokens.signIn(user.id, "1 hour")
        const second = yield* tokens.refresh(stolen.secret, "1 hour")
        const [next] = yield* behind(tokens.refresh(second.secret, "1 hour"), [
          Effect.flip(tokens.refresh(stolen.secret, "1 hour"))
        ])
        const late = yield* Effect.flip(tokens.refresh(next.secret, "1 hour"))
        assert.ok(late._tag === "TokenRefused" && late.because === "revoked")
      })
    )

    const sweeps: Record<string, (user: User) => Effect.Effect<unknown, unknown, Users | UserTokens>> = {
      "a new password": ({ id, version }) =>
        Effect.flatMap(Users, (users) => users.update(id, version, { passwordHash: Redacted.make("$argon2id$new") })),
      "a new e-mail": ({ id, version }) =>
        Effect.flatMap(Users, (users) => users.update(id, version, { email: `${id}@example.com` })),
      "an erasure": ({ id }) => Effect.flatMap(Users, (users) => users.erase(id)),
      "signing out everywhere": ({ id }) => Effect.flatMap(UserTokens, (tokens) => tokens.signOutEverywhere(id))
    }
    for (const isolation of ["repeatable read", "serializable"] as const) {
      for (const [what, sweep] of Object.entries(sweeps)) {
        it.effect(`${what} does not pass over what its snapshot (${isolation}) does not show: it is refused`, () =>
          Effect.gen(function* () {
            const { tokens, users } = yield* Effect.all({ tokens: UserTokens, users: Users })
            const { run } = yield* Transaction
            const user = yield* someUser()
            const [seen, given] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
            const [swept] = yield* Effect.all(
              [
                Effect.result(
                  run(
                    users
                      .findById(user.id)
                      .pipe(
                        Effect.andThen(Deferred.succeed(seen, undefined)),
                        Effect.andThen(Deferred.await(given)),
                        Effect.andThen(sweep(user))
                      ),
                    { isolation }
                  )
                ),
                Deferred.await(seen).pipe(
                  Effect.andThen(tokens.signIn(user.id, "1 hour")),
                  Effect.andThen(tokens.send(user.id, "password-reset", "1 hour")),
                  Effect.andThen(Deferred.succeed(given, undefined))
                )
              ],
              { concurrency: 2 }
            )
            assert.ok(Result.isFailure(swept), "what was given outlives it")
            assert.match(String(swept.failure), /isolation.*must be "read committed"/)
            assert.deepEqual(yield* users.findById(user.id), Option.some(user))
          })
        )
      }
    }

    it.effect("a user is given tokens, keys and roles before the erasure, which ends them, or none", () =>
      Effect.gen(function* () {
        const { keys, roles, tokens, users } = yield* Effect.all({
          keys: ApiKeys,
          roles: Roles,
          tokens: UserTokens,
          users: Users
        })
        const { sql } = yield* PostgresClient
        const role = yield* roles.create({ name: (yield* unique("role")).toLowerCase() })
        for (let round = 0; round < 10; round++) {
          const { id } = yield* someUser()
          const giving: ReadonlyArray<Effect.Effect<unknown, UserNotFound | RoleNotFound | StoreError>> = [
            tokens.signIn(id, "1 hour"),
            tokens.send(id, "password-reset", "1 hour"),
            keys.issue({ userId: id, name: "import" }),
            roles.grant(id, role.id)
          ]
          const [, ...given] = yield* Effect.all(
            [users.erase(id), ...giving, ...giving].map((effect) => Effect.result<unknown, unknown, never>(effect)),
            { concurrency: 9 }
          )
          for (const result of given) {
            assert.ok(Result.isSuccess(result) || result.failure instanceof UserNotFound, String(result))
          }
          const left = yield* sql`select from ai_core.refresh_tokens where user_id = ${id}
            union all select from ai_core.one_time_tokens where user_id = ${id}
            union all select from ai_core.api_keys where user_id = ${id}
            union all select from ai_core.user_roles where user_id = ${id}`
          assert.equal(left.length, 0)
        }
      })
    )

    it.effect("what waits for an erasure gives nothing", () =>
      Effect.gen(function* () {
        const { keys, roles, tokens, users } = yield* Effect.all({
          keys: ApiKeys,
          roles: Roles,
          tokens: UserTokens,
          users: Users
        })
        const { id } = yield* someUser()
        const role = yield* roles.create({ name: (yield* unique("role")).toLowerCase() })
        const giving: ReadonlyArray<Effect.Effect<unknown, UserNotFound | RoleNotFound | StoreError>> = [
          tokens.signIn(id, "1 hour"),
          tokens.send(id, "password-reset", "1 hour"),
          keys.issue({ userId: id, name: "import" }),
          roles.grant(id, role.id)
        ]
        const [, given] = yield* behind(
          users.erase(id),
          giving.map((one) => Effect.flip(one))
        )
        for (const error of given) assert.ok(error instanceof UserNotFound, String(error))
      })
    )

    it.effect("of tokens that are sent at once exactly one is good", () =>
      Effect.gen(function* () {
        const tokens = yield* UserTokens
        const user = yield* someUser()
        const sent = yield* Effect.forEach(
          Array.from({ length: 10 }),
          () => tokens.send(user.id, "email-verification", "1 hour"),
          { concurrency: 10 }
        )
        const used = yield* Effect.forEach(sent, ({ secret }) => Effect.exit(tokens.verifyEmail(secret)))
        assert.equal(used.filter(Exit.isSuccess).length, 1)
        const { stats } = yield* PostgresClient
        assert.equal((yield* stats).inUse, 0)
      })
    )
  })
})
