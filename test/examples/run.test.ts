import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { describe, it } from "vitest"

const folder = new URL("../../examples/", import.meta.url)
const examples = readdirSync(folder).filter((file) => file.endsWith(".ts") && file !== "run.ts")

describe("npm run example", () => {
  it("finds a main in every example", () => {
    assert.ok(examples.length > 5)
    for (const file of examples)
      assert.match(readFileSync(new URL(file, folder), "utf8"), /^export const main\b/m, file)
  })
})
