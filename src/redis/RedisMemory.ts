import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Script } from "./Script.ts"

/**
 * What a Redis server keeps for our capabilities, as a state machine on the Clock.
 *
 * It is no Redis: it has the few operations that capabilities are made of, and scripts by their reducers. A value is gone at
 * the moment it expires; writing text anew ends an earlier life.
 */
export class RedisMemory extends Context.Service<
  RedisMemory,
  {
    readonly get: (key: string) => Effect.Effect<string | null>
    /** Without `ttlMillis` the value stays. */
    readonly set: (key: string, value: string, ttlMillis: number | undefined) => Effect.Effect<void>
    /** Whether there was a value. */
    readonly delete: (key: string) => Effect.Effect<boolean>
    /** Milliseconds left: -2 where there is no value, -1 where it stays. */
    readonly ttl: (key: string) => Effect.Effect<number>
    /** Runs a script's reducer on what is kept under its key. */
    readonly run: <Input, State, Result>(script: Script<Input, State, Result>, input: Input) => Effect.Effect<Result>
  }
>()("@ai-core/database/redis/RedisMemory") {}

interface Entry {
  readonly value: string
  /** Clock milliseconds. */
  readonly expiresAt: number
}

interface State {
  readonly state: unknown
  /** Clock microseconds. */
  readonly expiresAt: number
}

const fewest = 1024

/** Keeps what has not expired, and drops the rest now and then: what nobody asks for again would stay for ever. */
const makeTable = <E extends { readonly expiresAt: number }>() => {
  const entries = new Map<string, E>()
  let sweepAt = fewest
  return {
    get: (key: string, now: number): E | undefined => {
      const entry = entries.get(key)
      if (entry === undefined || now < entry.expiresAt) return entry
      entries.delete(key)
      return undefined
    },
    set: (key: string, entry: E, now: number): void => {
      entries.set(key, entry)
      if (entries.size < sweepAt) return
      for (const [other, { expiresAt }] of entries) if (now >= expiresAt) entries.delete(other)
      sweepAt = Math.max(fewest, entries.size * 2)
    },
    delete: (key: string): boolean => entries.delete(key)
  }
}

/** An empty one. */
export const make: Effect.Effect<RedisMemory["Service"]> = Effect.gen(function* () {
  const texts = makeTable<Entry>()
  const states = makeTable<State>()
  const millis = Clock.currentTimeMillis
  const micros = Effect.map(Clock.currentTimeNanos, (nanos) => Number(nanos / 1000n))

  return RedisMemory.of({
    get: (key) => Effect.map(millis, (now) => texts.get(key, now)?.value ?? null),
    set: (key, value, ttlMillis) =>
      Effect.map(millis, (now) =>
        texts.set(key, { value, expiresAt: ttlMillis === undefined ? Number.POSITIVE_INFINITY : now + ttlMillis }, now)
      ),
    delete: (key) =>
      Effect.map(millis, (now) => {
        const there = texts.get(key, now) !== undefined
        texts.delete(key)
        return there
      }),
    ttl: (key) =>
      Effect.map(millis, (now) => {
        const entry = texts.get(key, now)
        if (entry === undefined) return -2
        return entry.expiresAt === Number.POSITIVE_INFINITY ? -1 : entry.expiresAt - now
      }),
    run: <Input, State, Result>(script: Script<Input, State, Result>, input: Input) =>
      Effect.map(micros, (now) => {
        const key = script.key(input)
        // Only this script's own reducer has written under a key that carries the script's name.
        const before = states.get(`${script.name} ${key}`, now)?.state as State | undefined
        const { expiresAt, result, state } = script.reduce(before, now, input)
        if (state === undefined) states.delete(`${script.name} ${key}`)
        else states.set(`${script.name} ${key}`, { state, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY }, now)
        return result
      })
  })
})

/** One memory for every capability that is built on it in the same program. */
export const layer: Layer.Layer<RedisMemory> = Layer.effect(RedisMemory, make)
