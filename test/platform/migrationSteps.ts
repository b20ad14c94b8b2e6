import { Effect } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
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

/** All that the migrations have made, by name. */
const made = Effect.flatMap(PostgresClient, ({ sql }) =>
  Effect.map(
    sql<{ readonly name: string }>`
      select c.relkind::text || ' ' || c.relname as name from pg_class as c where c.relnamespace = 'ai_core'::regnamespace
      union all select 'function ' || p.proname from pg_proc as p where p.pronamespace = 'ai_core'::regnamespace
      order by 1`,
    (rows) => rows.map(({ name }) => name)
  )
)

/** Takes a migration up, down and up again on top of those before it, and fails where it leaves anything behind. */
export const upDownUp = (before: ReadonlyArray<string>, file: string) =>
  Effect.gen(function* () {
    for (const earlier of before) yield* script(halves(earlier)[0])
    const [up, down] = halves(file)
    const empty = yield* made
    yield* script(up)
    const full = yield* made
    assert.ok(full.length > empty.length + 40, full.join())
    yield* script(down)
    assert.deepEqual(yield* made, empty)
    yield* script(up)
    assert.deepEqual(yield* made, full)
  })
