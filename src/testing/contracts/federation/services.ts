import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Federation } from "../../../platform/federation/Federation.ts"
import type { FederationServiceCursor, StaleServiceCursor } from "../../../platform/federation/Services.ts"
import { passTime } from "../../Contract.ts"
import {
  aProvider,
  aRule,
  aService,
  aSlug,
  failsWith,
  ids,
  isNone,
  nothing,
  pages,
  refuses,
  report,
  type Run,
  same,
  time,
  times,
  untyped
} from "./support.ts"
import { findsById } from "../findsById.ts"

const found = (id: Parameters<Federation["Service"]["services"]["find"]>[0]) =>
  Effect.flatMap(Federation, ({ services }) => Effect.map(services.find(id), Option.getOrThrow))

const [early, middle, late] = [time("2001-01-01T00:00:00Z"), time("2001-01-01T00:00:01Z"), time("2001-01-01T00:00:02Z")]

/** Clocks of tests begin in 1970, and these cases tell of 2001 as of the past. */
const after2001 = Effect.gen(function* () {
  const missing = time("2002-01-01T00:00:00Z").epochMilliseconds - (yield* DateTime.now).epochMilliseconds
  if (missing > 0) yield* passTime(missing)
})

const registering: Record<string, Run> = {
  "services are found by id, one by one and many together": Effect.gen(function* () {
    const { services } = yield* Federation
    yield* findsById("Federation.services.findMany", aService(), services)
  }),
  "a service is stored with its health unknown, at version 1, and found by id and release": Effect.gen(function* () {
    const { services } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const service = yield* services.register({
      providerId,
      name: "chat",
      release: "2.0.0-rc.1+build.5",
      endpointUrl: "https://api.example.com/v2/chat?api-version=2024-02-01",
      capabilities: ["chat.complete", "chat.stream"],
      weight: 7,
      cost: { amount: Number.MAX_SAFE_INTEGER, currency: "EUR" }
    })
    same(service, {
      id: service.id,
      providerId,
      name: "chat",
      release: "2.0.0-rc.1+build.5",
      endpointUrl: "https://api.example.com/v2/chat?api-version=2024-02-01",
      capabilities: ["chat.complete", "chat.stream"],
      weight: 7,
      cost: { amount: 9_007_199_254_740_991, currency: "EUR" },
      health: "unknown",
      healthReportedAt: null,
      version: 1,
      createdAt: service.createdAt,
      updatedAt: service.createdAt
    })
    same(yield* services.find(service.id), Option.some(service))
    same(yield* services.findRelease(providerId, "chat", "2.0.0-rc.1+build.5"), Option.some(service))
    isNone(yield* services.findRelease(providerId, "chat", "2.0.0"))
    isNone(yield* services.findRelease(nothing(), "chat", "2.0.0-rc.1+build.5"))
    isNone(yield* services.find(nothing()))
    const plain = yield* aService()
    same([plain.weight, plain.cost], [100, null])
  }),
  "a release of a service is registered once by each provider, and again when it was deregistered": Effect.gen(
    function* () {
      const { services } = yield* Federation
      const one = yield* aService()
      const { name, providerId } = one
      const again = { providerId, name, endpointUrl: "https://elsewhere.example.com", capabilities: ["other"] }
      const error = yield* failsWith(services.register({ ...again, release: "1.0.0" }), "FederationServiceExists")
      same([error.providerId, error.name, error.release], [providerId, name, "1.0.0"])
      same(yield* found(one.id), one)
      yield* services.register({ ...again, release: "1.0.1" })
      yield* services.register({ ...again, release: "1.0.0", providerId: (yield* aProvider()).id })
      yield* services.deregister(one.id)
      isNone(yield* services.find(one.id))
      const next = yield* services.register({ ...again, release: "1.0.0" })
      same(next.capabilities, ["other"])
      yield* failsWith(services.deregister(one.id), "FederationServiceNotFound")
    }
  ),
  "a service of no provider is FederationProviderNotFound": Effect.gen(function* () {
    const { services } = yield* Federation
    const given = {
      name: "chat",
      release: "1.0.0",
      endpointUrl: "https://example.com",
      capabilities: ["chat"],
      providerId: nothing()
    }
    assert.equal((yield* failsWith(services.register(given), "FederationProviderNotFound")).id, nothing())
  }),
  "of two updates of one version of a service the second fails and changes nothing": Effect.gen(function* () {
    const { services } = yield* Federation
    const service = yield* aService({ cost: { amount: 3, currency: "USD" }, weight: 5 })
    yield* passTime("5 millis")
    const won = yield* services.update(service.id, 1, { capabilities: ["b", "a"], weight: 1000 })
    same({ ...won, updatedAt: service.updatedAt }, { ...service, capabilities: ["b", "a"], weight: 1000, version: 2 })
    assert.ok(DateTime.isGreaterThan(won.updatedAt, service.updatedAt))
    const conflict = yield* failsWith(services.update(service.id, 1, { weight: 1 }), "VersionConflict")
    same([conflict.id, conflict.expected, conflict.actual], [service.id, 1, 2])
    same(yield* found(service.id), won)
    same((yield* services.update(service.id, 2, { cost: null })).cost, null)
    const paid = yield* services.update(service.id, 3, { cost: { amount: 0, currency: "JPY" } })
    same((yield* found(service.id)).cost, paid.cost)
    same(paid.cost, { amount: 0, currency: "JPY" })
    yield* failsWith(services.update(nothing(), 1, { weight: 1 }), "FederationServiceNotFound")
  }),
  "a service that rules target stays, and the rules are named; disabled ones count": Effect.gen(function* () {
    const { rules, services } = yield* Federation
    const [one, other] = [yield* aService(), yield* aService()]
    const first = yield* aRule("chat.complete", [one])
    const second = yield* aRule("chat.complete", [other, one], { enabled: false })
    const error = yield* failsWith(services.deregister(one.id), "FederationServiceInUse")
    same([error.id, error.rules], [one.id, [first.id, second.id].sort()])
    same(yield* found(one.id), one)
    yield* rules.remove(first.id)
    yield* rules.update(second.id, 1, { targets: [{ serviceId: other.id }] })
    yield* services.deregister(one.id)
    const left = yield* failsWith(services.deregister(other.id), "FederationServiceInUse")
    same(left.rules, [second.id])
  })
}

