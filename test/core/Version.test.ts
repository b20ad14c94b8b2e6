import { describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import * as assert from "node:assert/strict"
import { expectVersion, VersionConflict } from "../../src/core/Version.ts"

describe("expectVersion", () => {
  const look = (stored: Option.Option<{ readonly version: number; readonly title: string }>) =>
    expectVersion("a", 2, stored, () => "not there")

  it("gives the row at the version that is expected", () => {
    const row = { version: 2, title: "A" }
    assert.deepEqual(look(Option.some(row)), Result.succeed(row))
  })

  it("says that there is none, or which version is stored", () => {
    assert.deepEqual(look(Option.none()), Result.fail("not there"))
    const conflict = Result.merge(look(Option.some({ version: 3, title: "A" })))
    assert.ok(conflict instanceof VersionConflict)
    assert.deepEqual([conflict.id, conflict.expected, conflict.actual], ["a", 2, 3])
  })
})
