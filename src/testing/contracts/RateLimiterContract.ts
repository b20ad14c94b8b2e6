import * as assert from "node:assert/strict"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { within } from "../../core/Deadline.ts"
import * as RateLimit from "../../redis/RateLimit.ts"
import { RateLimiter } from "../../redis/RateLimiter.ts"
import * as Contract from "../Contract.ts"

const millis = Duration.toMillis

const wrongFields = (rule: RateLimit.Rule, options?: { readonly cost?: number }) =>
  Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const error = yield* Effect.flip(limiter.check(rule, "somebody", options))
    assert.equal(error.outcome, "not-applied")
    return error.reason._tag === "InvalidData" ? error.reason.problems.map(({ field }) => field) : [error.reason._tag]
  })

const ruleOf = (limit: number, window: Duration.Input) =>
  Effect.map(Contract.unique("rule"), (name) => RateLimit.rule({ name, limit, window }))

/** What every implementation of `RateLimiter` does. */
export const RateLimiterContract: Contract.Contract<RateLimiter> = Contract.make("RateLimiter", {
  "allows as many as the limit, then denies": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(3, "1 minute")
    const decisions = yield* Effect.forEach([1, 2, 3, 4, 5], () => limiter.check(rule, "alice"))
    assert.deepEqual(
      decisions.map(({ allowed, limit, remaining }) => ({ allowed, limit, remaining })),
      [
        { allowed: true, limit: 3, remaining: 2 },
        { allowed: true, limit: 3, remaining: 1 },
        { allowed: true, limit: 3, remaining: 0 },
        { allowed: false, limit: 3, remaining: 0 },
        { allowed: false, limit: 3, remaining: 0 }
      ]
    )
  }),

  "retryAfter is zero where it is allowed, and within the window where it is not": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(1, "10 seconds")
    const first = yield* limiter.check(rule, "alice")
    assert.equal(millis(first.retryAfter), 0)
    assert.equal(millis(first.resetAfter), 10_000)
    yield* Contract.passTime("50 millis")
    const second = yield* limiter.check(rule, "alice")
    // A timer may come a fraction of a millisecond early by the server's clock.
    assert.ok(
      millis(second.retryAfter) > 5_000 && millis(second.retryAfter) <= 9_955,
      `${millis(second.retryAfter)} ms`
    )
    assert.equal(millis(second.resetAfter), millis(second.retryAfter))
  }),

  "retryAfter is exact: denied before, allowed after": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(2, "2 seconds")
    yield* limiter.check(rule, "alice")
    yield* Contract.passTime("100 millis")
    yield* limiter.check(rule, "alice")
    const denied = yield* limiter.check(rule, "alice")
    assert.equal(denied.allowed, false)
    // The first of the two goes first.
    assert.ok(millis(denied.retryAfter) <= 1_900, `${millis(denied.retryAfter)} ms`)
    assert.ok(millis(denied.resetAfter) > millis(denied.retryAfter))
    yield* Contract.passTime(Math.ceil(millis(denied.retryAfter)))
    const after = yield* limiter.check(rule, "alice")
    assert.equal(after.allowed, true)
  }),

  "the window slides: it is not emptied at a boundary": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(10, "3500 millis")
    const remaining = Effect.map(limiter.check(rule, "alice"), (decision) => decision.remaining)
    const seen = [yield* remaining]
    // Wherever a boundary of such windows lies, one of these pauses goes over it.
    for (const pause of ["1 second", "1 second", "2 seconds"] as const) {
      yield* Contract.passTime(pause)
      seen.push(yield* remaining)
    }
    // Four seconds after the first, that one alone is free again.
    assert.deepEqual(seen, [9, 8, 7, 7])
  }),

  "a whole window later everything is free": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(2, "150 millis")
    yield* limiter.check(rule, "alice", { cost: 2 })
    yield* Contract.passTime("160 millis")
    const decision = yield* limiter.check(rule, "alice")
    assert.equal(decision.allowed, true)
    assert.equal(decision.remaining, 1)
  }),

  "a denied check takes nothing": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(2, "2 seconds")
    yield* limiter.check(rule, "alice", { cost: 2 })
    yield* Contract.passTime("200 millis")
    for (let i = 0; i < 10; i++) assert.equal((yield* limiter.check(rule, "alice")).allowed, false)
    yield* Contract.passTime("1850 millis")
    assert.equal((yield* limiter.check(rule, "alice", { cost: 2 })).allowed, true)
  }),

  "a cost is taken whole or not at all": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(10, "1 minute")
    assert.equal((yield* limiter.check(rule, "alice", { cost: 7 })).remaining, 3)
    const denied = yield* limiter.check(rule, "alice", { cost: 4 })
    assert.deepEqual([denied.allowed, denied.remaining], [false, 3])
    const fits = yield* limiter.check(rule, "alice", { cost: 3 })
    assert.deepEqual([fits.allowed, fits.remaining], [true, 0])
  }),

  "a large cost waits for as much as it needs": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(3, "10 seconds")
    yield* limiter.check(rule, "alice")
    yield* Contract.passTime("150 millis")
    yield* limiter.check(rule, "alice", { cost: 2 })
    const one = yield* limiter.check(rule, "alice", { cost: 1 })
    const two = yield* limiter.check(rule, "alice", { cost: 2 })
    const three = yield* limiter.check(rule, "alice", { cost: 3 })
    const wait = [one, two, three].map(({ retryAfter }) => millis(retryAfter))
    assert.ok(wait[1]! - wait[0]! >= 100, `${wait}`)
    assert.ok(Math.abs(wait[2]! - wait[1]!) < 1_000, `${wait}`)
  }),

  "keys have counts of their own, whatever text they are": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(1, "1 minute")
    const keys = ["a", "a:b", "{a}", "a}", "", " ", "%", "ä", "\u{D800}", "\u{FFFD}", "a\nb", "*"]
    for (const key of keys) assert.equal((yield* limiter.check(rule, key)).allowed, true, JSON.stringify(key))
    for (const key of keys) assert.equal((yield* limiter.check(rule, key)).allowed, false, JSON.stringify(key))
  }),

  "rules have counts of their own": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const name = yield* Contract.unique("rule")
    const login = RateLimit.rule({ name: `${name}:login`, limit: 1, window: "1 minute" })
    const reset = RateLimit.rule({ name, limit: 1, window: "1 minute" })
    assert.equal((yield* limiter.check(login, "alice")).allowed, true)
    assert.equal((yield* limiter.check(reset, "login:alice")).allowed, true)
    assert.equal((yield* limiter.check(login, "alice")).allowed, false)
  }),

  "concurrent checks together take no more than the limit": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(20, "1 minute")
    const decisions = yield* Effect.all(
      Array.from({ length: 100 }, () => limiter.check(rule, "alice")),
      { concurrency: "unbounded" }
    )
    assert.equal(decisions.filter(({ allowed }) => allowed).length, 20)
    assert.deepEqual(
      decisions.filter(({ allowed }) => allowed).map(({ remaining }) => remaining),
      Array.from({ length: 20 }, (_, i) => 19 - i)
    )
  }),

  "enforce fails with how long to wait": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(1, "1 minute")
    assert.equal((yield* limiter.enforce(rule, "alice")).remaining, 0)
    const waited = yield* limiter.enforce(rule, "alice").pipe(
      Effect.map(() => undefined),
      Effect.catchTag("RateLimited", (limited) => Effect.succeed(limited))
    )
    assert.equal(waited?.rule, rule.name)
    assert.equal(waited.limit, 1)
    assert.ok(millis(waited.retryAfter) > 30_000 && millis(waited.retryAfter) <= 60_000)
  }),

  "a limit that is none is refused, naming the field": Effect.gen(function* () {
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.deepEqual(yield* wrongFields(RateLimit.rule({ name: "r", limit, window: "1 second" })), ["limit"])
    }
  }),

  "a window that is none is refused, naming the field": Effect.gen(function* () {
    for (const window of [0, -1, Duration.infinity, Duration.zero]) {
      assert.deepEqual(yield* wrongFields(RateLimit.rule({ name: "r", limit: 1, window })), ["window"])
    }
  }),

  "every wrong field of a rule is named at once": Effect.gen(function* () {
    assert.deepEqual(yield* wrongFields(RateLimit.rule({ name: "", limit: 0, window: 0 })), ["name", "limit", "window"])
  }),

  "a key that is no text is refused, naming it": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(1, "1 minute")
    const missing: ReadonlyArray<string> = []
    // What a list does not hold is typed as text all the same.
    const error = yield* Effect.flip(limiter.check(rule, missing[0]!))
    assert.equal(error.outcome, "not-applied")
    assert.ok(error.reason._tag === "InvalidData")
    assert.deepEqual(
      error.reason.problems.map(({ field }) => field),
      ["key"]
    )
  }),

  "a check that begins after its Deadline is refused, and takes nothing": Effect.gen(function* () {
    const limiter = yield* RateLimiter
    const rule = yield* ruleOf(1, "1 minute")
    const error = yield* Effect.flip(within(0)(limiter.check(rule, "alice")))
    assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "not-applied"])
    assert.equal((yield* limiter.check(rule, "alice")).allowed, true)
  }),

  "a cost that can never fit is refused, naming the field": Effect.gen(function* () {
    const rule = yield* ruleOf(5, "1 second")
    for (const cost of [0, -1, 0.5, 6, Number.NaN]) assert.deepEqual(yield* wrongFields(rule, { cost }), ["cost"])
  })
})
