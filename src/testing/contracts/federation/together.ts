import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { Federation } from "../../../platform/federation/Federation.ts"
import { Users } from "../../../platform/users/Users.ts"
import { Transaction } from "../../../postgres/Transaction.ts"
import {
  aClient,
  aCredential,
  aProvider,
  aRule,
  aService,
  aSlug,
  chosen,
  failsWith,
  hostile,
  isNone,
  nobody,
  nothing,
  refuses,
  report,
  type Run,
  same,
  someUser,
  stop,
  time
} from "./support.ts"

export const together: Record<string, Run> = {
  "a failed transaction leaves nothing of several calls behind": Effect.gen(function* () {
    const federation = yield* Federation
    const transaction = yield* Transaction
    const provider = yield* aProvider()
    const before = yield* aCredential({ providerId: provider.id })
    const { active } = yield* federation.credentials.rotate(before.id)
    const slug = yield* aSlug("acme")
    const capability = yield* aSlug("cap")
    const work = Effect.gen(function* () {
      const client = yield* aClient({ slug })
      const service = yield* aService({ providerId: provider.id, capabilities: [capability] })
      yield* report(service, "healthy")
      yield* aRule(capability, [service], { clientId: client.id })
      const next = yield* aCredential({ providerId: provider.id })
      yield* federation.credentials.rotate(next.id)
      same(chosen(yield* federation.route({ capability, clientId: client.id })), [service.id])
      return yield* Effect.fail(stop)
    })
    same(yield* Effect.flip(transaction.run(work)), stop)
    isNone(yield* federation.clients.findBySlug(slug))
    same((yield* federation.services.list({ capability })).items, [])
    same((yield* federation.rules.list({ capability })).items, [])
    same(yield* federation.credentials.current(provider.id), Option.some(active))
  }),
  "a transaction keeps all of several calls": Effect.gen(function* () {
    const federation = yield* Federation
    const transaction = yield* Transaction
    const { client, service } = yield* transaction.run(
      Effect.gen(function* () {
        const client = yield* aClient()
        const service = yield* aService({ capabilities: [client.slug] })
        yield* aRule(client.slug, [service])
        return { client, service }
      })
    )
    same(chosen(yield* federation.route({ capability: client.slug, clientId: client.id })), [service.id])
  }),
  "every domain error leaves the transaction around it usable": Effect.gen(function* () {
    const { clients, credentials, providers, route, rules, services } = yield* Federation
    const transaction = yield* Transaction
    const users = yield* Users
    const client = yield* aClient()
    const provider = yield* aProvider()
    const service = yield* aService({ providerId: provider.id })
    const rule = yield* aRule("chat.complete", [service])
    const credential = yield* aCredential({ providerId: provider.id })
    yield* credentials.rotate(credential.id)
    const expired = yield* aCredential({ providerId: provider.id, expiresAt: time("1970-01-01T00:00:00Z") })
    const { baseUrl, kind } = provider
    const { capabilities, endpointUrl, name, providerId, release } = service
    const failing = [
      clients.create({ slug: client.slug, name: "Other", ownerId: client.ownerId }),
      clients.create({ slug: yield* aSlug("acme"), name: "Other", ownerId: nobody }),
      clients.update(client.id, 1, { slug: (yield* aClient()).slug }),
      clients.update(client.id, 1, { ownerId: nobody }),
      clients.update(client.id, 2, { name: "Other" }),
      clients.update(nothing(), 2, { name: "Other" }),
      clients.resume(client.id),
      clients.suspend(nothing()),
      users.delete(client.ownerId),
      providers.create({ slug: provider.slug, name: "Other", kind, baseUrl }),
      providers.update(provider.id, 1, { slug: (yield* aProvider()).slug }),
      providers.update(provider.id, 2, { name: "Other" }),
      providers.enable(provider.id),
      providers.remove(provider.id),
      services.register({ providerId, name, release, endpointUrl, capabilities }),
      services.register({ providerId: nothing(), name, release, endpointUrl, capabilities }),
      services.update(service.id, 2, { weight: 1 }),
      services.deregister(service.id),
      services.reportHealth(nothing(), { health: "down" }),
      credentials.add({ providerId: nothing(), kind: "basic", secretRef: "env:A" }),
      credentials.rotate(credential.id),
      credentials.rotate(expired.id),
      credentials.retire(nothing()),
      rules.create({ name: "R", capability: "other", targets: [{ serviceId: service.id }] }),
      rules.create({ name: "R", capability: "other", targets: [{ serviceId: nothing() }] }),
      rules.create({
        name: "R",
        clientId: nothing(),
        capability: "chat.complete",
        targets: [{ serviceId: service.id }]
      }),
      rules.update(rule.id, 2, { enabled: false }),
      rules.remove(nothing()),
      route({ capability: "chat.complete", clientId: nothing() })
    ]
    const slug = yield* aSlug("after")
    const tags = yield* transaction.run(
      Effect.gen(function* () {
        const tags: Array<string> = []
        for (const effect of failing)
          tags.push((yield* Effect.flip(effect as Effect.Effect<unknown, { _tag: string }>))._tag)
        yield* aProvider({ slug })
        return tags
      })
    )
    assert.deepEqual(
      tags.filter((tag) => tag === "StoreError"),
      []
    )
    assert.equal(tags.length, failing.length)
    assert.ok(Option.isSome(yield* providers.findBySlug(slug)))
    same(yield* clients.find(client.id), Option.some(client))
    same(yield* rules.find(rule.id), Option.some(rule))
  }),
  "a domain error inside a transaction takes back no call before it": Effect.gen(function* () {
    const { clients, providers } = yield* Federation
    const transaction = yield* Transaction
    const taken = yield* aClient()
    const { slug } = yield* transaction.run(
      Effect.gen(function* () {
        const provider = yield* aProvider()
        yield* failsWith(clients.update(nothing(), 1, { slug: taken.slug }), "FederationClientNotFound")
        const { ownerId, slug } = taken
        yield* failsWith(clients.create({ slug, name: "Twice", ownerId }), "FederationClientSlugTaken")
        return provider
      })
    )
    assert.ok(Option.isSome(yield* providers.findBySlug(slug)))
  }),
  "text that would do harm is text, or refused, through every parameter": Effect.gen(function* () {
    const { clients, providers, route, rules, services, ...rest } = yield* Federation
    const { id: ownerId } = yield* someUser()
    const client = yield* clients.create({ slug: yield* aSlug("acme"), name: hostile, ownerId })
    same((yield* clients.update(client.id, 1, { name: `${hostile}2` })).name, `${hostile}2`)
    const provider = yield* aProvider({ name: hostile })
    same(Option.getOrThrow(yield* providers.find(provider.id)).name, hostile)
    same((yield* providers.update(provider.id, 1, { name: `${hostile}2` })).name, `${hostile}2`)
    const url = "https://example.com/');drop%20table%20ai_core.users;--$1"
    const service = yield* aService({ providerId: provider.id, endpointUrl: url })
    same((yield* services.update(service.id, 1, { endpointUrl: `${url}2` })).endpointUrl, `${url}2`)
    const secretRef = `vault:');drop/**/table/**/ai_core.users;--"\\$1$$`
    const credential = yield* aCredential({ providerId: provider.id, secretRef })
    same(Option.getOrThrow(yield* rest.credentials.find(credential.id)).secretRef, secretRef)
    const condition = { a: hostile, b: [hostile] }
    const rule = yield* aRule("chat.complete", [service], { name: hostile, condition })
    same(Option.getOrThrow(yield* rules.find(rule.id)), rule)
    same(rule.condition, condition)
    const told = yield* route({ capability: "chat.complete", attributes: { a: hostile, b: hostile } })
    assert.ok(
      told.candidates.some((candidate) => candidate.rule.name === hostile && candidate.service.id === service.id)
    )
    yield* refuses(aClient({ slug: hostile }), "clients.create", ["slug"])
    yield* refuses(aClient({ scopes: [hostile] }), "clients.create", ["scopes[0]"])
    yield* refuses(aClient({ rateTier: hostile }), "clients.create", ["rateTier"])
    yield* refuses(aProvider({ kind: hostile }), "providers.create", ["kind"])
    yield* refuses(aService({ name: hostile, release: hostile }), "services.register", ["name", "release"])
    yield* refuses(services.list({ capability: hostile, name: hostile }), "services.list", ["capability", "name"])
    yield* refuses(route({ capability: hostile }), "route", ["capability"])
    assert.ok(Option.isSome(yield* (yield* Users).findById(ownerId)))
  })
}
