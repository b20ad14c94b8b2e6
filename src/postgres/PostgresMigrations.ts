import { Clock, Context, Duration, Effect, Random, Schema } from "effect"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { createHash } from "node:crypto"
import { decodeStored } from "../core/Decode.ts"
import type {
  AppliedMigration,
  HistoryChange,
  Migration,
  MigrationDriver,
  MigrationSession,
  MigrationState,
  MigrationStep,
  ScriptStep,
  TellProgress
} from "../core/MigrationDriver.ts"
import type { BackupFailed, ProgramFailed } from "../core/MigrationFailure.ts"
import { backoff } from "../core/Retry.ts"
import { Conflict, InvalidStatement, isStoreError, LeaseLost, StoreError, Unclassified } from "../core/StoreError.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { fromSqlError } from "./PostgresError.ts"
import { leaseTable } from "./PostgresLease.ts"
import * as PostgresLint from "./PostgresLint.ts"
import { schemaSnapshot } from "./SchemaSnapshot.ts"
import { type ScriptStatement, splitScript } from "./SqlScript.ts"

/** Where the history is kept, and how long to wait for others. */
export interface PostgresMigrationsOptions {
  /** Schema of the history table `schema_migrations`; made where it is missing. Each schema has a lock of its own. */
  readonly schema: string
  /** Schemas that the migrations change: what `verify`, `down` and `redo` compare, and a backup holds; `[schema]`. */
  readonly covers?: ReadonlyArray<string> | undefined
  /** Longest wait for somebody else who migrates; 60 s. */
  readonly lockTimeout?: Duration.Input | undefined
  /**
   * Longest wait of a statement for a lock on what it changes, set as `lock_timeout`; 2 s. While it waits, everybody who comes
   * after it waits too; so the migration is then undone and tried again after a pause.
   */
  readonly statementLockTimeout?: Duration.Input | undefined
  /** Makes the backup; see `PostgresBackup`. */
  readonly backup?: ((schemas: ReadonlyArray<string>) => Effect.Effect<string, BackupFailed>) | undefined
}

const pollMillis = 100
const historyTable = "schema_migrations"
const journalTable = "schema_migrations_journal"
/** Not part of the schema that migrations make. */
const ownTables = [historyTable, journalTable, leaseTable]

const HistoryRow = Schema.Struct({
  version: Schema.BigInt,
  name: Schema.String,
  checksum: Schema.String,
  kind: Schema.Literals(["migrated", "baseline"]),
  appliedAt: Schema.DateTimeUtcFromDate,
  elapsedMillis: Schema.Int
})
const decodeApplied = decodeStored(HistoryRow)
const decodeHistory = decodeStored(Schema.Array(HistoryRow))
const decodeUnfinished = decodeStored(
  Schema.Array(Schema.Struct({ version: Schema.BigInt, direction: Schema.Literals(["up", "down"]), done: Schema.Int }))
)

/** Advisory locks are named by a 64-bit number. */
const lockKey = (schema: string): bigint =>
  createHash("sha256").update(`@ai-core/database/migrations/${schema}`).digest().readBigInt64BE(0)

const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex")

/** A failure that our client made travels below Effect's error. */
const clientFailure = (error: SqlError, operation: string): StoreError =>
  isStoreError(error.reason.cause)
    ? error.reason.cause.during(operation)
    : new StoreError({
        store: "postgresql",
        operation,
        outcome: "not-applied",
        reason: new Unclassified({}),
        cause: error
      })

const refused = (operation: string, text: string, detail: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    statement: { text },
    reason: new InvalidStatement({ detail })
  })

