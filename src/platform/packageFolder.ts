import { createRequire } from "node:module"
import path from "node:path"

const installed = (): string | undefined => {
  try {
    return path.dirname(createRequire(import.meta.url).resolve("@ai-core/database/package.json"))
  } catch {
    return undefined
  }
}

/**
 * The folder of this package, where the files lie that it ships beside its modules.
 *
 * Found by the package's name, since a module of the source, of the build and of a user's bundle lies elsewhere each. A bundle
 * that runs without the package finds what was laid into its working folder.
 */
export const packageFolder: string = installed() ?? process.cwd()
