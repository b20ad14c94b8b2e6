import { Clock, Duration, Effect, Exit, Random, Schema } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import { createHash } from "node:crypto"
import { decodeStored } from "../core/Decode.ts"
import type { MigrationDriver, MigrationSession } from "../core/MigrationDriver.ts"
import { Conflict, isStoreError, StoreError, Unclassified } from "../core/StoreError.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { splitScript } from "./SqlScript.ts"

/** Where the history is kept, and how long to wait for somebody else who migrates. */
export interface PostgresMigrationsOptions {
  /** Schema of the history table `schema_migrations`; made where it is missing. Each schema has a lock of its own. */
  readonly schema: string
  /** Longest wait for the lock; 60 s. */
  readonly lockTimeout?: Duration.Input | undefined
}

const pollMillis = 100

const HistoryRow = Schema.Struct({
  version: Schema.BigInt,
  name: Schema.String,
  checksum: Schema.String,
  appliedAt: Schema.DateTimeUtcFromDate,
  elapsedMillis: Schema.Int
})
const decodeApplied = decodeStored(HistoryRow)
const decodeHistory = decodeStored(Schema.Array(HistoryRow))

/** Advisory locks are named by a 64-bit number. */
const lockKey = (schema: string): bigint =>
  createHash("sha256").update(`@ai-core/database/migrations/${schema}`).digest().readBigInt64BE(0)

/** The client fails to reserve a connection with its own StoreError, below Effect's error. */
const reserveFailure = (error: SqlError): StoreError =>
  isStoreError(error.reason.cause)
    ? error.reason.cause.during("Migrations.lock")
    : new StoreError({
        store: "postgresql",
        operation: "Migrations.lock",
        outcome: "not-applied",
        reason: new Unclassified({}),
        cause: error
      })

/**
 * Migrations of PostgreSQL, a server or the embedded engine.
 *
 * Everything happens on one reserved connection. The advisory lock is polled, never waited for in the server, where a waiter
 * would block the holder's `CREATE INDEX CONCURRENTLY`. A migration and its row of the history are one transaction.
 */
export const make = (options: PostgresMigrationsOptions): Effect.Effect<MigrationDriver, never, PostgresClient> =>
  Effect.map(PostgresClient, ({ needsSession, query, sql }) => {
    const key = lockKey(options.schema)
    const table = sql`${sql(options.schema)}.schema_migrations`
    const lockMillis = Duration.toMillis(options.lockTimeout ?? "60 seconds")

    const run = (operation: string, text: string) => query({ operation, kind: "write" }, sql.unsafe<object>(text))

    const lock = Effect.gen(function* () {
      const operation = "Migrations.lock"
      const startedAt = yield* Clock.currentTimeMillis
      while (true) {
        const [row] = yield* query(
          { operation, kind: "read" },
          sql<{ readonly locked: boolean }>`select pg_try_advisory_lock(${key}::bigint) as locked`
        )
        if (row?.locked === true) return
        const waited = (yield* Clock.currentTimeMillis) - startedAt
        if (waited >= lockMillis) {
          return yield* new StoreError({
            store: "postgresql",
            operation,
            outcome: "not-applied",
            reason: new Conflict({ detail: `somebody else has been migrating for ${waited} ms` })
          })
        }
        yield* Effect.sleep(pollMillis * (0.5 + (yield* Random.next)))
      }
    })
    // A connection that is gone has given its lock back by itself.
    const unlock = Effect.ignore(
      query({ operation: "Migrations.unlock", kind: "write" }, sql<object>`select pg_advisory_unlock(${key}::bigint)`)
    )

    const transaction = <A>(work: Effect.Effect<A, StoreError>): Effect.Effect<A, StoreError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* run("Migrations.begin", "BEGIN")
          const exit = yield* Effect.exit(restore(work))
          if (Exit.isFailure(exit)) yield* Effect.ignore(run("Migrations.rollback", "ROLLBACK"))
          else yield* run("Migrations.commit", "COMMIT")
          return yield* exit
        })
      )

    const prepareHistory = Effect.gen(function* () {
      const operation = "Migrations.history"
      const [row] = yield* query(
        { operation, kind: "read" },
        sql<{ readonly schema: string | null; readonly history: string | null }>`select
          to_regnamespace(quote_ident(${options.schema}))::text as schema,
          to_regclass(quote_ident(${options.schema}) || '.schema_migrations')::text as history`
      )
      // Asked first, because CREATE … IF NOT EXISTS wants the privilege also where there is nothing to create.
      if (row?.schema === null) yield* query({ operation, kind: "write" }, sql`create schema ${sql(options.schema)}`)
      if (row?.history === null) {
        yield* query(
          { operation, kind: "write" },
          sql`create table ${table} (
            version bigint not null primary key,
            name text not null,
            checksum text not null,
            applied_at timestamptz(3) not null default current_timestamp,
            elapsed_ms integer not null
          )`
        )
      }
    })

    const read = Effect.flatMap(
      query(
        { operation: "Migrations.history", kind: "read" },
        sql<object>`select version, name, checksum, applied_at as "appliedAt", elapsed_ms as "elapsedMillis"
          from ${table} order by version`
      ),
      (rows) => decodeHistory({ store: "postgresql", operation: "Migrations.history", subject: "history" }, rows)
    )

    const apply: MigrationSession["apply"] = (migration) =>
      transaction(
        Effect.gen(function* () {
          const operation = `Migrations.apply ${migration.version}_${migration.name}`
          const startedAt = yield* Clock.currentTimeMillis
          for (const { text } of splitScript(migration.up)) yield* run(operation, text)
          const elapsedMillis = Math.round((yield* Clock.currentTimeMillis) - startedAt)
          const rows = yield* query(
            { operation, kind: "write" },
            sql<object>`insert into ${table} (version, name, checksum, elapsed_ms)
              values (${migration.version}::bigint, ${migration.name}, ${migration.checksum}, ${elapsedMillis}::int)
              returning version, name, checksum, applied_at as "appliedAt", elapsed_ms as "elapsedMillis"`
          )
          return yield* decodeApplied({ store: "postgresql", operation, subject: "history" }, rows[0])
        })
      )

    return {
      store: "postgresql",
      locked: (use) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* needsSession("Migrations.lock")
            const connection = yield* Effect.mapError(sql.reserve, reserveFailure)
            return yield* Effect.acquireUseRelease(
              lock,
              () => Effect.andThen(prepareHistory, use({ history: read, apply })),
              () => unlock
            ).pipe(Effect.provideService(sql.transactionService, [connection, 0]))
          })
        )
    }
  })
