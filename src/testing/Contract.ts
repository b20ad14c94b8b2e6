import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** One thing that every implementation of a capability must do. */
export interface ContractCase<R> {
  /** States what a user relies on: `a value is gone once its TTL has passed`. */
  readonly name: string
  /** Fails, by an assertion or an error, where the implementation does not keep to it. */
  readonly run: Effect.Effect<void, unknown, R>
}

/**
 * The suite that every implementation of a capability passes: live, embedded, memory, and a user's own fake.
 *
 * A contract knows no test runner. Its cases share one layer, so each makes values of its own and none expects an empty store.
 */
export interface Contract<R> {
  /** Name of the capability: `SharedCache`. */
  readonly capability: string
  readonly cases: ReadonlyArray<ContractCase<R>>
}

export const make = <R>(capability: string, cases: Record<string, Effect.Effect<void, unknown, R>>): Contract<R> => ({
  capability,
  cases: Object.entries(cases).map(([name, run]) => ({ name, run }))
})

/**
 * Lets time pass in a contract: waits by default; a suite on TestClock puts `TestClock.adjust` in its place.
 */
export const PassTime: Context.Reference<(duration: Duration.Input) => Effect.Effect<void>> = Context.Reference(
  "@ai-core/database/testing/PassTime",
  // Node's timers may ring a millisecond before the clock says so.
  {
    defaultValue: () => (duration) => Effect.sleep(Duration.sum(Duration.fromInputUnsafe(duration), Duration.millis(2)))
  }
)

/** Lets this much time pass on the implementation's clock. */
export const passTime = (duration: Duration.Input): Effect.Effect<void> =>
  Effect.flatMap(PassTime, (pass) => pass(duration))

let serial = 0

/** A name that no other case of this run has used: `alice-18c2f0-7`. */
export const unique = (prefix: string): Effect.Effect<string> =>
  Effect.sync(() => `${prefix}-${process.pid.toString(36)}${process.hrtime.bigint().toString(36)}-${++serial}`)
