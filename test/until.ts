import { Clock, Effect } from "effect"

const longestMillis = 30_000

/**
 * Asks every ten milliseconds until the answer is what it must become, and gives the last one.
 *
 * After half a minute it gives whatever it was told, so that the assertion behind it fails and shows that.
 */
export const until = <A, E, R>(ask: Effect.Effect<A, E, R>, holds: (answer: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const limit = (yield* Clock.currentTimeMillis) + longestMillis
    for (;;) {
      const answer = yield* ask
      if (holds(answer) || (yield* Clock.currentTimeMillis) >= limit) return answer
      yield* Effect.sleep("10 millis")
    }
  })
