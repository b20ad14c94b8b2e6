import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { checkDependencies } from "./checkDependencies.ts"
import { importsOf } from "./imports.ts"

const root = join(import.meta.dirname, "../../src")

const sources = (): Map<string, string> =>
  new Map(
    readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts"))
      .map((path) => [path.replaceAll("\\", "/"), readFileSync(join(root, path), "utf8")])
  )

/** A small house in order, to plant one wrong import in. */
const house = {
  "index.ts": `export { Users } from "./platform/Users.ts"\nexport { SharedCache } from "./redis/SharedCache.ts"`,
  "live.ts": `import "./platform/UsersLive.ts"\nimport "./redis/RedisClient.ts"`,
  "core/StoreError.ts": `import { Schema } from "effect"\nexport const a = Schema`,
  "postgres/index.ts": `export * as PostgresClient from "./PostgresClient.ts"`,
  "postgres/PostgresClient.ts": `import { PgClient } from "@effect/sql-pg"\nimport "../core/StoreError.ts"`,
  "postgres/PostgresEmbedded.ts": `export const load = () => import("@electric-sql/pglite")`,
  "redis/index.ts": `export * as RedisClient from "./RedisClient.ts"\nexport * from "./SharedCache.ts"`,
  "redis/SharedCache.ts": `import { Context } from "effect"\nexport class S extends Context.Service<S, {}>()("S") {}`,
  "redis/RedisClient.ts": `import { Redis } from "ioredis"\nimport { createHash } from "node:crypto"`,
  "migrations/Migrator.ts": `import "../core/StoreError.ts"`,
  "platform/Users.ts": `import { Context } from "effect"\nexport class U extends Context.Service<U, {}>()("U") {}`,
  "platform/UsersLive.ts": `import "../postgres/PostgresClient.ts"\nimport "./Users.ts"`,
  "cli/main.ts": `import "../live.ts"`
}

const problemsWith = (planted: Record<string, string>): ReadonlyArray<string> =>
  checkDependencies(
    new Map(
      Object.entries({ ...house, ...planted }).map(([path, source]) => [
        path,
        path in planted && path in house ? `${house[path as keyof typeof house]}\n${source}` : source
      ])
    )
  ).map(({ file, problem }) => `${file}: ${problem}`)

describe("the import graph of src", () => {
  it("keeps to the table of who may know whom", () => {
    const files = sources()
    for (const face of ["core/StoreError.ts", "platform/postgres.ts", "platform/postgresMemory.ts"]) {
      assert.ok(files.has(face), face)
    }
    assert.deepEqual(checkDependencies(files), [])
  })
})

