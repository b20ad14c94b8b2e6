import { it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, Redacted, References } from "effect"
import assert from "node:assert/strict"
import { describe } from "vitest"
import { within } from "../../../src/core/Deadline.ts"
import { PoolInstrumentation, SlowQueryThreshold } from "../../../src/core/Instrumentation.ts"
import type { StoreError } from "../../../src/core/StoreError.ts"
import { render } from "../../../src/core/StoreErrorReport.ts"
import { expiry } from "../../../src/postgres/pool/PoolSlots.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { describeLive, describeOwned, ownServer } from "../../servers/index.ts"
import { until } from "../../until.ts"

type Options = Omit<Parameters<typeof PostgresClient.make>[0], "url">

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const clientOf = (url: string, options: Options = {}) =>
  TransactionLive.layer.pipe(
    Layer.provideMerge(
      PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 4, ...options })
    )
  )

const exhaustedBy = (error: StoreError) => {
  assert.ok(error.reason._tag === "PoolExhausted", error.message)
  return error.reason
}

/** What is logged inside, as texts with their annotations. */
const recording = () => {
  const lines: Array<{ readonly level: string; readonly text: string; readonly more: Record<string, unknown> }> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    lines.push({
      level: logLevel,
      text: String(message),
      more: { ...fiber.getRef(References.CurrentLogAnnotations) }
    })
  })
  return { lines, layer: Logger.layer([logger]) }
}

describe("the lifetime of a connection", () => {
  it("is up to a tenth shorter, at random, so that they do not all end together", () => {
    assert.deepEqual(
      [0, 0.5, 1].map((random) => expiry(1000, 600, random)),
      [1600, 1570, 1540]
    )
    assert.equal(expiry(1000, 0, 0.5), Number.POSITIVE_INFINITY)
  })
})

