/** The package as a user gets it, built from this checkout: what an import costs must not count the stripping of types. */
import { execFile } from "node:child_process"
import { randomUUID } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { buildModules } from "../tools/modules.ts"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const name = "@ai-core/database"

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
}
const manifest: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** What can be imported: the subpath, and the file of the build behind it. */
export const entries: ReadonlyArray<{ readonly subpath: string; readonly file: string }> = Object.entries(
  manifest.exports
).flatMap(([subpath, target]) => (typeof target === "string" ? [] : [{ subpath, file: target.default }]))

/** A folder whose node_modules has the built package, and beside it everything that is installed here. */
export interface BuiltPackage {
  readonly folder: string
  readonly has: (file: string) => boolean
}

const linkInstalled = (to: string): void => {
  const from = join(root, "node_modules")
  for (const entry of readdirSync(from)) {
    if (entry.startsWith(".") || entry === dirname(name)) continue
    if (!entry.startsWith("@")) {
      symlinkSync(join(from, entry), join(to, entry))
      continue
    }
    mkdirSync(join(to, entry))
    for (const scoped of readdirSync(join(from, entry))) symlinkSync(join(from, entry, scoped), join(to, entry, scoped))
  }
}

export const buildPackage: Effect.Effect<BuiltPackage, never, Scope.Scope> = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "ai-core-bench-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const modules = join(folder, "node_modules")
  const home = join(modules, name)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, "package.json"), JSON.stringify(manifest))
  linkInstalled(modules)
  yield* Effect.promise(() => buildModules(join(home, "dist")))
  return { folder, has: (file) => existsSync(join(home, file)) }
})

/** Runs a module in a process of its own, in this folder, and reads the JSON that it prints. */
export const inChild = <A>(folder: string, code: string): Effect.Effect<A, Error> =>
  Effect.callback((resume) => {
    // A file, as a user's program is one: code given on the command line takes 3 MB more.
    const program = join(folder, `program-${randomUUID()}.mjs`)
    writeFileSync(program, code)
    execFile(
      process.execPath,
      [program],
      { cwd: folder, env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: "1", NODE_OPTIONS: "" } },
      (error, stdout, stderr) => {
        rmSync(program)
        resume(error === null ? Effect.succeed(JSON.parse(stdout)) : Effect.fail(new Error(stderr || error.message)))
      }
    )
  })
