import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Deadline } from "../../core/Deadline.ts"
import { makeRetryBudget, type RetryBudget } from "../../core/Retry.ts"
import { Conflict, isStoreError, StoreError } from "../../core/StoreError.ts"

/**
 * A serialization failure, a deadlock, or a prepared statement that a migration came between; other conflicts, such as a lock
 * that is taken, are the effect's own to handle.
 */
export const isConflict = (error: unknown): boolean =>
  isStoreError(error) &&
  error.reason._tag === "Conflict" &&
  (error.reason.stale === true || error.reason.code === "40001" || error.reason.code === "40P01")

/** The default schedule after a conflict: up to 9 more attempts, after about 10 ms, doubled each time up to 1 s, drawn at random. */
export const conflictRetry: Schedule.Schedule<unknown> = Schedule.exponential("10 millis").pipe(
  (growing) => Schedule.min([growing, Schedule.spaced("1 second")]),
  Schedule.jittered,
  Schedule.upTo({ times: 9 })
)

/** The same failure, which says how often the transaction was tried. */
const after = (attempts: number, error: StoreError): StoreError => {
  const { cause, operation, outcome, reason, statement, store } = error
  if (reason._tag !== "Conflict") return error
  const { code, detail, stale } = reason
  return new StoreError({
    store,
    operation,
    outcome,
    reason: new Conflict({
      attempts,
      ...(code === undefined ? {} : { code }),
      ...(detail === undefined ? {} : { detail }),
      ...(stale === undefined ? {} : { stale })
    }),
    ...(statement === undefined ? {} : { statement }),
    ...(cause === undefined ? {} : { cause })
  })
}

/**
 * What the conflicts of a server may cost: a storm of them takes about as many repetitions as connections for each success;
 * beyond that they are a livelock.
 *
 * It is not the budget of calls that are sent again, which is small because it is there for outages.
 */
export const makeConflictBudget = (): RetryBudget => makeRetryBudget({ capacity: 1000, perSuccess: 20 })

/**
 * Makes what runs a whole transaction again after a conflict, by a schedule.
 *
 * Each repetition draws on the budget and begins before the Context's Deadline; when it cannot, the last failure is the answer,
 * and says how often the transaction was tried.
 */
export const makeConflictRetry =
  (budget: RetryBudget, mayRepeat: (error: unknown) => boolean = isConflict) =>
  <A, E, R>(
    attempt: Effect.Effect<A, E | StoreError, R>,
    schedule: Schedule.Schedule<unknown> = conflictRetry
  ): Effect.Effect<A, E | StoreError, R> => {
    const again = (first: E | StoreError) =>
      Effect.suspend(() => {
        const affordable = Schedule.while(schedule, ({ duration, input }) =>
          Effect.gen(function* () {
            if (!mayRepeat(input)) return false
            const left = (yield* Deadline) - (yield* Clock.currentTimeMillis)
            return Duration.toMillis(duration) < left && budget.withdraw()
          })
        )
        let attempts = 1
        // The first failure is told to the schedule as it was; every further one is an attempt's own.
        let told = false
        const next = Effect.suspend(() => {
          if (!told) {
            told = true
            return Effect.fail(first)
          }
          attempts++
          return attempt
        })
        return Effect.mapError(Effect.retry(next, affordable), (error) =>
          attempts > 1 && isStoreError(error) ? after(attempts, error) : error
        )
      })
    return Effect.matchEffect(attempt, {
      onSuccess: (value) => {
        budget.deposit()
        return Effect.succeed(value)
      },
      onFailure: (error) => (mayRepeat(error) ? again(error) : Effect.fail(error))
    })
  }
