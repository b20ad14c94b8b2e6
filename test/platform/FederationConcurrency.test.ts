import { it } from "@effect/vitest"
import { Context, DateTime, Effect, Exit, Layer, Option, Redacted } from "effect"
import * as assert from "node:assert/strict"
import { Federation } from "../../src/platform/federation/Federation.ts"
import * as FederationLive from "../../src/platform/federation/FederationLive.ts"
import type { ReportedHealth } from "../../src/platform/federation/Services.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import {
  aClient,
  aCredential,
  aProvider,
  aRule,
  aService,
  aSlug,
  ids,
  report,
  someUser,
  time,
  times
} from "../../src/testing/contracts/federation/support.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { healthy, tally } from "./manyCallers.ts"

/** A process of its own, as the server sees it. */
const client = (url: string) =>
  Layer.fresh(
    Layer.merge(FederationLive.layer, UsersLive.layer).pipe(
      Layer.provideMerge(TransactionLive.layer),
      Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 8 }))
    )
  )

/** The second client of a database, beside the one that the tests have. */
class Other extends Context.Service<Other, Context.Context<Federation>>()("test/Other") {}

const ground = Layer.unwrap(
  Effect.map(freshPostgres, (url) =>
    Layer.effect(Other, Layer.build(client(url))).pipe(
      Layer.provideMerge(PlatformMigrations.layerPostgres),
      Layer.provideMerge(client(url))
    )
  )
)

/** Runs an effect many times at once, every second time by the other client. */
const race = <A, E, R>(n: number, run: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Other, (other) =>
    Effect.forEach(
      Array.from({ length: n }, (_, i) => i),
      (i) => Effect.exit(i % 2 === 0 ? run(i) : Effect.provide(run(i), other)),
      { concurrency: n }
    )
  )

