import * as Effect from "effect/Effect"
import type { Call, Calls } from "../../core/Calls.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { type Lease, sharedDepth, type Slot } from "./PoolSlots.ts"

interface Waiter {
  readonly lease: Lease
  readonly resume: (granted: Effect.Effect<Slot, StoreError>) => void
  readonly since: number
  call: Call | undefined
}

/** Those who wait for a connection, in the order of asking. */
export interface PoolLine {
  readonly size: () => number
  /** How many have joined it ever. */
  readonly joined: () => number
  /** Whether more than so many at its head wait for nothing else than to begin a transaction. */
  readonly begins: (moreThan: number) => boolean
  /** Connections that would serve all of them. */
  readonly wanted: () => number
  /** Waits for a connection until the deadline; then fails with what `gaveUp` says. */
  readonly wait: (lease: Lease, deadline: number) => Effect.Effect<Slot, StoreError>
  /** Serves them in order, for as long as `lend` has a connection. */
  readonly serve: (lend: (lease: Lease, at: number, waitedMillis: number) => Slot | undefined) => void
  readonly failAll: (failure: StoreError) => void
}

export const makePoolLine = (options: {
  readonly calls: Calls
  readonly now: () => number
  readonly gaveUp: (waitedMillis: number) => StoreError
  /** Somebody has begun to wait. */
  readonly joined: () => void
}): PoolLine => {
  const { calls, gaveUp, joined, now } = options
  // No Set, which would keep those who have left from the garbage collector: see Calls.
  const waiters: Array<Waiter> = []
  let serial = 0

  const leave = (waiter: Waiter) => {
    const place = waiters.indexOf(waiter)
    if (place >= 0) waiters.splice(place, 1)
    if (waiter.call !== undefined) calls.end(waiter.call)
    waiter.call = undefined
  }

  return {
    size: () => waiters.length,
    joined: () => serial,
    begins: (moreThan) => {
      let n = 0
      for (const { lease } of waiters) {
        if (!lease.begins) return false
        if (++n > moreThan) return true
      }
      return false
    },
    wanted: () => {
      const waiting = { exclusive: 0, statements: 0, units: 0 }
      for (const { lease } of waiters) waiting[lease.kind]++
      return waiting.exclusive + Math.ceil(waiting.statements / sharedDepth) + Math.ceil(waiting.units / sharedDepth)
    },
    wait: (lease, deadline) =>
      Effect.callback((resume) => {
        const waiter: Waiter = { lease, resume, since: now(), call: undefined }
        waiter.call = calls.begin("acquire", deadline, () => {
          waiter.call = undefined
          leave(waiter)
          resume(Effect.fail(gaveUp(now() - waiter.since)))
        })
        lease.joined = ++serial
        waiters.push(waiter)
        joined()
        return Effect.sync(() => leave(waiter))
      }),
    serve: (lend) => {
      const at = now()
      for (let waiter = waiters[0]; waiter !== undefined; waiter = waiters[0]) {
        const slot = lend(waiter.lease, at, at - waiter.since)
        // Those behind wait too, so that short statements never keep a caller from a connection of its own.
        if (slot === undefined) break
        leave(waiter)
        waiter.resume(Effect.succeed(slot))
      }
    },
    failAll: (failure) => {
      for (const waiter of waiters.slice()) {
        leave(waiter)
        waiter.resume(Effect.fail(failure))
      }
    }
  }
}
