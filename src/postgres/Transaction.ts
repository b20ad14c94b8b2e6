import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { StoreError } from "../core/StoreError.ts"

/** What a transaction sees of those beside it, as SQL names it; what the server is set to (read committed) where none is asked for. */
export type IsolationLevel = "read committed" | "repeatable read" | "serializable"

/** How one transaction is to be run. */
export interface TransactionOptions {
  readonly isolation?: IsolationLevel | undefined
  /** A write inside fails with `StoreError` (`NotPrimary`, code 25006); no by default. */
  readonly readOnly?: boolean | undefined
  /** Waits at its start until it can run without any serialization failure; for `serializable` and `readOnly` together. */
  readonly deferrable?: boolean | undefined
  /** Longest time from asking for a connection to COMMIT, retries included. The Context's Deadline counts where it is sooner. */
  readonly timeout?: Duration.Input | undefined
  /** When the whole transaction is run again after a conflict; `conflictRetry`. `false` where the effect may run only once. */
  readonly retry?: Schedule.Schedule<unknown> | false | undefined
}

/** The settings of a transaction that those nested in it share. */
export interface TransactionSettings {
  readonly isolation: IsolationLevel | "read uncommitted"
  readonly readOnly: boolean
  readonly deferrable: boolean
}

/**
 * What became of a transaction.
 *
 * - `committed`: all of it is stored
 * - `aborted`: none of it is: it was rolled back, or lost in a crash before it was written
 * - `in progress`: the server still works on it; ask again
 * - `too old`: the server no longer knows
 */
export type TransactionOutcome = "committed" | "aborted" | "in progress" | "too old"

/**
 * Makes several calls of PostgreSQL capabilities one: all of them happen, or none.
 *
 * It is atomic within PostgreSQL (or its memory) and says nothing of the other stores.
 */
export class Transaction extends Context.Service<
  Transaction,
  {
    /**
     * Runs the effect in one transaction: committed where it succeeds, rolled back where it fails or is interrupted.
     *
     * After a serialization failure, a deadlock or a prepared statement that is stale (`Conflict`: 40001, 40P01, `stale`)
     * nothing of it was applied, and **the whole effect is run again**, as `retry` says. What it does outside PostgreSQL belongs
     * into `afterCommit`.
     *
     * Inside another transaction it is a savepoint: its failure undoes its own work only, it is not run again by itself, and
     * options that the transaction around it does not have are refused (`InvalidData`). Fibers that use one transaction at
     * once take turns, call by call, and a nested run is one turn; a call that outlives its transaction is refused.
     *
     * Fails with what the effect fails with, and with `StoreError` where the transaction cannot begin or commit. At its
     * deadline the effect is interrupted and the failure is `Timeout`, not applied. `CommitUnknown` says that COMMIT was sent
     * and its answer never came; `outcomeOf` finds out.
     *
     * @example
     * ```ts
     * const transaction = yield* Transaction
     * yield* transaction.run(Effect.andThen(users.create(alice), users.create(bob)))
     * yield* transaction.run(report, { isolation: "repeatable read", readOnly: true, timeout: "10 seconds" })
     * ```
     */
    readonly run: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      options?: TransactionOptions
    ) => Effect.Effect<A, E | StoreError, R>
    /**
     * Runs the effect once the outermost transaction has been committed, or at once where there is none.
     *
     * Actions run in the order in which they were registered, before `run` returns, without the transaction's deadline, and
     * are not interrupted: keep them short. They do not run where the transaction or the savepoint around them is rolled back,
     * nor after `CommitUnknown`, and are lost with the process. An action has no failure, because the transaction can no
     * longer fail; one that dies is logged, and the others still run.
     *
     * @example
     * ```ts
     * yield* transaction.afterCommit(Effect.ignore(cache.delete(profileKey(id)), { log: "Warn" }))
     * ```
     */
    readonly afterCommit: <A, R>(effect: Effect.Effect<A, never, R>) => Effect.Effect<void, never, R>
    /**
     * The id of the transaction around, which is given one now if it has none.
     *
     * For `outcomeOf` after a failure that carries no id, or after a restart of the program. Fails with `StoreError`
     * (`InvalidStatement`) outside a transaction.
     */
    readonly id: Effect.Effect<string, StoreError>
    /**
     * What became of a transaction, by the id that `CommitUnknown` or `id` gave.
     *
     * @example
     * ```ts
     * const settled = transaction.outcomeOf(id).pipe(
     *   Effect.repeat({ schedule: Schedule.spaced("100 millis"), while: (outcome) => outcome === "in progress" })
     * )
     * ```
     */
    readonly outcomeOf: (id: string) => Effect.Effect<TransactionOutcome, StoreError>
  }
>()("@ai-core/database/postgres/Transaction") {}
