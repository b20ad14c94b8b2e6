import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Deadline } from "../core/Deadline.ts"
import { invalidData } from "../core/Decode.ts"
import { makeRetryBudget } from "../core/Retry.ts"
import { InvalidStatement, StoreError } from "../core/StoreError.ts"
import { isConflict } from "./transactions/ConflictRetry.ts"
import { transactionsOf } from "./memory/MemoryTransactions.ts"
import { PostgresMemory } from "./PostgresMemory.ts"
import { Transaction } from "./Transaction.ts"
import { makeRun } from "./transactions/TransactionRun.ts"

/** Transactions over the memory of all memory repositories. */
export const layer: Layer.Layer<Transaction, never, PostgresMemory> = Layer.effect(
  Transaction,
  Effect.map(PostgresMemory, (memory) => {
    const { current, outcomeOf, outermost, savepoint } = transactionsOf(memory)
    const around = Effect.flatMap(current, (level) =>
      level === undefined
        ? Effect.fail(
            new StoreError({
              store: "postgresql",
              operation: "Transaction.id",
              outcome: "not-applied",
              reason: new InvalidStatement({ detail: "there is no transaction around this call" })
            })
          )
        : Effect.succeed(level)
    )
    return Transaction.of({
      run: makeRun({
        isInside: (fiber) => fiber.getRef(current) !== undefined,
        outermost,
        savepoint,
        settings: Effect.map(around, ({ settings }) => settings),
        isConflict,
        budget: makeRetryBudget()
      }),
      afterCommit: <A, R>(effect: Effect.Effect<A, never, R>) =>
        Effect.contextWith((context: Context.Context<R>) =>
          Effect.flatMap(current, (level) => {
            const action = Effect.asVoid(Effect.provideService(effect, Deadline, Number.POSITIVE_INFINITY))
            if (level === undefined) return action
            if (!level.open) return Effect.die(new Error("the transaction around this action has already ended"))
            const outside = memory.outside(Effect.provideService(action, current, undefined))
            level.actions.push(Effect.provideContext(outside, context))
            return Effect.void
          })
        ),
      id: Effect.map(around, ({ id }) => id()),
      outcomeOf: (id) =>
        /^\d{1,20}$/.test(id)
          ? Effect.sync(() => outcomeOf(id))
          : Effect.fail(
              invalidData({ store: "postgresql", operation: "Transaction.outcomeOf", subject: "input" }, [
                { field: "id", problem: "must be the id of a transaction, a whole number as text" }
              ])
            )
    })
  })
)
