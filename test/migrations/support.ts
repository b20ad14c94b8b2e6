import { Effect, Layer, Redacted, References } from "effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { MigrationProgress } from "../../src/core/MigrationProgress.ts"
import { MigrationError, type MigrationReason } from "../../src/migrations/MigrationError.ts"
import * as Migrations from "../../src/migrations/Migrations.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as PostgresMigrations from "../../src/postgres/PostgresMigrations.ts"
import { freshPostgres } from "../servers/index.ts"

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "ai-core-migrations-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** Says nothing of what goes well. */
export const quiet = Layer.succeed(References.MinimumLogLevel, "None")

/** A client of a new database. */
export const server = (
  options: Partial<Pick<Parameters<typeof PostgresClient.layer>[0], "maxConnections" | "statementTimeout">> = {}
) =>
  Layer.unwrap(
    Effect.map(freshPostgres, (url) =>
      PostgresClient.layer({ url: Redacted.make(url), maxConnections: 6, minConnections: 0, ...options })
    )
  )

let schemas = 0

/** A folder of migrations, a schema with a history of its own, and what tests ask of both. */
export const ground = (
  options: Partial<PostgresMigrations.PostgresMigrationsOptions> & Pick<Migrations.MigrationsOptions, "timeout"> = {}
) =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const schema = options.schema ?? `app_${++schemas}`
    const client = yield* PostgresClient.PostgresClient
    const { timeout, ...ofDriver } = options
    const driver = yield* PostgresMigrations.make({ ...ofDriver, schema })
    const progress: Array<MigrationProgress> = []
    const make = <R = never>(more: Migrations.MigrationsOptions<R> = {}) =>
      Migrations.make<R>(driver, {
        folder,
        timeout,
        onProgress: (event) => Effect.sync(() => progress.push(event)),
        ...more
      })
    /** Writes a file; `app.` stands for the schema. */
    const file = (name: string, up: string, down?: string, mark = "") =>
      Effect.promise(() =>
        writeFile(
          join(folder, name),
          `-- migrate:up${mark}\n${up}\n${down === undefined ? "" : `-- migrate:down${mark}\n${down}\n`}`.replaceAll(
            "app.",
            `${schema}.`
          )
        )
      )
    const remove = (name: string) => Effect.promise(() => rm(join(folder, name)))
    const exists = (relation: string) =>
      Effect.map(
        client.sql<{ readonly name: string | null }>`select to_regclass(${`${schema}.${relation}`})::text as name`,
        (rows) => rows[0]?.name !== null
      )
    const count = (table: string) =>
      Effect.map(
        client.sql<{ readonly n: bigint }>`select count(*) as n from ${client.sql(schema)}.${client.sql(table)}`,
        (rows) => Number(rows[0]?.n)
      )
    return { client, schema, folder, driver, progress, make, migrations: make(), file, remove, exists, count }
  })

/** Why an operation failed. */
export const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<MigrationReason, A, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    if (error instanceof MigrationError) return error.reason
    throw error
  })

export const withoutTransaction = " transaction:false"
