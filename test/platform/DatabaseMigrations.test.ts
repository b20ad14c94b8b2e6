import { describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as assert from "node:assert/strict"
import * as DatabaseConfig from "../../src/core/DatabaseConfig.ts"
import { migrationClient } from "../../src/platform/DatabaseMigrations.ts"

const application = Redacted.make("postgresql://app@pooler:6432/app")
const owner = Redacted.make("postgresql://owner@server:5432/app")

const optionsOf = (migrations: { readonly migrationUrl?: Redacted.Redacted<string> }) =>
  Effect.map(
    DatabaseConfig.make({
      postgresql: { url: application, pooler: "transaction" },
      clickhouse: { url: Redacted.make("http://127.0.0.1:1") },
      mongodb: { url: Redacted.make("mongodb://127.0.0.1:1") },
      redis: { url: Redacted.make("redis://127.0.0.1:1") },
      migrations
    }),
    migrationClient
  )

describe("the client that PostgreSQL is migrated with", () => {
  it.effect("an URL of the migrations' own leads past the pooler", () =>
    Effect.gen(function* () {
      const { maxConnections, pooler, url } = yield* optionsOf({ migrationUrl: owner })
      assert.deepEqual([url, pooler, maxConnections], [owner, "none", 2])
    })
  )

  it.effect("without one it is the application's, and so is what stands before it", () =>
    Effect.gen(function* () {
      const { pooler, url } = yield* optionsOf({})
      assert.deepEqual([url, pooler], [application, "transaction"])
    })
  )
})
