import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { isStoreError } from "../../../core/StoreError.ts"
import { Federation } from "../../../platform/federation/Federation.ts"
import type { FederationProviderCursor } from "../../../platform/federation/Providers.ts"
import { passTime } from "../../Contract.ts"
import {
  aCredential,
  aProvider,
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

/** Addresses that parsers read differently, and what the URL standard makes of them. */
const readDifferently = [
  ["https://good.example\\@evil.example/", "https://good.example/@evil.example/"],
  ["https://good.example\\evil", "https://good.example/evil"],
  ["https://0x7f.1/", "https://127.0.0.1/"],
  ["http://2130706433/", "http://127.0.0.1/"],
  ["https://ex%61mple.com/", "https://example.com/"],
  ["https://EXAMPLE.com", "https://example.com/"],
  ["https://example.com:443/", "https://example.com/"],
  ["https://example.com/a/../b", "https://example.com/b"],
  ["https://example.com/a/%2e%2e/b", "https://example.com/b"],
  ["http://[::ffff:169.254.169.254]/", "http://[::ffff:a9fe:a9fe]/"]
] as const

export const providers: Record<string, Run> = {
  "a provider is stored active, at version 1, and found by id and slug": Effect.gen(function* () {
    const { providers } = yield* Federation
    const slug = yield* aSlug("openai")
    const provider = yield* aProvider({ slug, baseUrl: "http://127.0.0.1:8080/api" })
    same(provider, {
      id: provider.id,
      slug,
      name: "OpenAI",
      kind: "openai-compatible",
      baseUrl: "http://127.0.0.1:8080/api",
      state: "active",
      version: 1,
      createdAt: provider.createdAt,
      updatedAt: provider.createdAt
    })
    same(yield* providers.find(provider.id), Option.some(provider))
    same(yield* providers.findBySlug(slug), Option.some(provider))
    isNone(yield* providers.find(nothing()))
    isNone(yield* providers.findBySlug(`${slug}-x`))
  }),
  "a provider's slug is taken once, and free again when it is removed": Effect.gen(function* () {
    const { providers } = yield* Federation
    const [one, two] = [yield* aProvider(), yield* aProvider()]
    const { baseUrl, kind, slug } = one
    yield* failsWith(providers.create({ slug, name: "Other", kind, baseUrl }), "FederationProviderSlugTaken")
    yield* failsWith(providers.update(two.id, 1, { slug: one.slug }), "FederationProviderSlugTaken")
    same(yield* providers.find(two.id), Option.some(two))
    yield* providers.remove(one.id)
    assert.equal((yield* providers.update(two.id, 1, { slug: one.slug })).slug, one.slug)
  }),
  "of two updates of one version of a provider the second fails and changes nothing": Effect.gen(function* () {
    const { providers } = yield* Federation
    const provider = yield* aProvider()
    yield* passTime("5 millis")
    const won = yield* providers.update(provider.id, 1, { kind: "mcp", baseUrl: "https://mcp.example.com" })
    same(
      { ...won, updatedAt: provider.updatedAt },
      { ...provider, kind: "mcp", baseUrl: "https://mcp.example.com", version: 2 }
    )
    assert.ok(DateTime.isGreaterThan(won.updatedAt, provider.updatedAt))
    const conflict = yield* failsWith(providers.update(provider.id, 1, { name: "Second" }), "VersionConflict")
    same([conflict.id, conflict.expected, conflict.actual], [provider.id, 1, 2])
    same(yield* providers.find(provider.id), Option.some(won))
    yield* failsWith(providers.update(nothing(), 1, { name: "Nobody" }), "FederationProviderNotFound")
  }),
  "a provider is disabled and enabled, each once": Effect.gen(function* () {
    const { providers } = yield* Federation
    const { id } = yield* aProvider()
    const enabled = yield* failsWith(providers.enable(id), "IllegalTransition")
    same([enabled.id, enabled.from, enabled.to, enabled.allowed], [id, "active", "active", ["disabled"]])
    const disabled = yield* providers.disable(id)
    same([disabled.state, disabled.version], ["disabled", 2])
    const twice = yield* failsWith(providers.disable(id), "IllegalTransition")
    same([twice.from, twice.to], ["disabled", "disabled"])
    same((yield* providers.enable(id)).state, "active")
    yield* failsWith(providers.disable(nothing()), "FederationProviderNotFound")
    yield* failsWith(providers.enable(nothing()), "FederationProviderNotFound")
  }),
  "a provider with services stays; without, it goes and takes its credentials along": Effect.gen(function* () {
    const { credentials, providers, services } = yield* Federation
    const provider = yield* aProvider()
    const service = yield* aService({ providerId: provider.id })
    const credential = yield* aCredential({ providerId: provider.id })
    const other = yield* aCredential()
    assert.equal((yield* failsWith(providers.remove(provider.id), "FederationProviderInUse")).id, provider.id)
    same(yield* providers.find(provider.id), Option.some(provider))
    same(yield* credentials.find(credential.id), Option.some(credential))
    yield* services.deregister(service.id)
    yield* providers.remove(provider.id)
    isNone(yield* providers.find(provider.id))
    isNone(yield* credentials.find(credential.id))
    same(yield* credentials.find(other.id), Option.some(other))
    yield* failsWith(providers.remove(provider.id), "FederationProviderNotFound")
  }),
  "pages hold every provider of a kind once, in either order, by state too": Effect.gen(function* () {
    const { providers } = yield* Federation
    const kind = yield* aSlug("kind")
    const made = yield* times(5, () => aProvider({ kind }))
    yield* aProvider()
    const listed = (order: "newest-first" | "oldest-first") =>
      pages((after: FederationProviderCursor | undefined) => providers.list({ kind, order, limit: 2, after }))
    same((yield* listed("oldest-first")).flat(), made)
    same((yield* listed("newest-first")).flat(), made.toReversed())
    yield* providers.disable(made[3]!.id)
    same(ids((yield* providers.list({ kind, state: "disabled" })).items), [made[3]!.id])
    const streamed = yield* Stream.runCollect(providers.stream({ kind, state: "active", pageSize: 2 }))
    same(
      ids(streamed),
      ids(made).filter((id) => id !== made[3]!.id)
    )
  }),
  "what is no base URL is refused: other schemes, credentials, queries, fragments, what a parser would rewrite":
    Effect.gen(function* () {
      const { providers } = yield* Federation
      const { id } = yield* aProvider()
      for (const baseUrl of [
        "",
        "api.example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",

        "https://user:pw@example.com",
        "https://user@example.com",
        "https://example.com/#x",
        "https://example.com#",
        "https://example.com?key=1",
        "https://exa mple.com",
        "https://example.com/\n",
        "https://example.com/\0",
        "https://example.com:99999",
        ...readDifferently.map(([given]) => given),
        `https://example.com/${"a".repeat(2001)}`
      ]) {
        yield* refuses(aProvider({ baseUrl }), "providers.create", ["baseUrl"])
        yield* refuses(providers.update(id, 1, { baseUrl }), "providers.update", ["changes.baseUrl"])
      }
      yield* aProvider({ baseUrl: `https://example.com/${"a".repeat(1900)}` })
    }),
  "what a parser would make of a base URL is told": Effect.gen(function* () {
    for (const [baseUrl, read] of readDifferently) {
      const error = yield* Effect.flip(aProvider({ baseUrl }))
      assert.ok(isStoreError(error) && error.reason._tag === "InvalidData", String(error))
      assert.deepEqual(error.reason.problems, [
        { field: "baseUrl", problem: `must be ${read}, as a URL parser reads it` }
      ])
    }
  }),
  "a base URL is kept as it was given: a port, an IP address, an @ behind the host": Effect.gen(function* () {
    for (const baseUrl of [
      "https://registry.example.com/@scope/pkg",
      "http://127.0.0.1:8080",
      "http://[::1]:8080/",
      "https://xn--bcher-kva.example/a%2Fb/~c//d;e=f,(g)'"
    ]) {
      assert.equal((yield* aProvider({ baseUrl })).baseUrl, baseUrl)
    }
  }),
  "what is wrong with a provider is refused, each field named": Effect.gen(function* () {
    const { providers } = yield* Federation
    yield* refuses(providers.create(untyped({ slug: "A", name: "", kind: 1, apiKey: "x" })), "providers.create", [
      "slug",
      "name",
      "kind",
      "baseUrl",
      "apiKey"
    ])
    yield* refuses(providers.update(nothing(), 1.5, {}), "providers.update", ["expectedVersion", "changes"])
    yield* refuses(providers.find(untyped("1")), "providers.find", ["id"])
    yield* refuses(providers.findBySlug(""), "providers.findBySlug", ["slug"])
    yield* refuses(providers.disable(untyped("1")), "providers.disable", ["id"])
    yield* refuses(providers.enable(untyped("1")), "providers.enable", ["id"])
    yield* refuses(providers.remove(untyped("1")), "providers.remove", ["id"])
    yield* refuses(providers.list({ kind: "", limit: 1001 }), "providers.list", ["kind", "limit"])
    yield* refuses(Stream.runDrain(providers.stream({ state: untyped("x") })), "providers.stream", ["state"])
  })
}
