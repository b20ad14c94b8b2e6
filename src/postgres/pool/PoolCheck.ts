import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Slot } from "./PoolSlots.ts"

/** Longest wait for a connection to say that it is alive. */
const longest = 1000

/** Asks a connection whether it is alive, and tells which it was. */
export const makePoolCheck = (options: {
  readonly fork: (effect: Effect.Effect<void>) => void
  readonly acquireTimeout: Duration.Duration
  readonly alive: (slot: Slot) => void
  readonly dead: (slot: Slot) => void
}): ((slot: Slot) => void) => {
  const { alive, dead, fork } = options
  // A caller who waits for the answer must have time left for another connection.
  const duration = Math.min(longest, Duration.toMillis(options.acquireTimeout) / 2)
  return (slot) => {
    slot.checking = true
    fork(
      Effect.match(Effect.timeout(slot.connection.query("SELECT 1", [], false), duration), {
        onSuccess: () => {
          slot.checking = false
          alive(slot)
        },
        onFailure: () => dead(slot)
      })
    )
  }
}
