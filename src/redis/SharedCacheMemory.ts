import { Duration, Effect, Layer } from "effect"
import { redisSettings } from "../core/DatabaseConfig.ts"
import { makeSharedCache } from "./CacheStore.ts"
import * as RedisMemory from "./RedisMemory.ts"
import { SharedCache } from "./SharedCache.ts"

/** The cache in this process's memory, on the Clock; its failures are those of wrong input only. */
export const layer = (
  options: { readonly prefix?: string | undefined; readonly defaultTtl?: Duration.Input | undefined } = {}
): Layer.Layer<SharedCache> =>
  Layer.effect(
    SharedCache,
    Effect.gen(function* () {
      const memory = yield* RedisMemory.RedisMemory
      return yield* makeSharedCache(
        {
          get: (key) => memory.get(key),
          getMany: (keys) => Effect.forEach(keys, memory.get),
          set: memory.set,
          delete: memory.delete,
          has: (key) => Effect.map(memory.ttl(key), (ttl) => ttl !== -2),
          ttl: memory.ttl
        },
        {
          prefix: options.prefix ?? "cache",
          patience: "1 second",
          defaultTtl: Duration.fromInputUnsafe(options.defaultTtl ?? redisSettings.defaultTtl.fallback ?? "1 hour")
        }
      )
    })
  ).pipe(Layer.provide(RedisMemory.layer))
