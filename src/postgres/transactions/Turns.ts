import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import type { Calls } from "../../core/Calls.ts"
import { type StoreError, Timeout } from "../../core/StoreError.ts"
import { asSqlError, ended, failure } from "./TransactionFailure.ts"
import { newTurn, type TransactionLevel, type Turn } from "./TransactionLevel.ts"

/** Takes the turns of a transaction's levels; `waitMillis` is the longest wait for one. */
export const makeTurns = (calls: Calls, waitMillis: number) => {
  const stillBusy = (error: StoreError): StoreError =>
    error.reason._tag === "Timeout"
      ? failure(
          error.operation,
          new Timeout({
            afterMillis: error.reason.afterMillis,
            detail: "another statement, stream or nested transaction of this transaction was still open"
          })
        )
      : error

  const wait = (level: TransactionLevel, turn: Turn): Effect.Effect<void, SqlError> =>
    Effect.mapError(
      calls.run<void>({
        operation: "Transaction.turn",
        timeoutMillis: waitMillis,
        outcome: "not-applied",
        start: (done) => {
          turn.wake = () => done(Effect.void)
          return level.queue(turn)
        }
      }),
      (error) => asSqlError(stillBusy(error))
    )

  /** Takes the turn and goes on, or refuses where there is nothing left to take it in. */
  const take = <A, E, R>(
    level: TransactionLevel,
    turn: Turn,
    use: () => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError, R> =>
    Effect.suspend((): Effect.Effect<A, E | SqlError, R> => {
      const unlessOver = (): Effect.Effect<A, E | SqlError, R> =>
        level.over ? Effect.fail(asSqlError(ended("Transaction.turn"))) : use()
      return level.over || level.take(turn) ? unlessOver() : Effect.flatMap(wait(level, turn), unlessOver)
    })

  /** The turn is taken inside the frame that gives it back, so that no interruption falls between the two. */
  const inTurn = <A, E, R>(
    level: TransactionLevel,
    use: () => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError, R> =>
    Effect.suspend(() => {
      const turn = newTurn()
      return Effect.onExitPrimitive(take(level, turn, use), () => {
        level.release(turn)
        return undefined
      })
    })

  const scopedTurn = (level: TransactionLevel): Effect.Effect<void, SqlError, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const turn = newTurn()
        return Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => level.release(turn))),
          restore(take(level, turn, () => Effect.void))
        )
      })
    )

  return { take, inTurn, scopedTurn }
}
