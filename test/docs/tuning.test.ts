import { it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect } from "effect"
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { describe } from "vitest"
import * as DatabaseConfig from "../../src/core/DatabaseConfig.ts"
import * as core from "../../src/core/index.ts"
import * as postgres from "../../src/postgres/index.ts"
import { urlParameters } from "../../src/postgres/session/PostgresAddress.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

const guides = new URL("../../docs/guides/", import.meta.url)
const guide = readFileSync(new URL("tuning.md", guides), "utf8")
const { settings } = DatabaseConfig.sections.postgresql

const part = (heading: string): string => {
  const found = guide.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))
  assert.ok(found !== undefined, heading)
  return found
}

/** The cells of the table under a heading, its dashes left out. */
const table = (heading: string): ReadonlyArray<ReadonlyArray<string>> =>
  [...part(heading).matchAll(/^\|([^|].*)\|$/gm)]
    .map(([, cells]) => cells!.split("|").map((cell) => cell.trim()))
    .filter(([first]) => !/^-+$/.test(first!))

/** A value as the table writes it. */
const written = (value: unknown): string =>
  !Duration.isDuration(value) ? String(value) : Duration.isZero(value) ? "never" : `${Duration.toSeconds(value)} s`

describe("the guide to tuning", () => {
  const presets: Readonly<Record<string, DatabaseConfig.DatabasePreset>> = {
    default: {},
    highConcurrency: DatabaseConfig.highConcurrency,
    lowLatency: DatabaseConfig.lowLatency
  }

  it.effect("has the pool's defaults and those of the presets", () =>
    Effect.gen(function* () {
      const [[, ...head], ...rows] = table("The pool") as [ReadonlyArray<string>, ...Array<ReadonlyArray<string>>]
      const names = rows.map(([purpose]) => /`(\w+)`/.exec(purpose!)?.[1] ?? purpose!)
      assert.deepEqual(names, Object.keys(presets))
      for (const [i, [, ...cells]] of rows.entries()) {
        const config = yield* DatabaseConfig.sections.postgresql.fromEnvironment(presets[names[i]!]?.postgresql)
        const values: Readonly<Record<string, unknown>> = config
        assert.deepEqual(
          cells,
          head.map((name) => written(values[name.replaceAll("`", "")])),
          names[i]
        )
      }
    }).pipe(
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env: { DATABASE_URL: "postgresql://localhost/shop" } })
      )
    )
  )

  it("tells of each parameter that a URL may have", () => {
    const told = table("The URL").flatMap(([parameters]) =>
      [...parameters!.matchAll(/`(\w+)`/g)].map(([, name]) => name!)
    )
    assert.deepEqual(told.toSorted(), urlParameters.toSorted())
  })

  it("tells of settings that there are", () => {
    const told = [...part("The pool").matchAll(/^- \*\*`(\w+)`\*\*/gm)].map(([, name]) => name!)
    assert.ok(told.length > 5)
    for (const name of [...told, "enableMigrations"]) assert.ok(name in settings, name)
  })

  it("tells of what there is to look at", () => {
    const looks = [...part("What it is busy with").matchAll(/`([a-z]\w+)(?:\([^)]*\))?`/g)].map(([, name]) => name!)
    assert.ok(looks.length > 5)
    for (const name of looks) assert.ok(name in postgres.PostgresInsight, name)
    assert.ok("PoolInstrumentation" in core)
  })
})

describe("the guides", () => {
  it("name no variable that is not read", () => {
    const known = new Set(
      Object.values(DatabaseConfig.sections).flatMap(({ settings }) =>
        Object.values(settings).map(({ variable }) => variable)
      )
    )
    for (const file of readdirSync(guides)) {
      const named = readFileSync(new URL(file, guides), "utf8").match(
        /\b(?:DB|CLICKHOUSE|MONGODB|REDIS)_[A-Z][A-Z_]+\b/g
      )
      for (const name of named ?? []) assert.ok(known.has(name), `${file}: ${name}`)
    }
  })
})

describeLive("postgresql", "the guide to tuning, on a server", () => {
  it.live("has settings that the server knows, and the figures that the pool tells", () =>
    Effect.gen(function* () {
      const { sql, stats } = yield* PostgresClient
      const lines = table("The server").slice(1)
      assert.ok(lines.length > 10)
      for (const [setting, why] of lines) {
        const [, name, value] = /^`(\w+) = '?([^']+?)'?`$/.exec(setting!) ?? assert.fail(setting)
        const [known] = yield* sql<{
          readonly boot: string
        }>`select boot_val as boot from pg_settings where name = ${name}`
        assert.ok(known !== undefined, setting)
        if (why!.startsWith("the default")) assert.equal(known.boot, value, setting)
      }
      const figures = yield* stats
      assert.ok(typeof figures.waiting === "number" && typeof figures.acquire?.p99Millis === "number")
    }).pipe(Effect.provide(freshClient()))
  )
})
