import { it } from "@effect/vitest"
import { ConfigProvider, Effect, Redacted } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, expect } from "vitest"
import * as DatabaseConfig from "../../src/core/DatabaseConfig.ts"
import { currentCredential } from "../../src/core/Credential.ts"
import { envExample } from "./envExample.ts"

const file = new URL("../../.env.example", import.meta.url)

const read = Effect.suspend(() =>
  Effect.provideService(
    DatabaseConfig.fromEnvironment(),
    ConfigProvider.ConfigProvider,
    ConfigProvider.fromDotEnvContents(readFileSync(file, "utf8"))
  )
)

describe(".env.example", () => {
  it("is what the settings say", async () => {
    await expect(envExample()).toMatchFileSnapshot(file.pathname)
  })

  it("names every setting once", () => {
    const named = [...readFileSync(file, "utf8").matchAll(/^(\w+)=/gm)].map((match) => match[1])
    const settings = Object.values(DatabaseConfig.sections).flatMap(({ settings }) =>
      Object.values<{ readonly variable: string }>(settings).map(({ variable }) => variable)
    )
    assert.deepEqual(named.toSorted(), settings.toSorted())
  })

  it.effect("is a valid configuration, unchanged, and states the defaults", () =>
    Effect.gen(function* () {
      const config = yield* read
      const { clickhouse, mongodb, postgresql, redis } = config
      const text = (credential: typeof postgresql.url) => Effect.map(currentCredential(credential), Redacted.value)
      assert.equal(yield* text(clickhouse.password), "ai_core_dev")
      const defaults = yield* DatabaseConfig.make({
        postgresql: { url: postgresql.url },
        clickhouse: { url: clickhouse.url, username: "ai_core", password: clickhouse.password },
        mongodb: { url: mongodb.url },
        redis: { url: redis.url }
      })
      assert.deepEqual(config, defaults)
    })
  )
})
