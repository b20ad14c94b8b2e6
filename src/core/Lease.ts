import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { Store } from "./Store.ts"
import { Conflict, LeaseLost, StoreError } from "./StoreError.ts"

/** A lease that somebody has been given. */
export interface Lease {
  readonly name: string
  readonly owner: string
  /** Grows with every grant of this name: whoever guards a resource by it refuses a smaller one than it has seen. */
  readonly token: bigint
}

/** Where leases are kept. Their time is the store's own, so that no other clock decides who holds one. */
export interface LeaseStore {
  readonly store: Store
  /** Gives the lease where nobody has it, or its time is over; else none. */
  readonly take: (name: string, owner: string, millis: number) => Effect.Effect<Option.Option<Lease>, StoreError>
  /** Gives it as much time again; false where it went to somebody else. */
  readonly renew: (lease: Lease, millis: number) => Effect.Effect<boolean, StoreError>
  /** Gives it back, if it is still the holder's. */
  readonly release: (lease: Lease) => Effect.Effect<void, StoreError>
}

/** How a lease is held. */
export interface LeaseOptions {
  readonly name: string
  /** How long it outlives a holder that died; 30 s. It is renewed three times in this. */
  readonly timeToLive?: Duration.Input | undefined
  /** Longest wait for somebody else who holds it; 60 s. */
  readonly wait?: Duration.Input | undefined
  /** Is told once that somebody else holds it. */
  readonly onWait?: Effect.Effect<void> | undefined
}

const pollMillis = 200

/**
 * Runs the use while holding a lease: for stores that have no lock which ends with its session.
 *
 * It is renewed until the use ends. A holder that cannot renew it in time, or finds that it went to somebody else, is
 * interrupted before its time is over. Fails with `StoreError`: `Conflict` (not applied) where somebody else holds it for longer
 * than the wait, `LeaseLost` (unknown) where it was lost.
 */
export const holdLease = <A, E, R>(
  store: LeaseStore,
  options: LeaseOptions,
  use: (lease: Lease) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | StoreError, R> =>
  Effect.suspend(() => {
    const { name } = options
    const owner = crypto.randomUUID()
    const millis = Duration.toMillis(options.timeToLive ?? "30 seconds")
    const waitMillis = Duration.toMillis(options.wait ?? "60 seconds")
    const failure = (reason: StoreError["reason"], outcome: StoreError["outcome"]) =>
      new StoreError({ store: store.store, operation: "lease", outcome, reason })

    const acquire = Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      let told = false
      while (true) {
        // Measured from before it was asked for, so that it ends here no later than there.
        const askedAt = yield* Clock.currentTimeMillis
        const taken = yield* store.take(name, owner, millis)
        if (Option.isSome(taken)) return { lease: taken.value, askedAt }
        if (!told) yield* options.onWait ?? Effect.void
        told = true
        const waited = (yield* Clock.currentTimeMillis) - startedAt
        if (waited >= waitMillis) {
          return yield* failure(
            new Conflict({ detail: `somebody else has held the lease ${name} for ${waited} ms` }),
            "not-applied"
          )
        }
        yield* Effect.sleep(pollMillis * (0.5 + (yield* Random.next)))
      }
    })

    const keep = (lease: Lease, askedAt: number): Effect.Effect<never, StoreError> =>
      Effect.gen(function* () {
        let renewedAt = askedAt
        while (true) {
          yield* Effect.sleep(millis / 3)
          const at = yield* Clock.currentTimeMillis
          const left = renewedAt + millis - at
          const renewed = yield* Effect.timeoutOrElse(Effect.option(store.renew(lease, millis)), {
            duration: Math.max(0, left - millis / 6),
            orElse: () => Effect.succeed(Option.none<boolean>())
          })
          if (Option.isSome(renewed) && renewed.value) renewedAt = at
          else if (Option.isSome(renewed) || (yield* Clock.currentTimeMillis) + millis / 3 >= renewedAt + millis) {
            const detail = Option.isSome(renewed)
              ? `the lease ${name} went to somebody else`
              : `the lease ${name} could not be renewed in time`
            return yield* failure(new LeaseLost({ detail }), "unknown")
          }
        }
      })

    return Effect.acquireUseRelease(
      Effect.interruptible(acquire),
      ({ askedAt, lease }) => Effect.raceFirst(use(lease), keep(lease, askedAt)),
      ({ lease }) => Effect.ignore(store.release(lease))
    )
  })
