import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Redacted, Schema, Scope, Stream } from "effect"
import { describe } from "vitest"
import type { MongoOptions } from "../../src/core/DatabaseConfig.ts"
import { within } from "../../src/core/Deadline.ts"
import * as MongoDbClient from "../../src/mongodb/MongoDbClient.ts"
import { hasIpv6, overIpv6 } from "../servers/forward.ts"
import { describeLive, freshMongo } from "../servers/index.ts"

type Client = MongoDbClient.MongoDbClient["Service"]

const Thing = Schema.Struct({ key: Schema.String, n: Schema.Int })

/** A client of this test's own, which a fail point can tell from all others by `appName`. */
const connect = (options: Omit<MongoOptions, "url"> = {}, appName = "client-test") =>
  Effect.gen(function* () {
    const { database, url } = yield* freshMongo
    const own = new URL(url)
    own.searchParams.set("appName", appName)
    const client = yield* MongoDbClient.make({ url: Redacted.make(own.href), database, minPoolSize: 0, ...options })
    return { client, things: client.collection("things", Thing), url: own.href, database }
  })

/** A pipeline that would keep a server busy for minutes. */
const endless = [
  ...Array.from({ length: 4 }, (_, i) => [{ $set: { [`a${i}`]: { $range: [0, 400] } } }, { $unwind: `$a${i}` }]).flat(),
  { $group: { _id: null, n: { $sum: 1 } } }
]

/** How many operations of a client's database run on the server; asked on connections of somebody else. */
const runningOf = (watcher: Client, { database }: Client) =>
  Effect.map(
    Effect.promise(() => watcher.raw.db("admin").command({ currentOp: 1 })),
    ({ inprog }) =>
      (inprog as ReadonlyArray<{ readonly ns: string }>).filter(({ ns }) => ns.startsWith(`${database}.`)).length
  )

const failing = (client: Client, mode: unknown, data: unknown) =>
  Effect.promise(() => client.raw.db("admin").command({ configureFailPoint: "failCommand", mode, data }))

/** Waits until something holds; the test's own timeout ends it otherwise. */
const eventually = (check: Effect.Effect<boolean>) =>
  Effect.repeat(Effect.delay(check, "10 millis"), { until: (holds) => holds })

