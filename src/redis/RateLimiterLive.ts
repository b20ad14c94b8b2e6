import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeRateLimiter } from "./LimiterStore.ts"
import { RateLimiter } from "./RateLimiter.ts"
import { RedisClient } from "./RedisClient.ts"
import { scriptRunner } from "./ScriptLive.ts"
import { slidingWindow } from "./SlidingWindow.ts"

/** The limiter on a Redis server; `prefix` (`rate-limit`) is the first part of every key. */
export const layer = (
  options: { readonly prefix?: string | undefined } = {}
): Layer.Layer<RateLimiter, never, RedisClient> =>
  Layer.effect(
    RateLimiter,
    Effect.map(RedisClient, (client) => {
      const run = scriptRunner(client, slidingWindow)
      const call = { operation: "RateLimiter.check", kind: "write" } as const
      return makeRateLimiter(options.prefix ?? "rate-limit", (input) => run(call, input))
    })
  )
