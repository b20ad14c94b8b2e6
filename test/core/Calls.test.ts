import assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type Calls, makeCalls } from "../../src/core/Calls.ts"
import { within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"

const calls = makeCalls({ store: "redis", host: "cache", port: 6379 })

/** A call whose answer is given by hand, and that remembers whether it was sent and abandoned. */
const manual = (to: Calls, timeoutMillis = 1000) => {
  const state = { sent: 0, abandoned: 0 }
  let answer: ((result: Effect.Effect<string, StoreError>) => void) | undefined
  return {
    state,
    answer: (text: string) => answer?.(Effect.succeed(text)),
    run: to.run<string>({
      operation: "INCR",
      timeoutMillis,
      outcome: "unknown",
      start: (done) => {
        state.sent++
        answer = done
        return () => state.abandoned++
      }
    })
  }
}

const failureOf = (exit: Exit.Exit<unknown, StoreError>): StoreError => {
  assert.ok(Exit.isFailure(exit))
  const reason = exit.cause.reasons[0]
  assert.ok(reason?._tag === "Fail")
  return reason.error
}

describe("Calls", () => {
  it.effect("gives the answer, and forgets the call", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const call = manual(register)
      const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
      assert.equal(register.size(), 1)
      call.answer("1")
      assert.equal(yield* Fiber.join(fiber), "1")
      assert.equal(register.size(), 0)
      yield* TestClock.adjust("1 hour")
      assert.deepEqual(call.state, { sent: 1, abandoned: 0 })
    })
  )

  it.effect("an answer may come before start returns", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const now = yield* register.run<number>({
        operation: "GET",
        timeoutMillis: 10,
        outcome: "not-applied",
        start: (done) => done(Effect.succeed(1))
      })
      assert.equal(now, 1)
      assert.equal(register.size(), 0)
    })
  )

  it.effect(
    "one sweep ends those past their deadline, not sooner and at most a tick later, and leaves the others",
    () =>
      Effect.gen(function* () {
        const register = yield* calls
        const short = manual(register, 1000)
        const long = manual(register, 2000)
        const first = yield* Effect.forkChild(short.run, { startImmediately: true })
        const second = yield* Effect.forkChild(long.run, { startImmediately: true })
        yield* TestClock.adjust("999 millis")
        assert.equal(register.size(), 2)
        yield* TestClock.adjust("26 millis")
        const error = failureOf(yield* Fiber.await(first))
        assert.equal(error.reason._tag, "Timeout")
        assert.ok(
          error.reason._tag === "Timeout" && error.reason.afterMillis >= 1000 && error.reason.afterMillis <= 1025
        )
        assert.equal(error.outcome, "unknown")
        assert.equal(error.operation, "INCR")
        assert.deepEqual(short.state, { sent: 1, abandoned: 1 })
        assert.equal(register.size(), 1)
        short.answer("too late")
        long.answer("in time")
        assert.equal(yield* Fiber.join(second), "in time")
        assert.equal(register.size(), 0)
      })
  )

  it.effect("calls end in any order, each once, and those left still end at their deadline", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const expired: Array<string> = []
      const begin = (operation: string) => register.begin(operation, 1000, () => expired.push(operation))
      const first = begin("first")
      const second = begin("second")
      begin("third")
      const fourth = begin("fourth")
      begin("fifth")
      register.end(second)
      register.end(second)
      register.end(fourth)
      register.end(first)
      assert.equal(register.size(), 2)
      yield* TestClock.adjust("1025 millis")
      assert.deepEqual(expired.sort(), ["fifth", "third"])
      assert.equal(register.size(), 0)
    })
  )

  it.effect("a call that another one ends as it is given up is not given up itself", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const expired: Array<string> = []
      register.begin("first", 1000, () => {
        expired.push("first")
        register.end(second)
      })
      const second = register.begin("second", 1000, () => expired.push("second"))
      register.begin("third", 1000, () => expired.push("third"))
      yield* TestClock.adjust("1025 millis")
      assert.deepEqual(expired, ["first", "third"])
      assert.equal(register.size(), 0)
    })
  )

  it.effect("the sweep rests when nothing is under way, and wakes for the next call", () =>
    Effect.gen(function* () {
      const register = yield* calls
      for (let round = 0; round < 3; round++) {
        const call = manual(register, 100)
        const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
        yield* TestClock.adjust("125 millis")
        assert.equal(failureOf(yield* Fiber.await(fiber)).reason._tag, "Timeout")
        yield* TestClock.adjust("1 hour")
      }
    })
  )

  it.effect("the Context's deadline holds where it is sooner", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const call = manual(register, 60_000)
      const fiber = yield* Effect.forkChild(call.run.pipe(within("200 millis")), { startImmediately: true })
      yield* TestClock.adjust("225 millis")
      assert.equal(failureOf(yield* Fiber.await(fiber)).reason._tag, "Timeout")
    })
  )

  it.effect("past its deadline a call is not sent, and its outcome is known", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const call = manual(register)
      const error = yield* Effect.flip(call.run.pipe(within(0)))
      assert.equal(error.reason._tag, "Timeout")
      assert.equal(error.outcome, "not-applied")
      assert.deepEqual(call.state, { sent: 0, abandoned: 0 })
      assert.equal(register.size(), 0)
    })
  )

  it.effect("an interrupted call is abandoned once and forgotten", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const call = manual(register)
      const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.deepEqual(call.state, { sent: 1, abandoned: 1 })
      assert.equal(register.size(), 0)
      yield* TestClock.adjust("1 hour")
      assert.deepEqual(call.state, { sent: 1, abandoned: 1 })
    })
  )

  it.effect("a driver that fails to abandon one call does not stop the deadlines of others", () =>
    Effect.gen(function* () {
      const register = yield* calls
      register.begin("broken", 0, () => {
        throw new Error("the driver is broken")
      })
      const call = manual(register, 1000)
      const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
      yield* TestClock.adjust("1100 millis")
      assert.equal(failureOf(yield* Fiber.await(fiber)).reason._tag, "Timeout")
    })
  )

  it.effect("drain waits for what is under way and refuses what is new", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const call = manual(register, 60_000)
      const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
      const draining = yield* Effect.forkChild(register.drain("10 seconds"), { startImmediately: true })
      const late = yield* Effect.flip(manual(register).run)
      assert.equal(late.reason._tag, "Unavailable")
      assert.equal(late.outcome, "not-applied")
      assert.match(late.message, /cache:6379/)
      yield* TestClock.adjust("9 seconds")
      assert.equal(draining.pollUnsafe(), undefined)
      call.answer("1")
      yield* Fiber.join(draining)
      assert.equal(yield* Fiber.join(fiber), "1")
    })
  )

  it.effect("drain gives up what is left at its timeout", () =>
    Effect.gen(function* () {
      const register = yield* calls
      const call = manual(register, Number.POSITIVE_INFINITY)
      const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
      const draining = yield* Effect.forkChild(register.drain("10 seconds"), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(draining)
      assert.equal(failureOf(yield* Fiber.await(fiber)).outcome, "unknown")
      assert.deepEqual(call.state, { sent: 1, abandoned: 1 })
    })
  )

  it.effect("drain of a client at rest ends at once", () =>
    Effect.flatMap(calls, (register) => register.drain("1 hour"))
  )

  it.effect("the sweep ends with the scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const register = yield* Scope.provide(calls, scope)
      const call = manual(register, 100)
      const fiber = yield* Effect.forkChild(call.run, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 hour")
      assert.equal(fiber.pollUnsafe(), undefined)
      yield* Fiber.interrupt(fiber)
    })
  )
})