describeLive("postgresql", "a pool whose connections are all in use", (url) => {
  const holding = (n: number) =>
    Effect.gen(function* () {
      const { sql, stats } = yield* PostgresClient.PostgresClient
      const before = (yield* stats).inUse
      const fibers = yield* Effect.forEach(Array.from({ length: n }), () =>
        Effect.forkChild(
          Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* sql.reserve
              yield* connection.execute("SELECT 'a secret', 7 AS held", [], undefined)
              return yield* Effect.never
            })
          )
        )
      )
      yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === before + n })
      return fibers
    })

  it.live(
    "five connections, 500 callers, one of whom keeps four: the error calls it a leak and names the holders",
    () =>
      Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const holders = yield* holding(4)
        yield* Effect.sleep("1600 millis")
        const results = yield* Effect.forEach(
          Array.from({ length: 500 }),
          () => Effect.result(query(read, sql`SELECT pg_sleep(0.05)`)),
          { concurrency: "unbounded" }
        )
        const failures = results.flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))
        assert.ok(failures.length > 300, `${failures.length} failed`)
        const reason = exhaustedBy(failures[0]!)
        assert.equal(reason.diagnosis, "leaked")
        assert.equal(reason.detail, "4 of 5 have been held for more than 1.5 s")
        const named = reason.holders!.filter(({ operation }) => operation === "sql.reserve")
        assert.equal(named.length, 4)
        assert.deepEqual(named.map(({ fiber }) => fiber).toSorted(), holders.map(({ id }) => id).toSorted())
        assert.ok(named.every(({ heldMillis }) => heldMillis >= 1600))
        assert.ok(named.every(({ statement }) => statement === "SELECT '…', … AS held"))
        const report = render(failures[0]!)
        assert.ok(report.startsWith("PostgreSQL · Test.read failed: PoolExhausted (leaked)"), report)
        assert.match(report, /Held by\n {4}sql.reserve for \d+ ms, fiber #\d+: SELECT '…', … AS held\n/)
        yield* Fiber.interruptAll(holders)
        assert.equal((yield* stats).inUse, 0)
      }).pipe(
        Effect.provide(
          clientOf(url!, { maxConnections: 5, acquireTimeout: "1 second", leakDetectionThreshold: "1500 millis" })
        )
      )
  )

  it.live("slow statements: named with the operation of each", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      const slow = { operation: "Reports.build", kind: "read" } as const
      const building = yield* Effect.forEach([1, 2, 3, 4], () =>
        Effect.forkChild(query(slow, sql`SELECT pg_sleep(20)`))
      )
      yield* until(stats, ({ inUse }) => inUse === 4)
      yield* Effect.sleep("400 millis")
      const reason = exhaustedBy(yield* Effect.flip(query(read, sql`SELECT 1`).pipe(within("300 millis"))))
      assert.equal(reason.diagnosis, "slow")
      assert.equal(reason.detail, "4 of 4 have been held for more than 0.3 s")
      assert.deepEqual(new Set(reason.holders!.map(({ operation }) => operation)), new Set(["Reports.build"]))
      yield* Fiber.interruptAll(building)
    }).pipe(
      Effect.provide(clientOf(url!, { acquireTimeout: "20 seconds" })),
      Effect.provideService(SlowQueryThreshold, Duration.millis(300))
    )
  )

  it.live("short statements of too many callers: saturated", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const results = yield* Effect.forEach(
        Array.from({ length: 200 }),
        () => Effect.result(query(read, sql`SELECT pg_sleep(0.02)`)),
        { concurrency: "unbounded" }
      )
      const failure = results.flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))[0]!
      assert.equal(exhaustedBy(failure).diagnosis, "saturated")
    }).pipe(Effect.provide(clientOf(url!, { maxConnections: 2, acquireTimeout: "1 second" })))
  )

  it.live("a transaction is named by what it did last", () =>
    Effect.gen(function* () {
      const { query, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const did = yield* Deferred.make<void>()
      const open = yield* Effect.forkChild(
        transaction.run(
          query(write, sql`SELECT ${"a value"}::text AS v`).pipe(
            Effect.andThen(Deferred.succeed(did, undefined)),
            Effect.andThen(Effect.never)
          )
        )
      )
      yield* Deferred.await(did)
      const [holder] = exhaustedBy(yield* Effect.flip(query(read, sql`SELECT 1`))).holders!
      assert.equal(holder?.operation, "Transaction")
      assert.equal(holder?.statement, "SELECT $1::text AS v")
      yield* Fiber.interrupt(open)
    }).pipe(Effect.provide(clientOf(url!, { maxConnections: 1, acquireTimeout: "200 millis" })))
  )

  it.live("logins that are refused from now on leave those alone who wait for a connection that is open", () =>
    Effect.gen(function* () {
      let rotated = false
      const credential = Effect.sync(() => {
        const named = new URL(url!)
        if (rotated) named.username = "nobody_by_this_name"
        return Redacted.make(named.href)
      })
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const busy = yield* Effect.forkChild(sql`SELECT pg_sleep(0.5)`)
        yield* Effect.repeat(stats, { until: ({ inUse }) => inUse === 1 })
        rotated = true
        assert.deepEqual(yield* query(read, sql`SELECT 1 AS n`), [{ n: 1 }])
        yield* Fiber.join(busy)

        const [holder] = yield* holding(1)
        const error = yield* Effect.flip(query(read, sql`SELECT 1`).pipe(within("500 millis")))
        assert.equal(exhaustedBy(error).holders?.length, 1)
        assert.match(render(error), /no more than 1 of 4 can be opened: the server does not accept these credentials/)
        yield* Fiber.interrupt(holder!)
      }).pipe(
        Effect.provide(PostgresClient.layer({ url: credential, minConnections: 0, maxConnections: 4 })),
        Effect.provideService(References.MinimumLogLevel, "None")
      )
    })
  )

  it.live("a connection held for too long is logged once, with its operation, age and fiber", () =>
    Effect.gen(function* () {
      const { layer, lines } = recording()
      const holder = yield* Effect.gen(function* () {
        const [fiber] = yield* holding(1)
        yield* Effect.sleep("2500 millis")
        yield* Fiber.interrupt(fiber!)
        return fiber!.id
      }).pipe(Effect.provide(clientOf(url!, { leakDetectionThreshold: "500 millis" })), Effect.provide(layer))
      const warnings = lines.filter(({ level }) => level === "Warn")
      assert.equal(warnings.length, 1, JSON.stringify(warnings))
      assert.match(warnings[0]!.text, /^PostgreSQL sql.reserve: its connection has been held for \d+ ms/)
      assert.deepEqual(warnings[0]!.more, { holder: `#${holder}`, statement: "SELECT '…', … AS held" })
    })
  )

  it.live("stats tell how long callers waited, and who gave up, without asking the server", () =>
    Effect.gen(function* () {
      const { query, sql, stats } = yield* PostgresClient.PostgresClient
      yield* Effect.forEach([1, 2, 3], () => sql`SELECT 1`)
      const quiet = (yield* stats).acquire!
      assert.deepEqual([quiet.count >= 3, quiet.timeouts], [true, 0])
      const holders = yield* holding(1)
      assert.deepEqual(
        (({ idle, inUse, max, size, utilisation, waiting }) => ({ idle, inUse, max, size, utilisation, waiting }))(
          yield* stats
        ),
        { idle: 0, inUse: 1, max: 1, size: 1, utilisation: 1, waiting: 0 }
      )
      const waiting = yield* Effect.forkChild(sql`SELECT 1`)
      yield* Effect.flip(query(read, sql`SELECT 1`).pipe(within("200 millis")))
      assert.equal((yield* stats).waiting, 1)
      yield* Fiber.interruptAll(holders)
      yield* Fiber.join(waiting)
      const { acquire } = yield* stats
      assert.equal(acquire!.count, quiet.count + 2)
      assert.equal(acquire!.timeouts, 1)
      assert.ok(acquire!.maxMillis >= 200, `${acquire!.maxMillis} ms`)
      assert.ok(acquire!.p99Millis >= 200 && acquire!.p50Millis === 0)
    }).pipe(Effect.provide(clientOf(url!, { maxConnections: 1 })))
  )

  it.live("hooks hear of every connection opened, lent, given back and closed, and of who gave up", () =>
    Effect.gen(function* () {
      const counts = { opened: 0, closed: 0, acquired: 0, released: 0, timedOut: 0 }
      const heldMillis: Array<number> = []
      let endpoint: string | undefined
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        yield* Effect.forEach([1, 2], () => sql`SELECT pg_sleep(0.05)`, { concurrency: "unbounded" })
        const holders = yield* holding(2)
        yield* Effect.flip(query(read, sql`SELECT 1`).pipe(within("100 millis")))
        yield* Fiber.interruptAll(holders)
      }).pipe(
        Effect.provide(clientOf(url!, { maxConnections: 2 })),
        Effect.provideService(PoolInstrumentation, (at) => {
          endpoint = at.host
          return {
            opened: () => counts.opened++,
            closed: () => counts.closed++,
            acquired: () => counts.acquired++,
            timedOut: () => counts.timedOut++,
            released: (millis) => {
              counts.released++
              heldMillis.push(millis)
            }
          }
        })
      )
      assert.deepEqual(counts, { opened: 2, closed: 2, acquired: 4, released: 4, timedOut: 1 })
      assert.ok(heldMillis.slice(0, 2).every((millis) => millis >= 40))
      assert.equal(endpoint, new URL(url!).hostname)
    })
  )
})

