import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import { it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"

/** A server that gives back what it is sent, and remembers it. */
const echoServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const received: Array<string> = []
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
      socket.on("data", (chunk) => {
        received.push(chunk.toString())
        socket.write(chunk)
      })
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    assert.ok(address !== null && typeof address === "object")
    return { port: address.port, received, sockets, server }
  }),
  ({ server, sockets }) =>
    Effect.sync(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
)

interface Client {
  readonly socket: Socket
  readonly say: (text: string) => void
  /** Everything heard so far. */
  readonly heard: () => string
  /** Ends once this much has been heard. */
  readonly hears: (text: string) => Effect.Effect<void>
  /** The code it was cut with, or nothing where it was closed in order. */
  readonly closed: Effect.Effect<string | undefined>
}

const client = (port: number) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const socket = connect(port, "127.0.0.1")
      const ended = yield* Deferred.make<string | undefined>()
      let heard = ""
      let code: string | undefined
      let notice: (() => void) | undefined
      socket.on("data", (chunk) => {
        heard += chunk.toString()
        notice?.()
      })
      socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code))
      socket.on("close", () => Deferred.doneUnsafe(ended, Effect.succeed(code)))
      const made: Client = {
        socket,
        say: (text) => socket.write(text),
        heard: () => heard,
        hears: (text) =>
          Effect.callback((resume) => {
            notice = () => {
              if (heard.includes(text)) resume(Effect.void)
            }
            notice()
          }),
        closed: Deferred.await(ended)
      }
      return made
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const rig = Effect.gen(function* () {
  const server = yield* echoServer
  const proxy = yield* TcpProxy.make({ target: { host: "127.0.0.1", port: server.port } })
  return { server, proxy }
})

const pause = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

/** Time in which something that must not happen would have happened. */
const settle = pause(100)

/** Waits for what must happen. */
const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (holds() ? Effect.void : Effect.andThen(pause(5), eventually(holds))))

it.live("pass: data goes both ways, larger than its buffers, in order", () =>
  Effect.gen(function* () {
    const { proxy } = yield* rig
    const one = yield* client(proxy.port)
    const text = Array.from({ length: 400_000 }, (_, i) => i).join(" ")
    one.say(`${text}.`)
    yield* one.hears(".")
    assert.equal(one.heard(), `${text}.`)
    assert.deepEqual(yield* proxy.counts, { open: 1, accepted: 1, dropped: 0 })
  })
)

it.live("a client's end reaches the server, and the server's end the client", () =>
  Effect.gen(function* () {
    const { proxy, server } = yield* rig
    const one = yield* client(proxy.port)
    one.say("last words")
    yield* one.hears("last words")
    one.socket.end()
    assert.equal(yield* one.closed, undefined)
    yield* eventually(() => server.sockets.size === 0)
    assert.equal((yield* proxy.counts).open, 0)
  })
)

it.live("refuse: new connections find nobody, open ones live, and pass ends it on the same port", () =>
  Effect.gen(function* () {
    const { proxy } = yield* rig
    const old = yield* client(proxy.port)
    old.say("a")
    yield* old.hears("a")
    yield* proxy.refuse
    assert.equal(yield* (yield* client(proxy.port)).closed, "ECONNREFUSED")
    old.say("b")
    yield* old.hears("ab")
    yield* proxy.pass
    const next = yield* client(proxy.port)
    next.say("c")
    yield* next.hears("c")
  })
)

it.live("hang: accepts and never answers; what was sent meanwhile arrives with pass", () =>
  Effect.gen(function* () {
    const { proxy, server } = yield* rig
    const old = yield* client(proxy.port)
    old.say("a")
    yield* old.hears("a")
    yield* proxy.hang
    const fresh = yield* client(proxy.port)
    old.say("b")
    fresh.say("c")
    yield* settle
    assert.deepEqual(server.received, ["a"])
    assert.equal(fresh.heard(), "")
    assert.equal(fresh.socket.readyState, "open")
    yield* proxy.pass
    yield* old.hears("ab")
    yield* fresh.hears("c")
  })
)

it.effect("delay: holds every piece back by the Clock, in order", () =>
  Effect.gen(function* () {
    const { proxy, server } = yield* rig
    yield* proxy.delay("1 minute")
    const one = yield* client(proxy.port)
    one.say("a")
    yield* settle
    one.say("b")
    yield* settle
    assert.deepEqual(server.received, [])
    yield* TestClock.adjust("59 seconds")
    yield* settle
    assert.deepEqual(server.received, [])
    yield* TestClock.adjust("1 second")
    yield* eventually(() => server.received.join("") === "ab")
    yield* settle
    assert.equal(one.heard(), "")
    yield* TestClock.adjust("1 minute")
    yield* one.hears("ab")
    assert.equal(yield* Clock.currentTimeMillis, 120_000)
  })
)

