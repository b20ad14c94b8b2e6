import * as Effect from "effect/Effect"
import type { StoreError } from "../../core/StoreError.ts"

/** Opens connections as they are wanted, and pauses where that fails. */
export interface PoolGrowth {
  /** Opens as many as are wanted and there is room for. */
  readonly grow: () => void
  /** Why none could be opened since this moment, where that is known; nothing once one could, or while one is on its way. */
  readonly failureSince: (since: number) => StoreError | undefined
}

export const makePoolGrowth = (options: {
  readonly open: Effect.Effect<void, StoreError>
  readonly now: () => number
  readonly fork: (effect: Effect.Effect<void>) => void
  /** How many more would be used now, those on their way included. */
  readonly wanted: () => number
  /** How many more there may be. */
  readonly room: () => number
  readonly opened: () => void
  /** Whether nobody waits any more, since opening failed in a way that time does not mend. */
  readonly refused: (failure: StoreError) => boolean
}): PoolGrowth => {
  let opening = 0
  let lastFailure: StoreError | undefined
  let failedAt = 0
  let backoffMillis = 0
  /** Nothing is opened for a while, because opening failed; one pause for all who wait. */
  let pausing = false

  const one = Effect.matchEffect(options.open, {
    onSuccess: () =>
      Effect.sync(() => {
        opening--
        lastFailure = undefined
        backoffMillis = 0
        options.opened()
      }),
    onFailure: (failure) =>
      Effect.suspend(() => {
        opening--
        lastFailure = failure
        failedAt = options.now()
        if ((!failure.isRetryable() && options.refused(failure)) || pausing) return Effect.void
        pausing = true
        backoffMillis = Math.min(1000, Math.max(50, backoffMillis * 2))
        return Effect.andThen(
          Effect.sleep(backoffMillis),
          Effect.sync(() => {
            pausing = false
            grow()
          })
        )
      })
  })

  const grow = () => {
    if (pausing) return
    // While the server refuses, one at a time finds out when it no longer does.
    const wanted = lastFailure === undefined ? options.wanted() : Math.min(1, options.wanted())
    while (opening < wanted && opening < options.room()) {
      opening++
      options.fork(one)
    }
  }

  return { grow, failureSince: (since) => (pausing || failedAt >= since ? lastFailure : undefined) }
}
