import * as Effect from "effect/Effect"
import * as assert from "node:assert/strict"
import { Federation } from "../../../platform/federation/Federation.ts"
import type { NewFederationService } from "../../../platform/federation/Services.ts"
import { passTime } from "../../Contract.ts"
import {
  aClient,
  aProvider,
  aRule,
  aService,
  aSlug,
  chosen,
  failsWith,
  ids,
  nothing,
  refuses,
  report,
  type Run,
  same,
  times,
  untyped
} from "./support.ts"

/** A capability that no other case uses, and so many services that offer it. */
const ground = (count: number, given: Partial<NewFederationService> = {}) =>
  Effect.gen(function* () {
    const capability = yield* aSlug("cap")
    const services = yield* times(count, () => aService({ capabilities: [capability], ...given }))
    return { capability, services }
  })

export const routing: Record<string, Run> = {
  "a route tells the services and the rule that chose each": Effect.gen(function* () {
    const { route } = yield* Federation
    const { capability, services } = yield* ground(2, { weight: 40 })
    const rule = yield* aRule(capability, services, { name: "Default", priority: 5 })
    const told = { id: rule.id, name: "Default", priority: 5 }
    same(yield* route({ capability }), {
      capability,
      candidates: services.map((service) => ({ service, rule: told, weight: 40 })),
      leftOut: []
    })
  }),
  "without a rule nobody is chosen, nor by a disabled one or one for another capability": Effect.gen(function* () {
    const { route } = yield* Federation
    const { capability, services } = yield* ground(1)
    const none = { capability, candidates: [], leftOut: [] }
    same(yield* route({ capability }), none)
    yield* aRule(capability, services, { enabled: false })
    yield* aRule("chat.complete", [yield* aService()])
    same(yield* route({ capability }), none)
  }),
  "rules count by their priority, the greatest first, and at one priority the older first": Effect.gen(function* () {
    const { route, rules } = yield* Federation
    const { capability, services } = yield* ground(4)
    const [a, b, c, d] = services
    yield* aRule(capability, [a!], { priority: -1 })
    yield* aRule(capability, [b!], { priority: 10 })
    yield* passTime("5 millis")
    const moved = yield* aRule(capability, [c!], { priority: 10 })
    yield* aRule(capability, [d!])
    same(chosen(yield* route({ capability })), [b!.id, c!.id, d!.id, a!.id])
    yield* rules.update(moved.id, 1, { priority: 11 })
    same(chosen(yield* route({ capability })), [c!.id, b!.id, d!.id, a!.id])
    yield* rules.update(moved.id, 2, { enabled: false })
    same(chosen(yield* route({ capability })), [b!.id, d!.id, a!.id])
  }),
  "within a rule healthy services come before unknown before degraded, then by weight, then as they were given":
    Effect.gen(function* () {
      const { route, rules } = yield* Federation
      const { capability, services } = yield* ground(6, { weight: 50 })
      const [degraded, light, unknown, heavy, own, last] = services
      yield* report(degraded!, "degraded")
      for (const service of [light!, heavy!, own!, last!]) yield* report(service, "healthy")
      yield* rules.create({
        name: "Rule",
        capability,
        targets: [
          { serviceId: degraded!.id, weight: 1000 },
          { serviceId: light!.id, weight: 1 },
          { serviceId: unknown!.id, weight: 900 },
          { serviceId: heavy!.id, weight: 60 },
          { serviceId: last!.id },
          { serviceId: own!.id, weight: 50 }
        ]
      })
      const { candidates } = yield* route({ capability })
      same(
        candidates.map(({ service, weight }) => [service.id, weight]),
        [
          [heavy!.id, 60],
          [last!.id, 50],
          [own!.id, 50],
          [light!.id, 1],
          [unknown!.id, 900],
          [degraded!.id, 1000]
        ]
      )
    }),
  "a better rule's degraded service comes before a lesser rule's healthy one; what is down comes last of all":
    Effect.gen(function* () {
      const { route } = yield* Federation
      const { capability, services } = yield* ground(4)
      const [down, degraded, healthy, alsoDown] = services
      yield* report(down!, "down")
      yield* report(degraded!, "degraded")
      yield* report(healthy!, "healthy")
      yield* report(alsoDown!, "down")
      yield* aRule(capability, [down!, degraded!], { priority: 2 })
      yield* aRule(capability, [alsoDown!, healthy!], { priority: 1 })
      same(chosen(yield* route({ capability })), [degraded!.id, healthy!.id, down!.id, alsoDown!.id])
    }),
  "a service that several rules choose is told once, by the first": Effect.gen(function* () {
    const { route } = yield* Federation
    const { capability, services } = yield* ground(2)
    yield* aRule(capability, services, { name: "Second", priority: 1 })
    yield* aRule(capability, [services[1]!], { name: "First", priority: 2 })
    const { candidates } = yield* route({ capability })
    same(
      candidates.map(({ rule, service }) => [service.id, rule.name]),
      [
        [services[1]!.id, "First"],
        [services[0]!.id, "Second"]
      ]
    )
  }),
  "a client's own rules hold for it alone, and come before those for everybody": Effect.gen(function* () {
    const { route } = yield* Federation
    const { capability, services } = yield* ground(3)
    const [one, two] = [yield* aClient(), yield* aClient()]
    yield* aRule(capability, [services[0]!])
    yield* aRule(capability, [services[1]!], { clientId: one.id })
    yield* aRule(capability, [services[2]!], { clientId: two.id, priority: -1 })
    const of = (clientId?: typeof one.id) => Effect.map(route({ capability, clientId }), chosen)
    const [everybodys, ones, twos] = ids(services)
    same(yield* of(), [everybodys])
    same(yield* of(one.id), [ones, everybodys])
    same(yield* of(two.id), [everybodys, twos])
    same(yield* of((yield* aClient()).id), [everybodys])
  }),
  "a rule's condition asks for all its attributes, each with one of its values": Effect.gen(function* () {
    const { route } = yield* Federation
    const { capability, services } = yield* ground(2)
    yield* aRule(capability, [services[0]!], { condition: { region: ["eu", "uk"], tier: 1, trial: false } })
    yield* aRule(capability, [services[1]!], { priority: -1 })
    const of = (attributes?: Record<string, string | number | boolean>) =>
      Effect.map(route({ capability, attributes }), ({ candidates }) => candidates.length)
    same(yield* of({ region: "uk", tier: 1, trial: false, more: "x" }), 2)
    for (const attributes of [
      undefined,
      {},
      { region: "uk", tier: 1 },
      { region: "us", tier: 1, trial: false },
      { region: "eu", tier: "1", trial: false },
      { region: "eu", tier: 1, trial: true }
    ]) {
      same(yield* of(attributes), 1)
    }
  }),
  "an attribute that every object has is none": Effect.gen(function* () {
    const { route } = yield* Federation
    const { capability, services } = yield* ground(1)
    yield* aRule(capability, services, { condition: { constructor: "x" } })
    same(chosen(yield* route({ capability, attributes: {} })), [])
    same(chosen(yield* route({ capability, attributes: { constructor: "x" } })), ids(services))
  }),
  "services of disabled providers are left out and told, until they are enabled": Effect.gen(function* () {
    const { providers, route } = yield* Federation
    const provider = yield* aProvider()
    const { capability, services } = yield* ground(2, { providerId: provider.id })
    const other = yield* aService({ capabilities: [capability] })
    const rule = yield* aRule(capability, [...services, other])
    yield* providers.disable(provider.id)
    const closed = yield* route({ capability })
    same(chosen(closed), [other.id])
    same(
      closed.leftOut,
      services.map(({ id }) => ({ serviceId: id, ruleId: rule.id, because: "provider-disabled" }))
    )
    yield* providers.enable(provider.id)
    same(chosen(yield* route({ capability })), ids([...services, other]))
  }),
  "a service that no longer has the capability is left out and told": Effect.gen(function* () {
    const { route, services: registry } = yield* Federation
    const { capability, services } = yield* ground(2)
    const rule = yield* aRule(capability, services)
    yield* registry.update(services[0]!.id, 1, { capabilities: ["other"] })
    const told = yield* route({ capability })
    same(chosen(told), [services[1]!.id])
    same(told.leftOut, [{ serviceId: services[0]!.id, ruleId: rule.id, because: "capability-withdrawn" }])
  }),
  "nothing is routed for a suspended or revoked client": Effect.gen(function* () {
    const { clients, route } = yield* Federation
    const { capability, services } = yield* ground(1)
    yield* aRule(capability, services)
    const { id: clientId } = yield* aClient()
    yield* clients.suspend(clientId)
    const suspended = yield* failsWith(route({ capability, clientId }), "FederationClientNotActive")
    same([suspended.id, suspended.state], [clientId, "suspended"])
    yield* clients.resume(clientId)
    same(chosen(yield* route({ capability, clientId })), ids(services))
    yield* clients.revoke(clientId)
    assert.equal((yield* failsWith(route({ capability, clientId }), "FederationClientNotActive")).state, "revoked")
    yield* failsWith(route({ capability, clientId: nothing() }), "FederationClientNotFound")
  }),
  "what is wrong with a request is refused, each field named": Effect.gen(function* () {
    const { route } = yield* Federation
    yield* refuses(route(untyped({ clientId: "1", attributes: [], client: "x" })), "route", [
      "clientId",
      "capability",
      "attributes",
      "client"
    ])
    for (const attributes of [{ region: ["eu"] }, { region: null }, { region: Number.POSITIVE_INFINITY }]) {
      yield* refuses(route({ capability: "c", attributes: untyped(attributes) }), "route", ["attributes.region"])
    }
    yield* refuses(route({ capability: "c", attributes: { "Re gion": 1 } }), "route", ["attributes"])
  })
}
