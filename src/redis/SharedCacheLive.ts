import * as Array from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeSharedCache } from "./CacheStore.ts"
import { RedisClient } from "./RedisClient.ts"
import { SharedCache } from "./SharedCache.ts"

/** How this cache differs from the configuration. */
export interface SharedCacheOptions {
  /** First part of every key, for several caches on one server; `cache`. */
  readonly prefix?: string | undefined
  /** Life of a value set without one; the client's `defaultTtl`. */
  readonly defaultTtl?: Duration.Input | undefined
  /** How long `getOrSet` waits for a silent Redis before it loads without it; 1 second. */
  readonly patience?: Duration.Input | undefined
}

const read = { kind: "read" } as const
// Setting or deleting the same again changes nothing, so these are sent again where their outcome is unknown.
const write = { kind: "write", idempotent: true } as const

// One command for more keys than this would hold up everybody else on the server.
const keysAtOnce = 500

/** The cache on a Redis server. */
export const layer = (options: SharedCacheOptions = {}): Layer.Layer<SharedCache, never, RedisClient> =>
  Layer.effect(
    SharedCache,
    Effect.gen(function* () {
      const { call, cluster, defaultTtl, stats } = yield* RedisClient
      const { maxPending } = yield* stats
      // Whoever brings many entries leaves most of the room to the others.
      const width = Math.max(1, Math.min(500, Math.floor(maxPending / 4)))
      const get = (key: string, retry = true) =>
        call<string | null>({ operation: "SharedCache.get", ...read, retry }, "GET", [key])
      const getChunk = (keys: ReadonlyArray<string>) =>
        call<ReadonlyArray<string | null>>({ operation: "SharedCache.getMany", ...read }, "MGET", keys)
      return yield* makeSharedCache(
        {
          get: (key, { retry }) => get(key, retry),
          getMany: (keys) =>
            cluster
              ? Effect.forEach(keys, (key) => get(key), { concurrency: width })
              : Effect.map(Effect.forEach(Array.chunksOf(keys, keysAtOnce), getChunk), Array.flatten),
          set: (key, value, ttl) =>
            call(
              { operation: "SharedCache.set", ...write },
              "SET",
              ttl === undefined ? [key, value] : [key, value, "PX", ttl]
            ),
          delete: (key) =>
            Effect.map(call<number>({ operation: "SharedCache.delete", ...write }, "DEL", [key]), (n) => n > 0),
          has: (key) =>
            Effect.map(call<number>({ operation: "SharedCache.has", ...read }, "EXISTS", [key]), (n) => n > 0),
          ttl: (key) => call<number>({ operation: "SharedCache.ttl", ...read }, "PTTL", [key])
        },
        {
          prefix: options.prefix ?? "cache",
          patience: options.patience ?? "1 second",
          width,
          defaultTtl: options.defaultTtl === undefined ? defaultTtl : Duration.fromInputUnsafe(options.defaultTtl)
        }
      )
    })
  )
