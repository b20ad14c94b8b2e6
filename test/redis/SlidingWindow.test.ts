import * as assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as RedisMemory from "../../src/redis/RedisMemory.ts"
import { onGivenTime } from "../../src/redis/Script.ts"
import { scriptRunner } from "../../src/redis/ScriptLive.ts"
import { slidingWindow, type Take, type Taken } from "../../src/redis/SlidingWindow.ts"
import { describeLive, freshRedisPrefix } from "../servers/index.ts"
import { randomOf } from "../random.ts"
import { clientOf, write } from "./support.ts"

const numbersOf = (seed: number) => {
  const next = randomOf(seed)
  return (below: number): number => Math.floor(next() * below)
}

type Step = Take & { readonly now: number }

// Microseconds of today have 16 digits, which a double holds and Lua's own conversion to text does not.
const today = 1_765_432_109_876_543

const traceOf = (seed: number, key: string, length: number): ReadonlyArray<Step> => {
  const random = numbersOf(seed)
  const limit = 1 + random(12)
  const window = [1, 7, 1000, 1_000_000][random(4)]!
  let now = today + random(1_000_000)
  return Array.from({ length }, () => {
    // Often the very same microsecond, often exactly a window later, now and then a clock that steps back.
    const step = [0, 0, 1, random(window + 2), Math.floor(window / limit), window, -1 - random(3)][random(7)]!
    now += step
    return { key, limit, window, cost: 1 + random(Math.min(limit, 4)), now }
  })
}

/** Recomputes every trailing window from the log of what was allowed; knows nothing of how the script does it. */
const checkExact = (trace: ReadonlyArray<Step>, taken: ReadonlyArray<Taken>): void => {
  const allowed: Array<{ readonly time: number; readonly cost: number }> = []
  let clock = Number.NEGATIVE_INFINITY
  trace.forEach((step, i) => {
    const answer = taken[i]!
    // A clock that steps back stands still for the log.
    const time = Math.max(step.now, allowed.at(-1)?.time ?? Number.NEGATIVE_INFINITY)
    clock = Math.max(clock, time)
    const usedAt = (t: number) =>
      allowed.filter((e) => e.time > t - step.window && e.time <= t).reduce((sum, { cost }) => sum + cost, 0)
    const used = usedAt(time)
    const at = `step ${i}: ${JSON.stringify(step)} ${JSON.stringify(answer)}, used ${used}`
    assert.equal(answer.allowed, used + step.cost <= step.limit, at)
    if (answer.allowed) {
      allowed.push({ time, cost: step.cost })
      assert.ok(usedAt(time) <= step.limit, at)
      assert.equal(answer.remaining, step.limit - used - step.cost, at)
      assert.equal(answer.retryAfter, 0, at)
    } else {
      assert.equal(answer.remaining, step.limit - used, at)
      assert.ok(answer.retryAfter > 0, at)
      assert.ok(usedAt(time + answer.retryAfter) + step.cost <= step.limit, `${at}: not free then`)
      assert.ok(usedAt(time + answer.retryAfter - 1) + step.cost > step.limit, `${at}: free sooner`)
    }
  })
}

const replayed = onGivenTime(slidingWindow)
const soak = process.env.TEST_SOAK === "1"
const traces = soak ? 400 : 40
const length = soak ? 400 : 120

/** The same trace through the reducer alone. */
const reduced = (trace: ReadonlyArray<Step>): ReadonlyArray<Taken> => {
  let log: ReturnType<typeof replayed.reduce>["state"]
  return trace.map((step) => {
    const { result, state } = replayed.reduce(log, step.now, step)
    log = state
    return result
  })
}

describe("sliding window, memory", () => {
  it.effect("random traces: every trailing window holds, every denial was needed, every retryAfter is exact", () =>
    Effect.gen(function* () {
      const memory = yield* RedisMemory.make
      for (let seed = 1; seed <= traces * 5; seed++) {
        const trace = traceOf(seed, `trace-${seed}`, length)
        const taken = yield* Effect.forEach(trace, (step) => memory.run(replayed, step))
        checkExact(trace, taken)
      }
    })
  )
})

describeLive("redis", "sliding window, live", (url) => {
  it.live("the same traces give the same answers in Lua as in memory, and pass the same recomputation", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      const run = scriptRunner(client, replayed)
      for (let seed = 1; seed <= traces; seed++) {
        const trace = traceOf(seed, `${prefix}${seed}`, length)
        const live = yield* Effect.forEach(trace, (step) => run(write, step), { concurrency: "unbounded" })
        const simulated = reduced(trace)
        assert.deepEqual(live, simulated, `seed ${seed}`)
        checkExact(trace, live)
      }
    })
  )

  it.live("a log that nobody asks for again goes by itself", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      const run = scriptRunner(client, slidingWindow)
      yield* run(write, { key: `${prefix}a`, limit: 5, window: 200_000, cost: 1 })
      const left = yield* client.call<number>({ operation: "test", kind: "read" }, "PTTL", [`${prefix}a`])
      assert.ok(left > 0 && left <= 201, `${left} ms`)
    })
  )

  it.live("a server that has forgotten the script is given it again", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      const run = scriptRunner(client, { ...slidingWindow, sha: "0".repeat(40) })
      const taken = yield* run(write, { key: `${prefix}a`, limit: 2, window: 1_000_000, cost: 1 })
      assert.deepEqual([taken.allowed, taken.remaining], [true, 1])
    })
  )
})
