import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { BeginTransaction } from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { Deadline } from "../core/Deadline.ts"
import { decodeStored, invalidData } from "../core/Decode.ts"
import { InvalidStatement, isStoreError, StoreError } from "../core/StoreError.ts"
import { isConflict, makeConflictBudget } from "./transactions/ConflictRetry.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { isServerError, isStale } from "./failures/ServerError.ts"
import { Transaction, type TransactionOptions, type TransactionOutcome } from "./Transaction.ts"
import { makeRun } from "./transactions/TransactionRun.ts"

const beginOf = ({ deferrable, isolation, readOnly }: TransactionOptions): string | undefined => {
  const modes = [
    ...(isolation === undefined ? [] : [`ISOLATION LEVEL ${isolation.toUpperCase()}`]),
    ...(readOnly === undefined ? [] : [readOnly ? "READ ONLY" : "READ WRITE"]),
    ...(deferrable === undefined ? [] : [deferrable ? "DEFERRABLE" : "NOT DEFERRABLE"])
  ]
  return modes.length === 0 ? undefined : `BEGIN ${modes.join(", ")}`
}

/** The same of what no StoreError was made of. */
const isRawConflict = (error: unknown): boolean => {
  const cause = isSqlError(error) ? error.reason.cause : undefined
  return isStale(cause) || (isServerError(cause) && (cause.code === "40001" || cause.code === "40P01"))
}

const decodeSettings = decodeStored(
  Schema.Struct({
    isolation: Schema.Literals(["read uncommitted", "read committed", "repeatable read", "serializable"]),
    readOnly: Schema.Boolean,
    deferrable: Schema.Boolean
  })
)
const decodeId = decodeStored(Schema.Struct({ id: Schema.String }))
const decodeOutcome = decodeStored(
  Schema.Struct({ outcome: Schema.NullOr(Schema.Literals(["committed", "aborted", "in progress"])) })
)

const futureId = "22023"

/** Transactions of a PostgreSQL server or embedded engine. */
export const layer: Layer.Layer<Transaction, never, PostgresClient> = Layer.effect(
  Transaction,
  Effect.map(PostgresClient, ({ query, sql }) => {
    // Our client puts a StoreError below what fails in BEGIN and COMMIT, so any other error is the effect's own.
    const transaction = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
      Effect.catch(sql.withTransaction(effect), (error): Effect.Effect<never, E | StoreError> => {
        const failure = isSqlError(error) ? error.reason.cause : undefined
        return Effect.fail(isStoreError(failure) ? failure : (error as E))
      })

    const id = Effect.flatMap(Effect.serviceOption(sql.transactionService), (around) =>
      around._tag === "Some"
        ? Effect.flatMap(
            query({ operation: "Transaction.id", kind: "read" }, sql<object>`select pg_current_xact_id()::text as id`),
            ([row]) =>
              Effect.map(
                decodeId({ store: "postgresql", operation: "Transaction.id", subject: "row" }, row),
                ({ id }) => id
              )
          )
        : Effect.fail(
            new StoreError({
              store: "postgresql",
              operation: "Transaction.id",
              outcome: "not-applied",
              reason: new InvalidStatement({ detail: "there is no transaction around this call" })
            })
          )
    )

    const outcomeOf = (transactionId: string): Effect.Effect<TransactionOutcome, StoreError> => {
      const operation = "Transaction.outcomeOf"
      if (!/^\d{1,20}$/.test(transactionId)) {
        const problem = "must be the id of a transaction, a whole number as text"
        return Effect.fail(
          invalidData({ store: "postgresql", operation, subject: "input" }, [{ field: "id", problem }])
        )
      }
      const asked = query(
        { operation, kind: "read" },
        sql<object>`select pg_xact_status(${transactionId}::xid8) as outcome`
      )
      return Effect.catch(
        Effect.flatMap(asked, ([row]) =>
          Effect.map(
            decodeOutcome({ store: "postgresql", operation, subject: "row" }, row),
            ({ outcome }): TransactionOutcome => outcome ?? "too old"
          )
        ),
        (error) =>
          // An id that no log record had reached when the server crashed has yet to be given out again.
          error.reason._tag === "InvalidData" && error.reason.code === futureId
            ? Effect.succeed<TransactionOutcome>("aborted")
            : Effect.fail(error)
      )
    }

    return Transaction.of({
      run: makeRun({
        isInside: (fiber) => Context.getOrUndefined(fiber.context, sql.transactionService) !== undefined,
        savepoint: transaction,
        outermost: (effect, options) => {
          const begin = beginOf(options)
          if (begin === undefined) return transaction(effect)
          // The statement is for this transaction, and for no other that the effect may begin.
          return Effect.flatMap(BeginTransaction, (before) =>
            Effect.provideService(
              transaction(Effect.provideService(effect, BeginTransaction, before)),
              BeginTransaction,
              begin
            )
          )
        },
        settings: Effect.flatMap(
          query(
            { operation: "Transaction.begin", kind: "read" },
            sql<object>`select current_setting('transaction_isolation') as isolation,
              current_setting('transaction_read_only') = 'on' as "readOnly",
              current_setting('transaction_deferrable') = 'on' as deferrable`
          ),
          ([row]) => decodeSettings({ store: "postgresql", operation: "Transaction.begin", subject: "row" }, row)
        ),
        isConflict: (error) => isConflict(error) || isRawConflict(error),
        budget: makeConflictBudget()
      }),
      afterCommit: (effect) =>
        sql.afterCommit(Effect.asVoid(Effect.provideService(effect, Deadline, Number.POSITIVE_INFINITY))),
      id,
      outcomeOf
    })
  })
)
