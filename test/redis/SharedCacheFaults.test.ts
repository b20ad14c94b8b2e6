import * as assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Option, Redacted, Schema } from "effect"
import { within } from "../../src/core/Deadline.ts"
import type { RedisPreset } from "../../src/core/DatabaseConfig.ts"
import * as CacheKey from "../../src/redis/CacheKey.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { SharedCache } from "../../src/redis/SharedCache.ts"
import * as SharedCacheLive from "../../src/redis/SharedCacheLive.ts"
import { describeOwned, ownServer } from "../servers/index.ts"
import { ask, eventually, timed, until, witness } from "./support.ts"

const profileKey = CacheKey.make("profile", { key: Schema.String, value: Schema.Struct({ name: Schema.String }) })
const alice = { name: "Alice" }

const cacheOf = (url: string, options: Omit<RedisPreset, "url"> = {}, cache: SharedCacheLive.SharedCacheOptions = {}) =>
  Effect.map(
    Layer.build(
      SharedCacheLive.layer(cache).pipe(Layer.provideMerge(RedisClient.layer({ url: Redacted.make(url), ...options })))
    ),
    (context) => ({
      cache: Context.get(context, SharedCache),
      client: Context.get(context, RedisClient.RedisClient)
    })
  )

describeOwned("redis", "SharedCache faults", () => {
  it.live("Redis down: getOrSet loads, get fails; once it is back, values are stored again", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache, client } = yield* cacheOf(server.url)
      const key = profileKey("alice")
      yield* server.kill
      yield* until(Effect.sync(() => client.raw.status !== "ready"))
      let loads = 0
      const load = Effect.sync(() => {
        loads++
        return alice
      })
      const [took, loaded] = yield* timed(cache.getOrSet(key, {}, load))
      assert.deepEqual(loaded, alice)
      assert.ok(took < 5_000)
      assert.equal(loads, 1)
      assert.equal(yield* Effect.flip(cache.getOrSet(key, {}, Effect.fail("gone" as const))), "gone")
      const error = yield* Effect.flip(cache.get(key))
      assert.equal(error.reason._tag, "Unavailable")
      assert.equal(error.operation, "SharedCache.get")
      yield* server.restart
      yield* eventually(client.ping)
      assert.deepEqual(yield* cache.getOrSet(key, {}, load), alice)
      assert.deepEqual(yield* cache.get(key), Option.some(alice))
    })
  )

  it.live("Redis silent: getOrSet loads after its patience, and the silence holds up no later caller", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache } = yield* cacheOf(server.url, { responseTimeout: "20 seconds" }, { patience: "200 millis" })
      yield* server.pause
      const [took, loaded] = yield* timed(cache.getOrSet(profileKey("alice"), {}, Effect.succeed(alice)))
      assert.deepEqual(loaded, alice)
      assert.ok(took < 5_000, `${took} ms`)
      yield* server.resume
      assert.deepEqual(yield* eventually(cache.getOrSet(profileKey("bob"), {}, Effect.succeed(alice))), alice)
    })
  )

  it.live("Redis silent: a caller in a hurry has half of its time left for the load", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache } = yield* cacheOf(server.url, { responseTimeout: "20 seconds" }, { patience: "10 seconds" })
      yield* server.pause
      const asked = cache.getOrSet(profileKey("alice"), {}, Effect.succeed(alice)).pipe(within("4 seconds"))
      assert.deepEqual(yield* asked, alice)
      yield* server.resume
    })
  )

  it.live("a hundred callers in an outage share one load", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache, client } = yield* cacheOf(server.url)
      yield* server.kill
      yield* until(Effect.sync(() => client.raw.status !== "ready"))
      const gate = yield* Deferred.make<void>()
      let loads = 0
      const load = Effect.gen(function* () {
        loads++
        yield* Deferred.await(gate)
        return alice
      })
      yield* Effect.forkChild(Effect.andThen(Effect.sleep("200 millis"), Deferred.succeed(gate, undefined)))
      yield* Effect.all(
        Array.from({ length: 100 }, () => cache.getOrSet(profileKey("alice"), {}, load)),
        { concurrency: "unbounded" }
      )
      assert.equal(loads, 1)
    })
  )

  it.live("entries by the ten thousand leave room for others, and all are stored", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache, client } = yield* cacheOf(server.url, { maxPending: 1000 })
      const keys = Array.from({ length: 20_000 }, (_, i) => profileKey(`p${i}`))
      let most = 0
      const storing = yield* Effect.forkChild(
        Effect.all(
          [
            cache.setMany(keys.slice(0, 10_000).map((key) => [key, alice])),
            cache.setMany(keys.slice(10_000).map((key) => [key, alice]))
          ],
          {
            concurrency: 2
          }
        )
      )
      yield* until(
        Effect.gen(function* () {
          most = Math.max(most, (yield* client.stats).pending)
          yield* cache.get(profileKey("somebody else's"))
          return storing.pollUnsafe() !== undefined
        })
      )
      yield* Fiber.join(storing)
      assert.ok(most > 0 && most <= 500, `${most} pending`)
      const truth = yield* witness(server.url)
      assert.equal(yield* ask(truth, "DBSIZE"), 20_000)
      const found = yield* cache.getMany(keys)
      assert.equal(found.filter(Option.isSome).length, 20_000)
      const calls = String(yield* ask(truth, "INFO", "commandstats"))
      assert.ok(calls.includes("cmdstat_mget:calls=40,"), calls)
    })
  )

  it.live("a server that takes no writes: getOrSet answers all the same, set fails", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache } = yield* cacheOf(server.url, { retryAttempts: 0 })
      const truth = yield* witness(server.url)
      yield* ask(truth, "CONFIG", "SET", "maxmemory", 1)
      assert.deepEqual(yield* cache.getOrSet(profileKey("alice"), {}, Effect.succeed(alice)), alice)
      const error = yield* Effect.flip(cache.set(profileKey("alice"), alice))
      assert.equal(error.reason._tag, "ResourceExhausted")
    })
  )

  it.live("what somebody else wrote there, broken or of another type", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache } = yield* cacheOf(server.url, {}, { prefix: "c" })
      const truth = yield* witness(server.url)
      for (const broken of ["", "{", '{"name":1}', "null", '"text"', "\u0000", '{"nam":"x"}']) {
        yield* ask(truth, "SET", "c:profile:alice", broken)
        assert.deepEqual(yield* cache.get(profileKey("alice")), Option.none(), JSON.stringify(broken))
        assert.deepEqual(yield* cache.getOrSet(profileKey("alice"), {}, Effect.succeed(alice)), alice)
        assert.deepEqual(yield* cache.get(profileKey("alice")), Option.some(alice))
      }
      yield* ask(truth, "DEL", "c:profile:alice")
      yield* ask(truth, "RPUSH", "c:profile:alice", "x")
      const error = yield* Effect.flip(cache.get(profileKey("alice")))
      assert.equal(error.reason._tag, "InvalidStatement")
      assert.deepEqual(yield* cache.getOrSet(profileKey("alice"), {}, Effect.succeed(alice)), alice)
    })
  )

  it.live("keys stand where the prefix and the family say, and are encoded", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { cache } = yield* cacheOf(server.url, {}, { prefix: "app", defaultTtl: "1 minute" })
      const truth = yield* witness(server.url)
      yield* cache.set(profileKey("a:{b} c"), alice)
      assert.deepEqual(yield* ask(truth, "KEYS", "*"), ["app:profile:a%3A%7Bb%7D%20c"])
      assert.equal(yield* ask(truth, "GET", "app:profile:a%3A%7Bb%7D%20c"), '{"name":"Alice"}')
      const left = Number(yield* ask(truth, "PTTL", "app:profile:a%3A%7Bb%7D%20c"))
      assert.ok(left > 50_000 && left <= 60_000)
    })
  )
})