describeLive("postgresql", "a pool whose connections may have died", (url) => {
  const scene = (options: Options) =>
    Effect.gen(function* () {
      const proxy = yield* TcpProxy.forUrl(url!)
      const client = yield* Layer.build(clientOf(proxy.url, { statementTimeout: "20 seconds", ...options }))
      const { query, sql, stats } = yield* Effect.provide(PostgresClient.PostgresClient, client)
      // All at once, so that there are three connections.
      yield* Effect.scoped(Effect.forEach([1, 2, 3], () => sql.reserve))
      return { proxy, query, sql, stats }
    })

  it.live("gone silent while idle: found out before it is lent, so that the caller's write is answered", () =>
    Effect.gen(function* () {
      const { proxy, query, sql, stats } = yield* scene({})
      assert.equal((yield* stats).size, 3)
      yield* Effect.sleep("600 millis")
      yield* proxy.hang
      const writing = yield* Effect.forkChild(query(write, sql`SELECT 7 AS n`))
      // All three were silent: none of them is kept for the next caller to find out.
      yield* Effect.repeat(stats, { until: ({ size }) => size === 0 }).pipe(Effect.timeout("15 seconds"))
      yield* proxy.pass
      assert.deepEqual(yield* Fiber.join(writing), [{ n: 7 }])
      assert.deepEqual((({ inUse, waiting }) => ({ inUse, waiting }))(yield* stats), { inUse: 0, waiting: 0 })
    })
  )

  it.live("one that is idle for long and alive is lent again, not replaced", () =>
    Effect.gen(function* () {
      const { proxy, query, sql, stats } = yield* scene({})
      const before = (yield* proxy.counts).accepted
      yield* Effect.sleep("700 millis")
      const rows = yield* Effect.forEach(
        [1, 2, 3],
        (n) => query(write, sql`SELECT ${n}::int AS n, pg_sleep(0.05)::text`),
        {
          concurrency: "unbounded"
        }
      )
      assert.deepEqual(
        rows.flat().map((row) => (row as { n: number }).n),
        [1, 2, 3]
      )
      assert.equal((yield* proxy.counts).accepted, before)
      assert.equal((yield* stats).size, 3)
    })
  )

  it.live("every connection reset while idle: the next writes succeed", () =>
    Effect.gen(function* () {
      const { proxy, query, sql } = yield* scene({})
      yield* proxy.reset()
      yield* Effect.sleep("50 millis")
      const rows = yield* Effect.forEach([1, 2, 3], (n) => query(write, sql`SELECT ${n}::int AS n`), {
        concurrency: "unbounded"
      })
      assert.equal(rows.length, 3)
    })
  )

  it.live("reachable by nobody: each caller fails within its time, and is told that it is the server", () =>
    Effect.gen(function* () {
      const { proxy, query, sql } = yield* scene({ acquireTimeout: "2 seconds", connectTimeout: "20 seconds" })
      for (const [fault, detail] of [
        [proxy.refuse, "ECONNREFUSED"],
        [proxy.hang, "it has not answered"]
      ] as const) {
        yield* fault
        yield* proxy.reset()
        yield* Effect.sleep("100 millis")
        const [elapsed, error] = yield* Effect.timed(Effect.flip(query(write, sql`SELECT 1`)))
        assert.ok(error.reason._tag === "Unavailable", error.message)
        assert.ok(`${error.reason.code} ${error.reason.detail}`.includes(detail), error.message)
        assert.equal(error.outcome, "not-applied")
        assert.ok(Duration.toMillis(elapsed) < 10_000, `${Duration.toMillis(elapsed)} ms: not the connection's`)
        yield* proxy.pass
        yield* query(read, sql`SELECT 1`)
      }
    })
  )

  it.live("slow to open: whoever has time waits for it, whoever has not is told in time", () =>
    Effect.gen(function* () {
      const { proxy, query, sql, stats } = yield* scene({ acquireTimeout: "20 seconds" })
      yield* proxy.reset()
      yield* Effect.repeat(stats, { until: ({ size }) => size === 0 })
      yield* proxy.delay("150 millis")
      const error = yield* Effect.flip(query(write, sql`SELECT 1`).pipe(within("100 millis")))
      assert.equal(error.reason._tag, "Unavailable")
      assert.equal(error.outcome, "not-applied")
      assert.deepEqual(yield* query(write, sql`SELECT 2 AS n`), [{ n: 2 }])
    })
  )
})

