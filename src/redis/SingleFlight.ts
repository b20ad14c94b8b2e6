import { Deferred, Effect, Fiber, type Scope } from "effect"

/** Lets concurrent callers of the same name share one run. */
export interface SingleFlight {
  /**
   * Runs the effect, or joins the run of that name which is under way.
   *
   * The run belongs to nobody: it ends early only once every caller was interrupted. Callers of one name must mean the same
   * effect.
   */
  readonly run: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs under way. */
  readonly size: () => number
}

interface Flight<A, E> {
  readonly answer: Deferred.Deferred<A, E>
  fiber: Fiber.Fiber<A, E> | undefined
  waiting: number
}

/** Runs are forked in the scope, and end with it. */
export const makeSingleFlight: Effect.Effect<SingleFlight, never, Scope.Scope> = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const flights = new Map<string, object>()

  const forget = (name: string, flight: object): void => {
    if (flights.get(name) === flight) flights.delete(name)
  }

  const start = <A, E, R>(name: string, flight: Flight<A, E>, effect: Effect.Effect<A, E, R>) =>
    Effect.onExit(effect, (exit) =>
      Effect.sync(() => {
        forget(name, flight)
        Deferred.doneUnsafe(flight.answer, exit)
      })
    ).pipe(
      Effect.interruptible,
      Effect.forkIn(scope),
      Effect.map((fiber) => {
        flight.fiber = fiber
      })
    )

  const wait = <A, E>(name: string, flight: Flight<A, E>): Effect.Effect<A, E> =>
    Effect.onInterrupt(Effect.interruptible(Deferred.await(flight.answer)), () =>
      Effect.suspend(() => {
        flight.waiting--
        if (flight.waiting > 0 || flight.fiber === undefined) return Effect.void
        forget(name, flight)
        return Effect.asVoid(Fiber.interrupt(flight.fiber))
      })
    )

  const run: SingleFlight["run"] = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        // Callers of one name mean the same effect, so its types are theirs.
        const under = flights.get(name) as Flight<A, E> | undefined
        if (under !== undefined) {
          under.waiting++
          return wait(name, under)
        }
        const flight: Flight<A, E> = { answer: Deferred.makeUnsafe(), fiber: undefined, waiting: 1 }
        flights.set(name, flight)
        return Effect.andThen(start(name, flight, effect), wait(name, flight))
      })
    )

  return { run, size: () => flights.size }
})
