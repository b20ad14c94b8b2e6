import { it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Result } from "effect"
import * as assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import { UserTokens } from "../../src/platform/users/UserTokens.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { someUser } from "../../src/testing/contracts/expectations.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

const layer = PostgresRepositoriesLive.layer.pipe(
  Layer.provide(PlatformMigrations.layerPostgres),
  Layer.provideMerge(freshClient(8))
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
