import * as assert from "node:assert/strict"
import { describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Redacted, Tracer } from "effect"
import { Redis } from "ioredis"
import { vi } from "vitest"
import { RedisCommand } from "../../src/redis/RedisCommand.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { hasIpv6, overIpv6 } from "../servers/forward.ts"
import { describeLive, freshRedisPrefix } from "../servers/index.ts"
import { ask, clientOf, read, until, witness, write } from "./support.ts"

describe("Redis client, without a server", () => {
  it.effect("a database that is no number is refused, naming the field and not the URL", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(clientOf("redis://:secret@localhost:6379/sessions")))
      assert.ok("reason" in error && error.reason._tag === "InvalidData")
      assert.deepEqual(
        error.reason.problems.map(({ field }) => field),
        ["url"]
      )
      assert.ok(!error.message.includes("secret"))
    })
  )

  it.live("a URL that is none is refused at once, naming the field and not the URL", () =>
    Effect.gen(function* () {
      for (const url of [
        "redis://:secret@127.0.0.1:99999",
        "redis://:secret@local host:6379",
        "redis://:secret@[::z]"
      ]) {
        for (const enableCluster of [false, true]) {
          const connecting = Effect.scoped(clientOf(url, { enableCluster, connectionTimeout: "1 hour" }))
          const error = yield* Effect.flip(connecting)
          assert.ok("reason" in error && error.reason._tag === "InvalidData")
          assert.equal(error.outcome, "not-applied")
          assert.deepEqual(
            error.reason.problems.map(({ field }) => field),
            ["url"]
          )
          assert.ok(!error.message.includes("secret"))
        }
      }
    })
  )

  it.effect("wrong settings are all named at once", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.scoped(RedisClient.make({ url: Redacted.make("http://localhost"), maxPending: 0, responseTimeout: -1 }))
      )
      assert.ok(error._tag === "ConfigInvalid")
      assert.deepEqual(error.problems.map(({ variable }) => variable).sort(), [
        "REDIS_MAX_PENDING",
        "REDIS_RESPONSE_TIMEOUT",
        "REDIS_URL"
      ])
    })
  )
})