describeLive("postgresql", "Federation on a server, many callers at once", () => {
  it.layer(ground, { excludeTestServices: true, timeout: "2 minutes" })("two clients, pools of 8", (it) => {
    it.effect(
      "of 20 credentials that are rotated in at once one is active, and the others were, each in its turn",
      () =>
        Effect.gen(function* () {
          const { credentials } = yield* Federation
          const { id: providerId } = yield* aProvider()
          const made = yield* times(20, () => aCredential({ providerId }))
          const exits = yield* race(20, (i) =>
            Effect.flatMap(Federation, (federation) => federation.credentials.rotate(made[i]!.id))
          )
          assert.deepEqual(tally(exits), { won: 20 })
          const rotations = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : []))
          const retired = rotations.flatMap(({ retired }) => (retired === null ? [] : [retired.id]))
          assert.equal(new Set(retired).size, 19)
          const active = yield* credentials.list({ providerId, state: "active" })
          const last = ids(made).find((id) => !retired.some((one) => one === id))
          assert.deepEqual(ids(active.items), [last])
          assert.equal((yield* credentials.list({ providerId, state: "retired" })).items.length, 19)
          yield* healthy
        })
    )

    it.effect("a credential that 20 rotate in at once is rotated in once", () =>
      Effect.gen(function* () {
        const { id } = yield* aCredential()
        const exits = yield* race(20, () => Effect.flatMap(Federation, ({ credentials }) => credentials.rotate(id)))
        assert.deepEqual(tally(exits), { won: 1, IllegalTransition: 19 })
        yield* healthy
      })
    )

    it.effect("rotations and retirements at once leave at most one active credential, and deadlock never", () =>
      Effect.gen(function* () {
        const { credentials } = yield* Federation
        const { id: providerId } = yield* aProvider()
        const made = yield* times(10, () => aCredential({ providerId }))
        const exits = yield* race(40, (i) =>
          Effect.flatMap(Federation, (federation) => {
            const { id } = made[i % 10]!
            if (i % 4 === 3) return Effect.asVoid(federation.credentials.markVerified(id))
            return i % 4 === 2
              ? Effect.asVoid(federation.credentials.retire(id))
              : Effect.asVoid(federation.credentials.rotate(id))
          })
        )
        const { IllegalTransition = 0, won = 0 } = tally(exits)
        assert.equal(won + IllegalTransition, 40, JSON.stringify(tally(exits)))
        const active = yield* credentials.list({ providerId, state: "active" })
        assert.ok(active.items.length <= 1)
        yield* healthy
      })
    )

    it.effect("of 30 who register one release at once one does", () =>
      Effect.gen(function* () {
        const { services } = yield* Federation
        const { id: providerId } = yield* aProvider()
        const given = {
          providerId,
          name: "chat",
          release: "1.0.0",
          endpointUrl: "https://a.example",
          capabilities: ["c"]
        }
        const exits = yield* race(30, () =>
          Effect.flatMap(Federation, (federation) => federation.services.register(given))
        )
        assert.deepEqual(tally(exits), { won: 1, FederationServiceExists: 29 })
        assert.equal((yield* services.list({ providerId })).items.length, 1)
        yield* healthy
      })
    )

    it.effect("of 30 who make a client of one slug at once one does", () =>
      Effect.gen(function* () {
        const { id: ownerId } = yield* someUser()
        const slug = yield* aSlug("acme")
        const exits = yield* race(30, () => aClient({ slug, ownerId }))
        assert.deepEqual(tally(exits), { won: 1, FederationClientSlugTaken: 29 })
      })
    )

    it.effect("of 20 edits of one version of a rule one wins, whole", () =>
      Effect.gen(function* () {
        const { rules } = yield* Federation
        const services = yield* times(20, () => aService())
        const rule = yield* aRule("chat.complete", services.slice(0, 3))
        const exits = yield* race(20, (i) =>
          Effect.flatMap(Federation, (federation) =>
            federation.rules.update(rule.id, 1, {
              priority: i,
              targets: [{ serviceId: services[i]!.id, weight: i + 1 }]
            })
          )
        )
        assert.deepEqual(tally(exits), { won: 1, VersionConflict: 19 })
        const stored = Option.getOrThrow(yield* rules.find(rule.id))
        const { priority } = stored
        assert.deepEqual(stored.targets, [{ serviceId: services[priority]!.id, weight: priority + 1 }])
        assert.equal(stored.version, 2)
        yield* healthy
      })
    )

    it.effect("health reports in whatever order end with the newest", () =>
      Effect.gen(function* () {
        const { services } = yield* Federation
        const service = yield* aService()
        const states: ReadonlyArray<ReportedHealth> = ["healthy", "degraded", "down"]
        const start = time("2024-01-01T00:00:00Z")
        // 7 and 60 have no common divisor: every time is told once, out of order.
        const exits = yield* race(60, (i) => {
          const turn = (i * 7) % 60
          return report(service, states[turn % 3]!, DateTime.add(start, { seconds: turn }))
        })
        assert.deepEqual(tally(exits), { won: 60 })
        const told = Option.getOrThrow(yield* services.find(service.id))
        assert.equal(told.health, states[59 % 3])
        assert.deepEqual(told.healthReportedAt, DateTime.add(start, { seconds: 59 }))
        yield* healthy
      })
    )

    it.effect("reports and edits of one service at once lose nothing of each other", () =>
      Effect.gen(function* () {
        const { services } = yield* Federation
        const service = yield* aService()
        const start = time("2024-01-01T00:00:00Z")
        const edit = Effect.gen(function* () {
          const federation = yield* Federation
          const { version, weight } = Option.getOrThrow(yield* federation.services.find(service.id))
          return yield* federation.services.update(service.id, version, { weight: weight + 1 })
        }).pipe(Effect.retry({ while: ({ _tag }) => _tag === "VersionConflict" }))
        const exits = yield* race(24, (i) =>
          i % 3 === 0 ? edit : report(service, "degraded", DateTime.add(start, { seconds: i }))
        )
        assert.deepEqual(tally(exits), { won: 24 })
        const after = Option.getOrThrow(yield* services.find(service.id))
        assert.deepEqual([after.weight, after.version, after.health], [108, 9, "degraded"])
        assert.deepEqual(after.healthReportedAt, DateTime.add(start, { seconds: 23 }))
        yield* healthy
      })
    )

    it.effect("a service that is targeted and deregistered at once is never a target that is gone", () =>
      Effect.gen(function* () {
        const { services } = yield* Federation
        for (let round = 0; round < 10; round++) {
          const service = yield* aService()
          const exits = yield* race(6, (i) =>
            i === 3
              ? Effect.flatMap(Federation, (federation) => federation.services.deregister(service.id))
              : Effect.asVoid(aRule("chat.complete", [service]))
          )
          const there = Option.isSome(yield* services.find(service.id))
          assert.deepEqual(
            tally(exits),
            there ? { won: 5, FederationServiceInUse: 1 } : { won: 1, FederationServiceNotFound: 5 }
          )
        }
        yield* healthy
      })
    )
  })
})
