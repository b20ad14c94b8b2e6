import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as assert from "node:assert/strict"
import type { FederationClient, NewFederationClient } from "../../../platform/federation/Clients.ts"
import type { NewProviderCredential, ProviderCredential } from "../../../platform/federation/Credentials.ts"
import { Federation } from "../../../platform/federation/Federation.ts"
import type { FederationProvider, NewFederationProvider } from "../../../platform/federation/Providers.ts"
import type { Route } from "../../../platform/federation/Route.ts"
import type { NewRoutingRule, RoutingRule } from "../../../platform/federation/Rules.ts"
import type { FederationService, NewFederationService, ReportedHealth } from "../../../platform/federation/Services.ts"
import type { Users } from "../../../platform/users/Users.ts"
import type { Transaction } from "../../../postgres/Transaction.ts"
import { unique } from "../../Contract.ts"
import { refuses as refusesAs } from "../../Expectations.ts"
import { someUser } from "../users.ts"

export { untyped } from "../../Expectations.ts"
export { hostile, nobody, someUser } from "../users.ts"
export { failsWith, ids, nothing, pages, same, stop, time, times } from "../billing/support.ts"

/** One case of the contract. */
export type Run = Effect.Effect<void, unknown, Federation | Users | Transaction>

/** Fails unless the effect is refused as invalid, naming exactly these fields. */
export const refuses = <A, E, R>(effect: Effect.Effect<A, E, R>, operation: string, fields: ReadonlyArray<string>) =>
  refusesAs(effect, `Federation.${operation}`, fields)

export const aSlug = (prefix: string): Effect.Effect<string> => Effect.map(unique(prefix), (name) => name.toLowerCase())

export const aClient = (
  given: Partial<NewFederationClient> = {}
): Effect.Effect<FederationClient, unknown, Federation | Users> =>
  Effect.gen(function* () {
    const { clients } = yield* Federation
    const ownerId = given.ownerId ?? (yield* someUser()).id
    return yield* clients.create({ slug: yield* aSlug("client"), name: "Acme", ...given, ownerId })
  })

export const aProvider = (
  given: Partial<NewFederationProvider> = {}
): Effect.Effect<FederationProvider, unknown, Federation> =>
  Effect.gen(function* () {
    const { providers } = yield* Federation
    return yield* providers.create({
      slug: yield* aSlug("provider"),
      name: "OpenAI",
      kind: "openai-compatible",
      baseUrl: "https://api.example.com/v1",
      ...given
    })
  })

/** A service of a provider of its own that offers `chat.complete`, where nothing is said. */
export const aService = (
  given: Partial<NewFederationService> = {}
): Effect.Effect<FederationService, unknown, Federation> =>
  Effect.gen(function* () {
    const { services } = yield* Federation
    const providerId = given.providerId ?? (yield* aProvider()).id
    return yield* services.register({
      name: yield* aSlug("service"),
      release: "1.0.0",
      endpointUrl: "https://api.example.com/v1/chat?api-version=2024-02-01",
      capabilities: ["chat.complete"],
      ...given,
      providerId
    })
  })

export const aCredential = (
  given: Partial<NewProviderCredential> = {}
): Effect.Effect<ProviderCredential, unknown, Federation> =>
  Effect.gen(function* () {
    const { credentials } = yield* Federation
    const providerId = given.providerId ?? (yield* aProvider()).id
    return yield* credentials.add({ kind: "api-key", secretRef: "vault:kv/data/openai#key", ...given, providerId })
  })

/** A rule for a capability and services that offer it. */
export const aRule = (
  capability: string,
  services: ReadonlyArray<FederationService>,
  given: Partial<NewRoutingRule> = {}
): Effect.Effect<RoutingRule, unknown, Federation> =>
  Effect.gen(function* () {
    const { rules } = yield* Federation
    const targets = services.map(({ id }) => ({ serviceId: id }))
    return yield* rules.create({ name: "Rule", capability, targets, ...given })
  })

export const report = ({ id }: FederationService, health: ReportedHealth, at?: DateTime.Utc) =>
  Effect.flatMap(Federation, ({ services }) => services.reportHealth(id, { health, at }))

/** The services of a route, in its order. */
export const chosen = ({ candidates }: Route): ReadonlyArray<string> => candidates.map(({ service }) => service.id)

export const isNone = (option: { readonly _tag: string }): void => assert.equal(option._tag, "None")
