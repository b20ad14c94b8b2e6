import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Federation } from "../../../platform/federation/Federation.ts"
import type { RoutingRuleCursor } from "../../../platform/federation/Rules.ts"
import { passTime } from "../../Contract.ts"
import {
  aClient,
  aRule,
  aService,
  aSlug,
  failsWith,
  ids,
  isNone,
  nothing,
  pages,
  refuses,
  type Run,
  same,
  times,
  untyped
} from "./support.ts"

const editing: Record<string, Run> = {
  "a rule is stored as it was given, its targets in their order": Effect.gen(function* () {
    const { rules } = yield* Federation
    const client = yield* aClient()
    const [one, two] = yield* times(2, () => aService())
    const condition = { region: ["eu", "Zoë 🦊"], "max.tokens": [1e300, -0.5], trial: false, exact: "x" }
    const rule = yield* rules.create({
      name: "Europe first",
      clientId: client.id,
      capability: "chat.complete",
      priority: -3,
      condition,
      targets: [{ serviceId: two!.id, weight: 9 }, { serviceId: one!.id }],
      enabled: false
    })
    same(rule, {
      id: rule.id,
      name: "Europe first",
      clientId: client.id,
      capability: "chat.complete",
      priority: -3,
      condition,
      targets: [
        { serviceId: two!.id, weight: 9 },
        { serviceId: one!.id, weight: null }
      ],
      enabled: false,
      version: 1,
      createdAt: rule.createdAt,
      updatedAt: rule.createdAt
    })
    same(yield* rules.find(rule.id), Option.some(rule))
    isNone(yield* rules.find(nothing()))
    const plain = yield* aRule("chat.complete", [one!])
    same([plain.clientId, plain.priority, plain.condition, plain.enabled], [null, 0, {}, true])
    const zero = yield* aRule("chat.complete", [one!], { condition: { n: -0 } })
    assert.deepEqual([zero.condition, Option.getOrThrow(yield* rules.find(zero.id)).condition], [{ n: 0 }, { n: 0 }])
  }),
  "a rule for what is not there, or does not offer the capability, is refused and not stored": Effect.gen(function* () {
    const { rules } = yield* Federation
    const capability = yield* aSlug("cap")
    const [has, lacks] = [yield* aService({ capabilities: [capability] }), yield* aService()]
    const given = { name: "Rule", capability }
    const to = (...services: ReadonlyArray<{ readonly id: typeof has.id }>) =>
      services.map(({ id }) => ({ serviceId: id }))
    const client = yield* failsWith(
      rules.create({ ...given, targets: to(has), clientId: nothing() }),
      "FederationClientNotFound"
    )
    assert.equal(client.id, nothing())
    const gone = to(has, { id: nothing() })
    assert.equal(
      (yield* failsWith(rules.create({ ...given, targets: gone }), "FederationServiceNotFound")).id,
      nothing()
    )
    const error = yield* failsWith(rules.create({ ...given, targets: to(has, lacks) }), "CapabilityNotOffered")
    same([error.serviceId, error.capability], [lacks.id, capability])
    same((yield* rules.list({ capability })).items, [])
    const rule = yield* aRule(capability, [has])
    yield* failsWith(rules.update(rule.id, 1, { targets: gone, name: "New" }), "FederationServiceNotFound")
    yield* failsWith(rules.update(rule.id, 1, { targets: to(lacks), name: "New" }), "CapabilityNotOffered")
    same(yield* rules.find(rule.id), Option.some(rule))
  }),
  "of two updates of one version of a rule the second fails and changes nothing": Effect.gen(function* () {
    const { rules } = yield* Federation
    const [one, two] = yield* times(2, () => aService())
    const rule = yield* aRule("chat.complete", [one!, two!])
    yield* passTime("5 millis")
    const targets = [{ serviceId: two!.id, weight: 3 }]
    const won = yield* rules.update(rule.id, 1, { targets, priority: 7, condition: { a: 1 } })
    same({ ...won, updatedAt: rule.updatedAt }, { ...rule, targets, priority: 7, condition: { a: 1 }, version: 2 })
    assert.ok(DateTime.isGreaterThan(won.updatedAt, rule.updatedAt))
    const lost = rules.update(rule.id, 1, { targets: [{ serviceId: one!.id }], enabled: false })
    const conflict = yield* failsWith(lost, "VersionConflict")
    same([conflict.id, conflict.expected, conflict.actual], [rule.id, 1, 2])
    same(yield* rules.find(rule.id), Option.some(won))
    const off = yield* rules.update(rule.id, 2, { enabled: false })
    same(off, { ...won, enabled: false, version: 3, updatedAt: off.updatedAt })
    yield* failsWith(rules.update(nothing(), 1, { name: "Nobody" }), "RoutingRuleNotFound")
  }),
  "a rule is removed with its targets": Effect.gen(function* () {
    const { rules, services } = yield* Federation
    const service = yield* aService()
    const rule = yield* aRule("chat.complete", [service])
    yield* rules.remove(rule.id)
    isNone(yield* rules.find(rule.id))
    yield* failsWith(rules.remove(rule.id), "RoutingRuleNotFound")
    yield* services.deregister(service.id)
  })
}

