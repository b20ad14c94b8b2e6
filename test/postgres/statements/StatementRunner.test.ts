import { it } from "@effect/vitest"
import { Effect, Layer, Redacted, Tracer } from "effect"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import assert from "node:assert/strict"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import { describeLive } from "../../servers/index.ts"

const read = { operation: "Test.read", kind: "read" } as const

describeLive("postgresql", "a statement that query runs", (url) => {
  const client = Effect.provide(
    TransactionLive.layer.pipe(
      Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url!), minConnections: 1, maxConnections: 4 }))
    )
  )

  it.live("has a span where a tracer is installed", () =>
    Effect.gen(function* () {
      const { keyed, query } = yield* PostgresClient.PostgresClient
      const ended: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          ended.push(span)
          return span
        }
      })
      assert.deepEqual(yield* Effect.withTracer(query(read, keyed`SELECT ${3}::int AS n`), tracer), [{ n: 3 }])
      assert.deepEqual(
        ended.map((span) => span.attributes.get("db.query.text")),
        ["SELECT $1::int AS n"]
      )
    }).pipe(client)
  )

  it.live("is what the transformer of the Context makes of it", () =>
    Effect.gen(function* () {
      const { keyed, query } = yield* PostgresClient.PostgresClient
      const rows = yield* Effect.provideService(
        query(read, keyed`SELECT 1 AS n`),
        Statement.CurrentTransformer,
        (_statement, sql) => Effect.succeed(sql`SELECT 2 AS n`)
      )
      assert.deepEqual(rows, [{ n: 2 }])
    }).pipe(client)
  )

  for (const kind of ["keyed", "sql"] as const) {
    it.live(`runs on the connection of the transaction around it: ${kind}`, () =>
      Effect.gen(function* () {
        const { [kind]: made, query, sql } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        const pid = query(read, made<{ pid: number }>`SELECT pg_backend_pid() AS pid, txid_current()::text AS id`)
        yield* transaction.run(
          Effect.gen(function* () {
            const own = yield* sql`SELECT pg_backend_pid() AS pid, txid_current()::text AS id`
            assert.deepEqual(yield* pid, own)
            yield* transaction.run(Effect.map(pid, (rows) => assert.deepEqual(rows, own)))
          })
        )
        assert.notDeepEqual(yield* pid, yield* pid, "each statement outside is a transaction of its own")
      }).pipe(client)
    )
  }

  it.live("of keyed shares its connection, of sql has one to itself", () =>
    Effect.gen(function* () {
      const { keyed, query, sql, stats } = yield* PostgresClient.PostgresClient
      const most = (statement: Statement.Statement<object>) =>
        Effect.gen(function* () {
          const seen = { inUse: 0 }
          yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => query(read, statement), {
            concurrency: "unbounded"
          }).pipe(
            Effect.raceFirst(
              Effect.forever(
                Effect.delay(
                  Effect.map(stats, ({ inUse, size }) => {
                    if (size === 1) seen.inUse = Math.max(seen.inUse, inUse)
                  }),
                  "1 millis"
                )
              )
            )
          )
          return seen.inUse
        })
      assert.equal(yield* most(keyed`SELECT pg_sleep(0.02)::text`), 1)
      assert.deepEqual((yield* stats).size, 1, "eight statements fit on one connection")
      yield* most(sql`SELECT pg_sleep(0.02)::text`)
      assert.deepEqual((yield* stats).size, 4)
    }).pipe(client)
  )

  it.live("fails as a StoreError that shows it, its values kept secret", () =>
    Effect.gen(function* () {
      const { keyed, query } = yield* PostgresClient.PostgresClient
      const error = yield* Effect.flip(query(read, keyed`SELECT ${"hunter2"}::int`))
      assert.equal(error.operation, "Test.read")
      assert.equal(error.statement?.text, "SELECT $1::int")
      assert.ok(!JSON.stringify(error).includes("hunter2"))
    }).pipe(client)
  )

  it.live("may hold what Effect's helpers make", () =>
    Effect.gen(function* () {
      const { keyed, query, sql } = yield* PostgresClient.PostgresClient
      const rows = yield* query(
        read,
        keyed`SELECT ${sql("n")}, ${sql.json({ a: [1] })}::jsonb AS j FROM (VALUES (1), (2), (3)) AS t (n)
          WHERE ${sql.and([sql.in("n", [2, 3]), sql`n < ${3}`])} AND 'a' = ${"a"}`
      )
      assert.deepEqual(rows, [{ n: 2, j: { a: [1] } }])
      assert.deepEqual(yield* query(read, keyed.unsafe("SELECT $1::int AS n, $2::text AS t", [4, "x"])), [
        { n: 4, t: "x" }
      ])
      assert.ok(SqlError.isSqlError(yield* Effect.flip(keyed`SELECT nothing`)))
    }).pipe(client)
  )
})
