import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { Deadline } from "./Deadline.ts"
import type { Store } from "./Store.ts"
import { type Outcome, StoreError, Timeout, Unavailable } from "./StoreError.ts"

/** A call on its way. */
export interface Call {
  readonly operation: string
  /** Clock milliseconds at which it is given up. */
  readonly deadline: number
  /** Called once if the deadline passes first, with the moment that counts: endless where `drain` gives the call up. */
  readonly expire: (now: number) => void
  /** Where the register keeps it, for the register alone; below 0 once it has ended. */
  place: number
}

/**
 * The calls that one client has under way: it ends those that pass their deadline, and lets shutdown wait for the rest.
 *
 * One timer serves all of them, because a timer per call costs more than half a Redis GET. A deadline therefore holds to
 * within `tick` (25 ms), and later, never sooner.
 */
export interface Calls {
  readonly store: Store
  /** Calls under way. */
  readonly size: () => number
  /** Enters a call. */
  readonly begin: (operation: string, deadline: number, expire: (now: number) => void) => Call
  /** Takes a call out; one that has expired is out already. */
  readonly end: (call: Call) => void
  /** Why no new call is taken: `Unavailable` once `drain` has begun. */
  readonly refusal: (operation: string) => StoreError | undefined
  /**
   * Runs one call of a driver that reports by callback.
   *
   * Fails with `StoreError`: `Timeout` at the deadline, `Unavailable` once `drain` has begun.
   */
  readonly run: <A>(options: {
    readonly operation: string
    /** The call's own limit in milliseconds; the Context's Deadline may be sooner. */
    readonly timeoutMillis: number
    /** What is known of the call's effect if no answer comes. */
    readonly outcome: Outcome
    /** Sends the call, which has until `deadline`; returns what to do when nobody waits for the answer any more. */
    readonly start: (done: (result: Effect.Effect<A, StoreError>) => void, deadline: number) => (() => void) | void
  }) => Effect.Effect<A, StoreError>
  /** Refuses new calls, waits for those under way, and gives up what is left at the timeout. */
  readonly drain: (timeout: Duration.Input) => Effect.Effect<void>
}

const tick = Duration.millis(25)

/** Makes the register of a client's calls; its timer lives as long as the scope. */
export const makeCalls = (options: {
  readonly store: Store
  readonly host: string
  readonly port?: number | undefined
}): Effect.Effect<Calls, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    // No Set: whenever it grows or tidies up, V8 links its old table to the new one, so that from the first table that grows
    // old no call is freed before the whole heap is collected. That took more time than a Redis GET.
    const pending: Array<Call> = []
    const busy = Latch.makeUnsafe(false)
    let closing = false
    let onEmpty: (() => void) | undefined

    /** Takes a call out; the last one gets its place. */
    const remove = (call: Call): boolean => {
      const { place } = call
      const last = place < 0 ? undefined : pending.pop()
      if (last === undefined) return false
      if (last !== call) {
        pending[place] = last
        last.place = place
      }
      call.place = -1
      return true
    }

    const expireOlderThan = (now: number) => {
      for (const call of pending.filter(({ deadline }) => !(deadline > now))) {
        if (remove(call)) call.expire(now)
      }
      if (pending.length === 0) onEmpty?.()
    }

    /** A driver that throws when it is told to give up a call must not end the deadlines of all others. */
    const sweep = (now: number): Effect.Effect<void> =>
      Effect.catchDefect(
        Effect.sync(() => expireOlderThan(now)),
        (defect) => Effect.logError("a call could not be given up", defect)
      )

    yield* Effect.forkScoped(
      Effect.forever(
        Effect.gen(function* () {
          yield* busy.await
          yield* Effect.sleep(tick)
          yield* sweep(clock.currentTimeMillisUnsafe())
          if (pending.length === 0) busy.closeUnsafe()
        })
      )
    )

    const begin = (operation: string, deadline: number, expire: (now: number) => void): Call => {
      const call = { operation, deadline, expire, place: pending.length }
      if (call.place === 0) busy.openUnsafe()
      pending.push(call)
      return call
    }
    const end = (call: Call): void => {
      remove(call)
      if (pending.length === 0) onEmpty?.()
    }

    const refusal: Calls["refusal"] = (operation) =>
      closing
        ? new StoreError({
            store: options.store,
            operation,
            outcome: "not-applied",
            reason: new Unavailable({
              host: options.host,
              ...(options.port === undefined ? {} : { port: options.port }),
              detail: "this client is shutting down"
            })
          })
        : undefined

    const run: Calls["run"] = ({ operation, outcome, start, timeoutMillis }) =>
      Effect.withFiber((fiber) => {
        const refused = refusal(operation)
        if (refused !== undefined) return Effect.fail(refused)
        const now = clock.currentTimeMillisUnsafe()
        const deadline = Math.min(now + timeoutMillis, fiber.getRef(Deadline))
        const timedOut = (outcome: Outcome) =>
          new StoreError({
            store: options.store,
            operation,
            outcome,
            reason: new Timeout({ afterMillis: clock.currentTimeMillisUnsafe() - now })
          })
        if (deadline <= now) return Effect.fail(timedOut("not-applied"))
        return Effect.callback((resume) => {
          let settled = false
          let abandon: (() => void) | void = undefined
          const call = begin(operation, deadline, () => {
            settled = true
            abandon?.()
            resume(Effect.fail(timedOut(outcome)))
          })
          abandon = start((result) => {
            if (settled) return
            settled = true
            end(call)
            resume(result)
          }, deadline)
          return Effect.sync(() => {
            if (settled) return
            settled = true
            end(call)
            abandon?.()
          })
        })
      })

    const drain: Calls["drain"] = (timeout) =>
      Effect.gen(function* () {
        closing = true
        if (pending.length === 0) return
        const empty = Effect.callback<void>((resume) => {
          onEmpty = () => resume(Effect.void)
          if (pending.length === 0) onEmpty()
        })
        yield* Effect.timeoutOption(empty, timeout)
        while (pending.length > 0) yield* sweep(Number.POSITIVE_INFINITY)
      })

    return { store: options.store, size: () => pending.length, begin, end, refusal, run, drain }
  })
