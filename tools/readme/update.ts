/** Writes the made parts of README: `node tools/readme/update.ts`. */
import { readFileSync, writeFileSync } from "node:fs"
import { format } from "prettier"
import { withMadeParts } from "./tables.ts"

const file = new URL("../../README.md", import.meta.url)
const text = withMadeParts(readFileSync(file, "utf8"))
writeFileSync(file, await format(text, { parser: "markdown", semi: false, printWidth: 120, trailingComma: "none" }))
