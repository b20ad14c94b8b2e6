import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { redisSettings } from "../core/DatabaseConfig.ts"
import { makeSharedCache } from "./CacheStore.ts"
import { inTime } from "./InTime.ts"
import * as RedisMemory from "./RedisMemory.ts"
import { SharedCache } from "./SharedCache.ts"

/** The cache in this process's memory, on the Clock; its failures are those of wrong input and of a Deadline that has passed. */
export const layer = (
  options: { readonly prefix?: string | undefined; readonly defaultTtl?: Duration.Input | undefined } = {}
): Layer.Layer<SharedCache> =>
  Layer.effect(
    SharedCache,
    Effect.gen(function* () {
      const memory = yield* RedisMemory.RedisMemory
      return yield* makeSharedCache(
        {
          get: (key) => inTime("SharedCache.get")(memory.get(key)),
          getMany: (keys) => inTime("SharedCache.getMany")(Effect.forEach(keys, memory.get)),
          set: (key, value, ttl) => inTime("SharedCache.set")(memory.set(key, value, ttl)),
          delete: (key) => inTime("SharedCache.delete")(memory.delete(key)),
          has: (key) => inTime("SharedCache.has")(Effect.map(memory.ttl(key), (ttl) => ttl !== -2)),
          ttl: (key) => inTime("SharedCache.ttl")(memory.ttl(key))
        },
        {
          prefix: options.prefix ?? "cache",
          patience: "1 second",
          width: 500,
          defaultTtl: Duration.fromInputUnsafe(options.defaultTtl ?? redisSettings.defaultTtl.fallback ?? "1 hour")
        }
      )
    })
  ).pipe(Layer.provide(RedisMemory.layer))
