import { it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type { PostgresRepositories } from "../../src/platform/PostgresRepositories.ts"
import * as PostgresRepositoriesLive from "../../src/platform/PostgresRepositoriesLive.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { describe } from "vitest"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { attack } from "./injection/attack.ts"
import { takesNothing } from "./injection/Attempt.ts"
import { plant } from "./injection/canary.ts"
import { attemptsOf, methodsOf } from "./injection/members.ts"
import { repositories } from "./injection/repositories.ts"

const soak = process.env["TEST_SOAK"] === "1"

class Canary extends Context.Service<Canary, { readonly alive: Effect.Effect<void, unknown> }>()("test/Canary") {}

/** The test's user may do everything, so that what is injected is done. */
const superuser = Layer.unwrap(
  Effect.map(freshPostgres, (url) => PostgresClient.layer({ url: Redacted.make(url), maxConnections: 8 }))
)

const layerOn = (engine: Layer.Layer<PostgresClient.PostgresClient, unknown>) =>
  Layer.effect(
    Canary,
    Effect.gen(function* () {
      const check = yield* plant
      const client = yield* PostgresClient.PostgresClient
      return { alive: Effect.provideService(check, PostgresClient.PostgresClient, client) }
    })
  ).pipe(
    Layer.provideMerge(PostgresRepositoriesLive.layer),
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provide(engine)
  )

const attempts = (engine: Layer.Layer<PostgresClient.PostgresClient, unknown>, lacking: ReadonlyArray<string>): void =>
  it.layer(layerOn(engine), { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("every method of every service has its attempts, and no other has", () =>
      Effect.gen(function* () {
        const context = yield* Effect.context<PostgresRepositories>()
        const ours = [...context.mapUnsafe.keys()].filter((key) => key.startsWith("@ai-core/database/"))
        assert.deepEqual(repositories.map(({ tag }) => tag.key).sort(), ours.sort())
        for (const { attempts, tag } of repositories) {
          const members = [...methodsOf(yield* tag)].map(([path, method]) => [path, method === takesNothing])
          const attempted = [...attemptsOf(attempts)].map(([path, attempt]) => [path, attempt === takesNothing])
          assert.deepEqual(attempted.sort(), members.sort(), tag.key)
        }
      })
    )

    for (const { attempts, tag } of repositories) {
      const service = tag.key.slice(tag.key.lastIndexOf("/") + 1)
      for (const [path, attempt] of attemptsOf(attempts)) {
        if (attempt === takesNothing || lacking.includes(`${service}.${path}`)) continue
        it.effect(`${service}.${path}`, () =>
          Effect.gen(function* () {
            const method = methodsOf(yield* tag).get(path)
            assert.ok(method !== undefined && method !== takesNothing)
            yield* attack(path, method, attempt)
          })
        )
      }
    }

    it.effect("and nothing happened but what was asked for", () => Effect.flatMap(Canary, ({ alive }) => alive))
  })

describeLive("postgresql", "SQL injection through every parameter of every method", () => attempts(superuser, []))

// A lease wants a connection of its own, and the embedded engine has one.
const lacking = ["AdvisoryLocks.lease", "AdvisoryLocks.tryLease"]
for (const engine of soak ? [PostgresEmbedded.layer()] : []) {
  describe("SQL injection, on the embedded engine", () => {
    attempts(engine, lacking)
  })
}
