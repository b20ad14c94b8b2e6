import { it } from "@effect/vitest"
import { Duration, Effect, Layer, Logger, Redacted, References } from "effect"
import assert from "node:assert/strict"
import { describe } from "vitest"
import { SlowQueryThreshold } from "../../../src/core/Instrumentation.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { summaryOf } from "../../../src/postgres/statements/StatementSummary.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import { describeLive } from "../../servers/index.ts"

const find = { operation: "Users.find", kind: "read" } as const

describe("the summary of a statement", () => {
  it("hides values in every form, and keeps names and parameters", () => {
    const cases: ReadonlyArray<readonly [statement: string, summary: string]> = [
      ["SELECT  *\n FROM t -- it's all\n WHERE a = $1", "SELECT * FROM t WHERE a = $1"],
      ["SELECT 'it''s', E'a\\'b', 'c' FROM t", "SELECT '…', '…', '…' FROM t"],
      [`SELECT "it's" FROM "t""u" WHERE x = 'y'`, `SELECT "it's" FROM "t""u" WHERE x = '…'`],
      ["DO $body$ BEGIN 'x'; $1 END $body$; SELECT $$y$$, $2", "DO '…'; SELECT '…', $2"],
      ["SELECT /* don't */ 7", "SELECT …"],
      [
        'SELECT t1.a2, é3, "4", $5, $16::int4 FROM t1 LIMIT 10 OFFSET +2',
        'SELECT t1.a2, é3, "4", $5, $16::int4 FROM t1 LIMIT … OFFSET +…'
      ],
      ["VALUES (12345, -1.5e3, .5, 1., 2E-7, 0x1F, 1_000)", "VALUES (…, -…, …, …, …, …, …)"],
      ["SELECT a[1], 3+4, 5-6", "SELECT a[…], …+…, …-…"],
      ["ALTER ROLE app PASSWORD 's3cret", "ALTER ROLE app PASSWORD '…'"],
      ["DO $$ no end", "DO '…'"]
    ]
    for (const [statement, summary] of cases) assert.equal(summaryOf(statement), summary)
    assert.equal(summaryOf(`SELECT ${"x, ".repeat(200)}y`).length, 200)
  })
})

describeLive("postgresql", "statements in the log", (url) => {
  const logged = <A, E>(
    level: "Debug" | "Info",
    slowMillis: number,
    work: Effect.Effect<A, E, PostgresClient.PostgresClient | Transaction>
  ) =>
    Effect.gen(function* () {
      const lines: Array<{ level: string; text: string; statement: unknown }> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        const { statement } = fiber.getRef(References.CurrentLogAnnotations)
        const text = String(message).replace(/\d+ ms/, "N ms")
        if (statement !== undefined) lines.push({ level: logLevel, text, statement })
      })
      yield* work.pipe(
        Effect.provide(
          TransactionLive.layer.pipe(
            Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url!), minConnections: 0 }))
          )
        ),
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(SlowQueryThreshold, Duration.millis(slowMillis)),
        Effect.provideService(References.MinimumLogLevel, level)
      )
      return lines
    })

  const work = Effect.gen(function* () {
    const { keyed, query, sql } = yield* PostgresClient.PostgresClient
    const transaction = yield* Transaction
    yield* query(find, keyed`SELECT ${"a-secret"}::text AS v, 'another' FROM generate_series(1, 3)`)
    yield* Effect.ignore(sql`SELECT 1 / ${0}::int`)
    yield* transaction.run(query(find, sql`SELECT 7`))
  })

  it.live("at debug level: each with its operation, time and rows, and no value", () =>
    Effect.gen(function* () {
      const lines = yield* logged("Debug", 60_000, work)
      assert.deepEqual(lines, [
        {
          level: "Debug",
          text: "PostgreSQL Users.find: N ms, 3 rows",
          statement: "SELECT $1::text AS v, '…' FROM generate_series(…, …)"
        },
        { level: "Debug", text: "PostgreSQL statement: N ms, failed", statement: "SELECT … / $1::int" },
        { level: "Debug", text: "PostgreSQL Transaction: N ms, 0 rows", statement: "BEGIN" },
        { level: "Debug", text: "PostgreSQL Users.find: N ms, 1 rows", statement: "SELECT …" },
        { level: "Debug", text: "PostgreSQL Transaction: N ms, 0 rows", statement: "COMMIT" }
      ])
    })
  )

  it.live("above it: only what is slower than the threshold, as a warning", () =>
    Effect.gen(function* () {
      assert.deepEqual(yield* logged("Info", 60_000, work), [])
      const slow = Effect.gen(function* () {
        const { keyed, query, sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        yield* query(find, keyed`SELECT 1`)
        yield* query(find, keyed`SELECT pg_sleep(0.3), ${"a-secret"}::text`)
        yield* transaction.run(sql`SELECT pg_sleep(0.3)`)
      })
      assert.deepEqual(yield* logged("Info", 250, slow), [
        {
          level: "Warn",
          text: "PostgreSQL Users.find: N ms, 1 rows, slow",
          statement: "SELECT pg_sleep(…), $1::text"
        },
        { level: "Warn", text: "PostgreSQL Transaction: N ms, 1 rows, slow", statement: "SELECT pg_sleep(…)" }
      ])
    })
  )
})
