import { Effect, Layer } from "effect"
import { isSqlError } from "effect/sql/SqlError"
import { isStoreError, type StoreError } from "../core/StoreError.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { Transaction } from "./Transaction.ts"

/** Transactions of a PostgreSQL server or embedded engine. */
export const layer: Layer.Layer<Transaction, never, PostgresClient> = Layer.effect(
  Transaction,
  Effect.map(PostgresClient, ({ sql }) =>
    Transaction.of({
      run: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.catch(sql.withTransaction(effect), (error): Effect.Effect<never, E | StoreError> => {
          const failure = isSqlError(error) ? error.reason.cause : undefined
          // Our client puts a StoreError below what fails in BEGIN and COMMIT, so any other error is the effect's own.
          return Effect.fail(isStoreError(failure) ? failure : (error as E))
        })
    })
  )
)
