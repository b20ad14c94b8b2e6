import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import type { MigrationDriver, MigrationSession, TellProgress } from "../core/MigrationDriver.ts"
import type { BackupFailed } from "../core/MigrationFailure.ts"
import { Deadline } from "../core/Deadline.ts"
import { decodeInput } from "../core/Decode.ts"
import { durationBetween } from "../core/DurationInput.ts"
import { longestTimer } from "../core/Setting.ts"
import { isStoreError, StoreError, Unclassified } from "../core/StoreError.ts"
import { makeHistory, ownTables } from "./migrations/History.ts"
import { makeLock } from "./migrations/Lock.ts"
import { makeSteps } from "./migrations/Steps.ts"
import { makeTransactions } from "./migrations/Transactions.ts"
import { CurrentHolder } from "./pool/Holder.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { maxIdentifierBytes } from "./migrations/Identifier.ts"
import * as PostgresLint from "./migrations/PostgresLint.ts"

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

const schemaName = Schema.String.check(
  Schema.makeFilter((name: string) => name !== "" && Buffer.byteLength(name) <= maxIdentifierBytes, {
    expected: `the name of a schema, of 1 to ${maxIdentifierBytes} bytes`
  })
)

const checkOptions = decodeInput(
  Schema.Struct({
    schema: schemaName,
    covers: Schema.optional(Schema.Array(schemaName).check(Schema.isMinLength(1))),
    lockTimeout: Schema.optional(durationBetween(0, "Infinity")),
    // 0 would be no limit to the server.
    statementLockTimeout: Schema.optional(durationBetween("1 milli", longestTimer)),
    backup: Schema.optional(
      Schema.Unknown.check(
        Schema.makeFilter(Predicate.isFunction, { expected: "a function, as PostgresBackup.make gives it" })
      )
    )
  })
)

const checkedClient = (options: PostgresMigrationsOptions) =>
  Effect.suspend(() =>
    Effect.andThen(
      checkOptions({ store: "postgresql", operation: "PostgresMigrations.make", subject: "input" }, options),
      PostgresClient
    )
  )

/** What gives the session back is sent also after the caller's deadline; else it would keep the lock. */
const whenever = Effect.provideService(Deadline, Number.POSITIVE_INFINITY)

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

/**
 * Migrations of PostgreSQL, a server or the embedded engine.
 *
 * Everything happens on one reserved connection. The advisory lock is polled, never waited for in the server, where a waiter
 * would block the holder's `CREATE INDEX CONCURRENTLY`. A migration and its row of the history are one transaction. One that
 * says `transaction:false` has a journal instead: each statement is entered there in a transaction with itself, or, where it
 * cannot run in one, once it is done; a run that broke off goes on after the last entry. Fails with `StoreError` (`InvalidData`)
 * where an option is none.
 */
export const make = (options: PostgresMigrationsOptions): Effect.Effect<MigrationDriver, StoreError, PostgresClient> =>
  Effect.map(checkedClient(options), (client) => {
    const { needsSession, query, sql } = client
    const { schema } = options
    const covers = options.covers ?? [schema]
    const statementLockMillis = Math.ceil(Duration.toMillis(options.statementLockTimeout ?? "2 seconds"))
    const transactions = makeTransactions(client, statementLockMillis)
    const history = makeHistory(client, transactions, { covers, schema })
    const { enter, leave, prepareHistory, snapshot, state } = history
    const { lock, lockWasNotHeld, unlock } = makeLock(
      client,
      schema,
      Duration.toMillis(options.lockTimeout ?? "60 seconds")
    )

    const sessionOf = (tell: TellProgress, { runStep }: ReturnType<typeof makeSteps>): MigrationSession => ({
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
      change: history.change,
      transactions: {
        atomically: (work) => transactions.atomically(() => Effect.void, work),
        tried: transactions.tried
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
      locked: (tellProgress, use, longestMillis) =>
        Effect.scoped(
          Effect.gen(function* () {
            yield* needsSession("Migrations.lock", "set DB_MIGRATION_URL, or migrate by a client that connects past it")
            // What is told is not part of the migration: who writes it down does so outside of its transaction.
            const tell: TellProgress = (progress) =>
              Effect.updateContext(tellProgress(progress), Context.omit(sql.transactionService))
            const statementMillis =
              longestMillis === undefined ? undefined : Math.max(1, Math.min(Math.ceil(longestMillis), longestTimer))
            const steps = makeSteps(client, transactions, history, statementMillis)
            const connection = yield* sql.reserve.pipe(
              Effect.provideService(CurrentHolder, { operation: "Migrations", lasting: true, statementMillis }),
              Effect.mapError((error) => clientFailure(error, "Migrations.lock"))
            )
            return yield* Effect.uninterruptibleMask((restore) =>
              Effect.gen(function* () {
                // Interrupted in the moment of success, the session would keep the lock.
                yield* Effect.onInterrupt(restore(lock(tell)), () => Effect.ignore(whenever(unlock)))
                const work = Effect.gen(function* () {
                  yield* steps.prepareSession("Migrations.lock")
                  yield* prepareHistory
                  return yield* use(sessionOf(tell, steps))
                })
                const exit = yield* Effect.exit(restore(work))
                yield* Effect.ignore(whenever(steps.resetSession("Migrations.unlock")))
                // A connection that is gone has given its lock back by itself.
                const held = yield* Effect.orElseSucceed(whenever(unlock), () => true)
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
