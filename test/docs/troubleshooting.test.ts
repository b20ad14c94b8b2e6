import { it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Redacted, Stream } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe } from "vitest"
import { within } from "../../src/core/Deadline.ts"
import { SlowQueryThreshold } from "../../src/core/Instrumentation.ts"
import { isStoreError, type StoreError } from "../../src/core/StoreError.ts"
import { render } from "../../src/core/StoreErrorReport.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describePooled, pgbouncer } from "../postgres/pgbouncer.ts"
import { hasOpenssl, query as ask, tlsServer } from "../postgres/session/tlsServer.ts"
import { describeLive, describeOwned, freshPostgres, ownServer } from "../servers/index.ts"

const guide = readFileSync(new URL("../../docs/guides/troubleshooting.md", import.meta.url), "utf8")
const quoted = [...guide.matchAll(/```\n([\s\S]*?)\n```/g)].map(([, text]) => text!)

/** What is measured, numbered by the run or chosen by the system has a sign in its place. */
const plain = (text: string): string =>
  text
    .trim()
    .replaceAll(/\b\d+ ms\b/g, "… ms")
    .replaceAll(/#\d+/g, "#…")
    .replaceAll(/\b\d+ waiting\b/g, "… waiting")
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:…")

const shown = new Map(quoted.map((text) => [plain(text), text]))
const made = new Set<string>()

/** Scenes that were played; where there is no server, PgBouncer or openssl, some are not. */
let scenes = 0
const scene = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    scenes++
    return effect
  })

/** Fails unless the guide quotes one of these. */
const isQuoted = (texts: ReadonlyArray<string>): void => {
  const found = texts.map(plain).find((text) => shown.has(text))
  assert.ok(found !== undefined, `the guide does not quote ${texts[0]}`)
  made.add(found)
}

const reportIsQuoted = (errors: ReadonlyArray<unknown>): void =>
  isQuoted(errors.map((error) => (isStoreError(error) ? render(error) : String(error))))

const find = { operation: "Users.findById", kind: "read" } as const
const monthly = { operation: "Reports.monthly", kind: "read" } as const
const short = (client: PostgresClient.PostgresClient["Service"]) =>
  client.query(find, client.sql`SELECT pg_sleep(0.02)`)

type Options = Partial<Parameters<typeof PostgresClient.layer>[0]>

const clientOf = (url: string, options: Options = {}) =>
  TransactionLive.layer.pipe(
    Layer.provideMerge(
      PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, shutdownTimeout: "100 millis", ...options })
    ),
    Layer.provide(Layer.succeed(SlowQueryThreshold, Duration.seconds(1)))
  )

/** What so many callers at once fail with, a few at a time, so that the pool is not seen in one moment only. */
const failures = <A, R>(count: number, call: Effect.Effect<A, StoreError, R>) =>
  Effect.map(
    Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      (i) => Effect.delay(Effect.result(call), (i % 20) * 10),
      { concurrency: "unbounded" }
    ),
    (results) => results.flatMap((result) => (result._tag === "Failure" ? [result.failure] : []))
  )

