import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { decodeInput } from "../core/Decode.ts"
import { durationBetween } from "../core/DurationInput.ts"
import { holdLease, type LeaseStore } from "../core/Lease.ts"
import type {
  AppliedMigration,
  HistoryChange,
  Migration,
  MigrationDriver,
  MigrationSession,
  MigrationState,
  MigrationStep,
  TellProgress
} from "../core/MigrationDriver.ts"
import type { ProgramFailed } from "../core/MigrationFailure.ts"
import { Conflict, InvalidStatement, StoreError } from "../core/StoreError.ts"
import { ClickHouseClient } from "./ClickHouseClient.ts"
import { mayRunTwice, statementsOf } from "./SqlScript.ts"

/** How migrations are run. */
export interface MigrationOptions {
  /** Table that remembers each statement that ran; `schema_migrations`. The lock is a table of this name and `_lock`. */
  readonly journal?: string | undefined
  /** How long to wait while somebody else migrates; 60 s. */
  readonly lockTimeout?: Duration.Input | undefined
  /** Leases of another store, which then take the place of the lock in ClickHouse, under this name. */
  readonly lease?: { readonly store: LeaseStore; readonly name: string } | undefined
  /** A lock this old was left behind by a program that died, and is taken over; 15 minutes. */
  readonly lockLifetime?: Duration.Input | undefined
}

const checkOptions = decodeInput(
  Schema.Struct({
    journal: Schema.optional(Schema.NonEmptyString),
    lockTimeout: Schema.optional(durationBetween(0, "Infinity")),
    lockLifetime: Schema.optional(durationBetween("1 milli", "Infinity")),
    lease: Schema.optional(
      Schema.Struct({
        store: Schema.Unknown.check(
          Schema.makeFilter((given: unknown) => Predicate.isObject(given), { expected: "leases of another store" })
        ),
        name: Schema.NonEmptyString
      })
    )
  })
)

const checkedClient = (options: MigrationOptions) =>
  Effect.suspend(() =>
    Effect.andThen(
      checkOptions({ store: "clickhouse", operation: "ClickHouseMigrations.make", subject: "input" }, options),
      ClickHouseClient
    )
  )

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

/** A row of the journal that says that a baseline found the migration done; no statement has this number. */
const baselineStatements = 0

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
 * lock is a lease in another store, or else a table that only one can create. Fails with `StoreError` (`InvalidData`) where an
 * option is none.
 */
