import { Layer, Redacted } from "effect"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import * as SharedCacheLive from "../../src/redis/SharedCacheLive.ts"
import * as SharedCacheMemory from "../../src/redis/SharedCacheMemory.ts"
import { SharedCacheContract } from "../../src/testing/contracts/SharedCacheContract.ts"
import { serverUrl } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

runContract(SharedCacheContract, { implementation: "memory", layer: SharedCacheMemory.layer() })

runContract(SharedCacheContract, {
  implementation: "live",
  stores: ["redis"],
  layer: () =>
    SharedCacheLive.layer({ prefix: "test-cache" }).pipe(
      Layer.provide(RedisClient.layer({ url: Redacted.make(serverUrl("redis") ?? "") }))
    )
})
