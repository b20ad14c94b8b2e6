import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Deadline } from "../core/Deadline.ts"

/** Lets concurrent callers of the same name share one run. */
export interface SingleFlight {
  /**
   * Runs the effect, or joins the run of that name which is under way.
   *
   * The run belongs to nobody: no caller's Deadline holds for it, and it ends early only once nobody waits for it any more.
   * Each caller waits until its own Deadline, and then fails with `late` of the milliseconds it waited. Who would wait for
   * itself, directly or by way of other runs, runs the effect alone. Callers of one name must mean the same effect.
   */
  readonly run: <A, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    late: (afterMillis: number) => E
  ) => Effect.Effect<A, E, R>
  /** Runs under way. */
  readonly size: () => number
}

/** A run, as far as others wait for it or it waits for them. */
interface Run {
  readonly waits: Set<{ readonly on: Run }>
}

interface Flight<A, E> extends Run {
  // The exit is a value here, so that a run that was interrupted is told from a caller that is.
  readonly answer: Deferred.Deferred<Exit.Exit<A, E>>
  fiber: Fiber.Fiber<A, E> | undefined
  waiting: number
}

/** The innermost run that the work in this Context belongs to. */
const Inside: Context.Reference<Run | undefined> = Context.Reference<Run | undefined>(
  "@ai-core/database/redis/SingleFlight/Inside",
  {
    defaultValue: () => undefined
  }
)

const waitsFor = (run: Run, other: Run, seen = new Set<Run>()): boolean => {
  if (run === other) return true
  if (seen.has(run)) return false
  seen.add(run)
  for (const { on } of run.waits) if (waitsFor(on, other, seen)) return true
  return false
}

/** Runs are forked in the scope, and end with it. */
export const makeSingleFlight: Effect.Effect<SingleFlight, never, Scope.Scope> = Effect.gen(function* () {
  const scope = yield* Effect.scope
  const flights = new Map<string, object>()

  const forget = (name: string, flight: object): void => {
    if (flights.get(name) === flight) flights.delete(name)
  }

  const start = <A, E, R>(name: string, flight: Flight<A, E>, effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provideService(Inside, flight),
      Effect.provideService(Deadline, Number.POSITIVE_INFINITY),
      Effect.forkIn(scope),
      Effect.map((fiber) => {
        flight.fiber = fiber
        // Not by a finalizer of the effect: in a scope that has closed it never begins.
        fiber.addObserver((exit) => {
          forget(name, flight)
          Deferred.doneUnsafe(flight.answer, Exit.succeed(exit))
        })
      })
    )

  /** One waiter less; the fiber that nobody waits for any more is told to end. */
  const leave = <A, E>(name: string, flight: Flight<A, E>, by: number): Fiber.Fiber<A, E> | undefined => {
    flight.waiting--
    if (flight.waiting > 0) return undefined
    forget(name, flight)
    flight.fiber?.interruptUnsafe(by)
    return flight.fiber
  }

  /** None where the deadline came first. */
  const inTime = <A, E, R>(self: Effect.Effect<A, E, R>, left: number): Effect.Effect<Option.Option<A>, E, R> =>
    left === Number.POSITIVE_INFINITY ? Effect.asSome(self) : Effect.timeoutOption(self, left)

  const join = <A, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    late: (afterMillis: number) => E,
    again: boolean
  ): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const clock = fiber.getRef(Clock.Clock)
        const now = clock.currentTimeMillisUnsafe()
        const left = fiber.getRef(Deadline) - now
        const tooLate = Effect.suspend(() => Effect.fail(late(clock.currentTimeMillisUnsafe() - now)))
        if (left <= 0) return tooLate

        // Callers of one name mean the same effect, so its types are theirs.
        const under = flights.get(name) as Flight<A, E> | undefined
        const inside = fiber.getRef(Inside)
        if (under !== undefined && inside !== undefined && waitsFor(under, inside)) {
          return Effect.flatMap(
            restore(inTime(effect, left)),
            Option.match({ onNone: () => tooLate, onSome: (answer) => Effect.succeed(answer) })
          )
        }
        const flight: Flight<A, E> = under ?? {
          answer: Deferred.makeUnsafe(),
          fiber: undefined,
          waiting: 0,
          waits: new Set()
        }
        flight.waiting++
        const wait = { on: flight }
        inside?.waits.add(wait)

        const answer = restore(inTime(Deferred.await(flight.answer), left)).pipe(
          Effect.onInterrupt(() =>
            Effect.suspend(() => {
              const ending = leave(name, flight, fiber.id)
              return ending === undefined ? Effect.void : Effect.asVoid(Deferred.await(flight.answer))
            })
          ),
          Effect.ensuring(Effect.sync(() => inside?.waits.delete(wait))),
          Effect.flatMap(
            Option.match({
              onNone: (): Effect.Effect<A, E, R> => {
                leave(name, flight, fiber.id)
                return tooLate
              },
              onSome: (exit): Effect.Effect<A, E, R> => {
                // Somebody else's run was ended before it was through: that says nothing about this caller's.
                const ended = Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
                return ended && under !== undefined && again ? join(name, effect, late, false) : exit
              }
            })
          )
        )
        if (under !== undefined) return answer
        flights.set(name, flight)
        return Effect.andThen(start(name, flight, effect), answer)
      })
    )

  return { run: (name, effect, late) => join(name, effect, late, true), size: () => flights.size }
})
