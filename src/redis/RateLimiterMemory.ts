import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { inTime } from "./InTime.ts"
import { makeRateLimiter } from "./LimiterStore.ts"
import { RateLimiter } from "./RateLimiter.ts"
import * as RedisMemory from "./RedisMemory.ts"
import { slidingWindow } from "./SlidingWindow.ts"

/** The limiter in this process's memory, on the Clock. */
export const layer: Layer.Layer<RateLimiter> = Layer.effect(
  RateLimiter,
  Effect.map(RedisMemory.RedisMemory, (memory) =>
    makeRateLimiter("rate-limit", (input) => inTime("RateLimiter.check")(memory.run(slidingWindow, input)))
  )
).pipe(Layer.provide(RedisMemory.layer))
