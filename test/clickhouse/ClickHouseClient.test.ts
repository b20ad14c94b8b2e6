import * as assert from "node:assert/strict"
import { describe, it, layer } from "@effect/vitest"
import { DateTime, Effect, Fiber, type Layer, Redacted, Schema, Stream } from "effect"
import * as ClickHouseEmbedded from "../../src/clickhouse/ClickHouseEmbedded.ts"
import type { ClickHouseClient } from "../../src/clickhouse/ClickHouseClient.ts"
import { within } from "../../src/core/Deadline.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as StoreErrorReport from "../../src/core/StoreErrorReport.ts"
import { hasIpv6, overIpv6 } from "../servers/forward.ts"
import { describeLive } from "../servers/index.ts"
import { connect, embeddedServer, liveServer, TestServer } from "./fixtures.ts"

type Client = ClickHouseClient["Service"]

const Count = Schema.Struct({ n: Schema.FiniteFromString })

const rowsIn = (client: Client, table: string) =>
  Effect.map(
    client.query("test", { query: "SELECT count() AS n FROM {table:Identifier}", params: { table }, schema: Count }),
    ([row]) => row?.n
  )

const failureOf = (client: Client, query: string, settings = {}): Effect.Effect<StoreError> =>
  Effect.orDie(Effect.flip(client.query("Test.run", { query, schema: Schema.Unknown, settings })))

const codeOf = ({ reason }: StoreError) => ("code" in reason ? reason.code : undefined)

/** Statements under way on the server that have this mark in their text. */
const running = (client: Client, mark: string) =>
  Effect.map(
    client.query("test", {
      query:
        "SELECT count() AS n FROM system.processes WHERE position(query, {mark:String}) > 0 AND query NOT LIKE '%system.processes%'",
      params: { mark },
      schema: Count
    }),
    ([row]) => row?.n
  )

const until = (client: Client, mark: string, expected: number) =>
  Effect.timeout(
    Effect.suspend(() => running(client, mark)).pipe(
      Effect.tap((n) => (n === expected ? Effect.void : Effect.sleep("20 millis"))),
      Effect.repeat({ until: (n) => n === expected })
    ),
    "15 seconds"
  )

const endless = (mark: string) =>
  `SELECT sleepEachRow(0.1) FROM numbers(100000) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 1000000000 /* ${mark} */`

