import { fileURLToPath } from "node:url"

/**
 * Node's arguments to look at the types of the project in the current folder.
 *
 * By one checker: several share the files, and each of them looks at the types of all that its files import.
 */
export const compile: ReadonlyArray<string> = [
  fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url)),
  "--noEmit",
  "--checkers",
  "1",
  "-p",
  "."
]