export const make = (options: MigrationOptions = {}): Effect.Effect<MigrationDriver, StoreError, ClickHouseClient> =>
  Effect.map(checkedClient(options), (client) => {
    const journal = options.journal ?? "schema_migrations"
    const lock = `${journal}_lock`
    const lockTimeout = Duration.toMillis(options.lockTimeout ?? "60 seconds")
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

    const store = (rows: ReadonlyArray<typeof EntryRow.Type>) =>
      Effect.flatMap(DateTime.now, (now) =>
        client.insert(
          operation,
          journal,
          rows.map((row) => ({
            version: String(row.version),
            name: row.name,
            checksum: row.checksum,
            statement: row.statement,
            statements: row.statements,
            applied_at: DateTime.formatIso(row.appliedAt),
            elapsed_ms: row.elapsedMillis
          })),
          // The journal's own key makes a second entry of the same statement disappear.
          {
            token: `${DateTime.formatIso(now)}-${rows.map(({ statement, version }) => `${version}.${statement}`).join()}`
          }
        )
      )

    const isThere = Effect.map(
      client.query(operation, {
        query:
          "SELECT count() AS found FROM system.tables WHERE database = currentDatabase() AND name = {journal:String}",
        params: { journal },
        schema: Schema.Struct({ found: Schema.FiniteFromString })
      }),
      ([row]) => row?.found === 1
    )

    const stateOf = (rows: ReadonlyArray<typeof EntryRow.Type>): MigrationState => {
      const applied: Array<AppliedMigration> = []
      const unfinished = new Map<bigint, number>()
      let elapsedMillis = 0
      for (const row of rows) {
        elapsedMillis = (row.statement <= 1 ? 0 : elapsedMillis) + row.elapsedMillis
        const { appliedAt, checksum, name, version } = row
        if (row.statement !== row.statements) {
          unfinished.set(version, (unfinished.get(version) ?? 0) + 1)
          continue
        }
        unfinished.delete(version)
        applied.push({
          version,
          name,
          checksum,
          kind: row.statements === baselineStatements ? "baseline" : "migrated",
          appliedAt,
          elapsedMillis
        })
      }
      return {
        applied,
        unfinished: [...unfinished].map(([version, done]) => ({ version, direction: "up" as const, done })),
        schema: undefined
      }
    }

    const journaled = Effect.map(entries, stateOf)

    const state = Effect.flatMap(isThere, (there) => (there ? journaled : Effect.succeed(stateOf([]))))

    const checked = (text: string): Effect.Effect<ReadonlyArray<string>, StoreError> => {
      const statements = statementsOf(text)
      const refused = statements.find((statement) => !mayRunTwice(statement))
      return refused === undefined
        ? Effect.succeed(statements)
        : Effect.fail(
            new StoreError({
              store: "clickhouse",
              operation,
              outcome: "not-applied",
              statement: { text: refused },
              reason: new InvalidStatement({ detail: "a migration's statement must be harmless twice: IF NOT EXISTS" })
            })
          )
    }

    /** What a step consists of; a program is one statement. */
    const partsOf = <R>(
      step: MigrationStep<R>
    ): Effect.Effect<ReadonlyArray<Effect.Effect<void, StoreError | ProgramFailed, R>>, StoreError> =>
      step._tag === "Program"
        ? Effect.succeed([step.run])
        : Effect.map(checked(step.text), (statements) =>
            statements.map((query) => Effect.asVoid(client.command(operation, { query, idempotent: true })))
          )

    const timed = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
      Effect.gen(function* () {
        const startedAt = yield* Clock.currentTimeMillis
        yield* work
        return Math.round((yield* Clock.currentTimeMillis) - startedAt)
      })

    const apply = <R>(
      tell: TellProgress,
      migration: Migration<R>
    ): Effect.Effect<AppliedMigration, StoreError | ProgramFailed, R> =>
      Effect.gen(function* () {
        const { checksum, name, version } = migration
        const which = { version, name, direction: "up" as const }
        const parts = yield* partsOf(migration.up)
        const statements = parts.length
        const done = new Set(
          (yield* entries)
            .filter((entry) => entry.version === version && entry.checksum === checksum)
            .map(({ statement }) => statement)
        )
        yield* tell({ _tag: "Started", ...which, statements })
        let appliedAt = yield* DateTime.now
        const elapsedMillis = yield* timed(
          Effect.gen(function* () {
            for (const [i, part] of parts.entries()) {
              const statement = i + 1
              if (done.has(statement)) continue
              const elapsedMillis = yield* timed(part)
              appliedAt = yield* DateTime.now
              yield* store([{ version, name, checksum, statement, statements, appliedAt, elapsedMillis }])
              yield* tell({ _tag: "StatementDone", ...which, statement, statements, elapsedMillis })
            }
          })
        )
        yield* tell({ _tag: "Finished", ...which, elapsedMillis })
        return { version, name, checksum, kind: "migrated", appliedAt, elapsedMillis }
      })

    const forget = (versions: ReadonlyArray<bigint>) =>
      client.command(operation, {
        query: `ALTER TABLE {journal:Identifier} DELETE WHERE version IN (${versions.join(", ")}) SETTINGS mutations_sync = 2`,
        params: { journal },
        idempotent: true
      })

    const revert = <R>(
      tell: TellProgress,
      { name, version }: Migration<R>,
      down: MigrationStep<R>
    ): Effect.Effect<void, StoreError | ProgramFailed, R> =>
      Effect.gen(function* () {
        const which = { version, name, direction: "down" as const }
        const parts = yield* partsOf(down)
        yield* tell({ _tag: "Started", ...which, statements: parts.length })
        const elapsedMillis = yield* timed(
          // Harmless twice, so that a run that broke off begins anew.
          Effect.andThen(
            Effect.forEach(parts, (part) => part, { discard: true }),
            forget([version])
          )
        )
        yield* tell({ _tag: "Finished", ...which, elapsedMillis })
      })

    const change = (changes: HistoryChange): Effect.Effect<void, StoreError> =>
      Effect.gen(function* () {
        const realign = new Map((changes.realign ?? []).map((migration) => [migration.version, migration]))
        const rows = (yield* entries).flatMap((row) => {
          const migration = realign.get(row.version)
          return migration === undefined ? [] : [{ ...row, checksum: migration.checksum, name: migration.name }]
        })
        if (rows.length > 0) yield* store(rows)
        const gone = [...(changes.forget ?? []), ...(changes.abandon ?? [])]
        if (gone.length > 0) yield* forget(gone)
        const { baseline = [] } = changes
        const appliedAt = yield* DateTime.now
        if (baseline.length > 0) {
          yield* store(
            baseline.map(({ checksum, name, version }) => ({
              version,
              name,
              checksum,
              statement: baselineStatements,
              statements: baselineStatements,
              appliedAt,
              elapsedMillis: 0
            }))
          )
        }
      })

    const sessionOf = (tell: TellProgress): MigrationSession => ({
      state: journaled,
      apply: (migration) => apply(tell, migration),
      revert: (migration, down) => revert(tell, migration, down),
      change
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

    const acquire = Effect.fnUntraced(function* (tell: TellProgress) {
      const startedAt = yield* Clock.currentTimeMillis
      let told = false
      while (!(yield* takeLock)) {
        const row = yield* found
        if (!told) yield* tell({ _tag: "WaitingForLock", waitedMillis: 0 })
        told = true
        if (row !== undefined && row.seconds * 1000 > lockLifetime) {
          yield* Effect.logWarning(`Taking over the migration lock ${lock}, ${Math.round(row.seconds)} s old`)
          yield* dropLock
        } else if ((yield* Clock.currentTimeMillis) - startedAt > lockTimeout) {
          return yield* failure(new Conflict({ detail: `somebody else is migrating (table ${lock})` }))
        } else {
          yield* Effect.interruptible(Effect.sleep("100 millis"))
        }
      }
    })

    return {
      store: "clickhouse",
      state,
      locked: (tell, use) => {
        const work = Effect.andThen(createJournal, use(sessionOf(tell)))
        if (options.lease !== undefined) {
          const { name, store } = options.lease
          const onWait = tell({ _tag: "WaitingForLock", waitedMillis: 0 })
          return holdLease(store, { name, wait: lockTimeout, onWait }, () => work)
        }
        return Effect.acquireUseRelease(
          acquire(tell),
          () => work,
          // Left behind where the server is gone; its lifetime ends it.
          () => Effect.ignore(giveBack)
        )
      }
    }
  })