const suite = (server: Layer.Layer<TestServer, unknown>) =>
  layer(server, { excludeTestServices: true, timeout: "2 minutes" })((it) => {
    it.effect.skipIf(!hasIpv6)("is reached at an IPv6 address, which stands in brackets", () =>
      Effect.gen(function* () {
        const { url } = yield* TestServer
        const client = yield* connect({ at: yield* overIpv6(url) })
        yield* client.ping
        assert.equal(client.endpoint.host, "::1")
      })
    )

    it.effect("reads 64-bit integers, decimals and moments as they are", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const rows = yield* client.query("test", {
          query:
            "SELECT {n:UInt64} AS n, toDecimal64('1.10', 2) AS d, toDateTime64('2026-03-29 01:30:00.125', 3, 'Asia/Tokyo') AS t",
          params: { n: "9007199254740993" },
          schema: Schema.Struct({ n: Schema.BigIntFromString, d: Schema.String, t: Schema.DateTimeUtcFromString })
        })
        assert.deepEqual(
          rows.map(({ d, n, t }) => [n, d, DateTime.formatIso(t)]),
          [[9007199254740993n, "1.1", "2026-03-28T16:30:00.125Z"]]
        )
      })
    )

    it.effect("takes parameters as values, whatever is in them", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const value = "' OR 1=1 -- \\ \" ` \t\n ü 😀"
        const rows = yield* client.query("test", {
          query: "SELECT {value:String} AS value",
          params: { value },
          format: "JSONCompactEachRow",
          schema: Schema.Tuple([Schema.String])
        })
        assert.deepEqual(rows, [[value]])
      })
    )

    it.effect("names the row and the field that is not as expected", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const error = yield* Effect.flip(
          client.query("test", {
            query: "SELECT number = 2 ? 'x' : '1' AS n FROM numbers(5)",
            schema: Schema.Struct({ n: Schema.Literal("1") })
          })
        )
        assert.ok(error.reason._tag === "InvalidData")
        assert.equal(error.reason.subject, "row 3")
        assert.deepEqual(
          error.reason.problems.map(({ field }) => field),
          ["n"]
        )
      })
    )

    it.effect("refuses to write in a query", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const error = yield* failureOf(client, "CREATE TABLE written (x UInt8) ENGINE = Memory")
        assert.equal(error.reason._tag, "InvalidStatement")
        assert.equal(codeOf(error), "164")
        assert.equal(codeOf(yield* failureOf(client, "SELECT * FROM written")), "60")
      })
    )

    it.effect("marks where a statement is wrong, in characters", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const error = yield* failureOf(client, "SELECT 'é😀'\nFROM FROM x")
        assert.equal(error.reason._tag, "InvalidStatement")
        assert.equal(codeOf(error), "62")
        assert.equal(
          StoreErrorReport.render(error),
          [
            "ClickHouse · Test.run failed: InvalidStatement",
            "",
            "  Problem  the statement is not valid",
            "  Detail   Syntax error: failed at position 27 (x) (code 62)",
            "  Hint     Correct the statement. Is a table missing? Then run the migrations.",
            "",
            "  Statement",
            "    SELECT 'é😀'",
            "    FROM FROM x",
            "              ^",
            "",
            "  Outcome  not applied",
            "  Retry    no"
          ].join("\n")
        )
      })
    )

    it.effect("tells the types of the arguments and hides their values", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const error = yield* Effect.flip(
          client.query("test", {
            query: "SELECT * FROM missing WHERE a = {secret:String}",
            params: { secret: "hunter2" },
            schema: Schema.Unknown
          })
        )
        const report = StoreErrorReport.render(error)
        assert.match(report, /secret: String/)
        assert.doesNotMatch(`${report}${JSON.stringify(error)}${error.message}`, /hunter2/)
        assert.match(StoreErrorReport.render(error, { values: true }), /hunter2/)
      })
    )

    it.effect("classifies by error number", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const cases: ReadonlyArray<readonly [string, object, string, string]> = [
          ["SELECT * FROM missing", {}, "InvalidStatement", "60"],
          ["SELECT * FROM nowhere.missing", {}, "InvalidStatement", "81"],
          ["SELECT missing(1)", {}, "InvalidStatement", "46"],
          ["SELECT toUInt8('hunter2')", {}, "InvalidData", "6"],
          ["SELECT number FROM numbers(1000)", { max_rows_to_read: "10" }, "LimitExceeded", "158"],
          [
            "SELECT sleepEachRow(0.2) FROM numbers(100)",
            { max_execution_time: 0.3, max_block_size: 1 },
            "Timeout",
            "159"
          ],
          ["SELECT throwIf(1)", {}, "Unclassified", "395"]
        ]
        for (const [query, settings, reason, code] of cases) {
          const error = yield* failureOf(client, query, settings).pipe(within("20 seconds"))
          assert.deepEqual([error.reason._tag, codeOf(error), error.outcome], [reason, code, "not-applied"], query)
          assert.doesNotMatch(error.message + JSON.stringify(error.reason), /hunter2/)
        }
        assert.equal((yield* client.stats).inUse, 0)
      })
    )

    it.effect("memory over the query's limit is ResourceExhausted", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const error = yield* failureOf(client, "SELECT groupArray(number) FROM numbers(50000000)", {
          max_memory_usage: "1000000"
        }).pipe(within("20 seconds"))
        assert.deepEqual([error.reason._tag, codeOf(error), error.outcome], ["ResourceExhausted", "241", "not-applied"])
      })
    )

    it.effect("too many parts is Backpressure, not applied, and the rows are not stored", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        yield* client.command("test", {
          query:
            "CREATE TABLE parts (x UInt8) ENGINE = MergeTree ORDER BY x SETTINGS parts_to_throw_insert = 1, parts_to_delay_insert = 1"
        })
        yield* client.command("test", { query: "SYSTEM STOP MERGES parts" })
        const errors: Array<StoreError> = []
        for (let x = 0; x < 4 && errors.length === 0; x++) {
          yield* Effect.catch(client.insert("test", "parts", [{ x }]).pipe(within("20 seconds")), (error) =>
            Effect.sync(() => errors.push(error))
          )
        }
        const [error] = errors
        assert.ok(error !== undefined)
        assert.deepEqual([error.reason._tag, codeOf(error), error.outcome], ["Backpressure", "252", "not-applied"])
        assert.equal(error.retry, "slowly")
      })
    )

    it.effect("an exception in mid-result is the failure of the query", () =>
      Effect.gen(function* () {
        for (const compression of [true, false]) {
          const client = yield* connect({ compression })
          const query =
            "SELECT number, randomPrintableASCII(100) AS filler, throwIf(number = 50000) FROM numbers(75000) SETTINGS max_block_size = 1000"
          const error = yield* failureOf(client, query)
          assert.deepEqual([error.reason._tag, codeOf(error)], ["Unclassified", "395"])
          const seen: Array<unknown> = []
          const streamed = yield* Effect.flip(
            Stream.runForEach(client.stream("test", { query, schema: Schema.Unknown }), (row) =>
              Effect.sync(() => seen.push(row))
            )
          )
          assert.equal(codeOf(streamed), "395")
          assert.ok(seen.length > 1000 && seen.length <= 50_000, `${seen.length} rows`)
          assert.equal((yield* client.stats).inUse, 0)
        }
      })
    )

    it.effect("streams rows in order, and waits for a slow consumer in little memory", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const query = "SELECT number AS n, repeat('x', 200) AS filler FROM numbers(500000)"
        const buffers = () => process.memoryUsage().arrayBuffers
        let least = buffers()
        let most = 0
        const last = yield* client.stream("test", { query, schema: Count }).pipe(
          Stream.chunks,
          Stream.runFoldEffect(
            () => -1,
            (last, rows) =>
              Effect.sync(() => {
                for (const { n } of rows) {
                  assert.equal(n, last + 1)
                  last = n
                }
                if (last % 50_000 < rows.length) {
                  least = Math.min(least, buffers())
                  most = Math.max(most, buffers() - least)
                }
                return last
              })
          )
        )
        assert.equal(last, 499_999)
        assert.ok(most < 60_000_000, `${most} bytes of buffers`)
      })
    )

    it.effect("a stream left early gives its connection back and ends on the server", () =>
      Effect.gen(function* () {
        const client = yield* connect({ poolSize: 2 })
        for (let i = 0; i < 10; i++) {
          const rows = yield* client
            .stream("test", { query: "SELECT number AS n FROM numbers(1000000000) /* left-early */", schema: Count })
            .pipe(Stream.take(3), Stream.runCollect)
          assert.equal(rows.length, 3)
        }
        assert.equal((yield* client.stats).inUse, 0)
        yield* until(client, "left-early", 0)
      })
    )

    it.effect("an interrupted query no longer runs on the server, and the pool is full again", () =>
      Effect.gen(function* () {
        const client = yield* connect({ poolSize: 2 })
        const fiber = yield* Effect.forkChild(
          client.query("test", { query: endless("interrupted"), schema: Schema.Unknown })
        )
        yield* until(client, "interrupted", 1)
        assert.equal((yield* client.stats).inUse, 1)
        yield* Fiber.interrupt(fiber)
        assert.equal((yield* client.stats).inUse, 0)
        yield* until(client, "interrupted", 0)
        yield* client.ping
      })
    )

    it.effect("a silent INSERT SELECT is killed too", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        yield* client.command("test", { query: "CREATE TABLE slow (x UInt8) ENGINE = MergeTree ORDER BY x" })
        const fiber = yield* Effect.forkChild(
          client.command("test", { query: `INSERT INTO slow ${endless("silent")}` })
        )
        yield* until(client, "silent", 1)
        yield* Fiber.interrupt(fiber)
        yield* until(client, "silent", 0)
      })
    )

    it.effect("the Context's Deadline ends a call, here and on the server", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        const error = yield* failureOf(client, endless("late")).pipe(within("300 millis"))
        assert.equal(error.reason._tag, "Timeout")
        assert.equal(error.outcome, "not-applied")
        assert.equal(error.statement?.text, endless("late"))
        yield* until(client, "late", 0)
      })
    )

    it.effect("all connections taken: PoolExhausted says how many wait and for how long", () =>
      Effect.gen(function* () {
        const client = yield* connect({ poolSize: 2 })
        const holders = yield* Effect.forEach([1, 2], () =>
          Effect.forkChild(client.query("test", { query: endless("holder"), schema: Schema.Unknown }))
        )
        yield* Effect.sleep("100 millis")
        const errors = yield* Effect.forEach(
          [1, 2, 3],
          () => Effect.flip(client.insert("test", "none", [{ x: 1 }]).pipe(within("300 millis"))),
          { concurrency: "unbounded" }
        )
        for (const error of errors) {
          assert.ok(error.reason._tag === "PoolExhausted", error.reason._tag)
          assert.equal(error.outcome, "not-applied")
          assert.equal(error.reason.limit, 2)
          assert.ok(error.reason.waiting >= 1 && error.reason.waiting <= 3)
          assert.ok(error.reason.waitedMillis >= 250)
        }
        assert.deepEqual(yield* Effect.map(client.stats, ({ inUse, max, waiting }) => ({ inUse, max, waiting })), {
          inUse: 2,
          max: 2,
          waiting: 0
        })
        yield* Effect.forEach(holders, (fiber) => Fiber.interrupt(fiber))
        assert.equal((yield* client.stats).inUse, 0)
        yield* client.ping
      })
    )

    it.effect("those who wait are served in order once a connection is free", () =>
      Effect.gen(function* () {
        const client = yield* connect({ poolSize: 3 })
        const ns = Array.from({ length: 200 }, (_, n) => n)
        const rows = yield* Effect.forEach(
          ns,
          (n) => client.query("test", { query: "SELECT {n:UInt64} AS n", params: { n }, schema: Count }),
          { concurrency: "unbounded" }
        )
        assert.deepEqual(
          rows.map(([row]) => row?.n),
          ns
        )
        assert.deepEqual((yield* client.stats).inUse, 0)
      })
    )

    it.effect("refuses an unknown field instead of skipping it", () =>
      Effect.gen(function* () {
        const client = yield* connect()
        yield* client.command("test", { query: "CREATE TABLE strict (x UInt8) ENGINE = MergeTree ORDER BY x" })
        const unknown = yield* Effect.flip(client.insert("test", "strict", [{ x: 1 }, { x: 2, y: "hunter2" }]))
        assert.deepEqual([unknown.reason._tag, codeOf(unknown)], ["InvalidData", "117"])
        const wrong = yield* Effect.flip(client.insert("test", "strict", [{ x: "hunter2" }]))
        assert.equal(wrong.reason._tag, "InvalidData")
        assert.doesNotMatch(JSON.stringify(wrong) + wrong.message + StoreErrorReport.render(wrong), /hunter2/)
        const bigint = yield* Effect.flip(client.insert("test", "strict", [{ x: 1n }]))
        assert.deepEqual([bigint.reason._tag, bigint.outcome], ["InvalidData", "not-applied"])
        assert.equal(yield* rowsIn(client, "strict"), 0)
        assert.equal(yield* client.insert("test", "strict", [{ x: 1 }, { x: 2 }]), 2)
        assert.equal(yield* rowsIn(client, "strict"), 2)
      })
    )

    it.effect("compresses inserts where it is asked to", () =>
      Effect.gen(function* () {
        const client = yield* connect({ compressRequests: true })
        yield* client.command("test", { query: "CREATE TABLE packed (s String) ENGINE = MergeTree ORDER BY s" })
        const rows = Array.from({ length: 5000 }, (_, i) => ({ s: `row ${i}` }))
        assert.equal(yield* client.insert("test", "packed", rows), 5000)
        assert.equal(yield* rowsIn(client, "packed"), 5000)
      })
    )

    it.effect("wrong credentials and a missing database end the start at once", () =>
      Effect.gen(function* () {
        const url = new URL((yield* TestServer).url)
        const start = (more: { readonly username: string; readonly password: string; readonly path: string }) => {
          const at = new URL(url)
          Object.assign(at, { username: more.username, password: more.password, pathname: more.path })
          return Effect.flip(Effect.scoped(connect({ at: at.href, connectTimeout: "20 seconds" })))
        }
        const stranger = yield* start({ username: "nobody", password: "hunter2", path: "/default" })
        assert.deepEqual([stranger.reason._tag, codeOf(stranger)], ["AuthenticationFailed", "516"])
        assert.doesNotMatch(StoreErrorReport.render(stranger, { values: true }) + JSON.stringify(stranger), /hunter2/)
        const wrong = yield* start({ username: "default", password: "hunter2", path: "/default" })
        assert.deepEqual([wrong.reason._tag, codeOf(wrong)], ["AuthenticationFailed", "194"])
        const missing = yield* start({ username: url.username, password: url.password, path: "/not_there" })
        assert.deepEqual([missing.reason._tag, codeOf(missing)], ["InvalidStatement", "81"])
      }).pipe(Effect.timeout("10 seconds"))
    )

    it.effect("a password is read anew for each request", () =>
      Effect.gen(function* () {
        const url = new URL((yield* TestServer).url)
        const right = decodeURIComponent(url.password)
        let password = right
        url.password = ""
        const client = yield* connect({
          at: url.href,
          username: decodeURIComponent(url.username) || "default",
          password: Effect.sync(() => Redacted.make(password))
        })
        yield* client.ping
        password = "rotated"
        const error = yield* failureOf(client, "SELECT 1")
        assert.equal(error.reason._tag, "AuthenticationFailed")
        password = right
        yield* client.ping
      })
    )
  })

describeLive("clickhouse", "ClickHouseClient · live", () => {
  suite(liveServer)
})

const canEmbed = Effect.runSync(ClickHouseEmbedded.available)
describe.skipIf(!canEmbed)("ClickHouseClient · embedded engine", () => {
  suite(embeddedServer)
})

describe("ClickHouseClient · settings", () => {
  it.effect("lists what is wrong with its settings", () =>
    Effect.gen(function* () {
      const client = yield* Effect.promise(() => import("../../src/clickhouse/ClickHouseClient.ts"))
      const error = yield* Effect.flip(
        Effect.scoped(client.make({ url: Redacted.make("ftp://somewhere"), poolSize: 0 }))
      )
      assert.ok(error._tag === "ConfigInvalid")
      assert.deepEqual(
        error.problems.map(({ variable }) => variable),
        ["CLICKHOUSE_URL", "CLICKHOUSE_POOL_SIZE"]
      )
    })
  )
})
