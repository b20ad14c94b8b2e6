import * as assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { within } from "../../src/core/Deadline.ts"
import { makeSingleFlight } from "../../src/redis/SingleFlight.ts"

const late = (): never => assert.fail("nobody is late")

describe("SingleFlight", () => {
  it.live("a scope closes although a run asks for itself, and whoever waits is told", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const flights = yield* Scope.provide(makeSingleFlight, scope)
      const started = yield* Deferred.make<void>()
      const inner = flights.run("a", Effect.andThen(Deferred.succeed(started, undefined), Effect.never), late)
      const caller = yield* Effect.forkChild(flights.run("a", flights.run("b", inner, late), late))
      yield* Deferred.await(started)
      assert.equal(flights.size(), 2)
      yield* Scope.close(scope, Exit.void)
      assert.ok(Exit.hasInterrupts(yield* Fiber.await(caller)))
      assert.equal(flights.size(), 0)
      // Nothing begins in a closed scope, and nobody waits for it.
      assert.ok(Exit.hasInterrupts(yield* Effect.exit(flights.run("a", Effect.succeed(1), late))))
      assert.equal(flights.size(), 0)
    })
  )

  it.live("the interruption of a run that asks for itself frees its name", () =>
    Effect.gen(function* () {
      const flights = yield* makeSingleFlight
      const started = yield* Deferred.make<void>()
      let ended = 0
      const never = Deferred.succeed(started, undefined).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Effect.sync(() => ended++))
      )
      const caller = yield* Effect.forkChild(flights.run("a", flights.run("a", never, late), late))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(caller)
      // The caller ended only once its run had.
      assert.equal(ended, 1)
      assert.equal(flights.size(), 0)
      assert.equal(yield* flights.run("a", Effect.succeed("free"), late), "free")
    })
  )

  it.live("two runs of which each comes to wait for the other, by way of a third", () =>
    Effect.gen(function* () {
      const flights = yield* makeSingleFlight
      const gate = yield* Deferred.make<void>()
      let begun = 0
      const meet = Effect.suspend(() =>
        ++begun === 3 ? Effect.asVoid(Deferred.succeed(gate, undefined)) : Deferred.await(gate)
      )
      const asking = (mine: string, theirs: string): Effect.Effect<string> =>
        flights.run(mine, Effect.andThen(meet, flights.run(theirs, Effect.succeed("leaf"), late)), late)
      const answers = yield* Effect.all([asking("a", "b"), asking("b", "c"), asking("c", "a")], { concurrency: 3 })
      assert.deepEqual(answers, ["leaf", "leaf", "leaf"])
      assert.equal(begun, 3)
    })
  )

  it.live("a run that will not be interrupted holds up no caller past its Deadline", () =>
    Effect.gen(function* () {
      const flights = yield* makeSingleFlight
      const gate = yield* Deferred.make<void>()
      const stubborn = Effect.uninterruptible(Effect.as(Deferred.await(gate), "too late"))
      const run = flights.run<string, string, never>("a", stubborn, () => "late")
      assert.equal(yield* run.pipe(within("50 millis"), Effect.flip), "late")
      assert.equal(yield* flights.run<string, string, never>("a", Effect.succeed("anew"), () => "late"), "anew")
      yield* Deferred.succeed(gate, undefined)
    })
  )

  it.live("a caller that may not be interrupted gets its answer", () =>
    Effect.gen(function* () {
      const flights = yield* makeSingleFlight
      const started = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const load = Effect.andThen(Deferred.succeed(started, undefined), Effect.as(Deferred.await(gate), "whole"))
      let answer = ""
      const caller = yield* flights.run("a", load, late).pipe(
        Effect.tap((got) => Effect.sync(() => (answer = got))),
        Effect.uninterruptible,
        Effect.forkChild
      )
      yield* Deferred.await(started)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(caller))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(interrupting)
      assert.equal(answer, "whole")
    })
  )
})