describeLive("redis", "Redis client", (url) => {
  it.live("answers as the driver does: text, integer, null, list, and what is not ASCII", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      const key = (name: string) => `${prefix}${name}`
      assert.equal(yield* client.call(write, "SET", [key("a"), "ä\u0000\r\n\u{1F600}"]), "OK")
      assert.equal(yield* client.call(read, "GET", [key("a")]), "ä\u0000\r\n\u{1F600}")
      assert.equal(yield* client.call(read, "GET", [key("none")]), null)
      assert.equal(yield* client.call(write, "INCRBY", [key("n"), 41]), 41)
      assert.deepEqual(yield* client.call(read, "MGET", [key("a"), key("none"), key("n")]), [
        "ä\u0000\r\n\u{1F600}",
        null,
        "41"
      ])
      assert.equal(yield* client.call(write, "SET", [key("bytes"), Buffer.from("ä")]), "OK")
      assert.equal(yield* client.call(read, "GET", [key("bytes")]), "ä")
      assert.equal(yield* client.call(read, "GET", [key("a")]), "ä\u0000\r\n\u{1F600}")
    })
  )

  it.live.skipIf(!hasIpv6)("is reached at an IPv6 address, which stands in brackets", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(yield* overIpv6(url!))
      assert.equal(yield* client.call(read, "ECHO", ["hello"]), "hello")
      assert.equal(client.endpoint.host, "::1")
    })
  )

  it.live("the longest response timeout is one", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(url!, { responseTimeout: 2_147_483_647, connectionTimeout: 2_147_483_647 })
      assert.equal(yield* client.call(read, "ECHO", ["hello"]), "hello")
    })
  )

  it.live("answers match their requests, ten thousand at once and mixed with the raw connection", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      const numbers = Array.from({ length: 9_000 }, (_, i) => i)
      const answers = yield* Effect.forEach(
        numbers,
        (i) =>
          i % 9 === 0
            ? Effect.promise(() => client.raw.call("ECHO", `${prefix}${i}`))
            : client.call(read, "ECHO", [`${prefix}${i}`]),
        { concurrency: "unbounded" }
      )
      assert.deepEqual(
        answers,
        numbers.map((i) => `${prefix}${i}`)
      )
      assert.equal((yield* client.stats).pending, 0)
    })
  )

  it.live("the commands of one turn leave in one write, but for the first", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(url!)
      assert.ok(client.raw instanceof Redis)
      const writes = vi.spyOn(client.raw.stream, "write")
      yield* Effect.forEach(Array.from({ length: 50 }), () => client.ping, { concurrency: "unbounded" })
      assert.equal(writes.mock.calls.length, 2)
    })
  )

  it.live("short and long text and bytes, sent in one turn, are each answered", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(url!)
      const values = Array.from({ length: 60 }, (_, i) => {
        if (i % 3 === 0) return `ä${i}`
        return i % 3 === 1 ? `${i}`.repeat(40_000) : Buffer.from(`bytes ${i}`)
      })
      const answers = yield* Effect.forEach(values, (value) => client.call(read, "ECHO", [value]), {
        concurrency: "unbounded"
      })
      assert.deepEqual(
        answers,
        values.map((value) => value.toString())
      )
    })
  )

  it.live("a command that is interrupted in the turn it was sent in never runs", () =>
    Effect.gen(function* () {
      const key = `${yield* freshRedisPrefix}key`
      const client = yield* clientOf(url!)
      const before = yield* Effect.forkChild(client.ping, { startImmediately: true })
      const interrupted = yield* Effect.forkChild(client.call(write, "SET", [key, "1"]), { startImmediately: true })
      const after = yield* Effect.forkChild(client.call(read, "ECHO", ["after"]), { startImmediately: true })
      yield* Fiber.interrupt(interrupted)
      yield* Fiber.join(before)
      assert.equal(yield* Fiber.join(after), "after")
      assert.equal(yield* client.call(read, "EXISTS", [key]), 0)
      assert.equal((yield* client.stats).pending, 0)
    })
  )

  it.live("an error names the code and not the arguments", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      yield* client.call(write, "SET", [`${prefix}a`, "text"])
      const wrongType = yield* Effect.flip(client.call(write, "LPUSH", [`${prefix}a`, "top-secret"]))
      assert.ok(wrongType.reason._tag === "InvalidStatement")
      assert.equal(wrongType.reason.code, "WRONGTYPE")
      assert.equal(wrongType.outcome, "not-applied")
      const unknown = yield* Effect.flip(client.call(write, "NOSUCHCOMMAND", ["top-secret", "it's"]))
      assert.ok(unknown.reason._tag === "InvalidStatement")
      assert.equal(unknown.reason.code, "ERR")
      for (const error of [wrongType, unknown]) {
        assert.ok(!`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`.includes("top-secret"))
      }
      assert.equal(yield* client.call(read, "GET", [`${prefix}a`]), "text")
    })
  )

  it.live("a script that fails half-way keeps what it wrote: its outcome is unknown", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const client = yield* clientOf(url!)
      const lua = "redis.call('SET', KEYS[1], '1') return redis.call('LPUSH', KEYS[1], 'x')"
      const error = yield* Effect.flip(client.call(write, "EVAL", [lua, 1, `${prefix}a`]))
      assert.equal(error.outcome, "unknown")
      assert.equal(yield* client.call(read, "GET", [`${prefix}a`]), "1")
    })
  )

  it.live("stats count connections and pending commands", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(url!, { maxConnections: 3, maxPending: 77 })
      const stats = yield* client.stats
      assert.deepEqual(stats, {
        size: 1,
        idle: 1,
        inUse: 0,
        waiting: 0,
        max: 4,
        utilisation: 0,
        pending: 0,
        maxPending: 77
      })
    })
  )

  it.live("reads its settings from the environment", () =>
    Effect.gen(function* () {
      const environment = ConfigProvider.fromUnknown({
        REDIS_URL: url!,
        REDIS_DEFAULT_TTL: "7",
        REDIS_MAX_PENDING: "5"
      })
      const layer = RedisClient.layerConfig({ maxConnections: 2 }).pipe(
        Layer.provide(ConfigProvider.layer(environment))
      )
      yield* Effect.gen(function* () {
        const client = yield* RedisClient.RedisClient
        const { max, maxPending } = yield* client.stats
        assert.deepEqual([max, maxPending], [3, 5])
        yield* client.ping
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("the number in the URL chooses the database", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const other = new URL(url!)
      other.pathname = "/9"
      const nine = yield* clientOf(other.href)
      const zero = yield* clientOf(url!)
      yield* nine.call(write, "SET", [`${prefix}a`, "nine", "PX", 10_000])
      assert.equal(yield* zero.call(read, "GET", [`${prefix}a`]), null)
      assert.equal(yield* nine.call(write, "DEL", [`${prefix}a`]), 1)
    })
  )

  it.live("a call is a client span where a tracer listens, and none where nobody does", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(url!)
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(`${options.kind} ${options.name}`)
          return new Tracer.NativeSpan(options)
        }
      })
      yield* client.ping
      assert.deepEqual(names, [])
      yield* client.ping.pipe(Effect.provideService(Tracer.Tracer, tracer))
      assert.deepEqual(names, ["client ping"])
    })
  )

  it.live("a command that was abandoned while the driver held it back never runs", () =>
    Effect.gen(function* () {
      const prefix = yield* freshRedisPrefix
      const truth = yield* witness(url!)
      const driver = yield* Effect.acquireRelease(
        Effect.sync(() => new Redis(url!, { lazyConnect: true })),
        (redis) => Effect.sync(() => redis.disconnect())
      )
      const replies: Array<unknown> = []
      const send = (key: string) => {
        const command = new RedisCommand("SET", [`${prefix}${key}`, "1"], (_, reply) => replies.push(reply))
        void driver.sendCommand(command)
        return command
      }
      const [first, second, third] = [send("first"), send("second"), send("third")]
      assert.deepEqual([first.written, second.written, third.written], [false, false, false])
      second.abandoned = true
      yield* until(Effect.sync(() => replies.length === 3))
      assert.deepEqual(replies, ["OK", "PONG", "OK"])
      assert.deepEqual([first.written, second.written, third.written], [true, false, true])
      const keys = ["first", "second", "third"].map((key) => `${prefix}${key}`)
      assert.deepEqual(yield* ask(truth, "MGET", ...keys), ["1", null, "1"])
    })
  )

  it.live("two clients live and end apart", () =>
    Effect.gen(function* () {
      const outer = yield* clientOf(url!)
      const inner = yield* Effect.scoped(Effect.tap(clientOf(url!), ({ ping }) => ping))
      assert.equal(inner.raw.status, "end")
      const error = yield* Effect.flip(inner.ping)
      assert.equal(error.reason._tag, "Unavailable")
      yield* outer.ping
    })
  )
})