describe("checkDependencies", () => {
  it("finds nothing wrong with a house in order", () => assert.deepEqual(problemsWith({}), []))

  const planted: Record<string, [files: Record<string, string>, problem: string]> = {
    "core knows nobody": [
      { "core/StoreError.ts": `import "../redis/SharedCache.ts"` },
      "core/StoreError.ts: core may not import redis (redis/SharedCache.ts)"
    ],
    "core uses no package but effect": [
      { "core/StoreError.ts": `import { join } from "node:path"` },
      "core/StoreError.ts: core may not use node:path"
    ],
    "stores never import each other": [
      { "redis/SharedCache.ts": `import "../postgres/index.ts"` },
      "redis/SharedCache.ts: redis may not import postgres (postgres/index.ts)"
    ],
    "not even for a type": [
      { "redis/RedisClient.ts": `export type X = import("../postgres/PostgresEmbedded.ts").X` },
      "redis/RedisClient.ts: redis may not import postgres (postgres/PostgresEmbedded.ts)"
    ],
    "nor when it is loaded late": [
      { "redis/RedisClient.ts": `export const x = () => import("../postgres/PostgresEmbedded.ts")` },
      "redis/RedisClient.ts: redis may not import postgres (postgres/PostgresEmbedded.ts)"
    ],
    "a store uses its own driver only": [
      { "redis/RedisClient.ts": `import { MongoClient } from "mongodb"` },
      "redis/RedisClient.ts: redis may not use mongodb"
    ],
    "migrations know stores by core's interfaces": [
      { "migrations/Migrator.ts": `import "../postgres/PostgresClient.ts"` },
      "migrations/Migrator.ts: migrations may not import postgres (postgres/PostgresClient.ts)"
    ],
    "the platform uses no driver": [
      { "platform/UsersLive.ts": `import type { Db } from "mongodb"` },
      "platform/UsersLive.ts: platform may not use mongodb"
    ],
    "no import runs upward": [
      { "platform/UsersLive.ts": `import "../live.ts"` },
      "platform/UsersLive.ts: platform may not import live (live.ts)"
    ],
    "compositions do not know the faces": [
      { "live.ts": `import "./cli/main.ts"` },
      "live.ts: live may not import cli (cli/main.ts)"
    ],
    "a tag reaches no driver by way of others": [
      { "platform/Users.ts": `export * from "./UsersLive.ts"` },
      "platform/Users.ts: a module that defines a tag reaches a driver: platform/Users.ts → platform/UsersLive.ts → postgres/PostgresClient.ts → @effect/sql-pg"
    ],
    "the front door reaches no driver": [
      { "index.ts": `export type { Redis } from "./redis/RedisClient.ts"` },
      "index.ts: the front door reaches a driver: index.ts → redis/RedisClient.ts → ioredis"
    ],
    "a store's subpath loads only its own driver": [
      { "redis/index.ts": `import "../platform/UsersLive.ts"` },
      "redis/index.ts: a store's subpath loads another store's driver: redis/index.ts → platform/UsersLive.ts → postgres/PostgresClient.ts → @effect/sql-pg"
    ],
    "fakes of PostgreSQL's capabilities load no driver": [
      {
        "platform/postgresMemory.ts": `export * from "./CampaignsMemory.ts"`,
        "platform/CampaignsMemory.ts": `import "../mongodb/MongoDbMemory.ts"`,
        "mongodb/MongoDbMemory.ts": `import { Query } from "mingo"`
      },
      "platform/postgresMemory.ts: a subpath of the platform loads a driver that is not its own: platform/postgresMemory.ts → platform/CampaignsMemory.ts → mongodb/MongoDbMemory.ts → mingo"
    ],
    "every file belongs to a part": [
      { "util/strings.ts": `export const a = 1` },
      "util/strings.ts: belongs to no part of the house"
    ],
    "every import leads somewhere": [
      { "live.ts": `import "./platform/Gone.ts"` },
      "live.ts: imports ./platform/Gone.ts, which is not there"
    ]
  }
  for (const [rule, [files, problem]] of Object.entries(planted)) {
    it(`finds a planted import: ${rule}`, () =>
      assert.ok(problemsWith(files).includes(problem), problemsWith(files).join("\n")))
  }
})

describe("importsOf", () => {
  it("sees every way to import", () => {
    const source = `
      import a from "static"
      import type { B } from "type"
      import { type C } from "static-for-a-type"
      import "side-effect"
      export * as d from "export-all"
      export { e } from "export-named"
      export type { F } from "export-type"
      const g = async () => (await import("dynamic")).h
      type I = import("import-type").I
      const notAnImport = 'import x from "text"'
    `
    assert.deepEqual(importsOf("a.ts", source), [
      { specifier: "static", kind: "static" },
      { specifier: "type", kind: "type" },
      { specifier: "static-for-a-type", kind: "static" },
      { specifier: "side-effect", kind: "static" },
      { specifier: "export-all", kind: "static" },
      { specifier: "export-named", kind: "static" },
      { specifier: "export-type", kind: "type" },
      { specifier: "dynamic", kind: "dynamic" },
      { specifier: "import-type", kind: "type" }
    ])
  })
})
