/** Packs the package and asks `attw` whether each subpath resolves to its types, as ESM. */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..")
const folder = mkdtempSync(join(tmpdir(), "ai-core-attw-"))
const packed = execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], {
  cwd: root,
  encoding: "utf8",
  stdio: ["ignore", "pipe", "ignore"]
})
const [{ filename }] = JSON.parse(packed) as [{ filename: string }]
const { status } = spawnSync(
  process.execPath,
  [
    join(root, "node_modules/@arethetypeswrong/cli/dist/index.js"),
    join(folder, filename),
    "--profile",
    "esm-only",
    "--no-definitely-typed"
  ],
  { cwd: root, stdio: "inherit" }
)
rmSync(folder, { recursive: true, force: true })
process.exitCode = status ?? 1