describeLive("mongodb", "MongoDbClient", () => {
  it.live("answers a ping, and knows where it is without saying who connects", () =>
    Effect.gen(function* () {
      const { client, url } = yield* connect()
      yield* client.ping
      const { host, port } = new URL(url)
      assert.deepStrictEqual(client.endpoint, {
        store: "mongodb",
        host: host.replace(/:.*/, ""),
        port: Number(port)
      })
    })
  )

  it.live.skipIf(!hasIpv6)("is reached at an IPv6 address, which stands in brackets", () =>
    Effect.gen(function* () {
      const { database, url } = yield* freshMongo
      const own = new URL(yield* overIpv6(url))
      own.searchParams.delete("replicaSet")
      own.searchParams.set("directConnection", "true")
      const client = yield* MongoDbClient.make({ url: Redacted.make(own.href), database, minPoolSize: 0 })
      yield* client.ping
      assert.strictEqual(client.endpoint.host, "::1")
    })
  )

  it.live("the pool keeps to its maximum and minimum, and its statistics tell", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 3, minPoolSize: 2 })
      yield* eventually(Effect.map(client.stats, ({ size }) => size >= 2))
      yield* things.insertOne({ key: "a", n: 1 })
      const busy = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 8 }, () =>
            things.aggregate(endless, Schema.Unknown).pipe(within("4 seconds"), Effect.exit)
          ),
          { concurrency: "unbounded" }
        )
      )
      yield* eventually(Effect.map(client.stats, ({ inUse, waiting }) => inUse === 3 && waiting === 5))
      const stats = yield* client.stats
      assert.deepStrictEqual(stats, { size: 3, inUse: 3, idle: 0, waiting: 5, max: 3, utilisation: 1 })
      yield* Fiber.join(busy)
      yield* eventually(Effect.map(client.stats, ({ inUse, waiting }) => inUse === 0 && waiting === 0))
    })
  )

  it.live("a caller that waits too long for a connection is told how many there are and how long it waited", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 2, waitQueueTimeout: "200 millis" })
      yield* things.insertOne({ key: "a", n: 1 })
      const busy = yield* Effect.forkChild(
        Effect.all([things.aggregate(endless, Schema.Unknown), things.aggregate(endless, Schema.Unknown)], {
          concurrency: 2
        })
      )
      yield* eventually(Effect.map(client.stats, ({ inUse }) => inUse === 2))
      const calls = [things.findOne({ key: "a" }), things.insertOne({ key: "b", n: 1 }), things.findAll({})]
      const errors = yield* Effect.all(
        calls.map((call) => Effect.flip(call)),
        { concurrency: 3 }
      )
      for (const { outcome, reason } of errors) {
        assert.strictEqual(outcome, "not-applied")
        assert.strictEqual(reason._tag, "PoolExhausted")
        if (reason._tag !== "PoolExhausted") continue
        assert.strictEqual(reason.limit, 2)
        assert.ok(reason.waiting >= 1 && reason.waiting <= 3, `${reason.waiting} waiting`)
        assert.ok(reason.waitedMillis >= 190, `waited ${reason.waitedMillis}`)
      }
      // The caller's own deadline is the sooner one here.
      const sooner = yield* Effect.flip(things.insertOne({ key: "c", n: 1 }).pipe(within("50 millis")))
      assert.strictEqual(sooner.reason._tag, "PoolExhausted")
      assert.strictEqual(sooner.outcome, "not-applied")
      yield* Fiber.interrupt(busy)
      yield* eventually(Effect.map(client.stats, ({ inUse, waiting }) => inUse === 0 && waiting === 0))
      assert.strictEqual(yield* things.countDocuments({}), 1)
    })
  )

  it.live("the next batch of a stream waits no longer for a connection than a call does", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 1, waitQueueTimeout: "200 millis" })
      yield* things.insertMany(Array.from({ length: 20 }, (_, n) => ({ key: `k${n}`, n })))
      const takeTheOnlyOne = Effect.gen(function* () {
        yield* Effect.forkChild(things.aggregate(endless, Schema.Unknown).pipe(within("10 seconds"), Effect.ignore))
        yield* eventually(Effect.map(client.stats, ({ inUse }) => inUse === 1))
      })
      const { outcome, reason } = yield* things.find({}, { batchSize: 10, sort: { n: 1 } }).pipe(
        Stream.tap(({ n }) => (n === 9 ? takeTheOnlyOne : Effect.void)),
        Stream.runDrain,
        Effect.flip
      )
      assert.strictEqual(outcome, "not-applied")
      assert.strictEqual(reason._tag, "PoolExhausted")
    })
  )

  it.live("an interrupted read no longer runs on the server, and the pool is whole", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 4 })
      const { client: watcher } = yield* connect()
      yield* things.insertOne({ key: "a", n: 1 })
      const busy = yield* Effect.all(
        Array.from({ length: 6 }, () => Effect.forkChild(things.aggregate(endless, Schema.Unknown)))
      )
      yield* eventually(Effect.map(runningOf(watcher, client), (running) => running >= 3))
      yield* Fiber.interruptAll(busy)
      yield* eventually(Effect.map(runningOf(watcher, client), (running) => running === 0))
      yield* eventually(Effect.map(client.stats, ({ inUse, waiting }) => inUse === 0 && waiting === 0))
      const found = yield* Effect.all(
        Array.from({ length: 8 }, () => things.findOne({ key: "a" })),
        { concurrency: 8 }
      )
      assert.ok(found.every(Option.isSome))
    })
  )

  it.live("interrupting short reads closes no connection", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 1 })
      yield* things.insertOne({ key: "a", n: 1 })
      for (let i = 0; i < 20; i++) {
        const fiber = yield* Effect.forkChild(things.findOne({ key: "a" }))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        yield* eventually(Effect.map(client.stats, ({ inUse, waiting }) => inUse === 0 && waiting === 0))
        // Nobody asks for a connection now, so one that was closed is missing.
        assert.strictEqual((yield* client.stats).size, 1)
      }
    })
  )

  it.live("a write that was sent is carried out, interrupted or not; one that waits for a connection never is", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 1 }, "client-write")
      const watcher = yield* connect({}, "client-watch")
      yield* things.insertOne({ key: "a", n: 1 })
      yield* failing(
        watcher.client,
        { times: 1 },
        {
          failCommands: ["insert"],
          appName: "client-write",
          blockConnection: true,
          blockTimeMS: 2000
        }
      )
      const sent = yield* Effect.forkChild(things.insertOne({ key: "sent", n: 1 }))
      yield* eventually(Effect.map(client.stats, ({ inUse }) => inUse === 1))
      yield* Effect.sleep("50 millis")
      const queued = yield* Effect.forkChild(things.insertOne({ key: "queued", n: 1 }))
      yield* eventually(Effect.map(client.stats, ({ waiting }) => waiting === 1))
      yield* Fiber.interruptAll([sent, queued])
      yield* eventually(Effect.map(client.stats, ({ inUse, waiting }) => inUse === 0 && waiting === 0))
      assert.strictEqual(yield* things.countDocuments({ key: "sent" }), 1)
      assert.strictEqual(yield* things.countDocuments({ key: "queued" }), 0)
      assert.strictEqual((yield* client.stats).size, 1)
    })
  )

  it.live("a read that takes too long ends in a Timeout at the limit, on the server too", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ timeout: "1 second" })
      const { client: watcher } = yield* connect()
      yield* things.insertOne({ key: "a", n: 1 })
      const byLimit = yield* Effect.flip(things.aggregate(endless, Schema.Unknown))
      assert.strictEqual(byLimit.reason._tag, "Timeout")
      assert.strictEqual(byLimit.outcome, "not-applied")
      const byDeadline = yield* Effect.flip(things.aggregate(endless, Schema.Unknown).pipe(within("100 millis")))
      assert.strictEqual(byDeadline.reason._tag, "Timeout")
      yield* eventually(Effect.map(runningOf(watcher, client), (running) => running === 0))
      yield* eventually(Effect.map(client.stats, ({ inUse }) => inUse === 0))
      assert.ok(Option.isSome(yield* things.findOne({ key: "a" })))
    })
  )

  it.live("a write that takes too long may have been applied", () =>
    Effect.gen(function* () {
      const { things } = yield* connect({ timeout: "1 second" }, "client-slow")
      const watcher = yield* connect({}, "client-watch")
      yield* failing(
        watcher.client,
        { times: 1 },
        {
          failCommands: ["insert"],
          appName: "client-slow",
          blockConnection: true,
          blockTimeMS: 2000
        }
      )
      const error = yield* Effect.flip(things.insertOne({ key: "slow", n: 1 }))
      assert.strictEqual(error.reason._tag, "Timeout")
      assert.strictEqual(error.outcome, "unknown")
      yield* eventually(Effect.map(Effect.orDie(things.countDocuments({ key: "slow" })), (n) => n === 1))
    })
  )

  it.live("a stream that is left closes its cursor on the server and keeps its connection", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 1 })
      yield* things.insertMany(Array.from({ length: 100 }, (_, n) => ({ key: `k${n}`, n })))
      const keptIt = Effect.gen(function* () {
        yield* eventually(Effect.map(client.stats, ({ inUse }) => inUse === 0))
        assert.strictEqual((yield* client.stats).size, 1)
      })
      const reading = yield* Effect.forkChild(
        things.find({}, { batchSize: 10 }).pipe(
          Stream.tap(() => Effect.never),
          Stream.runDrain
        )
      )
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(reading)
      yield* keptIt
      assert.strictEqual((yield* Stream.runCollect(Stream.take(things.find({}, { batchSize: 10 }), 15))).length, 15)
      yield* keptIt
    })
  )

  it.live("a wrong password ends the start at once, and is not repeated", () =>
    Effect.gen(function* () {
      const { database, url } = yield* freshMongo
      const own = new URL(url)
      own.username = "ann"
      own.password = "canary-password"
      const startedAt = performance.now()
      const error = yield* Effect.flip(
        MongoDbClient.make({ url: Redacted.make(own.href), database, connectTimeout: "20 seconds" })
      )
      assert.strictEqual(error._tag, "StoreError")
      if (error._tag === "StoreError") assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.ok(performance.now() - startedAt < 10_000)
      assert.notInclude(error.message + JSON.stringify(error), "canary-password")
    })
  )

  it.live("a URL that is an Effect is read again when the server does not let it in, and the call goes on", () =>
    Effect.gen(function* () {
      const { database, url } = yield* freshMongo
      const old = new URL(url)
      old.username = "ann"
      old.password = "rotated-away"
      let reads = 0
      const rotating = Effect.sync(() => Redacted.make(reads++ === 0 ? old.href : url))
      const client = yield* MongoDbClient.make({ url: rotating, database })
      assert.strictEqual(reads, 2)
      const things = client.collection("things", Thing)
      yield* things.insertOne({ key: "a", n: 1 })
      assert.strictEqual(yield* things.countDocuments({}), 1)
      assert.strictEqual((yield* client.stats).inUse, 0)
      // Nobody reads it again while the server is content.
      assert.strictEqual(reads, 2)
    })
  )

  it.live("a URL that still says the same is not tried again", () =>
    Effect.gen(function* () {
      const { database, url } = yield* freshMongo
      const wrong = new URL(url)
      wrong.username = "ann"
      wrong.password = "canary-password"
      let reads = 0
      const same = Effect.sync(() => {
        reads++
        return Redacted.make(wrong.href)
      })
      const error = yield* Effect.flip(MongoDbClient.make({ url: same, database }))
      assert.ok(error._tag === "StoreError" && error.reason._tag === "AuthenticationFailed")
      assert.strictEqual(reads, 2)
    })
  )

  it.live("closing waits for the work under way", () =>
    Effect.gen(function* () {
      const watcher = yield* connect({}, "client-watch")
      const scope = yield* Scope.make()
      const { database, url } = yield* freshMongo
      const own = new URL(url)
      own.searchParams.set("appName", "client-close")
      const client = yield* MongoDbClient.make({ url: Redacted.make(own.href), database }).pipe(Scope.provide(scope))
      const things = client.collection("things", Thing)
      yield* things.countDocuments({})
      yield* failing(
        watcher.client,
        { times: 1 },
        {
          failCommands: ["insert"],
          appName: "client-close",
          blockConnection: true,
          blockTimeMS: 300
        }
      )
      const insert = yield* Effect.forkChild(things.insertOne({ key: "last", n: 1 }))
      yield* Effect.sleep("50 millis")
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(insert)
      const late = yield* Effect.flip(things.findOne({}))
      assert.strictEqual(late.reason._tag, "Unavailable")
      assert.strictEqual(late.outcome, "not-applied")
    })
  )

  it.live("past its deadline a call is not sent", () =>
    Effect.gen(function* () {
      const { things } = yield* connect()
      const { outcome, reason } = yield* Effect.flip(things.insertOne({ key: "late", n: 1 }).pipe(within("0 millis")))
      assert.deepStrictEqual([reason._tag, outcome], ["Timeout", "not-applied"])
      yield* Effect.sleep("100 millis")
      assert.strictEqual(yield* things.countDocuments({}), 0)
    })
  )

  it.live("what the driver refuses before it sends anything is a failure like any other", () =>
    Effect.gen(function* () {
      const { client, things } = yield* connect({ maxPoolSize: 1 })
      const { outcome, reason } = yield* Effect.flip(things.findOne({}, { sort: { n: 7 as never } }))
      assert.deepStrictEqual([reason._tag, outcome], ["InvalidStatement", "not-applied"])
      yield* things.insertOne({ key: "a", n: 1 })
      assert.ok(Option.isSome(yield* things.findOne({ key: "a" })))
      const { inUse, waiting } = yield* client.stats
      assert.deepStrictEqual({ inUse, waiting }, { inUse: 0, waiting: 0 })
    })
  )

  it.live("the driver's own client is one and the same, has its own connections, and is closed with ours", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { client } = yield* Scope.provide(connect({ maxPoolSize: 1 }), scope)
      const { raw } = client
      assert.strictEqual(client.raw, raw)
      yield* Effect.promise(() => raw.db("admin").command({ ping: 1 }))
      assert.deepStrictEqual(yield* client.stats, { size: 1, inUse: 0, idle: 1, waiting: 0, max: 1, utilisation: 0 })
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(Effect.tryPromise(() => raw.db("admin").command({ ping: 1 })))
      assert.include(String(error.cause), "MongoNotConnectedError")
    })
  )

  it.live("a URL may be an Effect, read when the client is made", () =>
    Effect.gen(function* () {
      const { database, url } = yield* freshMongo
      let reads = 0
      const credential = Effect.sync(() => {
        reads++
        return Redacted.make(url)
      })
      const client = yield* MongoDbClient.make({ url: credential, database })
      yield* client.ping
      assert.strictEqual(reads, 1)
    })
  )
})

describe("MongoDbClient without a server", () => {
  it.live("wrong settings are listed, all at once", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        MongoDbClient.make({ url: Redacted.make("http://canary"), maxPoolSize: 0, timeout: 0 })
      )
      assert.strictEqual(error._tag, "ConfigInvalid")
      if (error._tag === "ConfigInvalid") {
        assert.deepStrictEqual(error.problems.map(({ variable }) => variable).sort(), [
          "MONGODB_MAX_POOL_SIZE",
          "MONGODB_TIMEOUT",
          "MONGODB_URL"
        ])
      }
      assert.notInclude(error.message, "canary")
    })
  )

  it.live("an option that the driver does not take is refused without repeating the URL", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        MongoDbClient.make({ url: Redacted.make("mongodb://ann:canary@localhost:1/?nonsense=1") })
      )
      assert.strictEqual(error._tag === "StoreError" ? error.reason._tag : error._tag, "InvalidData")
      assert.notInclude(error.message + JSON.stringify(error), "canary")
    })
  )
})
