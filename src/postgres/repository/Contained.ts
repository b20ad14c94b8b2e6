import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import type { Transaction } from "../Transaction.ts"

/**
 * Makes a guard for a write that a rule may refuse: inside a transaction it runs in a savepoint, because PostgreSQL would give up
 * the whole transaction for one refused statement; elsewhere it is the write itself, at no cost.
 */
export const makeContained =
  ({ sql }: PostgresClient["Service"], { run }: Pick<Transaction["Service"], "run">) =>
  <A, E, R>(write: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.withFiber((fiber) =>
      Context.getOption(fiber.context, sql.transactionService)._tag === "None" ? write : run(write)
    )