const telling: Record<string, Run> = {
  "a health report counts, and is no edit": Effect.gen(function* () {
    yield* after2001
    const service = yield* aService()
    const told = yield* report(service, "degraded", early)
    same(told, { ...service, health: "degraded", healthReportedAt: early })
    same(yield* found(service.id), told)
    const now = yield* report(service, "healthy")
    same([now.health, now.version], ["healthy", 1])
    const lag = (yield* DateTime.now).epochMilliseconds - (now.healthReportedAt?.epochMilliseconds ?? 0)
    assert.ok(lag >= 0 && lag < 20_000, `reported ${lag} ms ago`)
    yield* failsWith(report({ ...service, id: nothing() }, "down"), "FederationServiceNotFound")
  }),
  "late health reports change nothing, and the same report twice is one": Effect.gen(function* () {
    yield* after2001
    const service = yield* aService()
    const told = yield* report(service, "healthy", middle)
    same(yield* report(service, "healthy", middle), told)
    same(yield* report(service, "down", early), told)
    same(yield* found(service.id), told)
    const next = yield* report(service, "down", late)
    same([next.health, next.healthReportedAt], ["down", late])
    same(yield* report(service, "healthy", middle), next)
  }),
  "of two health reports of one time the worse counts, in whatever order they come": Effect.gen(function* () {
    yield* after2001
    for (const order of [
      ["healthy", "down", "degraded"],
      ["down", "degraded", "healthy"],
      ["degraded", "healthy", "down"]
    ] as const) {
      const service = yield* aService()
      for (const health of order) yield* report(service, health, middle)
      same((yield* found(service.id)).health, "down")
    }
  }),
  "a health report from the future is refused beyond 5 minutes": Effect.gen(function* () {
    const service = yield* aService()
    const now = yield* DateTime.now
    const soon = DateTime.add(now, { minutes: 4 })
    same((yield* report(service, "healthy", soon)).healthReportedAt, soon)
    yield* refuses(report(service, "down", DateTime.add(now, { minutes: 7 })), "services.reportHealth", ["report.at"])
    same((yield* found(service.id)).health, "healthy")
  }),
  "services that nobody told of since a time are listed, the longest silent first": Effect.gen(function* () {
    yield* after2001
    const { services } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const made = yield* times(4, () => aService({ providerId }))
    yield* report(made[0]!, "healthy", late)
    yield* report(made[1]!, "down", early)
    yield* report(made[2]!, "healthy", middle)
    const own = new Set(ids(made))
    const stale = (since: DateTime.Utc) =>
      Effect.map(
        pages((after: StaleServiceCursor | undefined) => services.stale({ since, limit: 1, after })),
        (read) => ids(read.flat()).filter((id) => own.has(id))
      )
    same(yield* stale(late), [made[1]!.id, made[2]!.id])
    same(yield* stale(DateTime.add(late, { milliseconds: 1 })), [made[1]!.id, made[2]!.id, made[0]!.id])
    // Without a report it counts from its registration.
    same(yield* stale(made[3]!.createdAt), [made[1]!.id, made[2]!.id, made[0]!.id])
    same((yield* stale(DateTime.add(made[3]!.createdAt, { milliseconds: 1 }))).at(-1), made[3]!.id)
  })
}

