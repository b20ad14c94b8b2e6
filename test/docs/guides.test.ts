import { it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import { renderLint } from "../../src/migrations/LintReport.ts"
import { readFolder } from "../../src/migrations/MigrationFile.ts"
import { rules } from "../../src/postgres/LintRules.ts"
import { lint } from "../../src/postgres/PostgresLint.ts"

const root = new URL("../../", import.meta.url)
const guide = readFileSync(new URL("docs/guides/safe-migrations.md", root), "utf8")
const blocks = (language: string): ReadonlyArray<string> =>
  [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text]) => text!)

/** A folder in the repository, so that its packages are found, with the guide's files in it. */
const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(fileURLToPath(new URL(".readme-", root)))
    mkdirSync(join(folder, "migrations"))
    for (const text of blocks("sql")) {
      const name = /^-- (\d+_\w+\.sql)\n/.exec(text)?.[1]
      assert.ok(name !== undefined, text)
      writeFileSync(join(folder, "migrations", name), text)
    }
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

describe("the guide to safe migrations", () => {
  it("names every rule of the lint", () => {
    for (const rule of Object.keys(rules)) assert.ok(guide.includes(`\`${rule}\``), rule)
  })

  it.effect("shows files in which nothing dangerous is found", () =>
    Effect.gen(function* () {
      const migrations = yield* readFolder(join(yield* folder, "migrations"))
      assert.ok(migrations.length > 5)
      assert.equal(renderLint(yield* lint(migrations)), "Nothing dangerous was found.")
    })
  )

  it.live(
    "shows operations that compile, and run one after the other",
    () =>
      Effect.gen(function* () {
        const [imports, ...steps] = blocks("ts")
        const program = `${imports}
          import { NodeRuntime } from "@effect/platform-node"
          import { PostgresEmbedded } from "@ai-core/database/postgres"
          Effect.gen(function* () { ${steps.join("\n")} }).pipe(Effect.provide(PostgresEmbedded.layer()), NodeRuntime.runMain)\n`
        const cwd = yield* folder
        writeFileSync(join(cwd, "program.ts"), program)
        const config = { extends: "../tsconfig.json", compilerOptions: { rootDir: ".." }, include: ["*.ts"] }
        writeFileSync(join(cwd, "tsconfig.json"), JSON.stringify(config))
        const run = (...args: ReadonlyArray<string>) =>
          spawnSync(process.execPath, args, { cwd, encoding: "utf8", timeout: 60_000 })
        const compiled = run(fileURLToPath(new URL("node_modules/typescript/bin/tsc", root)), "--noEmit", "-p", ".")
        assert.equal(compiled.status, 0, compiled.stdout)
        const ran = run("--conditions=@ai-core/source", "program.ts")
        assert.equal(ran.status, 0, ran.stdout + ran.stderr)
        assert.match(ran.stdout, /10 applied, backed up to nowhere/)
      }),
    90_000
  )
})