/** Statements with which a script would end the migration's own transaction. */
const transactionControl =
  /^(?:begin|start\s+transaction|commit|end|abort|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b/i

const codeOf = (error: unknown): string | undefined =>
  isStoreError(error) && "code" in error.reason ? error.reason.code : undefined

/** A lock was not there in time, or two waited for each other. */
const locksBusy: ReadonlySet<string | undefined> = new Set(["55P03", "40P01"])
/** The statement wants to be outside of a transaction, or to end one. */
const wantsNoTransaction: ReadonlySet<string | undefined> = new Set(["25001", "2D000"])

/** `CREATE INDEX CONCURRENTLY name ON table`, and `DROP INDEX CONCURRENTLY name`, with names as they stand there. */
const identifier = String.raw`(?:"(?:[^"]|"")+"|[\w$\u0080-\uffff]+)`
const qualified = `${identifier}(?:\\.${identifier})*`
const createConcurrently = new RegExp(
  `^create\\s+(?:unique\\s+)?index\\s+concurrently\\s+(?:if\\s+not\\s+exists\\s+)?(${identifier})\\s+on\\s+(?:only\\s+)?(${qualified})`,
  "i"
)
const dropConcurrently = new RegExp(
  `^drop\\s+index\\s+concurrently\\s+(?:if\\s+exists\\s+)?(${qualified})\\s*(?:restrict|cascade)?\\s*$`,
  "i"
)
const concurrently = /\bconcurrently\b/i

/** Undoes what was only tried, and carries what it gave past the rollback. */
class Tried<A> {
  readonly value: A
  constructor(value: A) {
    this.value = value
  }
}

/**
 * Migrations of PostgreSQL, a server or the embedded engine.
 *
 * Everything happens on one reserved connection. The advisory lock is polled, never waited for in the server, where a waiter
 * would block the holder's `CREATE INDEX CONCURRENTLY`. A migration and its row of the history are one transaction. One that
 * says `transaction:false` has a journal instead: each statement is entered there in a transaction with itself, or, where it
 * cannot run in one, once it is done; a run that broke off goes on after the last entry.
 */
export const make = (options: PostgresMigrationsOptions): Effect.Effect<MigrationDriver, never, PostgresClient> =>
  Effect.map(PostgresClient, ({ endpoint, query, sql }) => {
    const { schema } = options
    const covers = options.covers ?? [schema]
    const key = lockKey(schema)
    const history = sql`${sql(schema)}.${sql(historyTable)}`
    const journal = sql`${sql(schema)}.${sql(journalTable)}`
    const lockMillis = Duration.toMillis(options.lockTimeout ?? "60 seconds")
    const statementLockMillis = Math.ceil(Duration.toMillis(options.statementLockTimeout ?? "2 seconds"))

    const run = (operation: string, text: string) => query({ operation, kind: "write" }, sql.unsafe<object>(text))

    // ---- transactions

    const inTransaction = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
      Effect.catch(sql.withTransaction(work), (error): Effect.Effect<never, E | StoreError> => {
        const failure = isSqlError(error) ? error.reason.cause : undefined
        // Our client puts a StoreError below what fails in BEGIN and COMMIT, so any other error is the work's own.
        return Effect.fail(isStoreError(failure) ? failure : (error as E))
      })

    const limitLocks = (operation: string, millis: number, local: boolean) =>
      query({ operation, kind: "read" }, sql<object>`select set_config('lock_timeout', ${`${millis}ms`}, ${local})`)

    /** Runs it again, after a pause, while somebody holds a lock on what it changes. */
    const whileLocksAreBusy = <A, E, R>(
      tell: (attempt: number, pauseMillis: number) => Effect.Effect<void>,
      work: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E, R> => {
      const attempt = (tries: number): Effect.Effect<A, E, R> =>
        Effect.catch(work, (error) =>
          Effect.gen(function* () {
            if (!locksBusy.has(codeOf(error))) return yield* Effect.fail(error)
            const pause = yield* backoff(statementLockMillis / 4, statementLockMillis * 4, tries)
            yield* tell(tries + 1, pause)
            yield* Effect.sleep(pause)
            return yield* attempt(tries + 1)
          })
        )
      return attempt(0)
    }

    const isOutermost = Effect.map(
      Effect.serviceOption(sql.transactionService),
      (service) => service._tag === "None" || service.value[1] < 0
    )

    /** One transaction, whose statements wait for a lock no longer than allowed; inside another one, a savepoint. */
    const atomically = <A, E, R>(
      tell: (attempt: number, pauseMillis: number) => Effect.Effect<void>,
      work: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | StoreError, R> =>
      Effect.flatMap(isOutermost, (outermost) =>
        outermost
          ? whileLocksAreBusy(
              tell,
              inTransaction(Effect.andThen(limitLocks("Migrations.begin", statementLockMillis, true), work))
            )
          : inTransaction(work)
      )

    const tried = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
      Effect.matchEffect(inTransaction(Effect.flatMap(work, (value) => Effect.fail(new Tried(value)))), {
        onSuccess: () => Effect.die("what was tried was kept"),
        onFailure: (error) => (error instanceof Tried ? Effect.succeed(error.value) : Effect.fail(error))
      })

    // ---- lock

    const lock = (tell: TellProgress) =>
      Effect.gen(function* () {
        const operation = "Migrations.lock"
        const startedAt = yield* Clock.currentTimeMillis
        let told = startedAt
        while (true) {
          const [row] = yield* query(
            { operation, kind: "read" },
            sql<{ readonly locked: boolean }>`select pg_try_advisory_lock(${key}::bigint) as locked`
          )
          if (row?.locked === true) return
          const now = yield* Clock.currentTimeMillis
          const waited = now - startedAt
          if (waited >= lockMillis) {
            return yield* new StoreError({
              store: "postgresql",
              operation,
              outcome: "not-applied",
              reason: new Conflict({ detail: `somebody else has been migrating for ${waited} ms` })
            })
          }
          if (now === startedAt || now - told >= 5000) {
            told = now
            yield* tell({ _tag: "WaitingForLock", waitedMillis: waited })
          }
          yield* Effect.sleep(pollMillis * (0.5 + (yield* Random.next)))
        }
      })

    /** Whether the session that unlocked is the one that had locked. */
    const unlock = Effect.map(
      query(
        { operation: "Migrations.unlock", kind: "write" },
        sql<{ readonly held: boolean }>`select pg_advisory_unlock(${key}::bigint) as held`
      ),
      ([row]) => row?.held === true
    )

    const lockWasNotHeld = new StoreError({
      store: "postgresql",
      operation: "Migrations.unlock",
      outcome: "unknown",
      reason: new LeaseLost({
        detail:
          "the session that unlocked had not locked. A pooler in transaction mode gives each statement another session: connect to the server itself (DB_MIGRATION_URL)"
      })
    })

    // ---- what the store knows

    const tablesThere = Effect.map(
      query(
        { operation: "Migrations.history", kind: "read" },
        sql<{
          readonly schema: boolean
          readonly history: boolean
          readonly whole: boolean
          readonly journal: boolean
        }>`select
          to_regnamespace(quote_ident(${schema})) is not null as schema,
          h.oid is not null as history,
          exists (select from pg_attribute a where a.attrelid = h.oid and a.attname = 'schema_after') as whole,
          to_regclass(quote_ident(${schema}) || '.' || ${journalTable}) is not null as journal
          from (select to_regclass(quote_ident(${schema}) || '.' || ${historyTable}) as oid) as h`
      ),
      ([row]) => row ?? { schema: false, history: false, whole: false, journal: false }
    )

    const createHistory = sql`create table ${history} (
      version bigint not null primary key,
      name text not null,
      checksum text not null,
      applied_at timestamptz(3) not null default current_timestamp,
      elapsed_ms integer not null,
      kind text not null default 'migrated',
      schema_after text[]
    )`
    const completeHistory = sql`alter table ${history}
      add column if not exists kind text not null default 'migrated',
      add column if not exists schema_after text[]`
    const createJournal = sql`create table if not exists ${journal} (
      version bigint not null,
      direction text not null,
      statement integer not null,
      checksum text not null,
      done boolean not null,
      primary key (version, direction, statement)
    )`

    // Asked first, because CREATE … IF NOT EXISTS wants the privilege also where there is nothing to create.
    const prepareHistory = Effect.gen(function* () {
      const there = yield* tablesThere
      const call = { operation: "Migrations.history", kind: "write" } as const
      if (!there.schema) yield* query(call, sql`create schema ${sql(schema)}`)
      if (!there.history) yield* query(call, createHistory)
      else if (!there.whole) yield* query(call, completeHistory)
    })

    const at = { store: "postgresql", operation: "Migrations.history", subject: "history" } as const
    const nothing: MigrationState = { applied: [], unfinished: [], schema: undefined }

    const state: Effect.Effect<MigrationState, StoreError> = Effect.gen(function* () {
      const there = yield* tablesThere
      if (!there.history) return nothing
      const call = { operation: "Migrations.history", kind: "read" } as const
      const kind = there.whole ? sql`kind` : sql`'migrated' as kind`
      const rows = yield* query(
        call,
        sql<object>`select version, name, checksum, ${kind}, applied_at as "appliedAt", elapsed_ms as "elapsedMillis"
          from ${history} order by version`
      )
      const [last] = there.whole
        ? yield* query(
            call,
            sql<{ readonly lines: ReadonlyArray<string> | null }>`select schema_after as lines from ${history}
              order by applied_at desc, version desc limit 1`
          )
        : []
      const entries = there.journal
        ? yield* query(
            call,
            sql<object>`select version, direction, (count(*) filter (where done))::int as done from ${journal}
              group by version, direction order by version`
          )
        : []
      return {
        applied: yield* decodeHistory(at, rows),
        unfinished: yield* decodeUnfinished(at, entries),
        schema: last?.lines ?? undefined
      }
    })

    /** Names are written in full only where the search path is empty. */
    const snapshot: Effect.Effect<ReadonlyArray<string>, StoreError> = inTransaction(
      Effect.gen(function* () {
        const call = { operation: "Migrations.schema", kind: "read" } as const
        const [before] = yield* query(
          call,
          sql<{ readonly path: string }>`select current_setting('search_path') as path`
        )
        yield* query(call, sql<object>`select set_config('search_path', '', true)`)
        const rows = yield* query(call, sql.unsafe<{ readonly line: string }>(schemaSnapshot, [covers, ownTables]))
        yield* query(call, sql<object>`select set_config('search_path', ${before?.path ?? ""}, true)`)
        return rows.map(({ line }) => line)
      })
    )

    /** Keeps the schema with the row that was entered last, where `state` looks for it. */
    const expectSchema = (lines: ReadonlyArray<string>) =>
      query(
        { operation: "Migrations.schema", kind: "write" },
        sql<object>`update ${history} set schema_after = ${lines}::text[]
          where version = (select version from ${history} order by applied_at desc, version desc limit 1)`
      )
    const keepSchema = Effect.flatMap(snapshot, expectSchema)

    const enter = (
      operation: string,
      migration: Migration<unknown>,
      elapsedMillis: number,
      kind: AppliedMigration["kind"]
    ) =>
      Effect.flatMap(
        query(
          { operation, kind: "write" },
          // Not the transaction's own time: the newest row is the one that was entered last.
          sql<object>`insert into ${history} (version, name, checksum, applied_at, elapsed_ms, kind)
            values (${migration.version}::bigint, ${migration.name}, ${migration.checksum}, clock_timestamp(),
              ${elapsedMillis}::int, ${kind})
            returning version, name, checksum, kind, applied_at as "appliedAt", elapsed_ms as "elapsedMillis"`
        ),
        (rows) => decodeApplied({ store: "postgresql", operation, subject: "history" }, rows[0])
      )

    const leave = (operation: string, versions: ReadonlyArray<bigint>) =>
      query(
        { operation, kind: "write" },
        sql<object>`delete from ${history} where version = any (${versions.map(String)}::text[]::bigint[])`
      )

    /** What a script set in its session ends with it: a search path, a role, a timeout. */
    const resetSession = (operation: string) =>
      Effect.forEach(["RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"], (text) => run(operation, text), {
        discard: true
      })

    // ---- running

    type Direction = "up" | "down"
    type Which = { readonly version: bigint; readonly name: string; readonly direction: Direction }
    type StepFailure = StoreError | ProgramFailed

    const statementsOf = (
      operation: string,
      { text }: ScriptStep
    ): Effect.Effect<ReadonlyArray<ScriptStatement>, StoreError> => {
      const statements = splitScript(text)
      const found = statements.find(({ text }) => transactionControl.test(text))
      return found === undefined
        ? Effect.succeed(statements)
        : Effect.fail(
            refused(
              operation,
              found.text,
              "a migration's transaction is the engine's; say transaction:false on its mark to have none"
            )
          )
    }

    /** What fails with Effect's own error in a program is told like any other statement. */
    const runProgram = <R>(
      operation: string,
      program: Effect.Effect<void, StepFailure, R>
    ): Effect.Effect<void, StepFailure, R> =>
      Effect.mapError(program, (error) =>
        error._tag === "ProgramFailed" && isSqlError(error.cause)
          ? fromSqlError(
              error.cause,
              { operation, kind: "write" },
              { endpoint, elapsedMillis: 0, statementMillis: Number.POSITIVE_INFINITY }
            )
          : error
      )

    const timed = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
      Effect.gen(function* () {
        const startedAt = yield* Clock.currentTimeMillis
        yield* work
        return Math.round((yield* Clock.currentTimeMillis) - startedAt)
      })

    /** Runs a step inside the migration's transaction. */
    const runWhole = <R>(
      operation: string,
      which: Which,
      step: MigrationStep<R>,
      tell: TellProgress
    ): Effect.Effect<void, StepFailure, R> =>
      Effect.gen(function* () {
        if (step._tag === "Program") {
          yield* tell({ _tag: "Started", ...which, statements: 1 })
          yield* runProgram(operation, step.run)
        } else {
          const statements = yield* statementsOf(operation, step)
          yield* tell({ _tag: "Started", ...which, statements: statements.length })
          for (const [i, { text }] of statements.entries()) {
            const elapsedMillis = yield* timed(run(operation, text))
            yield* tell({
              _tag: "StatementDone",
              ...which,
              statement: i + 1,
              statements: statements.length,
              elapsedMillis
            })
          }
        }
        yield* resetSession(operation)
      })

    const enterStatement = (
      operation: string,
      { direction, version }: Which,
      statement: number,
      text: string,
      done: boolean
    ) =>
      query(
        { operation, kind: "write", idempotent: true },
        sql<object>`insert into ${journal} (version, direction, statement, checksum, done)
          values (${version}::bigint, ${direction}, ${statement}::int, ${checksumOf(text)}, ${done})
          on conflict (version, direction, statement) do update set checksum = excluded.checksum, done = excluded.done`
      )

    /** The index that a CONCURRENTLY statement is about: whether it is there, and whether it is whole. */
    const indexOf = (operation: string, name: string, table: string) =>
      Effect.map(
        query(
          { operation, kind: "read" },
          sql<{ readonly name: string; readonly valid: boolean }>`select
            format('%I.%I', n.nspname, c.relname) as name, i.indisvalid as valid
            from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
            where i.indrelid = to_regclass(${table}) and c.relname = (parse_ident(${name}))[1]`
        ),
        ([row]) => row
      )

    /**
     * Looks at what a killed run may have left of a statement that no transaction protects, and says whether it is done.
     *
     * A broken CREATE INDEX CONCURRENTLY leaves an invalid index, which the same statement with IF NOT EXISTS would take for
     * whole.
     */
    const leftBehind = (operation: string, which: Which, text: string, tell: TellProgress) =>
      Effect.gen(function* () {
        const [, name, table] = createConcurrently.exec(text) ?? []
        if (name !== undefined && table !== undefined) {
          const index = yield* indexOf(operation, name, table)
          if (index === undefined || index.valid) return index !== undefined
          yield* run(operation, `drop index concurrently if exists ${index.name}`)
          yield* tell({ _tag: "Cleared", ...which, object: `the invalid index ${index.name}` })
          return false
        }
        const [, dropped] = dropConcurrently.exec(text) ?? []
        if (dropped === undefined) return false
        const [row] = yield* query(
          { operation, kind: "read" },
          sql<{ readonly gone: boolean }>`select to_regclass(${dropped}) is null as gone`
        )
        return row?.gone === true
      })

    /** Runs a step without a transaction around it, statement by statement, after those that have been done. */
    const runInParts = <R>(
      operation: string,
      which: Which,
      step: MigrationStep<R>,
      tell: TellProgress
    ): Effect.Effect<void, StepFailure, R> => {
      const busy = (attempt: number, pauseMillis: number) => tell({ _tag: "LockBusy", ...which, attempt, pauseMillis })
      if (step._tag === "Program") {
        return Effect.andThen(tell({ _tag: "Started", ...which, statements: 1 }), runProgram(operation, step.run))
      }
      const one = (statement: number, text: string, begun: boolean) =>
        Effect.gen(function* () {
          if (begun && (yield* leftBehind(operation, which, text, tell))) {
            yield* enterStatement(operation, which, statement, text, true)
            return
          }
          const together = atomically(
            busy,
            Effect.andThen(run(operation, text), enterStatement(operation, which, statement, text, true))
          )
          // CONCURRENTLY waits for old transactions and blocks nobody; a lock timeout would leave an invalid index.
          const alone = Effect.gen(function* () {
            yield* enterStatement(operation, which, statement, text, false)
            if (concurrently.test(text)) yield* run(operation, text)
            else {
              yield* limitLocks(operation, statementLockMillis, false)
              yield* whileLocksAreBusy(busy, run(operation, text))
            }
            yield* enterStatement(operation, which, statement, text, true)
          })
          yield* concurrently.test(text)
            ? alone
            : Effect.catch(together, (error) => (wantsNoTransaction.has(codeOf(error)) ? alone : Effect.fail(error)))
        })
      return Effect.gen(function* () {
        const statements = yield* statementsOf(operation, step)
        yield* query({ operation, kind: "write" }, createJournal)
        const entries = yield* query(
          { operation, kind: "read" },
          sql<{
            readonly statement: number
            readonly checksum: string
            readonly done: boolean
          }>`select statement, checksum, done
            from ${journal} where version = ${which.version}::bigint and direction = ${which.direction}`
        )
        const before = new Map(entries.map((entry) => [entry.statement, entry]))
        for (const [i, { text }] of statements.entries()) {
          const entry = before.get(i + 1)
          if (entry?.done === true && entry.checksum !== checksumOf(text)) {
            return yield* refused(
              operation,
              text,
              `statement ${i + 1} was edited after it had been done in a run that broke off; put it back, or repair with forgetUnfinished`
            )
          }
        }
        yield* tell({ _tag: "Started", ...which, statements: statements.length })
        for (const [i, { text }] of statements.entries()) {
          const entry = before.get(i + 1)
          if (entry?.done === true) continue
          const elapsedMillis = yield* timed(one(i + 1, text, entry !== undefined))
          yield* tell({
            _tag: "StatementDone",
            ...which,
            statement: i + 1,
            statements: statements.length,
            elapsedMillis
          })
        }
        yield* resetSession(operation)
      })
    }

    /** Whatever becomes of a migration, what had been done of it before does not matter any more. */
    const forgetJournal = (operation: string, versions: ReadonlyArray<bigint>) =>
      Effect.flatMap(tablesThere, ({ journal: there }) =>
        there && versions.length > 0
          ? query(
              { operation, kind: "write" },
              sql<object>`delete from ${journal} where version = any (${versions.map(String)}::text[]::bigint[])`
            )
          : Effect.void
      )

    /** Runs one direction of a migration, and `record` with it in the transaction or, without one, after it. */
    const runStep = <A, R>(
      which: Which,
      step: MigrationStep<R>,
      tell: TellProgress,
      record: (operation: string, elapsedMillis: number) => Effect.Effect<A, StoreError>
    ): Effect.Effect<A, StepFailure, R> =>
      Effect.gen(function* () {
        const operation = `Migrations.${which.direction === "up" ? "apply" : "revert"} ${which.version}_${which.name}`
        const startedAt = yield* Clock.currentTimeMillis
        const busy = (attempt: number, pauseMillis: number) =>
          tell({ _tag: "LockBusy", ...which, attempt, pauseMillis })
        const elapsed = Effect.map(Clock.currentTimeMillis, (now) => Math.round(now - startedAt))
        const recorded = Effect.gen(function* () {
          const kept = yield* record(operation, yield* elapsed)
          yield* forgetJournal(operation, [which.version])
          yield* keepSchema
          return kept
        })
        const result = step.transaction
          ? yield* atomically(busy, Effect.andThen(runWhole(operation, which, step, tell), recorded))
          : yield* Effect.andThen(runInParts(operation, which, step, tell), inTransaction(recorded))
        yield* tell({ _tag: "Finished", ...which, elapsedMillis: yield* elapsed })
        return result
      })

    const change = (changes: HistoryChange): Effect.Effect<void, StoreError> =>
      inTransaction(
        Effect.gen(function* () {
          const operation = "Migrations.change"
          const { schema: expected } = yield* state
          const { abandon = [], baseline = [], forget = [] } = changes
          for (const migration of baseline) yield* enter(operation, migration, 0, "baseline")
          for (const { checksum, name, version } of changes.realign ?? []) {
            yield* query(
              { operation, kind: "write" },
              sql<object>`update ${history} set checksum = ${checksum}, name = ${name} where version = ${version}::bigint`
            )
          }
          if (forget.length > 0) yield* leave(operation, forget)
          yield* forgetJournal(operation, [...abandon, ...baseline.map(({ version }) => version)])
          yield* changes.acceptSchema === true || expected === undefined ? keepSchema : expectSchema(expected)
        })
      )

    const sessionOf = (tell: TellProgress): MigrationSession => ({
      state,
      apply: (migration) =>
        runStep(
          { version: migration.version, name: migration.name, direction: "up" },
          migration.up,
          tell,
          (operation, elapsed) => enter(operation, migration, elapsed, "migrated")
        ),
      revert: (migration, down) =>
        runStep({ version: migration.version, name: migration.name, direction: "down" }, down, tell, (operation) =>
          Effect.asVoid(leave(operation, [migration.version]))
        ),
      change,
      transactions: {
        atomically: (work) => atomically((_attempt, _pause) => Effect.void, work),
        tried
      }
    })

    /** Whether the covered schemas hold a table besides the history. */
    const holdsTables = Effect.map(
      query(
        { operation: "Migrations.backup", kind: "read" },
        sql<{ readonly found: boolean }>`select exists (
          select from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where n.nspname = any (${covers}::text[]) and c.relkind in ('r', 'p', 'm')
            and c.relname <> all (${ownTables}::text[])) as found`
      ),
      ([row]) => row?.found === true
    )
    const { backup } = options

    return {
      store: "postgresql",
      state,
      schema: snapshot,
      lint: PostgresLint.lint,
      backup:
        backup === undefined
          ? undefined
          : Effect.flatMap(holdsTables, (found) =>
              found ? backup([...new Set([...covers, schema])]) : Effect.succeed(undefined)
            ),
      locked: (tellProgress, use) =>
        Effect.scoped(
          Effect.gen(function* () {
            // What is told is not part of the migration: who writes it down does so outside of its transaction.
            const tell: TellProgress = (progress) =>
              Effect.updateContext(tellProgress(progress), Context.omit(sql.transactionService))
            const connection = yield* Effect.mapError(sql.reserve, (error) => clientFailure(error, "Migrations.lock"))
            return yield* Effect.uninterruptibleMask((restore) =>
              Effect.gen(function* () {
                // Interrupted in the moment of success, the session would keep the lock.
                yield* Effect.onError(restore(lock(tell)), () => Effect.ignore(unlock))
                const exit = yield* Effect.exit(restore(Effect.andThen(prepareHistory, use(sessionOf(tell)))))
                yield* Effect.ignore(resetSession("Migrations.unlock"))
                // A connection that is gone has given its lock back by itself.
                const held = yield* Effect.orElseSucceed(unlock, () => true)
                const result = yield* exit
                if (!held) return yield* lockWasNotHeld
                return result
              })
            ).pipe(
              // No transaction is open on it yet: the first one begins with BEGIN.
              Effect.provideService(sql.transactionService, [connection, -1])
            )
          })
        )
    }
  })
