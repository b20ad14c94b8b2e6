import { Context, type Effect } from "effect"
import type { StoreError } from "../core/StoreError.ts"

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
     * Inside another transaction it is a savepoint: its failure undoes its own work only. Fails with what the effect fails
     * with, and with `StoreError` where the transaction cannot begin or commit; `CommitUnknown` says that COMMIT was sent and
     * its answer never came.
     *
     * @example
     * ```ts
     * const transaction = yield* Transaction
     * yield* transaction.run(Effect.andThen(users.create(alice), users.create(bob)))
     * ```
     */
    readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  }
>()("@ai-core/database/postgres/Transaction") {}
