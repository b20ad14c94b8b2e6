/** Bundles `src` into the modules of `dist`: one for each subpath of the package, and chunks of what they share. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { rolldown } from "rolldown"

const root = join(import.meta.dirname, "..")

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly "@ai-core/source": string; readonly default: string }>>
}
const manifest: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const entry = (source: string, built: string): [name: string, file: string] => [
  built.replace(/^\.\/dist\/|\.js$/g, ""),
  join(root, source)
]

const entries = Object.fromEntries([
  ...Object.values(manifest.exports).flatMap((target) =>
    typeof target === "string" ? [] : [entry(target["@ai-core/source"], target.default)]
  ),
  // Imported by nobody: the embedded ClickHouse runs it as a process.
  entry("./src/clickhouse/engine.ts", "./dist/clickhouse/engine.js")
])

export const buildModules = async (folder: string): Promise<void> => {
  // What is not a path is another package.
  await using bundle = await rolldown({ input: entries, platform: "node", external: /^[^./]/, cwd: root })
  await bundle.write({
    dir: folder,
    format: "esm",
    sourcemap: true,
    sourcemapExcludeSources: true,
    entryFileNames: "[name].js",
    chunkFileNames: "chunks/[name]-[hash].js"
  })
}
