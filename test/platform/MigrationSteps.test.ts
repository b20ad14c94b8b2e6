import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as assert from "node:assert/strict"
import { readdirSync } from "node:fs"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"
import { upDownUp } from "./migrationSteps.ts"

const files = readdirSync(PlatformMigrations.postgresFolder)
  .filter((name) => name.endsWith(".sql"))
  .sort()

const steps = files.map((file, i) => [file, upDownUp(files.slice(0, i), file)] as const)

describe("The platform's migrations", () => {
  it("are the four that are known", () => assert.equal(files.length, 4))
  for (const [file, step] of steps) {
    it.live(`${file} goes up, down and up again, and leaves nothing behind · embedded`, () =>
      step.pipe(Effect.provide(PostgresEmbedded.layer()))
    )
  }
})

describeLive("postgresql", "The platform's migrations on a server", () => {
  for (const [file, step] of steps) {
    it.live(`${file} goes up, down and up again, and leaves nothing behind`, () =>
      step.pipe(Effect.provide(freshClient(2)))
    )
  }
})