/** Runs an effect; gives the lines that were logged, as logfmt, without time and fiber. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  const keep = Logger.map(Logger.formatLogFmt, (line) => {
    lines.push(line.replace(/timestamp=\S+ /, "").replace(/ ?fiber=\S+/, ""))
  })
  return Effect.as(Effect.provide(effect, Logger.layer([keep])), lines)
}

describeLive("postgresql", "the guide to troubleshooting quotes what happens", (url) => {
  it.live("PoolExhausted (leaked), and the line that was logged before", () =>
    scene(
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            const client = yield* PostgresClient.PostgresClient
            const { run } = yield* Transaction
            const invoice = client.sql`SELECT * FROM generate_series(1, ${10}::int) AS invoice WHERE invoice = ${7}`
            const leak = run(
              Effect.andThen(client.query({ operation: "Invoices.find", kind: "read" }, invoice), Effect.never)
            )
            yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(leak))
            yield* Effect.sleep("2100 millis")
            reportIsQuoted(yield* failures(500, short(client)))
          }).pipe(
            Effect.provide(
              clientOf(url!, { maxConnections: 5, acquireTimeout: "1 second", leakDetectionThreshold: "1.5 seconds" })
            ),
            Effect.scoped
          )
        )
        isQuoted(lines.filter((line) => line.includes("leaked")))
      })
    )
  )

  it.live("PoolExhausted (slow), and the line of a slow statement", () =>
    scene(
      Effect.gen(function* () {
        const lines = yield* logged(
          Effect.gen(function* () {
            const client = yield* PostgresClient.PostgresClient
            yield* client.query(monthly, client.sql`SELECT pg_sleep(1.2), ${"may"}::text AS month`)
            yield* Effect.forEach([1, 2], () =>
              Effect.forkChild(client.query(monthly, client.sql`SELECT pg_sleep(20)`))
            )
            yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 2 })
            reportIsQuoted(yield* failures(1, short(client)))
          }).pipe(Effect.provide(clientOf(url!, { maxConnections: 2, acquireTimeout: "1.5 seconds" })))
        )
        isQuoted(lines.filter((line) => line.includes("slow")))
      })
    )
  )

  it.live("PoolExhausted (saturated)", () =>
    scene(
      Effect.gen(function* () {
        reportIsQuoted(yield* failures(200, short(yield* PostgresClient.PostgresClient)))
      }).pipe(Effect.provide(clientOf(url!, { maxConnections: 2, acquireTimeout: "300 millis" })))
    )
  )

  it.live("InvalidStatement: BEGIN over a shared connection", () =>
    scene(
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        reportIsQuoted([yield* Effect.flip(query({ operation: "Invoices.close", kind: "write" }, sql`BEGIN`))])
      }).pipe(Effect.provide(clientOf(url!)))
    )
  )

  it.live("Raised: by a trigger", () =>
    scene(
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        yield* sql`CREATE TABLE orders (name text)`
        yield* sql.unsafe(`CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          RAISE EXCEPTION 'order % is closed', NEW.name USING ERRCODE = 'OR001'; END $$`)
        yield* sql`CREATE TRIGGER closed BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION closed()`
        const add = sql`INSERT INTO orders VALUES (${"may"})`
        reportIsQuoted([yield* Effect.flip(query({ operation: "Orders.add", kind: "write" }, add))])
      }).pipe(Effect.provide(Layer.unwrap(Effect.map(freshPostgres, clientOf))))
    )
  )

  it.live("Unavailable: nobody listens, and somebody who says nothing", () =>
    scene(
      Effect.gen(function* () {
        const proxy = yield* TcpProxy.forUrl(url!)
        yield* Effect.gen(function* () {
          const client = yield* PostgresClient.PostgresClient
          const call = Effect.flip(client.query(find, client.sql`SELECT 1`))
          yield* proxy.refuse
          yield* proxy.reset()
          yield* Effect.sleep("100 millis")
          reportIsQuoted([yield* call.pipe(within("1 second"))])
          yield* proxy.hang
          yield* proxy.reset()
          yield* Effect.sleep("100 millis")
          reportIsQuoted([yield* call.pipe(within("1 second"))])
        }).pipe(Effect.provide(clientOf(proxy.url, { connectTimeout: "20 seconds" })))
      })
    )
  )
})

describe("the guide to troubleshooting quotes what no server is asked for", () => {
  it.live("InvalidData: a parameter of the URL that is not known", () =>
    scene(
      Effect.gen(function* () {
        const url = "postgresql://app@db1/shop?target_session_attrs=read-write"
        reportIsQuoted([yield* Effect.flip(Layer.build(clientOf(url)))])
      })
    )
  )
})

describeOwned("postgresql", "the guide to troubleshooting quotes what a server of its own does", () => {
  it.live("PoolExhausted (unreachable)", () =>
    scene(
      Effect.gen(function* () {
        const server = yield* ownServer("postgresql")
        yield* ask(server.url, ({ sql }) => sql`CREATE ROLE few LOGIN CONNECTION LIMIT 2`)
        yield* Effect.gen(function* () {
          const client = yield* PostgresClient.PostgresClient
          yield* Effect.forEach([1, 2], () =>
            Effect.forkChild(Effect.scoped(Effect.andThen(client.sql.reserve, Effect.never)))
          )
          yield* Effect.repeat(client.stats, { until: ({ inUse }) => inUse === 2 })
          reportIsQuoted(yield* failures(1, short(client)))
        }).pipe(
          Effect.provide(
            clientOf(server.url.replace("postgres@", "few@"), { maxConnections: 5, acquireTimeout: "1.5 seconds" })
          )
        )
      })
    )
  )

  describe.skipIf(!hasOpenssl)("with openssl", () => {
    it.live("Unavailable: a certificate that is not for the host", () =>
      scene(
        Effect.gen(function* () {
          const { authority, url } = yield* tlsServer
          const wrong = url("127.0.0.1", { sslmode: "verify-full", sslrootcert: authority })
          reportIsQuoted([yield* Effect.flip(ask(wrong, ({ sql }) => sql`SELECT 1`))])
        })
      )
    )
  })
})

describePooled("the guide to troubleshooting quotes what happens behind PgBouncer", (url) => {
  it.live("what the pooler does not take, and what needs a session", () =>
    scene(
      Effect.gen(function* () {
        const pooled = yield* pgbouncer(url)
        reportIsQuoted([yield* Effect.flip(Layer.build(clientOf(pooled)))])
        yield* Effect.gen(function* () {
          const { listen } = yield* PostgresClient.PostgresClient
          reportIsQuoted([yield* Effect.flip(Stream.runDrain(listen("jobs")))])
        }).pipe(Effect.provide(clientOf(pooled, { pooler: "transaction" })))
      })
    )
  )
})

describe("the guide to troubleshooting", () => {
  it("quotes nothing that was not seen", ({ skip }) => {
    skip(scenes < 9, "not everything that it tells of can be made here")
    assert.deepEqual(
      [...shown].filter(([text]) => !made.has(text)).map(([, text]) => text),
      []
    )
  })
})
