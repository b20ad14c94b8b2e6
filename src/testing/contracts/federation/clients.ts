import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import type { FederationClientCursor } from "../../../platform/federation/Clients.ts"
import { Federation } from "../../../platform/federation/Federation.ts"
import { Users } from "../../../platform/users/Users.ts"
import { passTime } from "../../Contract.ts"
import {
  aClient,
  aSlug,
  failsWith,
  ids,
  isNone,
  nobody,
  nothing,
  pages,
  refuses,
  type Run,
  same,
  someUser,
  times,
  untyped
} from "./support.ts"
import { findsById } from "../findsById.ts"

export const clients: Record<string, Run> = {
  "clients are found by id, one by one and many together": Effect.gen(function* () {
    const { clients } = yield* Federation
    yield* findsById("Federation.clients.findMany", aClient(), clients)
  }),
  "a client is stored active, at version 1, and found by id and slug": Effect.gen(function* () {
    const { clients } = yield* Federation
    const { id: ownerId } = yield* someUser()
    const slug = yield* aSlug("acme")
    const client = yield* clients.create({ slug, name: "Zoë & Söhne", ownerId, scopes: ["chat", "tools:run"] })
    same(client, {
      id: client.id,
      slug,
      name: "Zoë & Söhne",
      ownerId,
      state: "active",
      scopes: ["chat", "tools:run"],
      rateTier: "standard",
      version: 1,
      createdAt: client.createdAt,
      updatedAt: client.createdAt
    })
    same(yield* clients.find(client.id), Option.some(client))
    same(yield* clients.findBySlug(slug), Option.some(client))
    isNone(yield* clients.find(nothing()))
    isNone(yield* clients.findBySlug(`${slug}-x`))
  }),
  "a client's slug is taken once, also by a revoked client": Effect.gen(function* () {
    const { clients } = yield* Federation
    const { id, ownerId, slug } = yield* aClient()
    assert.equal(
      (yield* failsWith(clients.create({ slug, name: "Other", ownerId }), "FederationClientSlugTaken")).slug,
      slug
    )
    yield* clients.revoke(id)
    yield* failsWith(clients.create({ slug, name: "Other", ownerId }), "FederationClientSlugTaken")
  }),
  "an owner who is not there is UserNotFound, and nothing is stored": Effect.gen(function* () {
    const { clients } = yield* Federation
    const slug = yield* aSlug("acme")
    const error = yield* failsWith(clients.create({ slug, name: "Acme", ownerId: nobody }), "UserNotFound")
    assert.equal(error.id, nobody)
    isNone(yield* clients.findBySlug(slug))
    const client = yield* aClient()
    yield* failsWith(clients.update(client.id, 1, { ownerId: nobody }), "UserNotFound")
    same(yield* clients.find(client.id), Option.some(client))
  }),
  "a user who answers for a client stays until another one does": Effect.gen(function* () {
    const { clients } = yield* Federation
    const users = yield* Users
    const [owner, next] = [yield* someUser(), yield* someUser()]
    const client = yield* aClient({ ownerId: owner.id })
    yield* clients.revoke(client.id)
    const error = yield* failsWith(users.delete(owner.id), "UserInUse")
    assert.equal(error.by, "federation_clients")
    yield* clients.update(client.id, 2, { ownerId: next.id })
    yield* users.delete(owner.id)
    assert.equal(Option.getOrThrow(yield* clients.find(client.id)).ownerId, next.id)
  }),
  "of two updates of one version of a client the second fails and changes nothing": Effect.gen(function* () {
    const { clients } = yield* Federation
    const client = yield* aClient({ scopes: ["chat"], rateTier: "gold" })
    yield* passTime("5 millis")
    const won = yield* clients.update(client.id, 1, { scopes: [], rateTier: "free" })
    same({ ...won, updatedAt: client.updatedAt }, { ...client, scopes: [], rateTier: "free", version: 2 })
    assert.ok(DateTime.isGreaterThan(won.updatedAt, client.updatedAt))
    const conflict = yield* failsWith(clients.update(client.id, 1, { name: "Second" }), "VersionConflict")
    same([conflict.id, conflict.expected, conflict.actual], [client.id, 1, 2])
    same(yield* clients.find(client.id), Option.some(won))
    yield* failsWith(clients.update(nothing(), 1, { name: "Nobody" }), "FederationClientNotFound")
  }),
  "a client cannot take another one's slug, but may keep its own": Effect.gen(function* () {
    const { clients } = yield* Federation
    const [one, two] = [yield* aClient(), yield* aClient()]
    yield* failsWith(clients.update(two.id, 1, { slug: one.slug }), "FederationClientSlugTaken")
    same(yield* clients.find(two.id), Option.some(two))
    assert.equal((yield* clients.update(two.id, 1, { slug: two.slug, name: "Same slug" })).name, "Same slug")
    const moved = yield* clients.update(one.id, 1, { slug: yield* aSlug("moved") })
    isNone(yield* clients.findBySlug(one.slug))
    same(yield* clients.findBySlug(moved.slug), Option.some(moved))
  }),
  "a suspended client is resumed, and each step is a version": Effect.gen(function* () {
    const { clients } = yield* Federation
    const { id } = yield* aClient()
    const suspended = yield* clients.suspend(id)
    same([suspended.state, suspended.version], ["suspended", 2])
    const resumed = yield* clients.resume(id)
    same([resumed.state, resumed.version], ["active", 3])
    same(yield* clients.find(id), Option.some(resumed))
  }),
  "steps that a client's state does not lead to are refused, both states named": Effect.gen(function* () {
    const { clients } = yield* Federation
    const { id } = yield* aClient()
    const resumed = yield* failsWith(clients.resume(id), "IllegalTransition")
    same([resumed.id, resumed.from, resumed.to, resumed.allowed], [id, "active", "active", ["suspended", "revoked"]])
    yield* clients.suspend(id)
    const twice = yield* failsWith(clients.suspend(id), "IllegalTransition")
    same([twice.from, twice.to], ["suspended", "suspended"])
    const revoked = yield* clients.revoke(id)
    for (const [step, to] of [
      [clients.resume, "active"],
      [clients.suspend, "suspended"],
      [clients.revoke, "revoked"]
    ] as const) {
      const error = yield* failsWith(step(id), "IllegalTransition")
      same([error.from, error.to, error.allowed], ["revoked", to, []])
      yield* failsWith(step(nothing()), "FederationClientNotFound")
    }
    same(yield* clients.find(id), Option.some(revoked))
  }),
  "pages hold every client of an owner once, in either order, whatever is made between them": Effect.gen(function* () {
    const { clients } = yield* Federation
    const { id: ownerId } = yield* someUser()
    const made = yield* times(5, () => aClient({ ownerId }))
    yield* aClient()
    const listed = (order: "newest-first" | "oldest-first") =>
      pages((after: FederationClientCursor | undefined) => clients.list({ ownerId, order, limit: 2, after }))
    const forward = yield* listed("oldest-first")
    same(
      forward.map((page) => page.length),
      [2, 2, 1]
    )
    same(forward.flat(), made)
    same((yield* listed("newest-first")).flat(), made.toReversed())
    const first = yield* clients.list({ ownerId, limit: 4 })
    const late = yield* aClient({ ownerId })
    const rest = yield* clients.list({ ownerId, limit: 4, after: Option.getOrThrow(first.next) })
    same(ids(rest.items), [made[4]!.id, late.id])
    isNone(rest.next)
  }),
  "clients are listed and streamed by state": Effect.gen(function* () {
    const { clients } = yield* Federation
    const { id: ownerId } = yield* someUser()
    const made = yield* times(4, () => aClient({ ownerId }))
    yield* clients.suspend(made[1]!.id)
    yield* clients.revoke(made[2]!.id)
    const of = (state: "active" | "revoked" | "suspended") =>
      Effect.map(clients.list({ ownerId, state }), ({ items }) => ids(items))
    same(yield* of("active"), [made[0]!.id, made[3]!.id])
    same(yield* of("suspended"), [made[1]!.id])
    same(yield* of("revoked"), [made[2]!.id])
    const streamed = yield* Stream.runCollect(clients.stream({ ownerId, order: "newest-first", pageSize: 2 }))
    same(ids(streamed), ids(made).toReversed())
    const narrowed = yield* Stream.runCollect(clients.stream({ ownerId, state: "active", pageSize: 1 }))
    same(ids(narrowed), [made[0]!.id, made[3]!.id])
  }),
  "what is wrong with a client is refused, each field named": Effect.gen(function* () {
    const { clients, providers } = yield* Federation
    yield* refuses(
      clients.create(untyped({ name: " x", ownerId: "me", scopes: ["Chat"], rateTier: "", admin: true })),
      "clients.create",
      ["slug", "name", "ownerId", "scopes[0]", "rateTier", "admin"]
    )
    const { id: ownerId } = yield* someUser()
    for (const scopes of [["a", "a"], Array.from({ length: 101 }, (_, i) => `s${i}`)]) {
      const given = { slug: yield* aSlug("acme"), name: "Acme", ownerId, scopes }
      yield* refuses(clients.create(given), "clients.create", ["scopes"])
    }
    yield* refuses(clients.update(nothing(), 0, {}), "clients.update", ["expectedVersion", "changes"])
    yield* refuses(clients.update(nothing(), 1, untyped({ state: "active" })), "clients.update", ["changes.state"])
    yield* refuses(clients.find(untyped("1")), "clients.find", ["id"])
    yield* refuses(clients.findBySlug("A"), "clients.findBySlug", ["slug"])
    yield* refuses(clients.suspend(untyped(1)), "clients.suspend", ["id"])
    yield* refuses(clients.resume(untyped(null)), "clients.resume", ["id"])
    yield* refuses(clients.revoke(untyped("")), "clients.revoke", ["id"])
    yield* refuses(clients.list({ limit: 0, state: untyped("gone") }), "clients.list", ["limit", "state"])
    yield* refuses(Stream.runDrain(clients.stream({ pageSize: 1001 })), "clients.stream", ["pageSize"])
    yield* times(2, () => aClient({ ownerId }))
    const { next } = yield* clients.list({ ownerId, limit: 1 })
    const after = Option.getOrThrow(next)
    yield* refuses(clients.list({ order: "newest-first", after }), "clients.list", ["after"])
    yield* refuses(providers.list({ after: untyped(after) }), "providers.list", ["after"])
  })
}