const listing: Record<string, Run> = {
  "pages hold every rule for a capability once, with its own targets, in either order": Effect.gen(function* () {
    const { rules } = yield* Federation
    const capability = yield* aSlug("cap")
    const services = yield* times(3, () => aService({ capabilities: [capability] }))
    const made = yield* times(5, (i) => aRule(capability, [services[i % 3]!, services[(i + 1) % 3]!]))
    yield* aRule("chat.complete", [yield* aService()])
    const listed = (order: "newest-first" | "oldest-first") =>
      pages((after: RoutingRuleCursor | undefined) => rules.list({ capability, order, limit: 2, after }))
    same((yield* listed("oldest-first")).flat(), made)
    same((yield* listed("newest-first")).flat(), made.toReversed())
  }),
  "rules are listed and streamed by client, for everybody, and by whether they are enabled": Effect.gen(function* () {
    const { rules } = yield* Federation
    const capability = yield* aSlug("cap")
    const [one, two] = [yield* aClient(), yield* aClient()]
    const service = yield* aService({ capabilities: [capability] })
    const made = [
      yield* aRule(capability, [service]),
      yield* aRule(capability, [service], { clientId: one.id }),
      yield* aRule(capability, [service], { clientId: two.id, enabled: false }),
      yield* aRule(capability, [service], { enabled: false })
    ] as const
    const of = (filter: Parameters<typeof rules.list>[0]) =>
      Effect.map(rules.list({ capability, ...filter }), ({ items }) => ids(items))
    same(yield* of({ clientId: one.id }), [made[1].id])
    same(yield* of({ clientId: null }), [made[0].id, made[3].id])
    same(yield* of({ enabled: false }), [made[2].id, made[3].id])
    same(yield* of({ enabled: true, clientId: two.id }), [])
    const streamed = yield* Stream.runCollect(rules.stream({ capability, enabled: true, pageSize: 1 }))
    same(streamed, [made[0], made[1]])
  })
}

const refusing: Record<string, Run> = {
  "what is wrong with a rule is refused, each field named": Effect.gen(function* () {
    const { rules } = yield* Federation
    const service = yield* aService()
    const rule = yield* aRule("chat.complete", [service])
    const target = { serviceId: service.id }
    yield* refuses(
      rules.create(
        untyped({ name: "", clientId: "1", capability: "A", priority: 1.5, targets: [], enabled: 1, state: 1 })
      ),
      "rules.create",
      ["name", "clientId", "capability", "priority", "targets", "enabled", "state"]
    )
    const wrong: ReadonlyArray<readonly [changes: object, fields: ReadonlyArray<string>]> = [
      [{}, ["changes"]],
      [{ targets: [target, target] }, ["changes.targets"]],
      [{ targets: [{ ...target, weight: 0 }] }, ["changes.targets[0].weight"]],
      [{ targets: [{ serviceId: "1" }] }, ["changes.targets[0].serviceId"]],
      [{ priority: 1_000_001 }, ["changes.priority"]],
      [{ condition: { Region: "eu" } }, ["changes.condition"]],
      [{ condition: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`a${i}`, 1])) }, ["changes.condition"]],
      [{ condition: { region: [] } }, ["changes.condition.region"]],
      [{ condition: { region: { eu: true } } }, ["changes.condition.region"]],
      [{ condition: { region: null } }, ["changes.condition.region"]],
      [{ condition: { region: Number.NaN } }, ["changes.condition.region"]],
      [{ condition: { region: "a\0" } }, ["changes.condition.region"]],
      [{ condition: "region" }, ["changes.condition"]],
      [{ capability: "other" }, ["changes.capability"]]
    ]
    for (const [changes, fields] of wrong) {
      yield* refuses(rules.update(rule.id, 1, untyped(changes)), "rules.update", fields)
    }
    same(yield* rules.find(rule.id), Option.some(rule))
    yield* refuses(rules.find(untyped("1")), "rules.find", ["id"])
    yield* refuses(rules.remove(untyped("1")), "rules.remove", ["id"])
    const filter = { clientId: untyped("1"), capability: "", enabled: untyped("yes") }
    yield* refuses(rules.list(filter), "rules.list", ["clientId", "capability", "enabled"])
    yield* refuses(Stream.runDrain(rules.stream({ pageSize: 0 })), "rules.stream", ["pageSize"])
  })
}

export const rules: Record<string, Run> = { ...editing, ...listing, ...refusing }
