import { describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Option, Ref } from "effect"
import { TestClock } from "effect/testing"
import * as assert from "node:assert/strict"
import { holdLease, type Lease, type LeaseStore } from "../../src/core/Lease.ts"
import { ConnectionLost, StoreError } from "../../src/core/StoreError.ts"

const down = new StoreError({
  store: "postgresql",
  operation: "lease",
  outcome: "unknown",
  reason: new ConnectionLost({})
})

/** Leases in this process, on the Clock, that can be cut off. */
const makeStore = Effect.gen(function* () {
  const reachable = yield* Ref.make(true)
  let held: (Lease & { readonly until: number }) | undefined
  let token = 0n
  const asked = <A>(answer: (now: number) => A) =>
    Effect.gen(function* () {
      if (!(yield* Ref.get(reachable))) return yield* down
      return answer(yield* Clock.currentTimeMillis)
    })
  const store: LeaseStore = {
    store: "postgresql",
    take: (name, owner, millis) =>
      asked((now) => {
        if (held !== undefined && held.until > now) return Option.none()
        held = { name, owner, token: ++token, until: now + millis }
        return Option.some(held)
      }),
    renew: (lease, millis) =>
      asked((now) => {
        if (held?.token !== lease.token || held.until <= now) return false
        held = { ...lease, until: now + millis }
        return true
      }),
    release: (lease) =>
      asked(() => {
        if (held?.token === lease.token) held = undefined
      })
  }
  const steal = Effect.sync(() => {
    held = { name: "l", owner: "thief", token: ++token, until: Number.POSITIVE_INFINITY }
  })
  return { store, reachable, steal }
})

const options = { name: "l", timeToLive: "30 seconds", wait: "60 seconds" } as const

describe("holdLease", () => {
  it.effect("is renewed for as long as it is used, and free at once afterwards", () =>
    Effect.gen(function* () {
      const { store } = yield* makeStore
      const first = yield* Effect.forkChild(
        holdLease(store, options, ({ token }) => Effect.as(Effect.sleep("10 minutes"), token))
      )
      yield* TestClock.adjust("5 minutes")
      const refused = yield* Effect.forkChild(Effect.flip(holdLease(store, options, () => Effect.void)))
      yield* TestClock.adjust("61 seconds")
      assert.equal((yield* Fiber.join(refused)).reason._tag, "Conflict")
      yield* TestClock.adjust("5 minutes")
      assert.equal(yield* Fiber.join(first), 1n)
      assert.equal(yield* holdLease(store, options, ({ token }) => Effect.succeed(token)), 2n)
    })
  )

  it.effect("who waits too long is told, and the wait is told too", () =>
    Effect.gen(function* () {
      const { steal, store } = yield* makeStore
      yield* steal
      let told = 0
      const waiting = yield* Effect.forkChild(
        Effect.flip(holdLease(store, { ...options, onWait: Effect.sync(() => told++) }, () => Effect.void))
      )
      yield* TestClock.adjust("62 seconds")
      const error = yield* Fiber.join(waiting)
      assert.deepEqual([error.reason._tag, error.outcome, told], ["Conflict", "not-applied", 1])
    })
  )

  it.effect("a holder that died is followed once its time is over, with a greater token", () =>
    Effect.gen(function* () {
      const { reachable, store } = yield* makeStore
      const holding = yield* Effect.forkChild(holdLease(store, options, () => Effect.never))
      yield* TestClock.adjust("1 second")
      yield* Ref.set(reachable, false)
      // It cannot give the lease back.
      yield* Fiber.interrupt(holding)
      yield* Ref.set(reachable, true)
      const next = yield* Effect.forkChild(holdLease(store, options, ({ token }) => Effect.succeed(token)))
      yield* TestClock.adjust("20 seconds")
      assert.equal(next.pollUnsafe(), undefined)
      yield* TestClock.adjust("15 seconds")
      assert.equal(yield* Fiber.join(next), 2n)
    })
  )

  it.effect("a holder whose lease went to somebody else is interrupted: LeaseLost", () =>
    Effect.gen(function* () {
      const { steal, store } = yield* makeStore
      const interrupted = yield* Deferred.make<void>()
      const holding = yield* Effect.forkChild(
        Effect.flip(
          holdLease(store, options, () =>
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
          )
        )
      )
      yield* TestClock.adjust("1 second")
      yield* steal
      yield* TestClock.adjust("11 seconds")
      yield* Deferred.await(interrupted)
      const error = yield* Fiber.join(holding)
      assert.deepEqual([error.reason._tag, error.outcome], ["LeaseLost", "unknown"])
    })
  )

  it.effect("a holder that cannot renew ends before its time is over", () =>
    Effect.gen(function* () {
      const { reachable, store } = yield* makeStore
      const holding = yield* Effect.forkChild(Effect.flip(holdLease(store, options, () => Effect.never)))
      yield* TestClock.adjust("1 second")
      yield* Ref.set(reachable, false)
      yield* TestClock.adjust("28 seconds")
      const ended = holding.pollUnsafe()
      assert.ok(ended !== undefined)
      assert.equal((yield* Fiber.join(holding)).reason._tag, "LeaseLost")
    })
  )

  it.effect("one failed renewal is not the end", () =>
    Effect.gen(function* () {
      const { reachable, store } = yield* makeStore
      const holding = yield* Effect.forkChild(holdLease(store, options, () => Effect.sleep("2 minutes")))
      yield* TestClock.adjust("5 seconds")
      yield* Ref.set(reachable, false)
      yield* TestClock.adjust("10 seconds")
      yield* Ref.set(reachable, true)
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(holding)
    })
  )
})
