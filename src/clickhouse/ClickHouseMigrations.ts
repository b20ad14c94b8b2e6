import { Clock, DateTime, Duration, Effect, Schema } from "effect"
import type { AppliedMigration, Migration, MigrationDriver } from "../core/MigrationDriver.ts"
import { Conflict, InvalidStatement, StoreError } from "../core/StoreError.ts"
import { ClickHouseClient } from "./ClickHouseClient.ts"
import { mayRunTwice, statementsOf } from "./SqlScript.ts"

/** How migrations are run. */
export interface MigrationOptions {
  /** Table that remembers each statement that ran; `schema_migrations`. The lock is a table of this name and `_lock`. */
  readonly journal?: string | undefined
  /** How long to wait while somebody else migrates; 60 s. */
  readonly lockWait?: Duration.Input | undefined
  /** A lock this old was left behind by a program that died, and is taken over; 15 minutes. */
  readonly lockLifetime?: Duration.Input | undefined
}

const EntryRow = Schema.Struct({
  version: Schema.BigIntFromString,
  name: Schema.String,
  checksum: Schema.String,
  statement: Schema.Finite,
  statements: Schema.Finite,
  appliedAt: Schema.DateTimeUtcFromString,
  elapsedMillis: Schema.FiniteFromString
})

const operation = "migrate"

const failure = (reason: StoreError["reason"]): StoreError =>
  new StoreError({ store: "clickhouse", operation, outcome: "not-applied", reason })

const alreadyThere = (error: StoreError): boolean =>
  error.reason._tag === "InvalidStatement" && error.reason.code === "57"

/**
 * Makes ClickHouse's migration driver.
 *
 * ClickHouse has no transactions for this: a migration is run statement by statement, each entered in a journal when it is
 * done, and a run that broke off continues after the last entry. Hence every statement must be harmless when it runs twice
 * (IF NOT EXISTS, IF EXISTS …); one that is not is refused before anything of its migration runs (`InvalidStatement`). The
 * lock is a table that only one can create.
 */
export const make = (options: MigrationOptions = {}): Effect.Effect<MigrationDriver, never, ClickHouseClient> =>
  Effect.map(ClickHouseClient, (client) => {
    const journal = options.journal ?? "schema_migrations"
    const lock = `${journal}_lock`
    const lockWait = Duration.toMillis(options.lockWait ?? "60 seconds")
    const lockLifetime = Duration.toMillis(options.lockLifetime ?? "15 minutes")

    const createJournal = client.command(operation, {
      query: `CREATE TABLE IF NOT EXISTS {journal:Identifier}
(
    version UInt64,
    name String,
    checksum String,
    statement UInt32,
    statements UInt32,
    applied_at DateTime64(3, 'UTC'),
    elapsed_ms UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY (version, statement)`,
      params: { journal },
      idempotent: true
    })

    const entries = client.query(operation, {
      query: `SELECT version, name, checksum, statement, statements, applied_at AS appliedAt, elapsed_ms AS elapsedMillis
FROM {journal:Identifier} FINAL
ORDER BY version, statement`,
      params: { journal },
      schema: EntryRow
    })

    const enter = (migration: Migration, statement: number, statements: number, elapsedMillis: number) =>
      Effect.flatMap(DateTime.now, (now) =>
        Effect.as(
          client.insert(
            operation,
            journal,
            [
              {
                version: String(migration.version),
                name: migration.name,
                checksum: migration.checksum,
                statement,
                statements,
                applied_at: DateTime.formatIso(now),
                elapsed_ms: elapsedMillis
              }
            ],
            // The journal's own key makes a second entry of the same statement disappear.
            { token: `${migration.version}-${migration.checksum}-${statement}` }
          ),
          now
        )
      )

    const history = Effect.map(entries, (rows) => {
      const applied: Array<AppliedMigration> = []
      let elapsedMillis = 0
      for (const row of rows) {
        elapsedMillis = (row.statement === 1 ? 0 : elapsedMillis) + row.elapsedMillis
        if (row.statement !== row.statements) continue
        const { appliedAt, checksum, name, version } = row
        applied.push({ version, name, checksum, appliedAt, elapsedMillis })
      }
      return applied
    })

    const apply = (migration: Migration): Effect.Effect<AppliedMigration, StoreError> =>
      Effect.gen(function* () {
        const statements = statementsOf(migration.up)
        const refused = statements.find((statement) => !mayRunTwice(statement))
        if (refused !== undefined) {
          return yield* new StoreError({
            store: "clickhouse",
            operation,
            outcome: "not-applied",
            statement: { text: refused },
            reason: new InvalidStatement({ detail: "a migration's statement must be harmless twice: IF NOT EXISTS" })
          })
        }
        const done = new Set(
          (yield* entries)
            .filter(({ checksum, version }) => version === migration.version && checksum === migration.checksum)
            .map(({ statement }) => statement)
        )
        let appliedAt = yield* DateTime.now
        const startedAt = yield* Clock.currentTimeMillis
        for (const [i, query] of statements.entries()) {
          if (done.has(i + 1)) continue
          const before = yield* Clock.currentTimeMillis
          yield* client.command(operation, { query, idempotent: true })
          appliedAt = yield* enter(migration, i + 1, statements.length, (yield* Clock.currentTimeMillis) - before)
        }
        return {
          version: migration.version,
          name: migration.name,
          checksum: migration.checksum,
          appliedAt,
          elapsedMillis: (yield* Clock.currentTimeMillis) - startedAt
        }
      })

    const holder = crypto.randomUUID()

    const dropLock = client.command(operation, {
      query: "DROP TABLE IF EXISTS {lock:Identifier} SYNC",
      params: { lock },
      idempotent: true
    })

    /** Who holds the lock, and for how long, by the server's clock, which also wrote when the lock was made. */
    const found = Effect.map(
      client.query(operation, {
        query: `SELECT comment AS holder, toFloat64(now() - metadata_modification_time) AS seconds
FROM system.tables WHERE database = currentDatabase() AND name = {lock:String}`,
        params: { lock },
        schema: Schema.Struct({ holder: Schema.String, seconds: Schema.Finite })
      }),
      ([row]) => row
    )

    const giveBack = Effect.flatMap(found, (row) => (row?.holder === holder ? dropLock : Effect.void))

    const takeLock = client
      .command(operation, {
        query: `CREATE TABLE {lock:Identifier} (nothing UInt8) ENGINE = Memory COMMENT '${holder}'`,
        params: { lock }
      })
      .pipe(
        Effect.as(true),
        Effect.catchIf(alreadyThere, () => Effect.succeed(false)),
        // Its answer may be lost, and the lock ours.
        Effect.tapError(() => Effect.ignore(giveBack))
      )

    const acquire: Effect.Effect<void, StoreError> = Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      while (!(yield* takeLock)) {
        const row = yield* found
        if (row !== undefined && row.seconds * 1000 > lockLifetime) {
          yield* Effect.logWarning(`Taking over the migration lock ${lock}, ${Math.round(row.seconds)} s old`)
          yield* dropLock
        } else if ((yield* Clock.currentTimeMillis) - startedAt > lockWait) {
          return yield* failure(new Conflict({ detail: `somebody else is migrating (table ${lock})` }))
        } else {
          yield* Effect.interruptible(Effect.sleep("100 millis"))
        }
      }
    })

    return {
      store: "clickhouse",
      locked: (use) =>
        Effect.acquireUseRelease(
          acquire,
          () => Effect.andThen(createJournal, use({ history, apply })),
          // Left behind where the server is gone; its lifetime ends it.
          () => Effect.ignore(giveBack)
        )
    }
  })
