/** Builds `dist`: JavaScript, declarations and maps, from nothing. */
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { buildModules } from "./modules.ts"

const root = join(import.meta.dirname, "..")
const folder = join(root, "dist")

rmSync(folder, { recursive: true, force: true })
execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit"
})
await buildModules(folder)
