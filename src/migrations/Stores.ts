import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { displayName, type Store } from "../core/Store.ts"

/** The migrations of one store among several. */
export interface StoreMigrations<E, R> {
  readonly store: Store
  readonly run: Effect.Effect<unknown, E, R>
  /** Stores whose migrations must have succeeded before; none. */
  readonly after?: ReadonlyArray<Store> | undefined
}

/**
 * Migrates several stores, one after the other.
 *
 * The first failure ends it. With `continueOnError` only the stores that come `after` the failed one are halted; the others are
 * still migrated, and then it fails all the same, with every failure in its Cause.
 */
export const migrateStores = <E, R>(
  stores: ReadonlyArray<StoreMigrations<E, R>>,
  options: { readonly continueOnError: boolean }
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    const halted = new Set<Store>()
    let failures: Cause.Cause<E> | undefined
    for (const { after = [], run, store } of stores) {
      const blocked = after.filter((one) => halted.has(one))
      if (blocked.length > 0) {
        halted.add(store)
        yield* Effect.logError(
          `${displayName[store]} is not migrated, because ${blocked.map((one) => displayName[one]).join(" and ")} failed`
        )
        continue
      }
      const exit = yield* Effect.exit(run)
      if (Exit.isSuccess(exit)) continue
      if (!options.continueOnError || Cause.hasInterrupts(exit.cause)) return yield* Effect.failCause(exit.cause)
      yield* Effect.logError(`${displayName[store]} could not be migrated; the other stores are`, exit.cause)
      halted.add(store)
      failures = failures === undefined ? exit.cause : Cause.combine(failures, exit.cause)
    }
    if (failures !== undefined) return yield* Effect.failCause(failures)
  })
