import { it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { format } from "prettier"
import { describe } from "vitest"
import { StoreErrorReport } from "../../src/index.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import { crateMap } from "../../tools/readme/crateMap.ts"
import { withMadeParts } from "../../tools/readme/tables.ts"
import { compile } from "./compile.ts"

const root = new URL("../../", import.meta.url)
const readme = readFileSync(new URL("README.md", root), "utf8")
const exportsOf: Record<string, { readonly "@ai-core/source"?: string }> = JSON.parse(
  readFileSync(new URL("package.json", root), "utf8")
).exports

describe("README", () => {
  it("has the settings and the crate's names as the source has them (node tools/readme/update.ts)", async () => {
    const made = await format(withMadeParts(readme), {
      parser: "markdown",
      semi: false,
      printWidth: 120,
      trailingComma: "none"
    })
    assert.equal(readme, made)
  })

  it("maps the crate's names to exports that are there", async () => {
    for (const { crate, target } of crateMap) {
      if (target === undefined) continue
      const [subpath, path] = target
      const source = exportsOf[subpath]?.["@ai-core/source"]
      assert.ok(source !== undefined, `${crate}: no subpath ${subpath}`)
      let found: unknown = await import(new URL(source, root).href)
      for (const name of path.split(".")) {
        found = typeof found === "object" || typeof found === "function" ? Reflect.get(found ?? {}, name) : undefined
      }
      assert.ok(found !== undefined, `${crate}: ${subpath} does not export ${path}`)
    }
  })

  it.live(
    "shows the report of a failure as it is",
    () =>
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        yield* sql`CREATE TABLE users (id uuid PRIMARY KEY, email text UNIQUE)`
        const error = yield* Effect.flip(
          query(
            { operation: "Users.findByEmail", kind: "read" },
            sql`SELECT id, emial FROM users WHERE lower(email) = ${"alice@example.com"}`
          )
        )
        assert.ok(readme.includes(StoreErrorReport.render(error)), StoreErrorReport.render(error))
      }).pipe(Effect.provide(PostgresEmbedded.layer())),
    90_000
  )

  it("has programs that compile, and the first one runs", () => {
    const folder = mkdtempSync(fileURLToPath(new URL(".readme-", root)))
    try {
      const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)]
        .map(([, code]) => code!)
        .filter((code) => code.startsWith("import "))
      assert.ok(programs.length >= 2)
      const [first, ...others] = programs.map((code) =>
        code
          .replaceAll("DatabaseEmbedded", "DatabaseMemory")
          .replace("@ai-core/database/embedded", "@ai-core/database/memory")
      )
      for (const [i, code] of [first!, ...others].entries()) writeFileSync(join(folder, `program-${i}.ts`), code)
      const config = {
        extends: "../tsconfig.json",
        compilerOptions: { rootDir: "..", noUnusedLocals: false },
        include: ["*.ts"]
      }
      writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
      const run = (...args: ReadonlyArray<string>) =>
        spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8", timeout: 120_000 })
      const compiled = run(...compile)
      assert.equal(compiled.status, 0, compiled.stdout)
      const ran = run("--conditions=@ai-core/source", "program-0.ts")
      assert.equal(ran.status, 0, ran.stderr)
      assert.match(ran.stdout, /totalEvents: 1/)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }, 240_000)

  it("names only scripts and documents that are there", () => {
    const scripts: Record<string, string> = JSON.parse(readFileSync(new URL("package.json", root), "utf8")).scripts
    for (const [, script] of readme.matchAll(/npm run ([\w:-]+)/g)) assert.ok(scripts[script!] !== undefined, script)
    for (const [, path] of readme.matchAll(/\]\(([\w./-]+)\)/g)) {
      assert.doesNotThrow(() => readFileSync(new URL(path!, root)), `${path} is not there`)
    }
  })
})