it.live("reset: every open connection ends with RST on both sides; new ones are served", () =>
  Effect.gen(function* () {
    const { proxy, server } = yield* rig
    const both = [yield* client(proxy.port), yield* client(proxy.port)]
    for (const one of both) {
      one.say("a")
      yield* one.hears("a")
    }
    yield* proxy.reset()
    assert.deepEqual(yield* Effect.all(both.map((one) => one.closed)), ["ECONNRESET", "ECONNRESET"])
    yield* eventually(() => server.sockets.size === 0)
    const next = yield* client(proxy.port)
    next.say("b")
    yield* next.hears("b")
  })
)

it.live("reset with alsoNew: new connections end the same way, until pass", () =>
  Effect.gen(function* () {
    const { proxy, server } = yield* rig
    yield* proxy.reset({ alsoNew: true })
    const next = yield* client(proxy.port)
    next.say("a")
    assert.equal(yield* next.closed, "ECONNRESET")
    assert.deepEqual(server.received, [])
    yield* proxy.pass
    const after = yield* client(proxy.port)
    after.say("b")
    yield* after.hears("b")
  })
)

it.live("dropReplies: the server gets the request, the client is cut, and only once", () =>
  Effect.gen(function* () {
    const { proxy, server } = yield* rig
    const one = yield* client(proxy.port)
    one.say("PING")
    yield* one.hears("PING")
    yield* proxy.dropReplies({ afterRequestMatching: "INCR" })
    one.say("GET;")
    yield* one.hears("GET;")
    one.say("IN")
    yield* one.hears("IN")
    one.say("CR;")
    assert.equal(yield* one.closed, "ECONNRESET")
    assert.equal(one.heard(), "PINGGET;IN")
    assert.equal(server.received.join(""), "PINGGET;INCR;")
    assert.equal((yield* proxy.counts).dropped, 1)
    const next = yield* client(proxy.port)
    next.say("INCR;")
    yield* next.hears("INCR;")
  })
)

it.live("dropReplies: waits for the reply it is told, and fires as often as it is told", () =>
  Effect.gen(function* () {
    const { proxy } = yield* rig
    yield* proxy.dropReplies({ replyMatching: Buffer.from("done"), times: 2 })
    for (let i = 0; i < 2; i++) {
      const one = yield* client(proxy.port)
      one.say("started;")
      yield* one.hears("started;")
      one.say("done;")
      assert.equal(yield* one.closed, "ECONNRESET")
      assert.equal(one.heard(), "started;")
    }
    const next = yield* client(proxy.port)
    next.say("done;")
    yield* next.hears("done;")
  })
)

it.live("a server that is not there cuts the client", () =>
  Effect.gen(function* () {
    const server = yield* Effect.scoped(echoServer)
    const proxy = yield* TcpProxy.make({ target: { host: "127.0.0.1", port: server.port } })
    assert.equal(yield* (yield* client(proxy.port)).closed, "ECONNRESET")
  })
)

it.live("the end of its scope closes every socket, also those that hang", () =>
  Effect.gen(function* () {
    const server = yield* echoServer
    const ready = yield* Deferred.make<TcpProxy.TcpProxy>()
    const life = yield* Effect.forkChild(
      Effect.scoped(
        Effect.gen(function* () {
          const proxy = yield* TcpProxy.make({ target: { host: "127.0.0.1", port: server.port } })
          yield* proxy.hang
          yield* Deferred.succeed(ready, proxy)
          return yield* Effect.never
        })
      )
    )
    const proxy = yield* Deferred.await(ready)
    const one = yield* client(proxy.port)
    one.say("a")
    yield* settle
    yield* Fiber.interrupt(life)
    assert.notEqual(yield* one.closed, "ECONNREFUSED")
    assert.equal(yield* (yield* client(proxy.port)).closed, "ECONNREFUSED")
    yield* eventually(() => server.sockets.size === 0)
  })
)

it.live("forUrl: the URL by way of the proxy", () =>
  Effect.gen(function* () {
    const server = yield* echoServer
    const proxy = yield* TcpProxy.forUrl(`redis://user:secret@127.0.0.1:${server.port}/3`)
    assert.equal(proxy.url, `redis://user:secret@127.0.0.1:${proxy.port}/3`)
    assert.equal(
      proxy.rewrite("mongodb://db.example:27017/app?replicaSet=rs0&w=majority"),
      `mongodb://127.0.0.1:${proxy.port}/app?w=majority&directConnection=true`
    )
    const none = yield* Effect.flip(TcpProxy.forUrl("not a URL"))
    assert.equal(none._tag, "TcpProxyError")
    assert.ok(!none.message.includes("not a URL"))
  })
)
