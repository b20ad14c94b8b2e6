import * as assert from "node:assert/strict"
import http from "node:http"
import { describe, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Schema, Scope, Stream } from "effect"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import * as ClickHouseEmbedded from "../../src/clickhouse/ClickHouseEmbedded.ts"
import { within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as StoreErrorReport from "../../src/core/StoreErrorReport.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, describeOwned, ownServer } from "../servers/index.ts"
import { until } from "../until.ts"
import { connect, embeddedServer, liveServer, TestServer } from "./fixtures.ts"

type Client = ClickHouseClient.ClickHouseClient["Service"]

const Count = Schema.Struct({ n: Schema.FiniteFromString })
const one = { query: "SELECT 1::UInt64 AS n", schema: Count }

const proxied = Effect.flatMap(TestServer, ({ url }) => TcpProxy.forUrl(url))

const tableIn = (client: Client, name: string) =>
  client.command("test", {
    query: `CREATE TABLE ${name} (x UInt32) ENGINE = MergeTree ORDER BY x SETTINGS non_replicated_deduplication_window = 100`
  })

const countOf = (client: Client, table: string) =>
  Effect.map(client.query("test", { query: `SELECT count() AS n FROM ${table}`, schema: Count }), ([row]) => row?.n)

/** Waits until a statement with this mark in its text is under way on the server. */
const untilRunning = (client: Client, mark: string) =>
  Effect.map(
    until(
      client.query("test", {
        query:
          "SELECT count() AS n FROM system.processes WHERE position(query, {mark:String}) > 0 AND query NOT LIKE '%system.processes%'",
        params: { mark },
        schema: Count
      }),
      ([row]) => (row?.n ?? 0) > 0
    ),
    ([row]) => assert.equal(row?.n, 1)
  )

const rows = Array.from({ length: 100 }, (_, x) => ({ x }))

const suite = (server: Layer.Layer<TestServer, unknown>) =>
  layer(server, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect("down at start: Unavailable that names host and port and no password, within the deadline", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        yield* proxy.refuse
        const at = new URL(proxy.url)
        at.password = "hunter2"
        const error = yield* Effect.flip(connect({ at: at.href, connectTimeout: "1 second" }))
        assert.ok(error.reason._tag === "Unavailable")
        assert.deepEqual([error.reason.host, error.reason.port], ["127.0.0.1", proxy.port])
        assert.equal(error.outcome, "not-applied")
        assert.doesNotMatch(StoreErrorReport.render(error, { values: true }) + JSON.stringify(error), /hunter2/)
      }).pipe(Effect.timeout("10 seconds"))
    )

    it.effect("down, then up within the deadline: the program starts", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        yield* proxy.refuse
        const starting = yield* Effect.forkChild(connect({ at: proxy.url, connectTimeout: "20 seconds" }))
        yield* Effect.sleep("300 millis")
        yield* proxy.pass
        const client = yield* Fiber.join(starting)
        yield* client.ping
      })
    )

    it.effect("accepts and never answers: Timeout, at the start and in a call", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const client = yield* connect({ at: proxy.url, timeout: "500 millis" })
        yield* tableIn(yield* connect(), "hung")
        yield* proxy.hang
        const starting = yield* Effect.flip(connect({ at: proxy.url, connectTimeout: "500 millis" }))
        assert.equal(starting.reason._tag, "Timeout")
        const read = yield* Effect.flip(client.query("test", one))
        assert.deepEqual([read.reason._tag, read.outcome], ["Timeout", "not-applied"])
        const write = yield* Effect.flip(client.insert("test", "hung", rows))
        assert.deepEqual([write.reason._tag, write.outcome], ["Timeout", "unknown"])
        const streamed = yield* Effect.flip(Stream.runDrain(client.stream("test", one)))
        assert.equal(streamed.reason._tag, "Timeout")
        assert.equal((yield* client.stats).inUse, 0)
        yield* proxy.pass
        yield* client.ping
      }).pipe(Effect.timeout("20 seconds"))
    )

    it.effect("reset in a write: ConnectionLost, unknown, and the same client works again", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const client = yield* connect({ at: proxy.url })
        const sleeping = yield* Effect.forkChild(
          Effect.flip(
            client.command("Test.write", {
              query:
                "INSERT INTO FUNCTION null('x UInt8') SELECT sleepEachRow(0.1) FROM numbers(50) SETTINGS max_block_size = 1 /* to-be-reset */"
            })
          )
        )
        yield* untilRunning(yield* connect(), "to-be-reset")
        yield* proxy.reset()
        const error = yield* Fiber.join(sleeping)
        assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
        assert.equal((yield* client.stats).inUse, 0)
        assert.deepEqual(yield* client.query("test", one), [{ n: 1 }])
      })
    )

    it.effect("reset in a read: asked again, and answered", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const client = yield* connect({ at: proxy.url })
        const reading = yield* Effect.forkChild(
          client.query("test", { query: "SELECT sleep(0.5) + 1::UInt64 AS n", schema: Schema.Unknown })
        )
        yield* Effect.sleep("200 millis")
        yield* proxy.reset()
        assert.equal((yield* Fiber.join(reading)).length, 1)
        assert.equal((yield* client.stats).inUse, 0)
      })
    )

    it.effect("reset in a stream: the rows so far, then ConnectionLost", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const client = yield* connect({ at: proxy.url })
        let seen = 0
        const error = yield* client
          .stream("test", {
            query: "SELECT number AS n FROM numbers(200000000)",
            schema: Count
          })
          .pipe(
            Stream.runForEach(() =>
              Effect.suspend(() => {
                seen += 1
                return seen === 1000 ? proxy.reset() : Effect.void
              })
            ),
            Effect.flip
          )
        assert.equal(error.reason._tag, "ConnectionLost")
        assert.ok(seen >= 1000)
        assert.equal((yield* client.stats).inUse, 0)
        yield* client.ping
      })
    )

    it.effect("answer dropped after an INSERT: not sent again, unknown, stored once", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const direct = yield* connect()
        const client = yield* connect({ at: proxy.url })
        yield* tableIn(direct, "dropped")
        yield* proxy.dropReplies({ afterRequestMatching: "INSERT" })
        const error = yield* Effect.flip(client.insert("test", "dropped", rows))
        assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
        assert.equal(error.isRetryable(), false)
        assert.equal((yield* proxy.counts).dropped, 1)
        assert.equal(yield* countOf(direct, "dropped"), 100)
      })
    )

    it.effect("answer dropped after an INSERT with a token: sent again, stored once, and known", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const direct = yield* connect()
        const client = yield* connect({ at: proxy.url })
        yield* tableIn(direct, "tokened")
        yield* proxy.dropReplies({ afterRequestMatching: "INSERT", times: 2 })
        assert.equal(yield* client.insert("test", "tokened", rows, { token: "batch-1" }), 100)
        assert.equal((yield* proxy.counts).dropped, 2)
        assert.equal(yield* countOf(direct, "tokened"), 100)
        yield* client.insert("test", "tokened", rows, { token: "batch-2" })
        assert.equal(yield* countOf(direct, "tokened"), 200)
      })
    )

    it.effect("a command that says it is idempotent is sent again", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const client = yield* connect({ at: proxy.url })
        const query = "CREATE TABLE IF NOT EXISTS again (x UInt8) ENGINE = Memory"
        yield* proxy.dropReplies({ afterRequestMatching: "CREATE" })
        yield* client.command("test", { query, idempotent: true })
        yield* proxy.dropReplies({ afterRequestMatching: "CREATE" })
        const error = yield* Effect.flip(client.command("test", { query }))
        assert.deepEqual([error.reason._tag, error.outcome], ["ConnectionLost", "unknown"])
      })
    )

    it.effect("an outage makes no storm of retries", () =>
      Effect.gen(function* () {
        const proxy = yield* proxied
        const client = yield* connect({ at: proxy.url, poolSize: 50 })
        yield* proxy.reset({ alsoNew: true })
        const before = (yield* proxy.counts).accepted
        yield* Effect.forEach(
          Array.from({ length: 100 }),
          () => Effect.flip(client.query("test", one).pipe(within("5 seconds"))),
          { concurrency: "unbounded" }
        )
        const attempts = (yield* proxy.counts).accepted - before
        assert.ok(attempts >= 100 && attempts <= 121, `${attempts} attempts of 100 calls`)
        yield* proxy.pass
        yield* client.ping
      })
    )

    it.effect("closing waits for what is under way, and refuses what comes after", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const client = yield* Scope.provide(connect(), scope)
        const slow = yield* Effect.forkChild(
          client.query("test", { query: "SELECT sleep(0.5)", schema: Schema.Unknown })
        )
        const streaming = yield* Effect.forkChild(
          Stream.runCollect(
            client
              .stream("test", { query: "SELECT number AS n FROM numbers(20)", schema: Count })
              .pipe(Stream.tap(() => Effect.sleep("20 millis")))
          )
        )
        yield* Effect.sleep("150 millis")
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* Effect.sleep("20 millis")
        const refused = yield* Effect.flip(client.query("test", one))
        assert.deepEqual([refused.reason._tag, refused.outcome], ["Unavailable", "not-applied"])
        assert.equal((yield* Fiber.join(slow)).length, 1)
        assert.equal((yield* Fiber.join(streaming)).length, 20)
        yield* Fiber.join(closing)
      })
    )

    it.effect("closing ends what lasts longer than its timeout, on the server too", () =>
      Effect.gen(function* () {
        const direct = yield* connect()
        const scope = yield* Scope.make()
        const client = yield* Scope.provide(connect({ shutdownTimeout: "200 millis" }), scope)
        const endless = yield* Effect.forkChild(
          Effect.flip(
            client.query("test", {
              query:
                "SELECT sleepEachRow(0.1) FROM numbers(100000) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 1000000000 /* at-close */",
              schema: Schema.Unknown
            })
          )
        )
        yield* Effect.sleep("200 millis")
        yield* Scope.close(scope, Exit.void)
        assert.equal((yield* Fiber.join(endless)).outcome, "not-applied")
        yield* Effect.timeout(
          Effect.repeat(
            direct.query("test", {
              query:
                "SELECT count() AS n FROM system.processes WHERE query LIKE '%at-close%' AND query NOT LIKE '%system.processes%'",
              schema: Count
            }),
            { until: ([row]) => row?.n === 0 }
          ),
          "10 seconds"
        )
      })
    )
  })

