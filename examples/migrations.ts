/** Migrations of your own folder: plan, lint, run, verify, down, history; on PostgreSQL embedded in this process. */
import { Migrations, planText, program, renderLint } from "@ai-core/database/migrations"
import { PostgresEmbedded, PostgresMigrations } from "@ai-core/database/postgres"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const files = {
  "20260301120000_make_tasks.sql": `-- migrate:up
create table shop.tasks (id bigint primary key, title text not null, done_at timestamptz);

-- migrate:down
drop table shop.tasks;
`,
  "20260302090000_index_open_tasks.sql": `-- A file of its own, because CONCURRENTLY runs in no transaction.

-- migrate:up transaction:false
create index concurrently tasks_open on shop.tasks (id) where done_at is null;

-- migrate:down transaction:false
drop index concurrently shop.tasks_open;
`,
  "20260304090000_require_done_at.sql": `-- migrate:up
alter table shop.tasks alter column done_at set not null;

-- migrate:down
alter table shop.tasks alter column done_at drop not null;
`
}

const folder = Effect.acquireRelease(
  Effect.sync(() => {
    const path = mkdtempSync(join(tmpdir(), "migrations-"))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
    return path
  }),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** What SQL alone cannot do: it takes part in the migration's transaction like any statement. */
const firstTasks = program({
  version: 20260303120000n,
  name: "first_tasks",
  revision: "1",
  up: Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.forEach(["write", "read"], (title, i) => sql`insert into shop.tasks values (${i + 1}, ${title}, now())`)
  ),
  down: Effect.flatMap(SqlClient.SqlClient, (sql) => sql`delete from shop.tasks`)
})

const example = Effect.gen(function* () {
  const driver = yield* PostgresMigrations.make({ schema: "shop" })
  const migrations = Migrations.make(driver, { folder: yield* folder, programs: [firstTasks] })

  yield* Console.log(`-- plan: nothing is written yet\n${planText(yield* migrations.plan)}\n`)
  yield* Console.log(`-- lint\n${renderLint(yield* migrations.lint)}\n`)

  const { applied } = yield* migrations.run
  yield* Console.log(`\n-- run: ${applied.length} applied; again: ${(yield* migrations.run).applied.length}`)

  yield* migrations.down({ to: 20260302090000n })
  yield* Console.log("\n-- status after undoing two")
  for (const { name, state, version } of yield* migrations.status) yield* Console.log(`${version} ${state} ${name}`)

  const sql = yield* SqlClient.SqlClient
  yield* sql`alter table shop.tasks add column by_hand text`
  const { drift, ok } = yield* migrations.verify
  yield* Console.log(`\n-- verify: ${ok ? "as it should be" : "changed past the migrations"}: ${drift?.unexpected}`)

  yield* Console.log("\n-- history")
  yield* Stream.runForEach(migrations.history, ({ elapsedMillis, name, version }) =>
    Console.log(`${version} ${name} took ${elapsedMillis} ms`)
  )
})

const embedded = example.pipe(Effect.scoped, Effect.provide(PostgresEmbedded.layer()))

export const main = (): void => NodeRuntime.runMain(embedded)

if (import.meta.main) main()
