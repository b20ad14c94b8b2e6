import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Option, Redacted, Schema, Stream } from "effect"
import type { MongoOptions } from "../../src/core/DatabaseConfig.ts"
import { within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as StoreErrorReport from "../../src/core/StoreErrorReport.ts"
import * as MongoDbClient from "../../src/mongodb/MongoDbClient.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, describeOwned, freshMongo, ownServer } from "../servers/index.ts"
import { until } from "../until.ts"

const Thing = Schema.Struct({ key: Schema.String, n: Schema.Int })

const quick: Omit<MongoOptions, "url"> = {
  minPoolSize: 0,
  connectTimeout: "2 seconds",
  serverSelectionTimeout: "2 seconds",
  timeout: "4 seconds",
  shutdownTimeout: "2 seconds"
}

const at = (url: string, options: Omit<MongoOptions, "url"> = {}) =>
  Effect.map(MongoDbClient.make({ url: Redacted.make(url), ...quick, ...options }), (client) => ({
    client,
    things: client.collection("things", Thing)
  }))

/** A client that reaches the server by way of a proxy, and a database of its own. */
const proxied = (options: Omit<MongoOptions, "url"> = {}) =>
  Effect.gen(function* () {
    const { database, url } = yield* freshMongo
    const { hostname, port } = new URL(url)
    const proxy = yield* TcpProxy.make({ target: { host: hostname, port: Number(port) } })
    return { proxy, url, database, ...(yield* at(proxy.rewrite(url), { database, ...options })) }
  })

/** The client answers again, and no connection is held. */
const isWhole = ({ client }: { readonly client: MongoDbClient.MongoDbClient["Service"] }) =>
  Effect.gen(function* () {
    yield* client.ping.pipe(Effect.retry({ times: 50 }))
    yield* Effect.repeat(Effect.delay(client.stats, "10 millis"), {
      until: ({ inUse, waiting }) => inUse === 0 && waiting === 0
    })
  })

const failure = (error: { readonly _tag: string }): StoreError => {
  assert.strictEqual(error._tag, "StoreError")
  return error as StoreError
}

describeLive("mongodb", "MongoDB behind a broken line", () => {
  it.live("an insert whose reply was dropped is stored once, and known", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertOne({ key: "before", n: 0 })
      yield* own.proxy.dropReplies({ afterRequestMatching: "lost-reply" })
      const id = yield* own.things.insertOne({ key: "lost-reply", n: 1 })
      assert.ok(id)
      assert.strictEqual((yield* own.proxy.counts).dropped, 1)
      assert.strictEqual(yield* own.things.countDocuments({ key: "lost-reply" }), 1)
      yield* isWhole(own)
    })
  )

  it.live("an increment of one document whose reply was dropped is applied once, and known", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertOne({ key: "a", n: 0 })
      yield* own.proxy.dropReplies({ afterRequestMatching: "$inc" })
      assert.deepStrictEqual(yield* own.things.updateOne({ key: "a" }, { $inc: { n: 1 } }), { matched: 1, modified: 1 })
      assert.strictEqual((yield* own.proxy.counts).dropped, 1)
      assert.deepStrictEqual(yield* own.things.findOne({ key: "a" }), Option.some({ key: "a", n: 1 }))
    })
  )

  it.live(
    "a write whose reply is lost, and no server to ask again: ConnectionLost, unknown, for it may be stored",
    () =>
      Effect.gen(function* () {
        // Were it not for the limit of waiting for a server, the call would take longer than the test may.
        const own = yield* proxied({ timeout: "5 minutes" })
        yield* own.things.insertOne({ key: "before", n: 0 })
        const beside = yield* at(own.url, { database: own.database })
        // There and back it is shorter than the time after which the driver takes its server for gone.
        yield* own.proxy.delay("700 millis")
        const inserting = yield* Effect.forkChild(Effect.flip(own.things.insertOne({ key: "lost-reply", n: 1 })))
        assert.strictEqual(yield* until(beside.things.countDocuments({ key: "lost-reply" }), (n) => n === 1), 1)
        yield* own.proxy.refuse
        yield* own.proxy.reset()
        const { outcome, reason } = yield* Fiber.join(inserting)
        assert.deepStrictEqual([reason._tag, outcome], ["ConnectionLost", "unknown"])
        yield* own.proxy.pass
        yield* isWhole(own)
        assert.strictEqual(yield* own.things.countDocuments({ key: "lost-reply" }), 1)
      })
  )

  it.live("a write that was given up while it had no server is not carried out when the server is back", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertOne({ key: "before", n: 0 })
      // The request is lost on its way, and the driver is about to send it again.
      yield* own.proxy.hang
      const inserting = yield* Effect.forkChild(
        Effect.flip(own.things.insertOne({ key: "given-up", n: 1 }).pipe(within("1 second")))
      )
      yield* Effect.repeat(Effect.delay(own.client.stats, "10 millis"), { until: ({ inUse }) => inUse === 1 })
      yield* Effect.sleep("50 millis")
      yield* own.proxy.reset()
      yield* own.proxy.refuse
      const { outcome } = yield* Fiber.join(inserting)
      assert.strictEqual(outcome, "unknown")
      yield* own.proxy.pass
      yield* isWhole(own)
      yield* Effect.sleep("200 millis")
      assert.strictEqual(yield* own.things.countDocuments({ key: "given-up" }), 0)
    })
  )

  it.live("a call that takes too long is told as that, though the server takes no new connection", () =>
    Effect.gen(function* () {
      // Were it not for the Context's deadline, the calls would take longer than the test may.
      const own = yield* proxied({ maxPoolSize: 2, timeout: "5 minutes" })
      yield* own.things.insertMany(Array.from({ length: 30 }, (_, n) => ({ key: `k${n}`, n })))
      const endless = Array.from({ length: 4 }, (_, i) => [
        { $set: { [`a${i}`]: { $range: [0, 400] } } },
        { $unwind: `$a${i}` }
      ]).flat()
      const slow = yield* Effect.forkChild(
        Effect.flip(own.things.aggregate([...endless, { $count: "n" }], Schema.Unknown).pipe(within("1500 millis")))
      )
      yield* Effect.repeat(Effect.delay(own.client.stats, "10 millis"), { until: ({ inUse }) => inUse === 1 })
      yield* own.proxy.refuse
      const refused = yield* Effect.flip(own.things.findOne({ key: "k1" }).pipe(within("500 millis")))
      assert.strictEqual(refused.reason._tag, "Unavailable")
      assert.strictEqual((yield* Fiber.join(slow)).reason._tag, "Timeout")
      yield* own.proxy.pass
      yield* isWhole(own)
    })
  )

  it.live("the driver's own client has the driver's limits", () =>
    Effect.gen(function* () {
      const own = yield* proxied({ serverSelectionTimeout: "300 millis" })
      yield* own.proxy.refuse
      yield* own.proxy.reset()
      const error = yield* Effect.flip(Effect.tryPromise(() => own.client.raw.db("admin").command({ ping: 1 })))
      assert.strictEqual(
        error.cause instanceof Error ? error.cause.name : String(error.cause),
        "MongoServerSelectionError"
      )
      yield* own.proxy.pass
      yield* isWhole(own)
    })
  )

  it.live("an update of many whose reply was dropped is not sent again, and its outcome is unknown", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertMany([
        { key: "a", n: 0 },
        { key: "b", n: 0 }
      ])
      yield* own.proxy.dropReplies({ afterRequestMatching: "$inc" })
      const { outcome, reason } = yield* Effect.flip(own.things.updateMany({}, { $inc: { n: 1 } }))
      assert.strictEqual(reason._tag, "ConnectionLost")
      assert.strictEqual(outcome, "unknown")
      assert.strictEqual(yield* own.things.countDocuments({ n: 1 }), 2)
      yield* isWhole(own)
    })
  )

  it.live("reset in a write: ConnectionLost, unknown, not sent again, and the same client works again", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertMany([
        { key: "a", n: 0 },
        { key: "b", n: 0 }
      ])
      yield* own.proxy.hang
      const writing = yield* Effect.forkChild(Effect.flip(own.things.updateMany({}, { $inc: { n: 1 } })))
      yield* Effect.repeat(Effect.delay(own.client.stats, "10 millis"), { until: ({ inUse }) => inUse === 1 })
      yield* Effect.sleep("50 millis")
      yield* own.proxy.reset()
      yield* own.proxy.pass
      const { outcome, reason } = yield* Fiber.join(writing)
      assert.deepStrictEqual([reason._tag, outcome], ["ConnectionLost", "unknown"])
      yield* isWhole(own)
      // The request never reached the server; sent again by us, it would have.
      assert.strictEqual(yield* own.things.countDocuments({ n: 0 }), 2)
      assert.deepStrictEqual(yield* own.things.updateMany({}, { $inc: { n: 1 } }), { matched: 2, modified: 2 })
    })
  )

  it.live("an insert whose reply is dropped each time it is sent is unknown, and stored once", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertOne({ key: "before", n: 0 })
      yield* own.proxy.dropReplies({ afterRequestMatching: "lost-twice", times: 2 })
      const { outcome, reason } = yield* Effect.flip(own.things.insertOne({ key: "lost-twice", n: 1 }))
      assert.strictEqual(reason._tag, "ConnectionLost")
      assert.strictEqual(outcome, "unknown")
      assert.strictEqual(yield* own.things.countDocuments({ key: "lost-twice" }), 1)
      yield* isWhole(own)
    })
  )

  it.live("a read whose reply was dropped is asked again", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertOne({ key: "a", n: 1 })
      yield* own.proxy.dropReplies({ afterRequestMatching: "find" })
      assert.ok(Option.isSome(yield* own.things.findOne({ key: "a" })))
      assert.strictEqual((yield* own.proxy.counts).dropped, 1)
      yield* isWhole(own)
    })
  )

  it.live(
    "a write that was sent before its server went away is unknown, though the driver could not send it again",
    () =>
      Effect.gen(function* () {
        const own = yield* proxied({ serverSelectionTimeout: "500 millis", maxPoolSize: 1 })
        yield* own.things.insertOne({ key: "before", n: 0 })
        yield* own.proxy.dropReplies({ afterRequestMatching: "sent-and-gone" })
        yield* own.proxy.refuse
        const one = yield* Effect.flip(own.things.insertOne({ key: "sent-and-gone", n: 1 }))
        assert.strictEqual(one.outcome, "unknown")
        yield* own.proxy.pass
        yield* isWhole(own)
        yield* own.proxy.dropReplies({ afterRequestMatching: "many-and-gone" })
        yield* own.proxy.refuse
        const many = yield* Effect.flip(own.things.insertMany([{ key: "many-and-gone", n: 1 }]))
        assert.strictEqual(many.outcome, "unknown")
        yield* own.proxy.pass
        yield* isWhole(own)
        assert.strictEqual(yield* own.things.countDocuments({ n: 1 }), 2)
      })
  )

  it.live("a stream that loses its cursor says so, and the client stays whole", () =>
    Effect.gen(function* () {
      const own = yield* proxied()
      yield* own.things.insertMany(Array.from({ length: 30 }, (_, n) => ({ key: `k${n}`, n })))
      const error = yield* own.things.find({}, { batchSize: 5 }).pipe(
        Stream.tap(({ n }) => (n === 4 ? own.proxy.dropReplies({ afterRequestMatching: "getMore" }) : Effect.void)),
        Stream.runDrain,
        Effect.flip
      )
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      assert.strictEqual(error.outcome, "not-applied")
      yield* isWhole(own)
    })
  )

  it.live("a server that falls silent: every call ends by its deadline, and then it goes on", () =>
    Effect.gen(function* () {
      const own = yield* proxied({ timeout: "800 millis", maxPoolSize: 3 })
      yield* own.things.insertOne({ key: "a", n: 0 })
      const three = Effect.all([own.things.findAll({}), own.things.findAll({}), own.things.findAll({})], {
        concurrency: 3
      })
      // A quick one may have given its connection to the next before that had opened one.
      const { size } = yield* until(Effect.andThen(three, own.client.stats), ({ size }) => size === 3)
      assert.strictEqual(size, 3)
      yield* own.proxy.hang
      const startedAt = performance.now()
      const ended: Array<string> = []
      const failing = <A, E, R>(name: string, call: Effect.Effect<A, E, R>) =>
        Effect.ensuring(
          Effect.flip(call),
          Effect.sync(() => ended.push(name))
        )
      const read = yield* Effect.forkChild(failing("read", own.things.findOne({ key: "a" })))
      const write = yield* Effect.forkChild(failing("write", own.things.insertOne({ key: "b", n: 0 })))
      const soon = yield* failing("soon", own.things.findAll({}).pipe(within("200 millis")))
      assert.strictEqual(soon.reason._tag, "Timeout")
      const readError = yield* Fiber.join(read)
      assert.deepStrictEqual([readError.reason._tag, readError.outcome], ["Timeout", "not-applied"])
      const writeError = yield* Fiber.join(write)
      assert.deepStrictEqual([writeError.reason._tag, writeError.outcome], ["Timeout", "unknown"])
      assert.strictEqual(ended[0], "soon", "the Context's deadline is the sooner one")
      assert.ok(performance.now() - startedAt < 5000)
      yield* own.proxy.pass
      yield* isWhole(own)
      assert.ok((yield* own.things.countDocuments({ key: "b" })) <= 1)
    })
  )

  it.live("a start on a server that accepts and never answers is a Timeout that names the place", () =>
    Effect.gen(function* () {
      const { url } = yield* freshMongo
      const { hostname, port } = new URL(url)
      const proxy = yield* TcpProxy.make({ target: { host: hostname, port: Number(port) } })
      yield* proxy.hang
      const startedAt = performance.now()
      const error = failure(yield* Effect.flip(at(proxy.rewrite(url), { connectTimeout: "1500 millis" })))
      assert.strictEqual(error.reason._tag, "Timeout")
      assert.include(StoreErrorReport.render(error), `:${proxy.port}`)
      assert.ok(performance.now() - startedAt < 8000)
    })
  )

  it.live("a start where nobody listens is Unavailable, names the place, and never the password", () =>
    Effect.gen(function* () {
      const startedAt = performance.now()
      const error = failure(yield* Effect.flip(at("mongodb://ann:canary@127.0.0.1:9/", { connectTimeout: "1 second" })))
      assert.strictEqual(error.outcome, "not-applied")
      assert.deepStrictEqual(
        error.reason._tag === "Unavailable"
          ? [error.reason.host, error.reason.port, error.reason.code]
          : error.reason._tag,
        ["127.0.0.1", 9, "ECONNREFUSED"]
      )
      assert.notInclude(StoreErrorReport.render(error) + JSON.stringify(error), "canary")
      assert.ok(performance.now() - startedAt < 8000)
    })
  )

  it.live("a server that comes up before the deadline lets the program start", () =>
    Effect.gen(function* () {
      const { database, url } = yield* freshMongo
      const { hostname, port } = new URL(url)
      const proxy = yield* TcpProxy.make({ target: { host: hostname, port: Number(port) } })
      yield* proxy.refuse
      const starting = yield* Effect.forkChild(at(proxy.rewrite(url), { database, connectTimeout: "40 seconds" }))
      yield* Effect.sleep("1500 millis")
      yield* proxy.pass
      const own = yield* Fiber.join(starting)
      yield* own.things.insertOne({ key: "a", n: 1 })
    })
  )

  it.live("a server that went away is Unavailable for reads and writes, and nothing was applied", () =>
    Effect.gen(function* () {
      const own = yield* proxied({ serverSelectionTimeout: "500 millis" })
      yield* own.things.insertOne({ key: "a", n: 1 })
      yield* own.proxy.refuse
      yield* own.proxy.reset()
      yield* Effect.ignore(own.client.ping)
      const read = yield* Effect.flip(own.things.findOne({ key: "a" }))
      assert.deepStrictEqual([read.reason._tag, read.outcome], ["Unavailable", "not-applied"])
      const write = yield* Effect.flip(own.things.insertOne({ key: "b", n: 1 }))
      assert.deepStrictEqual([write.reason._tag, write.outcome], ["Unavailable", "not-applied"])
      const soon = yield* Effect.flip(own.things.insertOne({ key: "c", n: 1 }).pipe(within("100 millis")))
      assert.deepStrictEqual([soon.reason._tag, soon.outcome], ["Unavailable", "not-applied"])
      yield* own.proxy.pass
      yield* isWhole(own)
      assert.strictEqual(yield* own.things.countDocuments({}), 1)
    })
  )
})

