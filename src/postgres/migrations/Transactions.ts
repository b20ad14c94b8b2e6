import * as Effect from "effect/Effect"
import { isSqlError } from "effect/sql/SqlError"
import { backoff } from "../../core/Retry.ts"
import { isStoreError, type StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"

/** Is told that a lock was taken, how often that was so, and when it is tried again. */
export type TellBusy = (attempt: number, pauseMillis: number) => Effect.Effect<void>

/** Transactions on the connection that a migration has to itself. */
export interface Transactions {
  /** One transaction; inside another one, a savepoint. */
  readonly inTransaction: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /** The same, whose statements wait for a lock no longer than allowed: it is then undone, and tried again. */
  readonly atomically: <A, E, R>(tell: TellBusy, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /** Tells what the work would give, and undoes it. */
  readonly tried: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /** Runs it again, after a pause, while somebody holds a lock on what it changes. */
  readonly whileLocksAreBusy: <A, E, R>(tell: TellBusy, work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Longest wait of a statement for a lock: to the end of the transaction, or of the session. */
  readonly limitLocks: (operation: string, until: "transaction" | "session") => Effect.Effect<unknown, StoreError>
  /** The same for work without a transaction; what the session had before it has again, once the work is done. */
  readonly whileLocksAreLimited: <A, E, R>(
    operation: string,
    work: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
}

/** A lock was not there in time, or two waited for each other. */
const locksBusy: ReadonlySet<string | undefined> = new Set(["55P03", "40P01"])

/** The server's code of a failure. */
export const codeOf = (error: unknown): string | undefined =>
  isStoreError(error) && "code" in error.reason ? error.reason.code : undefined

/** Undoes what was only tried, and carries what it gave past the rollback. */
class Tried<A> {
  readonly value: A
  constructor(value: A) {
    this.value = value
  }
}

export const makeTransactions = (
  { query, sql }: PostgresClient["Service"],
  statementLockMillis: number
): Transactions => {
  const inTransaction = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.catch(sql.withTransaction(work), (error): Effect.Effect<never, E | StoreError> => {
      const failure = isSqlError(error) ? error.reason.cause : undefined
      // Our client puts a StoreError below what fails in BEGIN and COMMIT, so any other error is the work's own.
      return Effect.fail(isStoreError(failure) ? failure : (error as E))
    })

  const limitLocks: Transactions["limitLocks"] = (operation, until) =>
    query(
      { operation, kind: "read" },
      sql<object>`select set_config('lock_timeout', ${`${statementLockMillis}ms`}, ${until === "transaction"})`
    )

  const whileLocksAreLimited: Transactions["whileLocksAreLimited"] = (operation, work) =>
    Effect.gen(function* () {
      const call = { operation, kind: "read" } as const
      const [before] = yield* query(
        call,
        sql<{ readonly limit: string }>`select current_setting('lock_timeout') as limit`
      )
      yield* limitLocks(operation, "session")
      const result = yield* work
      yield* query(call, sql<object>`select set_config('lock_timeout', ${before?.limit ?? "0"}, false)`)
      return result
    })

  /** Runs it again, after a pause, while somebody holds a lock on what it changes. */
  const whileLocksAreBusy = <A, E, R>(tell: TellBusy, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
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
  const atomically = <A, E, R>(tell: TellBusy, work: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.flatMap(isOutermost, (outermost) =>
      outermost
        ? whileLocksAreBusy(tell, inTransaction(Effect.andThen(limitLocks("Migrations.begin", "transaction"), work)))
        : inTransaction(work)
    )

  const tried = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.matchEffect(inTransaction(Effect.flatMap(work, (value) => Effect.fail(new Tried(value)))), {
      onSuccess: () => Effect.die("what was tried was kept"),
      onFailure: (error) => (error instanceof Tried ? Effect.succeed(error.value) : Effect.fail(error))
    })

  return { inTransaction, atomically, tried, whileLocksAreBusy, limitLocks, whileLocksAreLimited }
}
