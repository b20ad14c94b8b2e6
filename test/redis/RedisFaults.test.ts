import * as assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Redacted } from "effect"
import { within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeOwned, ownServer } from "../servers/index.ts"
import { freePort } from "../servers/startServer.ts"
import { ask, clientOf, eventually, read, serverWith, timed, until, witness, write } from "./support.ts"

const reasonOf = (error: unknown): string =>
  error !== null && typeof error === "object" && "reason" in error ? (error as StoreError).reason._tag : String(error)

describeOwned("redis", "Redis faults", () => {
  it.live("down at start: Unavailable names host and port, never the password, within the deadline", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const url = `redis://somebody:correct-horse@127.0.0.1:${port}`
      const [took, error] = yield* timed(Effect.flip(Effect.scoped(clientOf(url, { connectionTimeout: "2 seconds" }))))
      assert.ok("reason" in error && error.reason._tag === "Unavailable")
      assert.equal(error.reason.host, "127.0.0.1")
      assert.equal(error.reason.port, port)
      assert.equal(error.reason.code, "ECONNREFUSED")
      assert.equal(error.outcome, "not-applied")
      assert.ok(error.message.includes(`127.0.0.1:${port}`))
      assert.ok(!`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`.includes("correct-horse"))
      assert.ok(took < 5_000)
    })
  )

  it.live("a host that has no address: Unavailable", () =>
    Effect.gen(function* () {
      const client = clientOf("redis://no-such-host.invalid:6379", { connectionTimeout: "2 seconds" })
      const error = yield* Effect.flip(Effect.scoped(client))
      assert.equal(reasonOf(error), "Unavailable")
    })
  )

  it.live("down, then up within the deadline: it starts", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      yield* server.stop
      const starting = yield* Effect.forkChild(clientOf(server.url, { connectionTimeout: "20 seconds" }))
      yield* Effect.sleep("300 millis")
      yield* server.restart
      const client = yield* Fiber.join(starting)
      yield* client.ping
    })
  )

  it.live("accepts and never answers at start: Timeout naming the endpoint, within the deadline", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      yield* server.pause
      const [took, error] = yield* timed(
        Effect.flip(Effect.scoped(clientOf(server.url, { connectionTimeout: "500 millis" })))
      )
      assert.ok("reason" in error && error.reason._tag === "Timeout")
      assert.ok(error.reason.detail?.includes(`127.0.0.1:${server.port}`))
      assert.ok(took < 5_000)
      yield* server.resume
    })
  )

  it.live("killed while idle: calls say Unavailable, and the same client works once the server is back", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      yield* server.kill
      yield* until(Effect.sync(() => client.raw.status !== "ready"))
      const error = yield* Effect.flip(client.call(write, "SET", ["a", "1"]))
      assert.ok(error.reason._tag === "Unavailable")
      assert.equal(error.reason.port, server.port)
      assert.equal(error.outcome, "not-applied")
      yield* server.restart
      yield* eventually(client.ping)
      assert.equal(yield* client.call(write, "SET", ["a", "2"]), "OK")
      assert.equal(yield* client.call(read, "GET", ["a"]), "2")
    })
  )

  it.live("killed in a call: ConnectionLost, unknown for a write and not applied for a read; then it works again", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      yield* server.pause
      const writing = yield* Effect.forkChild(Effect.flip(client.call(write, "INCR", ["a"])))
      const reading = yield* Effect.forkChild(Effect.flip(client.call({ ...read, retry: false }, "GET", ["a"])))
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 2))
      yield* Effect.sleep("50 millis")
      yield* server.kill
      const [lostWrite, lostRead] = [yield* Fiber.join(writing), yield* Fiber.join(reading)]
      assert.deepEqual([lostWrite.reason._tag, lostWrite.outcome], ["ConnectionLost", "unknown"])
      assert.deepEqual([lostRead.reason._tag, lostRead.outcome], ["ConnectionLost", "not-applied"])
      assert.equal((yield* client.stats).pending, 0)
      yield* server.restart
      yield* eventually(client.ping)
      assert.equal(yield* client.call(write, "INCR", ["a"]), 1)
    })
  )

  it.live("reset in a call: ConnectionLost, unknown; a read is asked again by itself", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const proxy = yield* TcpProxy.forUrl(server.url)
      const client = yield* clientOf(proxy.url)
      yield* proxy.hang
      const writing = yield* Effect.forkChild(Effect.flip(client.call(write, "INCR", ["a"])))
      const reading = yield* Effect.forkChild(client.call(read, "GET", ["a"]))
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 2))
      yield* proxy.reset()
      yield* proxy.pass
      const error = yield* Fiber.join(writing)
      assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
      assert.equal(yield* Fiber.join(reading), null)
      yield* eventually(client.call(write, "SET", ["b", "1"]))
    })
  )

  it.live("reply dropped after INCR: not sent again, outcome unknown, counted once", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const proxy = yield* TcpProxy.forUrl(server.url)
      const client = yield* clientOf(proxy.url)
      const truth = yield* witness(server.url)
      yield* proxy.dropReplies({ afterRequestMatching: "INCR" })
      const error = yield* Effect.flip(client.call(write, "INCR", ["a"]))
      assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
      assert.equal((yield* proxy.counts).dropped, 1)
      yield* eventually(client.ping)
      assert.equal(yield* ask(truth, "GET", "a"), "1")
    })
  )

  it.live("reply dropped after an idempotent SET: sent again, and known", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const proxy = yield* TcpProxy.forUrl(server.url)
      const client = yield* clientOf(proxy.url)
      yield* proxy.dropReplies({ afterRequestMatching: "SET" })
      assert.equal(yield* client.call({ ...write, idempotent: true }, "SET", ["a", "1"]), "OK")
      assert.equal((yield* proxy.counts).dropped, 1)
    })
  )

  it.live("a server that hangs: Timeout at the response timeout, and a new connection after it", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url, { responseTimeout: "300 millis" })
      yield* server.pause
      const [took, error] = yield* timed(Effect.flip(client.call(write, "SET", ["a", "1"])))
      assert.ok(error.reason._tag === "Timeout")
      assert.ok(error.reason.afterMillis >= 300)
      assert.equal(error.outcome, "unknown")
      assert.ok(took < 5_000)
      // The silent connection is given up, so that nothing waits behind it.
      yield* until(Effect.sync(() => client.raw.status !== "ready"))
      assert.equal((yield* client.stats).pending, 0)
      yield* server.resume
      yield* eventually(client.ping)
      assert.equal(yield* client.call(write, "SET", ["a", "2"]), "OK")
    })
  )

  it.live("the Context's Deadline ends a call sooner, and the connection lives on", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      yield* server.pause
      const error = yield* Effect.flip(client.call(read, "GET", ["a"]).pipe(within("100 millis")))
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "not-applied"])
      assert.equal(client.raw.status, "ready")
      yield* server.resume
      yield* client.ping
    })
  )

  it.live("a call that begins after its Deadline is not sent", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      const late = Effect.andThen(Effect.sleep("30 millis"), client.call(write, "SET", ["late", "1"]))
      const error = yield* Effect.flip(late.pipe(within("10 millis")))
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "not-applied"])
      assert.equal(yield* client.call(read, "EXISTS", ["late"]), 0)
    })
  )

  it.live("a SET that timed out while the server was unreachable never runs later", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url, { responseTimeout: "400 millis" })
      const truth = yield* witness(server.url)
      yield* server.kill
      yield* until(Effect.sync(() => client.raw.status !== "ready"))
      const errors = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) => `late-${i}`),
        (key) => Effect.flip(client.call(write, "SET", [key, "1"])),
        { concurrency: "unbounded" }
      )
      assert.deepEqual([...new Set(errors.map(({ outcome }) => outcome))], ["not-applied"])
      yield* server.restart
      yield* eventually(client.ping)
      yield* Effect.sleep("100 millis")
      assert.deepEqual(yield* ask(truth, "KEYS", "late-*"), [])
    })
  )

  it.live("a SET that timed out before it reached the server is not stored; its outcome was unknown", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const proxy = yield* TcpProxy.forUrl(server.url)
      const client = yield* clientOf(proxy.url, { responseTimeout: "200 millis" })
      const truth = yield* witness(server.url)
      yield* proxy.hang
      const error = yield* Effect.flip(client.call(write, "SET", ["late", "1"]))
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "unknown"])
      yield* proxy.reset()
      yield* proxy.pass
      yield* eventually(client.ping)
      yield* Effect.sleep("100 millis")
      assert.equal(yield* ask(truth, "EXISTS", "late"), 0)
    })
  )

  it.live("under resets at any moment: what was acknowledged is stored, and what was not applied is not", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const proxy = yield* TcpProxy.forUrl(server.url)
      const client = yield* clientOf(proxy.url)
      const truth = yield* witness(server.url)
      const told = { acknowledged: 0, unknown: 0, "not-applied": 0 }
      let resets = 0
      let working = true
      const worker = Effect.forEach(
        Array.from({ length: 150 }),
        () =>
          Effect.matchEffect(client.call(write, "INCR", ["n"]), {
            onSuccess: () => Effect.sync(() => told.acknowledged++),
            onFailure: ({ outcome }) =>
              Effect.andThen(
                Effect.sync(() => told[outcome]++),
                Effect.sleep(5)
              )
          }),
        { discard: true }
      )
      const breaking = yield* Effect.forkChild(
        Effect.whileLoop({
          while: () => working && resets < 8,
          body: () => Effect.andThen(Effect.sleep(30), proxy.reset()),
          step: () => resets++
        })
      )
      yield* Effect.all(
        Array.from({ length: 32 }, () => worker),
        { concurrency: "unbounded", discard: true }
      )
      working = false
      yield* Fiber.join(breaking)
      const stored = Number(yield* ask(truth, "GET", "n"))
      const at = JSON.stringify({ ...told, stored, resets })
      assert.equal(told.acknowledged + told.unknown + told["not-applied"], 32 * 150, at)
      assert.ok(told.acknowledged <= stored && stored <= told.acknowledged + told.unknown, at)
      assert.ok(told.acknowledged > 0 && resets > 0, at)
      yield* eventually(client.ping)
      assert.equal((yield* client.stats).pending, 0)
    })
  )

  it.live("interrupted calls leave nothing pending", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      yield* server.pause
      const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.forkChild(client.call(write, "INCR", ["a"]))
      )
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 50))
      yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber), { discard: true })
      for (const fiber of fibers) assert.ok(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      yield* server.resume
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 0))
      yield* client.ping
      assert.equal(yield* client.call(write, "SET", ["b", "1"]), "OK")
    })
  )

  it.live("as many pending as allowed: PoolExhausted says limit, waiting and waited; the abandoned count too", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url, { maxPending: 10 })
      yield* server.pause
      const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
        Effect.forkChild(client.call(read, "GET", ["a"]))
      )
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 10))
      const error = yield* Effect.flip(client.call(write, "SET", ["a", "1"]))
      assert.ok(error.reason._tag === "PoolExhausted")
      assert.deepEqual([error.reason.limit, error.reason.waiting, error.reason.waitedMillis], [10, 11, 0])
      assert.equal(error.outcome, "not-applied")
      yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber), { discard: true })
      assert.equal(reasonOf(yield* Effect.flip(client.call(read, "GET", ["a"]))), "PoolExhausted")
      yield* server.resume
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 0))
      assert.equal(yield* client.call(read, "GET", ["a"]), null)
    })
  )

  it.live("LOADING: calls say Unavailable with that code, a start waits, and then both work", () =>
    Effect.gen(function* () {
      const url = yield* serverWith("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024")
      const truth = yield* witness(url)
      yield* ask(truth, "DEBUG", "POPULATE", 2000, "key", 100)
      yield* ask(truth, "CONFIG", "SET", "key-load-delay", 1000)
      const client = yield* clientOf(url)
      const reloading = yield* Effect.forkChild(Effect.exit(ask(truth, "DEBUG", "RELOAD")))
      const loading: Effect.Effect<StoreError> = Effect.flatMap(
        Effect.result(client.call({ ...read, retry: false }, "GET", ["a"])),
        (result) =>
          result._tag === "Failure" ? Effect.succeed(result.failure) : Effect.andThen(Effect.sleep(5), loading)
      )
      const error = yield* loading
      assert.ok(error.reason._tag === "Unavailable")
      assert.equal(error.reason.code, "LOADING")
      assert.equal(error.outcome, "not-applied")
      const late = yield* clientOf(url, { connectionTimeout: "20 seconds" })
      assert.equal(yield* late.call(read, "EXISTS", ["key:1"]), 1)
      assert.equal(yield* client.call(read, "EXISTS", ["key:1"]), 1)
      yield* Fiber.await(reloading)
    })
  )

  it.live("out of memory: ResourceExhausted, and reads go on", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      yield* client.call(write, "CONFIG", ["SET", "maxmemory", "1"])
      const error = yield* Effect.flip(client.call({ ...write, retry: false }, "SET", ["a", "1"]))
      assert.ok(error.reason._tag === "ResourceExhausted")
      assert.equal(error.reason.code, "OOM")
      assert.equal(error.outcome, "not-applied")
      assert.equal(yield* client.call(read, "GET", ["a"]), null)
    })
  )

  it.live("a replica: NotPrimary, and reads go on", () =>
    Effect.gen(function* () {
      const primary = yield* ownServer("redis")
      const server = yield* ownServer("redis")
      const client = yield* clientOf(server.url)
      yield* client.call(write, "REPLICAOF", ["127.0.0.1", String(primary.port)])
      const error = yield* Effect.flip(client.call({ ...write, retry: false }, "SET", ["a", "1"]))
      assert.ok(error.reason._tag === "NotPrimary")
      assert.equal(error.reason.code, "READONLY")
      assert.equal(error.outcome, "not-applied")
      assert.equal(yield* eventually(client.call(read, "GET", ["a"])), null)
      yield* client.call(write, "REPLICAOF", ["NO", "ONE"])
      assert.equal(yield* eventually(client.call(write, "SET", ["a", "1"])), "OK")
    })
  )

  it.live("no password, and a wrong one: AuthenticationFailed at once, without the password", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const truth = yield* witness(server.url)
      yield* ask(truth, "CONFIG", "SET", "requirepass", "correct-horse")
      const host = `127.0.0.1:${server.port}`
      for (const [url, code] of [
        [`redis://${host}`, "NOAUTH"],
        [`redis://:battery-staple@${host}`, "WRONGPASS"]
      ] as const) {
        const [took, error] = yield* timed(
          Effect.flip(Effect.scoped(clientOf(url, { connectionTimeout: "20 seconds" })))
        )
        assert.ok("reason" in error && error.reason._tag === "AuthenticationFailed", reasonOf(error))
        assert.equal(error.reason.code, code)
        assert.ok(!`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`.includes("battery-staple"))
        assert.ok(took < 10_000)
      }
      const client = yield* clientOf(`redis://:correct-horse@${host}`)
      yield* client.ping
    })
  )

  it.live("a user without the privilege: Forbidden", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const truth = yield* witness(server.url)
      yield* ask(truth, "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+get", "+ping", "+client", "+hello")
      const client = yield* clientOf(`redis://reader:secret@127.0.0.1:${server.port}`)
      const error = yield* Effect.flip(client.call(write, "SET", ["a", "1"]))
      assert.deepEqual([error.reason._tag, error.outcome], ["Forbidden", "not-applied"])
    })
  )

  it.live("a rotated password is read for the next connection, without a restart", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const truth = yield* witness(server.url)
      yield* ask(truth, "CONFIG", "SET", "requirepass", "first")
      let password = "first"
      let readings = 0
      const url = Effect.sync(() => {
        readings++
        return Redacted.make(`redis://:${password}@127.0.0.1:${server.port}`)
      })
      const context = yield* RedisClient.make({ url })
      const client = yield* Effect.provide(RedisClient.RedisClient, context)
      yield* client.ping
      const before = readings
      yield* ask(truth, "CONFIG", "SET", "requirepass", "second")
      password = "second"
      yield* ask(truth, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      yield* until(Effect.sync(() => client.raw.status !== "ready"))
      assert.equal(yield* eventually(client.call(write, "SET", ["a", "1"])), "OK")
      assert.ok(readings > before)
    })
  )

  it.live("a password that was changed without telling the client: AuthenticationFailed, not a mere outage", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const truth = yield* witness(server.url)
      const client = yield* clientOf(server.url)
      yield* ask(truth, "CONFIG", "SET", "requirepass", "changed")
      yield* ask(truth, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      const refused = yield* eventually(
        Effect.flatMap(Effect.flip(client.call({ ...write, retry: false }, "SET", ["a", "1"])), (error) =>
          error.reason._tag === "AuthenticationFailed" ? Effect.succeed(error) : Effect.fail("not told yet")
        )
      )
      assert.equal(refused.outcome, "not-applied")
    })
  )

  it.live("a secret that cannot be read again: the last one is used, and reconnecting goes on", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      let works = true
      const url = Effect.suspend(() =>
        works ? Effect.succeed(Redacted.make(server.url)) : Effect.die("the vault is sealed")
      )
      const context = yield* RedisClient.make({ url })
      const client = yield* Effect.provide(RedisClient.RedisClient, context)
      works = false
      yield* server.restart
      yield* eventually(client.ping)
    })
  )

  it.live("closing waits for the calls under way, and refuses new ones", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const proxy = yield* TcpProxy.forUrl(server.url)
      const built = yield* Deferred.make<RedisClient.RedisClient["Service"]>()
      const leave = yield* Deferred.make<void>()
      const living = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            yield* Deferred.succeed(built, yield* clientOf(proxy.url))
            yield* Deferred.await(leave)
          })
        )
      )
      const client = yield* Deferred.await(built)
      yield* proxy.delay("200 millis")
      const last = yield* Effect.forkChild(client.call(write, "SET", ["last", "1"]))
      yield* until(Effect.map(client.stats, ({ pending }) => pending === 1))
      yield* Deferred.succeed(leave, undefined)
      yield* Effect.sleep("50 millis")
      assert.equal(reasonOf(yield* Effect.flip(client.call(read, "GET", ["last"]))), "Unavailable")
      assert.equal(yield* Fiber.join(last), "OK")
      yield* Fiber.join(living)
      assert.equal(client.raw.status, "end")
    })
  )

  it.live("closing gives up at the shutdown timeout where the server is silent", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("redis")
      const started = yield* Deferred.make<Fiber.Fiber<StoreError, unknown>>()
      const [took] = yield* timed(
        Effect.scoped(
          Effect.gen(function* () {
            const client = yield* clientOf(server.url, { shutdownTimeout: "200 millis" })
            yield* server.pause
            const calling = yield* Effect.forkDetach(Effect.flip(client.call(write, "SET", ["a", "1"])))
            yield* until(Effect.map(client.stats, ({ pending }) => pending === 1))
            yield* Deferred.succeed(started, calling)
          })
        )
      )
      const error = yield* Effect.flatMap(Deferred.await(started), (fiber) => Fiber.join(fiber))
      assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "unknown"])
      assert.ok(took < 5_000)
      yield* server.resume
    })
  )
})