describeOwned("mongodb", "MongoDB killed and started again", () => {
  it.live(
    "calls under way end as lost or unavailable, and the same client goes on once the server is back",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer("mongodb")
        const own = yield* at(server.url, { database: "faults" })
        yield* own.things.insertOne({ key: "before", n: 0 })
        const writing = yield* Effect.forkChild(
          Effect.gen(function* () {
            for (let n = 1; ; n++) {
              const result = yield* Effect.result(own.things.insertMany([{ key: `w${n}`, n }]))
              if (result._tag === "Failure") return { n, error: result.failure }
            }
          })
        )
        yield* Effect.sleep("300 millis")
        yield* server.kill
        const { error, n } = yield* Fiber.join(writing)
        assert.ok(["ConnectionLost", "Unavailable", "Timeout"].includes(error.reason._tag), String(error.cause))
        if (error.reason._tag !== "Unavailable") assert.strictEqual(error.outcome, "unknown")
        yield* server.restart
        yield* isWhole(own)
        // Everything acknowledged is there, once; the one that failed is there at most once.
        const stored = yield* own.things.findAll({}, { sort: { n: 1 } })
        assert.deepStrictEqual(
          stored.slice(0, n).map((thing) => thing.n),
          Array.from({ length: n }, (_, i) => i)
        )
        assert.ok(stored.length - n <= 1)
      }),
    60_000
  )

  it.live(
    "killed in a call: ConnectionLost, unknown for a write; the same client works once it is back",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer("mongodb")
        const own = yield* at(server.url, { database: "faults", timeout: "20 seconds" })
        yield* own.things.insertOne({ key: "before", n: 0 })
        const slow = { failCommands: ["update"], blockConnection: true, blockTimeMS: 10_000 }
        yield* Effect.promise(() =>
          own.client.raw.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data: slow })
        )
        const writing = yield* Effect.forkChild(Effect.flip(own.things.updateMany({}, { $inc: { n: 1 } })))
        yield* Effect.repeat(Effect.delay(own.client.stats, "10 millis"), { until: ({ inUse }) => inUse === 1 })
        yield* Effect.sleep("100 millis")
        yield* server.kill
        const { outcome, reason } = yield* Fiber.join(writing)
        assert.deepStrictEqual([reason._tag, outcome], ["ConnectionLost", "unknown"])
        yield* server.restart
        yield* isWhole(own)
        assert.strictEqual(yield* own.things.countDocuments({ key: "before" }), 1)
        yield* own.things.insertOne({ key: "after", n: 0 })
      }),
    60_000
  )

  it.live(
    "no batch of a stream is fetched before it is asked for",
    () =>
      Effect.gen(function* () {
        const server = yield* ownServer("mongodb")
        const own = yield* at(server.url, { database: "faults" })
        yield* own.things.insertMany(Array.from({ length: 50 }, (_, n) => ({ key: `k${n}`, n })))
        const getMores = Effect.map(
          Effect.promise(() => own.client.raw.db("admin").command({ serverStatus: 1 })),
          ({ opcounters }) => Number(opcounters.getmore)
        )
        const before = yield* getMores
        const first = yield* Stream.runCollect(Stream.take(own.things.find({}, { batchSize: 10 }), 10))
        assert.strictEqual(first.length, 10)
        assert.strictEqual((yield* getMores) - before, 0)
        yield* Stream.runDrain(Stream.take(own.things.find({}, { batchSize: 10 }), 25))
        assert.strictEqual((yield* getMores) - before, 2)
        const open = Effect.map(
          Effect.promise(() => own.client.raw.db("admin").command({ serverStatus: 1 })),
          ({ metrics }) => Number(metrics?.cursor?.open?.total ?? 0)
        )
        assert.strictEqual(yield* until(open, (n) => n === 0), 0)
      }),
    60_000
  )
})
