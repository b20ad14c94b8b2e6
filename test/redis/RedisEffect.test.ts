import * as assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Queue, Redacted, type Scope } from "effect"
import * as EffectRedis from "effect/persistence/Redis"
import type { RedisPreset } from "../../src/core/DatabaseConfig.ts"
import { within } from "../../src/core/Deadline.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { describeLive, describeOwned, freshRedisPrefix, ownServer } from "../servers/index.ts"
import { ask, eventually, until, witness } from "./support.ts"

const both = (url: string, options: Omit<RedisPreset, "url"> = {}) =>
  Effect.map(RedisClient.make({ url: Redacted.make(url), ...options }), (context) => ({
    client: Context.get(context, RedisClient.RedisClient),
    redis: Context.get(context, EffectRedis.Redis)
  }))

const held = Effect.fnUntraced(function* (
  redis: EffectRedis.Redis["Service"]
): Effect.fn.Return<EffectRedis.Connection, EffectRedis.RedisError, Scope.Scope> {
  return yield* redis.reserve
})

describeLive("redis", "Effect's Redis over ours", (url) => {
  it.live("sends commands, and reports failures as its own error", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const { redis } = yield* both(url!)
      assert.equal(yield* redis.send("SET", `${prefix}a`, "1"), "OK")
      assert.equal(yield* redis.send("GET", `${prefix}a`), "1")
      const error = yield* Effect.flip(redis.send("LPUSH", `${prefix}a`, "x"))
      assert.ok(error instanceof EffectRedis.RedisError)
      assert.ok(String(error.cause).includes("WRONGTYPE"))
    })
  )

  it.live("runs scripts, and loads them again where the server has forgotten them", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const { redis } = yield* both(url!)
      const truth = yield* witness(url!)
      const add = EffectRedis.script((key: string, n: number) => [key, n], {
        lua: `return redis.call('INCRBY', KEYS[1], ARGV[1]) -- ${prefix}`,
        numberOfKeys: 1
      }).withReturnType<number>()
      assert.equal(yield* redis.eval(add)(`${prefix}n`, 2), 2)
      yield* ask(truth, "SCRIPT", "FLUSH")
      assert.equal(yield* redis.eval(add)(`${prefix}n`, 3), 5)
    })
  )

  it.live("a reserved connection waits without holding up the others", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const { client, redis } = yield* both(url!, { responseTimeout: "300 millis" })
      const popped = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("BLPOP", `${prefix}list`, "10")))
      )
      yield* until(Effect.map(client.stats, ({ inUse, size }) => size === 2 && inUse === 1))
      // Longer than the response timeout: a blocking command is not silence.
      yield* Effect.sleep("700 millis")
      yield* client.ping
      yield* redis.send("RPUSH", `${prefix}list`, "x")
      assert.deepEqual(yield* Fiber.join(popped), [`${prefix}list`, "x"])
    })
  )

  it.live("a reserved connection that is interrupted in a command is replaced", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const { client, redis } = yield* both(url!, { maxConnections: 1 })
      const waiting = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("BLPOP", `${prefix}list`, "0")))
      )
      yield* until(Effect.map(client.stats, ({ inUse }) => inUse === 1))
      yield* Fiber.interrupt(waiting)
      // What the interrupted one waited for must not be taken by it now.
      yield* redis.send("RPUSH", `${prefix}list`, "x")
      const popped = yield* Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("BLPOP", `${prefix}list`, "5")))
      assert.deepEqual(popped, [`${prefix}list`, "x"])
    })
  )

  it.live("as many reserved as allowed: the next one fails at the connection timeout", () =>
    Effect.gen(function* () {
      const { redis } = yield* both(url!, { maxConnections: 1, connectionTimeout: "1 second" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* held(redis)
          assert.ok(Exit.isFailure(yield* Effect.exit(Effect.scoped(held(redis)))))
        })
      )
      yield* Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("PING")))
    })
  )

  it.live("the Context's Deadline ends a blocking command", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const { redis } = yield* both(url!)
      const error = yield* Effect.flip(
        Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("BLPOP", `${prefix}none`, "0"))).pipe(
          within("200 millis")
        )
      )
      assert.ok(error instanceof EffectRedis.RedisError)
    })
  )

  it.live("subscribers hear their channel, each of several, until they leave", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const { client, redis } = yield* both(url!)
      const channel = `${prefix}news`
      yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* redis.subscribe(channel)
          const second = yield* redis.subscribe(channel)
          yield* until(Effect.map(redis.send<number>("PUBLISH", channel, "hello"), (n) => n === 1))
          assert.deepEqual(yield* Queue.take(first), { channel, message: "hello" })
          assert.deepEqual(yield* Queue.take(second), { channel, message: "hello" })
        })
      )
      yield* until(Effect.map(redis.send<number>("PUBLISH", channel, "nobody"), (n) => n === 0))
      yield* until(Effect.map(client.stats, ({ size }) => size === 1))
    })
  )
})

describeOwned("redis", "Effect's Redis over ours, faults", () => {
  it.live("a subscription is renewed once the server is back", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { redis } = yield* both(server.url)
      const queue = yield* redis.subscribe("news")
      yield* until(Effect.map(redis.send<number>("PUBLISH", "news", "before"), (n) => n === 1))
      assert.equal((yield* Queue.take(queue)).message, "before")
      yield* server.kill
      yield* server.restart
      yield* eventually(
        Effect.flatMap(redis.send<number>("PUBLISH", "news", "after"), (n) =>
          n === 1 ? Effect.void : Effect.fail("not yet")
        )
      )
      assert.equal((yield* Queue.take(queue)).message, "after")
    })
  )

  it.live("a killed server fails a blocking command at once, and the pool works again", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const { client, redis } = yield* both(server.url, { maxConnections: 1 })
      const waiting = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("BLPOP", "list", "0"))))
      )
      yield* until(Effect.map(client.stats, ({ inUse }) => inUse === 1))
      yield* server.kill
      assert.ok((yield* Fiber.join(waiting)) instanceof EffectRedis.RedisError)
      yield* server.restart
      const pong = yield* eventually(Effect.scoped(Effect.flatMap(held(redis), (own) => own.send("PING"))))
      assert.equal(pong, "PONG")
    })
  )
})
