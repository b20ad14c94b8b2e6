import { Layer, Redacted } from "effect"
import * as RateLimiterLive from "../../src/redis/RateLimiterLive.ts"
import * as RateLimiterMemory from "../../src/redis/RateLimiterMemory.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { RateLimiterContract } from "../../src/testing/contracts/RateLimiterContract.ts"
import { serverUrl } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

runContract(RateLimiterContract, { implementation: "memory", layer: RateLimiterMemory.layer })

runContract(RateLimiterContract, {
  implementation: "live",
  stores: ["redis"],
  layer: () =>
    RateLimiterLive.layer({ prefix: "test-limit" }).pipe(
      Layer.provide(RedisClient.layer({ url: Redacted.make(serverUrl("redis") ?? "") }))
    )
})