describeLive("clickhouse", "ClickHouse faults · live", () => {
  suite(liveServer)
})

const canEmbed = Effect.runSync(ClickHouseEmbedded.available)
describe.skipIf(!canEmbed)("ClickHouse faults · embedded engine", () => {
  suite(embeddedServer)
})

describeOwned("clickhouse", "ClickHouse killed and started again", () => {
  layer(Layer.empty, { excludeTestServices: true })((it) => {
    it.effect(
      "killed in a write: ConnectionLost, unknown; while it is down: Unavailable; the same client works once it is back",
      () =>
        Effect.gen(function* () {
          const server = yield* ownServer("clickhouse")
          const client = yield* ClickHouseClient.make({ url: Redacted.make(server.url), database: "default" })
          yield* tableIn(client, "kept")
          yield* client.insert("test", "kept", rows)
          const writing = yield* Effect.forkChild(
            Effect.flip(
              client.command("test", {
                query:
                  "INSERT INTO FUNCTION null('x UInt8') SELECT sleepEachRow(0.1) FROM numbers(100) SETTINGS max_block_size = 1 /* to-be-killed */"
              })
            )
          )
          yield* untilRunning(client, "to-be-killed")
          yield* server.kill
          const lost = yield* Fiber.join(writing)
          assert.deepEqual([lost.reason._tag, lost.outcome], ["ConnectionLost", "unknown"])
          const down = yield* Effect.flip(client.insert("test", "kept", rows).pipe(within("500 millis")))
          assert.ok(down.reason._tag === "Unavailable", down.reason._tag)
          assert.deepEqual([down.reason.port, down.outcome], [server.port, "not-applied"])
          yield* server.restart
          assert.equal(yield* countOf(client, "kept"), 100)
          assert.equal(yield* client.insert("test", "kept", rows, { token: "after" }), 100)
          assert.equal(yield* countOf(client, "kept"), 200)
          assert.equal((yield* client.stats).inUse, 0)
        }),
      60_000
    )
  })
})

