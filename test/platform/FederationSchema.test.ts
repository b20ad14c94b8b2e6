import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type * as Statement from "effect/sql/Statement"
import * as assert from "node:assert/strict"
import { StoreError } from "../../src/core/StoreError.ts"
import type { Federation } from "../../src/platform/federation/Federation.ts"
import * as FederationLive from "../../src/platform/federation/FederationLive.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type { Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import type { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { aClient, aCredential, aProvider, aRule, aService } from "../../src/testing/contracts/federation/support.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { sharedEngine } from "../postgres/sharedEngine.ts"
import { describeLive } from "../servers/index.ts"

type Needs = Federation | Users | Transaction | PostgresClient

const repositories = Layer.merge(FederationLive.layer, UsersLive.layer).pipe(
  Layer.provide(PlatformMigrations.layerPostgres)
)
const embedded = TransactionLive.layer.pipe(Layer.provideMerge(sharedEngine))

type Sql = PostgresClient["Service"]["sql"]

/** Fails unless the rule of this name refuses the statement. */
const refuses = (rule: string, statement: (sql: Sql) => Statement.Statement<unknown>) =>
  Effect.gen(function* () {
    const { query, sql } = yield* PostgresClient
    const error = yield* Effect.flip(query({ operation: "raw", kind: "write" }, statement(sql)))
    assert.ok(error instanceof StoreError && error.reason._tag === "ConstraintViolated", String(error))
    assert.equal(error.reason.constraint, rule)
  })

const cases: Record<string, Effect.Effect<void, unknown, Needs>> = {
  "a secret never stands where a reference to one belongs": Effect.gen(function* () {
    const { id } = yield* aCredential()
    for (const secret of [
      "sk-live-0123456789",
      "admin:hunter2",
      "vault:",
      "https://user:pw@example.com",
      "vault:a b"
    ]) {
      yield* refuses(
        "federation_credentials_secret_ref_check",
        (sql) => sql`update ai_core.federation_credentials set secret_ref = ${secret} where id = ${id}`
      )
    }
  }),
  "whoever writes: an address names its host, and no user before it": Effect.gen(function* () {
    const { id } = yield* aProvider()
    const service = yield* aService()
    for (const url of ["https://user:pw@example.com", "https://user@example.com/a", "https:///a", "https://a b/"]) {
      yield* refuses(
        "federation_providers_base_url_check",
        (sql) => sql`update ai_core.federation_providers set base_url = ${url} where id = ${id}`
      )
      yield* refuses(
        "federation_services_endpoint_url_check",
        (sql) => sql`update ai_core.federation_services set endpoint_url = ${url} where id = ${service.id}`
      )
    }
  }),
  "a provider has one active credential": Effect.gen(function* () {
    const { id: providerId } = yield* aProvider()
    yield* aCredential({ providerId })
    yield* aCredential({ providerId })
    yield* refuses(
      "federation_credentials_active_key",
      (sql) => sql`update ai_core.federation_credentials set state = 'active', activated_at = now()
        where provider_id = ${providerId}`
    )
  }),
  "a credential's state goes with its times": Effect.gen(function* () {
    const { id } = yield* aCredential()
    yield* refuses(
      "federation_credentials_activated_at_check",
      (sql) => sql`update ai_core.federation_credentials set state = 'active' where id = ${id}`
    )
    yield* refuses(
      "federation_credentials_retired_at_check",
      (sql) => sql`update ai_core.federation_credentials set state = 'retired' where id = ${id}`
    )
  }),
  "what rules target, and what clients and services belong to, stays": Effect.gen(function* () {
    const client = yield* aClient()
    const service = yield* aService()
    yield* aRule("chat.complete", [service], { clientId: client.id })
    yield* refuses(
      "federation_rule_targets_service_id_fkey",
      (sql) => sql`delete from ai_core.federation_services where id = ${service.id}`
    )
    yield* refuses(
      "federation_services_provider_id_fkey",
      (sql) => sql`delete from ai_core.federation_providers where id = ${service.providerId}`
    )
    yield* refuses(
      "federation_rules_client_id_fkey",
      (sql) => sql`delete from ai_core.federation_clients where id = ${client.id}`
    )
    yield* refuses(
      "federation_clients_owner_id_fkey",
      (sql) => sql`delete from ai_core.users where id = ${client.ownerId}`
    )
  }),
  "a cost has an amount and a currency, or neither": Effect.gen(function* () {
    const { id } = yield* aService()
    yield* refuses(
      "federation_services_cost_check",
      (sql) => sql`update ai_core.federation_services set cost_minor = 1 where id = ${id}`
    )
  })
}

const enforced = (title: string, layer: Layer.Layer<Needs, unknown>) =>
  it.layer(layer, { excludeTestServices: true, timeout: "1 minute" })(title, (it) => {
    for (const [name, run] of Object.entries(cases)) it.effect(name, () => run)
  })

describe("What the tables of federation refuse, whoever writes", () => {
  enforced("embedded", repositories.pipe(Layer.provideMerge(embedded)))
})

describeLive("postgresql", "What the tables of federation refuse on a server, whoever writes", () => {
  enforced("live", repositories.pipe(Layer.provideMerge(freshClient(4))))
})
