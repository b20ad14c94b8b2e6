import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { schemaSnapshot } from "../../src/postgres/migrations/SchemaSnapshot.ts"
import { splitScript } from "../../src/postgres/migrations/SqlScript.ts"

const halves = (file: string): readonly [up: string, down: string] => {
  const text = readFileSync(`${PlatformMigrations.postgresFolder}${file}`, "utf8")
  const [up = "", down = ""] = text.split("-- migrate:down")
  return [up, down]
}

const script = (text: string): Effect.Effect<void, SqlError, PostgresClient> =>
  Effect.flatMap(PostgresClient, ({ sql }) =>
    sql.withTransaction(Effect.forEach(splitScript(text), (statement) => sql.unsafe(statement.text), { discard: true }))
  )

/** The whole schema, as the migrations' own drift check sees it; names are written in full where the search path is empty. */
const schema = Effect.flatMap(PostgresClient, ({ sql }) =>
  sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`select set_config('search_path', '', true)`
      const rows = yield* sql.unsafe<{ readonly line: string }>(schemaSnapshot, [["ai_core"], []])
      return rows.map(({ line }) => line)
    })
  )
)

/** Takes a migration up, down and up again on top of those before it, and fails where the schema is not what it was. */
export const upDownUp = (before: ReadonlyArray<string>, file: string) =>
  Effect.gen(function* () {
    // The engine makes it, and no migration takes it away.
    yield* script("create schema if not exists ai_core")
    for (const earlier of before) yield* script(halves(earlier)[0])
    const [up, down] = halves(file)
    const empty = yield* schema
    yield* script(up)
    const full = yield* schema
    assert.ok(full.length > empty.length + 40, full.join("\n"))
    yield* script(down)
    assert.deepEqual(yield* schema, empty)
    yield* script(up)
    assert.deepEqual(yield* schema, full)
  })
