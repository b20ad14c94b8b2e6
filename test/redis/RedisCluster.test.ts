import * as assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import * as CacheKey from "../../src/redis/CacheKey.ts"
import * as RateLimit from "../../src/redis/RateLimit.ts"
import { RateLimiter } from "../../src/redis/RateLimiter.ts"
import * as RateLimiterLive from "../../src/redis/RateLimiterLive.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { SharedCache } from "../../src/redis/SharedCache.ts"
import * as SharedCacheLive from "../../src/redis/SharedCacheLive.ts"
import { describeOwned } from "../servers/index.ts"
import { freePort } from "../servers/startServer.ts"
import { ask, clientOf, eventually, read, serverWith, until, witness, write } from "./support.ts"

/** A cluster of one node, which holds every slot. */
const clusterUrl = Effect.gen(function* () {
  const bus = yield* freePort
  // A node that has met no other does not know its own address, and would tell none.
  const address = ["--cluster-announce-ip", "127.0.0.1"]
  const url = yield* serverWith("--cluster-enabled", "yes", "--cluster-port", String(bus), ...address)
  const truth = yield* witness(url)
  yield* ask(truth, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
  yield* until(Effect.map(ask(truth, "CLUSTER", "INFO"), (info) => String(info).includes("cluster_state:ok")))
  return { url, truth }
})

describeOwned("redis", "Redis cluster", () => {
  it.live("commands, cache and limiter work, across slots", () =>
    Effect.gen(function* () {
      const { url } = yield* clusterUrl
      const layer = Layer.mergeAll(SharedCacheLive.layer(), RateLimiterLive.layer()).pipe(
        Layer.provideMerge(RedisClient.layer({ url: Redacted.make(url), enableCluster: true }))
      )
      yield* Effect.gen(function* () {
        const client = yield* RedisClient.RedisClient
        assert.equal(client.cluster, true)
        yield* client.ping
        const numbers = Array.from({ length: 100 }, (_, i) => i)
        yield* Effect.forEach(numbers, (i) => client.call(write, "SET", [`n${i}`, i]), { concurrency: "unbounded" })
        const values = yield* Effect.forEach(numbers, (i) => client.call(read, "GET", [`n${i}`]), { concurrency: 10 })
        assert.deepEqual(values, numbers.map(String))

        const cache = yield* SharedCache
        const key = CacheKey.make("count", { key: Schema.Int, value: Schema.Int })
        yield* cache.setMany(numbers.map((i) => [key(i), i * 2]))
        assert.deepEqual(
          yield* cache.getMany(numbers.map(key)),
          numbers.map((i) => Option.some(i * 2))
        )
        const limiter = yield* RateLimiter
        const rule = RateLimit.rule({ name: "r", limit: 1, window: "1 minute" })
        assert.equal((yield* limiter.check(rule, "alice")).allowed, true)
        assert.equal((yield* limiter.check(rule, "alice")).allowed, false)
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("a lost node: calls fail within their deadline, and the same client works again", () =>
    Effect.gen(function* () {
      const { truth, url } = yield* clusterUrl
      const client = yield* clientOf(url, { enableCluster: true, responseTimeout: "1 second" })
      yield* client.call(write, "SET", ["a", "1"])
      yield* ask(truth, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      assert.equal(yield* eventually(client.call(read, "GET", ["a"])), "1")
      assert.equal((yield* client.stats).pending, 0)
    })
  )

  it.live("down at start: Unavailable within the deadline", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const client = clientOf(`redis://127.0.0.1:${port}`, { enableCluster: true, connectionTimeout: "2 seconds" })
      const error = yield* Effect.flip(Effect.scoped(client))
      assert.ok("reason" in error && error.reason._tag === "Unavailable")
      assert.equal(error.reason.port, port)
    })
  )

  it.live("a silent cluster: Timeout within the deadline, and the same client works again", () =>
    Effect.gen(function* () {
      const { truth, url } = yield* clusterUrl
      const client = yield* clientOf(url, { enableCluster: true, responseTimeout: "300 millis" })
      yield* ask(truth, "CLIENT", "PAUSE", 3000, "ALL")
      const error = yield* Effect.flip(client.call(write, "SET", ["a", "1"]))
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "unknown"])
      yield* eventually(client.ping)
      assert.equal(yield* eventually(client.call(write, "SET", ["a", "2"])), "OK")
      assert.equal((yield* client.stats).pending, 0)
    })
  )

  it.live("a wrong password: AuthenticationFailed at once", () =>
    Effect.gen(function* () {
      const { truth, url } = yield* clusterUrl
      yield* ask(truth, "CONFIG", "SET", "requirepass", "correct-horse")
      const wrong = url.replace("redis://", "redis://:battery-staple@")
      const error = yield* Effect.flip(Effect.scoped(clientOf(wrong, { enableCluster: true })))
      assert.ok("reason" in error && error.reason._tag === "AuthenticationFailed")
      const right = url.replace("redis://", "redis://:correct-horse@")
      const client = yield* clientOf(right, { enableCluster: true })
      assert.equal(yield* client.call(write, "SET", ["a", "1"]), "OK")
    })
  )
})
