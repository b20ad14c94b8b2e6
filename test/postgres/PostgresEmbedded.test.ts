import { afterAll, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Redacted, Stream } from "effect"
import * as assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { vi } from "vitest"
import { within } from "../../src/core/Deadline.ts"
import { isStoreError } from "../../src/core/StoreError.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"

const folder = mkdtempSync(join(tmpdir(), "ai-core-pglite-"))
afterAll(() => rmSync(folder, { recursive: true }))

const one = { operation: "test", kind: "read" } as const

const usersInFolder = () =>
  UsersLive.layer.pipe(
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provide(PostgresEmbedded.layer({ dataFolder: join(folder, "data") }))
  )

describe("PostgresEmbedded", () => {
  it.layer(Layer.provideMerge(TransactionLive.layer, PostgresEmbedded.layer({ acquireTimeout: "5 seconds" })), {
    excludeTestServices: true,
    timeout: "1 minute"
  })("one engine in memory", (it) => {
    it.effect("answers through the same client", () =>
      Effect.gen(function* () {
        const { endpoint, keyed, ping, query, sql, stats } = yield* PostgresClient
        yield* ping
        assert.deepEqual(yield* query(one, sql`select ${41}::int + 1 as n, ${"text"}::text as t`), [
          { n: 42, t: "text" }
        ])
        assert.deepEqual(yield* query(one, keyed`select 1 as n`), [{ n: 1 }])
        assert.equal(endpoint.store, "postgresql")
        assert.equal((yield* stats).max, 1)
      })
    )

    it.effect("texts larger than any buffer pass both ways", () =>
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient
        const text = "0123456789".repeat(300_000)
        assert.deepEqual(yield* query(one, sql`select length(${text}) as n`), [{ n: text.length }])
        const [row] = yield* query(one, sql<{ readonly t: string }>`select repeat('ab', 1500000) as t`)
        assert.equal(row?.t, "ab".repeat(1_500_000))
      })
    )

    it.effect("many callers at once are answered each with their own, failures between them", () =>
      Effect.gen(function* () {
        const { keyed, query } = yield* PostgresClient
        const answers = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, i) => i),
          (i): Effect.Effect<unknown, unknown> =>
            i % 7 === 3
              ? Effect.map(Effect.flip(query(one, keyed`select 1 / ${0}::int as n`)), ({ reason }) => reason._tag)
              : Effect.map(query(one, keyed<{ readonly n: number }>`select ${i}::int as n`), ([row]) => row?.n),
          { concurrency: 60 }
        )
        assert.deepEqual(
          answers,
          Array.from({ length: 60 }, (_, i) => (i % 7 === 3 ? "InvalidData" : i))
        )
      })
    )

    it.effect("a failure has code, statement and position", () =>
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient
        const error = yield* Effect.flip(query(one, sql`select * from missing`))
        assert.ok(error.reason._tag === "InvalidStatement")
        assert.equal(error.reason.code, "42P01")
        assert.equal(error.statement?.text.slice(error.statement.position), "missing")
      })
    )

    it.effect("an interrupted transaction is rolled back, and the engine goes on", () =>
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient
        const transaction = yield* Transaction
        yield* query({ operation: "test", kind: "write" }, sql`create table kept (n int)`)
        const fiber = yield* Effect.forkChild(
          transaction.run(Effect.andThen(sql`insert into kept values (1)`, Effect.never))
        )
        yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(fiber)
        assert.deepEqual(yield* query(one, sql`select n from kept`), [])
      })
    )

    it.effect("a statement interrupted on its way does the session no harm", () =>
      Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient
        for (let i = 0; i < 10; i++) {
          const fiber = yield* Effect.forkChild(query(one, sql`select count(*) from generate_series(1, 20000)`))
          for (let turn = 0; turn < i; turn++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          assert.deepEqual(yield* query(one, sql`select ${i}::int as n`), [{ n: i }])
        }
        assert.equal((yield* stats).inUse, 0)
      })
    )

    it.effect("whoever waits for the one connection too long is told", () =>
      Effect.gen(function* () {
        const { query, sql } = yield* PostgresClient
        const transaction = yield* Transaction
        const holder = yield* Effect.forkChild(transaction.run(Effect.andThen(sql`select 1`, Effect.never)))
        yield* Effect.sleep("50 millis")
        const error = yield* Effect.flip(
          query({ operation: "test", kind: "write" }, sql`select 2`).pipe(within("300 millis"))
        )
        assert.ok(error.reason._tag === "PoolExhausted")
        assert.equal(error.reason.limit, 1)
        yield* Fiber.interrupt(holder)
        assert.deepEqual(yield* query(one, sql`select 3 as n`), [{ n: 3 }])
      })
    )

    it.effect("rows may be streamed by Effect's own client", () =>
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient
        const sum = yield* sql<{ readonly n: number }>`select n from generate_series(1, 5000) as n`.stream.pipe(
          Stream.runFold(
            () => 0,
            (total, { n }) => total + n
          )
        )
        assert.equal(sum, 12_502_500)
      })
    )
  })

  it.effect(
    "a data folder keeps what was stored",
    () =>
      Effect.gen(function* () {
        const user = yield* Users.use((users) =>
          users.create({ email: "kept@example.com", username: "kept", passwordHash: Redacted.make("$hash") })
        ).pipe(Effect.provide(usersInFolder()))
        const found = yield* Users.use((users) => users.findByEmail("kept@example.com")).pipe(
          Effect.provide(usersInFolder())
        )
        assert.deepEqual(found, Option.some(user))
      }),
    60_000
  )

  it.live(
    "a data folder is one layer's at a time, and is free again once that one has closed",
    () =>
      Effect.gen(function* () {
        const dataFolder = join(folder, "made", "with", "its", "parents")
        const opened = PostgresEmbedded.layer({ dataFolder })
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* Layer.build(Layer.fresh(opened))
            const error = yield* Effect.flip(Effect.scoped(Layer.build(Layer.fresh(opened))))
            assert.ok(error._tag === "StoreError" && error.reason._tag === "Unavailable")
            assert.match(error.message, /is in use by this process/)
          })
        )
        // What a process that is gone has left behind is taken over.
        writeFileSync(`${dataFolder}.lock`, "999999999")
        yield* Effect.scoped(Layer.build(Layer.fresh(opened)))
      }),
    60_000
  )

  it.effect(
    "a folder that cannot be one is told",
    () =>
      Effect.gen(function* () {
        const file = join(folder, "file")
        writeFileSync(file, "")
        const error = yield* Effect.flip(Layer.build(PostgresEmbedded.layer({ dataFolder: file })))
        assert.ok(isStoreError(error) && error.reason._tag === "Unavailable")
        assert.match(error.reason.detail ?? "", /cannot be made or locked/)
      }),
    60_000
  )

  it.effect("a missing package is told, with the command that installs it", () =>
    Effect.gen(function* () {
      vi.doMock("@electric-sql/pglite", () => {
        throw Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" })
      })
      const error = yield* Effect.flip(Layer.build(PostgresEmbedded.layer()))
      vi.doUnmock("@electric-sql/pglite")
      assert.ok(isStoreError(error) && error.reason._tag === "Unavailable")
      assert.match(error.reason.detail ?? "", /npm install @electric-sql\/pglite/)
    })
  )
})