/** Something between us and ClickHouse that answers in its place. */
interface Stand {
  readonly port: number
  answer: (response: http.ServerResponse) => void
}

const ok = (response: http.ServerResponse) => response.writeHead(200).end('{"n":"1"}\n')

const standIn = Effect.acquireRelease(
  Effect.callback<Stand & { readonly server: http.Server }>((resume) => {
    const server = http.createServer((request, response) => {
      request.resume().on("end", () => stand.answer(response))
    })
    const stand = { server, port: 0, answer: ok }
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(Object.assign(stand, { port: typeof address === "object" && address ? address.port : 0 })))
    })
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

describe("ClickHouse faults · answers from in between", () => {
  layer(Layer.empty, { excludeTestServices: true })((it) => {
    const failures = (
      answer: Stand["answer"]
    ): Effect.Effect<readonly [read: StoreError, write: StoreError], unknown> =>
      Effect.scoped(
        Effect.gen(function* () {
          const stand = yield* standIn
          const client = yield* ClickHouseClient.make({ url: Redacted.make(`http://127.0.0.1:${stand.port}`) })
          stand.answer = answer
          const read = yield* Effect.flip(client.query("test", one)).pipe(within("1 second"))
          const write = yield* Effect.flip(client.insert("test", "t", rows)).pipe(within("1 second"))
          stand.answer = ok
          assert.deepEqual(yield* client.query("test", one), [{ n: 1 }])
          return [read, write] as const
        })
      )

    const told = (answer: Stand["answer"]) =>
      Effect.map(failures(answer), ([read, write]) => [read.reason._tag, write.reason._tag, write.outcome])

    it.effect("429, 502, 503, 504 of a load balancer keep their meaning", () =>
      Effect.gen(function* () {
        const status = (code: number) => told((response) => response.writeHead(code).end("<html>no</html>"))
        assert.deepEqual(yield* status(429), ["Overloaded", "Overloaded", "not-applied"])
        assert.deepEqual(yield* status(502), ["ConnectionLost", "ConnectionLost", "unknown"])
        assert.deepEqual(yield* status(503), ["Unavailable", "Unavailable", "not-applied"])
        assert.deepEqual(yield* status(504), ["Timeout", "Timeout", "unknown"])
        assert.deepEqual(yield* status(418), ["Unclassified", "Unclassified", "unknown"])
      })
    )

    it.effect("200 with an exception in its header and nothing in its body", () =>
      Effect.gen(function* () {
        assert.deepEqual(
          yield* told((response) => response.writeHead(200, { "X-ClickHouse-Exception-Code": "202" }).end()),
          ["Overloaded", "Overloaded", "not-applied"]
        )
      })
    )

    it.effect("an exception of another server between the rows, without header and mark", () =>
      Effect.gen(function* () {
        const [read] = yield* failures((response) =>
          response.writeHead(200).end('{"n":"1"}\nCode: 241. DB::Exception: Memory limit. (MEMORY_LIMIT_EXCEEDED)\n')
        )
        assert.equal(read.reason._tag, "ResourceExhausted")
      })
    )

    it.effect("a result cut short is no result", () =>
      Effect.scoped(
        Effect.gen(function* () {
          const stand = yield* standIn
          const client = yield* ClickHouseClient.make({ url: Redacted.make(`http://127.0.0.1:${stand.port}`) })
          stand.answer = (response) => response.writeHead(200).end('{"n":"1"}\n{"n":')
          const cut = yield* Effect.flip(client.query("test", one))
          assert.equal(cut.reason._tag, "Unclassified")
          stand.answer = (response) => {
            response.writeHead(200).write('{"n":"1"}\n')
            setTimeout(() => response.destroy(), 20)
          }
          const lost = yield* Effect.flip(client.query("test", one)).pipe(within("5 seconds"))
          assert.equal(lost.reason._tag, "ConnectionLost")
          assert.equal((yield* client.stats).inUse, 0)
        })
      )
    )
  })
})