const listing: Record<string, Run> = {
  "pages hold every service of a provider once, in either order, whatever is made between them": Effect.gen(
    function* () {
      const { services } = yield* Federation
      const { id: providerId } = yield* aProvider()
      const made = yield* times(5, () => aService({ providerId }))
      yield* aService()
      const listed = (order: "newest-first" | "oldest-first") =>
        pages((after: FederationServiceCursor | undefined) => services.list({ providerId, order, limit: 2, after }))
      same((yield* listed("oldest-first")).flat(), made)
      same((yield* listed("newest-first")).flat(), made.toReversed())
      const first = yield* services.list({ providerId, limit: 3 })
      yield* services.deregister(made[0]!.id)
      const rest = yield* services.list({ providerId, limit: 3, after: Option.getOrThrow(first.next) })
      same(ids(rest.items), ids(made.slice(3)))
    }
  ),
  "services are listed and streamed by capability, health and name, also together": Effect.gen(function* () {
    const { services } = yield* Federation
    const capability = yield* aSlug("cap")
    const name = yield* aSlug("name")
    const made = [
      yield* aService({ capabilities: [capability] }),
      yield* aService({ capabilities: ["other", capability], name }),
      yield* aService({ capabilities: [`${capability}x`], name }),
      yield* aService({ capabilities: [capability, "third"], name })
    ] as const
    yield* report(made[1], "degraded")
    yield* report(made[3], "healthy")
    const of = (filter: Parameters<typeof services.list>[0]) =>
      Effect.map(services.list(filter), ({ items }) => ids(items))
    same(yield* of({ capability }), [made[0].id, made[1].id, made[3].id])
    same(yield* of({ name }), [made[1].id, made[2].id, made[3].id])
    same(yield* of({ capability, health: "healthy" }), [made[3].id])
    same(yield* of({ capability, health: "unknown" }), [made[0].id])
    same(yield* of({ capability, providerId: made[1].providerId }), [made[1].id])
    same(yield* of({ capability: capability.slice(0, -1) }), [])
    const streamed = yield* Stream.runCollect(services.stream({ capability, order: "newest-first", pageSize: 1 }))
    same(ids(streamed), [made[3].id, made[1].id, made[0].id])
  })
}

const refusing: Record<string, Run> = {
  "what is no semantic version is refused": Effect.gen(function* () {
    const { services } = yield* Federation
    const { id: providerId } = yield* aProvider()
    const wrong = ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0 ", "1.0.0\n", "1.0.0-ä"]
    for (const release of [...wrong, `1.0.0-${"a".repeat(100)}`]) {
      yield* refuses(aService({ providerId, release }), "services.register", ["release"])
      yield* refuses(services.findRelease(providerId, "chat", release), "services.findRelease", ["release"])
    }
    for (const release of ["0.0.0", "1.2.3-alpha.1", "10.20.30+x", "1.0.0--", "1.0.0-0a.b-c+001"]) {
      assert.equal((yield* aService({ providerId, release })).release, release)
    }
  }),
  "what is wrong with a service is refused, each field named": Effect.gen(function* () {
    const { services } = yield* Federation
    yield* refuses(
      services.register(
        untyped({ name: "A", endpointUrl: "ssh://x", capabilities: [], weight: 0, cost: 1, health: "up" })
      ),
      "services.register",
      ["providerId", "name", "release", "endpointUrl", "capabilities", "weight", "cost", "health"]
    )
    const service = yield* aService()
    const wrong: ReadonlyArray<readonly [changes: object, fields: ReadonlyArray<string>]> = [
      [{}, ["changes"]],
      [{ weight: 1001 }, ["changes.weight"]],
      [{ weight: 1.5 }, ["changes.weight"]],
      [{ capabilities: ["a", "b", "a"] }, ["changes.capabilities"]],
      [{ capabilities: ["a", "B"] }, ["changes.capabilities[1]"]],
      [{ endpointUrl: "https://user:pw@example.com" }, ["changes.endpointUrl"]],
      [{ endpointUrl: "https://good.example\\@evil.example/?a=b" }, ["changes.endpointUrl"]],
      [{ cost: { amount: -1, currency: "EUR" } }, ["changes.cost.amount"]],
      [{ cost: { amount: 1, currency: "eur" } }, ["changes.cost.currency"]],
      [{ health: "healthy" }, ["changes.health"]],
      [{ name: "other" }, ["changes.name"]]
    ]
    for (const [changes, fields] of wrong) {
      yield* refuses(services.update(service.id, 1, untyped(changes)), "services.update", fields)
    }
    same(yield* found(service.id), service)
    yield* refuses(services.find(untyped("1")), "services.find", ["id"])
    yield* refuses(services.deregister(untyped("1")), "services.deregister", ["id"])
    yield* refuses(report(service, untyped("unknown")), "services.reportHealth", ["report.health"])
    yield* refuses(services.reportHealth(service.id, untyped({})), "services.reportHealth", ["report.health"])
    const filter = { capability: "A", health: untyped("up"), name: "", limit: 0 }
    yield* refuses(services.list(filter), "services.list", ["capability", "health", "name", "limit"])
    yield* refuses(Stream.runDrain(services.stream({ providerId: untyped("1") })), "services.stream", ["providerId"])
    yield* refuses(services.stale(untyped({ limit: 0 })), "services.stale", ["since", "limit"])
    const { next } = yield* services.list({ limit: 1 })
    if (Option.isSome(next)) {
      yield* refuses(services.stale({ since: early, after: untyped(next.value) }), "services.stale", ["after"])
    }
  })
}

export const services: Record<string, Run> = { ...registering, ...telling, ...listing, ...refusing }
