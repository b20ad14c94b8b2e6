/** How long each of the platform's migrations takes on an empty database. */
import { Effect, Redacted, References, type Scope } from "effect"
import type { Pool } from "pg"
import type { Migration } from "../../../src/core/MigrationDriver.ts"
import { readFolder } from "../../../src/migrations/MigrationFile.ts"
import * as Migrations from "../../../src/migrations/Migrations.ts"
import { platformSchema, postgresFolder } from "../../../src/platform/PlatformMigrations.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as PostgresMigrations from "../../../src/postgres/PostgresMigrations.ts"
import { splitScript } from "../../../src/postgres/migrations/SqlScript.ts"
import type { Bench, Samples } from "../../harness.ts"
import { wrong } from "../../loops.ts"
import { rotated } from "../../statistics.ts"
import { ask, durably, scopedPool } from "./ground.ts"

/** What each migration took, in milliseconds. */
type Took = ReadonlyMap<string, number>

const nameOf = ({ name, version }: { readonly name: string; readonly version: bigint }) => `${version}_${name}`

/** As the engine tells it: the statements, the schema that is kept for `verify`, the row of the history, and COMMIT. */
const byRun = (url: string, migrations: ReadonlyArray<Migration>): Effect.Effect<Took, unknown> =>
  Effect.gen(function* () {
    const took = new Map<string, number>()
    const { applied } = yield* Migrations.make(yield* PostgresMigrations.make({ schema: platformSchema }), {
      folder: postgresFolder,
      onProgress: (progress) =>
        Effect.sync(() => {
          if (progress._tag === "Finished") took.set(nameOf(progress), progress.elapsedMillis)
        })
    }).run
    if (applied.length !== migrations.length) wrong("the migrations", applied)
    return took
  }).pipe(
    Effect.provide(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 2 })),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

/** The same statements and nothing else, each file as one transaction. */
const byPg = (url: string, migrations: ReadonlyArray<Migration>): Effect.Effect<Took, unknown> =>
  Effect.gen(function* () {
    const pool = yield* scopedPool({ connectionString: url, max: 1 })
    yield* ask(pool, `create schema ${platformSchema}`)
    const took = new Map<string, number>()
    for (const migration of migrations) {
      if (migration.up._tag !== "Script") continue
      const statements = splitScript(migration.up.text)
      const startedAt = performance.now()
      yield* ask(pool, "begin")
      for (const { text } of statements) yield* ask(pool, text)
      yield* ask(pool, "commit")
      took.set(nameOf(migration), performance.now() - startedAt)
    }
    return took
  }).pipe(Effect.scoped)

const variants = [
  { name: "pg, its statements in a transaction", run: byPg },
  { name: "run", run: byRun }
] as const

/**
 * A new database, dropped with all the others once everything is measured.
 *
 * ext4 gives no inode out again for a while after it was freed, and steps over each such one to find a free one. So every
 * table and index that is made shortly after a database was dropped takes longer, the migrations here twice as long.
 */
const database = (admin: Pool, base: string, name: string): Effect.Effect<string, unknown, Scope.Scope> =>
  Effect.as(
    Effect.acquireRelease(ask(admin, `create database ${name}`), () =>
      Effect.ignore(ask(admin, `drop database ${name} with (force)`))
    ),
    Object.assign(new URL(base), { pathname: `/${name}` }).href
  )

const migrationsBench: Bench = {
  name: "postgres/migrations",
  about: "each of the platform's migrations on an empty database, durably",
  needs: ["postgresql"],
  measure: ({ work, url }) =>
    Effect.gen(function* () {
      const base = url("postgresql")
      const admin = yield* scopedPool({ connectionString: base, max: 1 })
      yield* durably(admin)
      const migrations = yield* readFolder(postgresFolder)
      const values = new Map(migrations.map((one) => [nameOf(one), new Map<string, Array<number>>()]))
      for (let round = 0; round <= work.count; round++) {
        for (const { name, run } of rotated(variants, round)) {
          const own = `ai_core_bench_${process.pid}_${round}_${variants.findIndex((variant) => variant.name === name)}`
          const took = yield* run(yield* database(admin, base, own), migrations)
          if (round === 0) continue
          for (const [migration, millis] of took) {
            const of = values.get(migration)
            of?.set(name, [...(of.get(name) ?? []), millis])
          }
        }
      }
      return [...values].map(([migration, taken]): Samples => ({
        bench: `postgres/migrations: ${migration}`,
        unit: "ms",
        better: "lower",
        baseline: variants[0].name,
        values: new Map(variants.map(({ name }) => [name, taken.get(name) ?? []]))
      }))
    })
}

export const migrations: ReadonlyArray<Bench> = [migrationsBench]
