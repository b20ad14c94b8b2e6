import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { isStoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { describeOwned, type OwnServer, ownServer } from "../servers/index.ts"
import { untilAsleep } from "./activity.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const client = (server: OwnServer, options: Omit<Parameters<typeof PostgresClient.make>[0], "url"> = {}) =>
  Effect.provide(
    TransactionLive.layer.pipe(
      Layer.provideMerge(
        PostgresClient.layer({
          url: Redacted.make(server.url),
          minConnections: 1,
          maxConnections: 4,
          acquireTimeout: "5 seconds",
          connectTimeout: "3 seconds",
          ...options
        })
      )
    )
  )

describeOwned("postgresql", "PostgresClient and a server that fails", () => {
  it.live("down at start: Unavailable, which names host and port and no password", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* server.stop
      const url = server.url.replace(/\/\/[^@]*@/, "//someone:hunter2@")
      const error = yield* Effect.flip(
        Effect.scoped(PostgresClient.make({ url: Redacted.make(url), connectTimeout: "700 millis" }))
      )
      assert.ok(error._tag === "StoreError" && error.reason._tag === "Unavailable", error.message)
      assert.equal(error.reason.port, server.port)
      assert.ok(error.message.includes(`${error.reason.host}:${server.port}`))
      assert.ok(!JSON.stringify(error).includes("hunter2"))
    })
  )

  it.live("down, then up within the deadline: the program starts", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* server.stop
      const program = yield* Effect.forkChild(
        Effect.gen(function* () {
          const { sql } = yield* PostgresClient.PostgresClient
          return yield* sql`SELECT 4 AS n`
        }).pipe(client(server, { connectTimeout: "20 seconds" }))
      )
      yield* Effect.sleep("500 millis")
      yield* server.restart
      assert.deepEqual(yield* Fiber.join(program), [{ n: 4 }])
    })
  )

  it.live("killed in a call: ConnectionLost, unknown for a write; the same layer works once it is back", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        yield* sql`CREATE TABLE t (id int)`
        const writing = yield* Effect.forkChild(
          Effect.flip(query(write, sql`INSERT INTO t SELECT 1 FROM pg_sleep(30)`))
        )
        yield* untilAsleep(sql)
        yield* server.kill
        const error = yield* Fiber.join(writing)
        assert.equal(error.reason._tag, "ConnectionLost")
        assert.equal(error.outcome, "unknown")
        yield* server.restart
        assert.deepEqual(yield* query(read, sql`SELECT count(*)::int AS n FROM t`), [{ n: 0 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(client(server))
    })
  )

  it.live("killed inside a transaction: a typed failure, never a defect", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const transaction = yield* Transaction
        yield* sql`CREATE TABLE t (id int)`
        const exit = yield* Effect.exit(
          transaction.run(
            Effect.gen(function* () {
              yield* query(write, sql`INSERT INTO t VALUES (1)`)
              yield* server.kill
              yield* query(write, sql`INSERT INTO t VALUES (2)`)
            })
          )
        )
        assert.ok(Exit.isFailure(exit))
        assert.ok(!Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
        yield* server.restart
        assert.deepEqual(yield* query(read, sql`SELECT count(*)::int AS n FROM t`), [{ n: 0 }])
        assert.equal((yield* stats).inUse, 0)
      }).pipe(client(server))
    })
  )

  it.live("every connection terminated by an administrator: the next calls succeed", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      yield* Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient.PostgresClient
        yield* Effect.forEach([1, 2, 3, 4], () => sql`SELECT pg_sleep(0.05)`, { concurrency: "unbounded" })
        yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
        const answers = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) => query(read, sql`SELECT ${n}::int AS n`), {
          concurrency: "unbounded"
        })
        assert.deepEqual(
          answers.flat(),
          [1, 2, 3, 4, 5, 6].map((n) => ({ n }))
        )
      }).pipe(client(server))
    })
  )

  it.live("read-only: NotPrimary, not applied, reads go on; the same layer writes once the server does", () =>
    Effect.gen(function* () {
      const server = yield* ownServer("postgresql")
      const app: OwnServer = { ...server, url: server.url.replace(/[^/]*$/, "app") }
      const asOwner = (at: OwnServer, statement: string) =>
        Effect.flatMap(PostgresClient.PostgresClient, ({ sql }) => sql.unsafe(statement)).pipe(client(at))
      yield* asOwner(server, "create database app")
      yield* asOwner(app, "create table kept as select 1 as n")
      // As where a server lost its role: sessions that are opened from now on may only read, for as long as they last.
      yield* asOwner(server, "alter database app set default_transaction_read_only = on")
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const { run } = yield* Transaction
        const insert = query(write, sql`insert into kept values (2)`)
        const count = Effect.map(sql<{ readonly n: bigint }>`select count(*) as n from kept`, ([row]) => Number(row?.n))
        const refused = Effect.map(Effect.flip(insert), (error) => {
          assert.ok(error._tag === "StoreError" && error.reason._tag === "NotPrimary", error.message)
          assert.deepEqual([error.reason.code, error.outcome, error.retry], ["25006", "not-applied", "reconnect"])
        })
        yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => refused, { concurrency: "unbounded" })
        const inside = yield* Effect.flip(run(Effect.andThen(insert, insert)))
        assert.ok(inside._tag === "StoreError" && inside.reason._tag === "NotPrimary", inside.message)
        assert.equal(yield* count, 1)
        yield* asOwner(server, "alter database app reset default_transaction_read_only")
        // The sessions of before still may not write; each that refuses is not lent again, so that few retries are enough.
        const advised = { times: 4, while: (error: unknown) => isStoreError(error) && error.isRetryable() }
        yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => Effect.retry(insert, advised), {
          concurrency: "unbounded"
        })
        yield* run(Effect.andThen(insert, insert))
        assert.equal(yield* count, 11)
        assert.equal((yield* stats).inUse, 0)
      }).pipe(client(app))
    })
  )
})
