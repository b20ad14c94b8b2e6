import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/**
 * The moment, in milliseconds of the Clock, by which the work in this Context must have ended; infinite by default.
 *
 * It bounds everything a call does: waiting for a connection, every attempt, and the reading of the answer.
 */
export const Deadline: Context.Reference<number> = Context.Reference("@ai-core/database/core/Deadline", {
  defaultValue: () => Number.POSITIVE_INFINITY
})

/**
 * Gives an effect at most this long; a deadline already set stays where it is sooner.
 *
 * Store calls inside fail with `StoreError` (`Timeout`, or `PoolExhausted` while waiting for a connection).
 *
 * @example
 * ```ts
 * users.findById(id).pipe(within("200 millis"))
 * ```
 */
export const within =
  (duration: Duration.Input) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.updateService(self, Deadline, (set) => Math.min(set, now + Duration.toMillis(duration)))
    )