describeOwned("postgresql", "a pool and its server", () => {
  it.live("keeps its minimum warm: opened at start, and again after an outage, before anybody asks", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { stats } = yield* PostgresClient.PostgresClient
        const untilSize = (n: number) => until(stats, ({ size }) => size === n)
        const warm = untilSize(3)
        assert.equal((yield* warm).size, 3)
        yield* server.kill
        yield* untilSize(0)
        yield* Effect.sleep("1500 millis")
        yield* server.restart
        assert.equal((yield* warm).idle, 3)
      }).pipe(Effect.provide(clientOf(server.url, { minConnections: 3 })))
    })
  )

  it.live("the server takes no more connections: the error says so, not that the pool is too small", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        yield* sql`CREATE ROLE few LOGIN CONNECTION LIMIT 2`
        const url = server.url.replace("postgres@", "few@")
        yield* Effect.gen(function* () {
          const few = yield* PostgresClient.PostgresClient
          const holders = yield* Effect.forEach([1, 2], () =>
            Effect.forkChild(Effect.scoped(Effect.andThen(few.sql.reserve, Effect.never)))
          )
          yield* Effect.repeat(few.stats, { until: ({ inUse }) => inUse === 2 })
          const reason = exhaustedBy(yield* Effect.flip(few.query(read, few.sql`SELECT 1`)))
          assert.equal(reason.diagnosis, "unreachable")
          assert.equal(reason.open, 2)
          assert.equal(reason.detail, "no more than 2 of 4 can be opened: the server refuses new work")
          yield* Fiber.interruptAll(holders)
        }).pipe(Effect.provide(clientOf(url, { acquireTimeout: "2 seconds" })))
        assert.deepEqual(yield* query(read, sql`SELECT 1 AS n`), [{ n: 1 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(Effect.provide(clientOf(server.url)))
    })
  )

  it.live("read-only, and over a limit: classified as what they are, and the pool stays whole", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        /** Has the files read again, and waits until this session has it from them, too. */
        const reload = (name: string, value: string) =>
          Effect.gen(function* () {
            yield* sql`SELECT pg_reload_conf()`
            const setting = sql<{ v: string }>`SELECT current_setting(${name}) AS v`
            assert.deepEqual(yield* until(setting, ([row]) => row?.v === value), [{ v: value }])
          })
        yield* sql`CREATE TABLE t (id int)`
        yield* sql`ALTER SYSTEM SET default_transaction_read_only = on`
        yield* reload("default_transaction_read_only", "on")
        const readOnly = yield* Effect.flip(query(write, sql`INSERT INTO t VALUES (1)`))
        assert.equal(readOnly.reason._tag, "NotPrimary", readOnly.message)
        yield* sql`ALTER SYSTEM RESET default_transaction_read_only`
        yield* reload("default_transaction_read_only", "off")
        yield* sql`ALTER SYSTEM SET temp_file_limit = '64kB'`
        yield* reload("temp_file_limit", "64kB")
        const large = yield* Effect.flip(
          query(write, sql`SELECT count(*) FROM (SELECT g FROM generate_series(1, 2000000) g ORDER BY g DESC) s`)
        )
        assert.equal(large.reason._tag, "LimitExceeded", large.message)
        assert.equal(large.outcome, "not-applied")
        assert.deepEqual(yield* query(read, sql`SELECT count(*)::int AS n FROM t`), [{ n: 0 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(Effect.provide(clientOf(server.url)))
    })
  )
})
