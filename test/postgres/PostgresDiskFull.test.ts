import { it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { isStoreError, type StoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { describeSmallDisk, postgresWithSmallDisk } from "../servers/smallDisk.ts"

const write = { operation: "Test.write", kind: "write" } as const

const isFull = (error: unknown): StoreError => {
  assert.ok(isStoreError(error), String(error))
  assert.deepEqual(
    [error.reason._tag, "code" in error.reason ? error.reason.code : undefined, error.outcome, error.retry],
    ["ResourceExhausted", "53100", "not-applied", "slowly"]
  )
  return error
}

describeSmallDisk("PostgresClient and a disk that is full", () => {
  it.live("the disk is full: ResourceExhausted, not applied, nothing stored; with room the same client works on", () =>
    Effect.gen(function* () {
      const { disk, url } = yield* postgresWithSmallDisk
      yield* Effect.gen(function* () {
        const { query, sql, stats } = yield* PostgresClient.PostgresClient
        const { run } = yield* Transaction
        const count = (table: string) =>
          Effect.map(sql<{ readonly n: bigint }>`select count(*) as n from ${sql(table)}`, ([row]) => Number(row?.n))
        const insert = (table: string) => sql`insert into ${sql(table)} values (repeat('x', 1000))`

        yield* sql.unsafe(`create tablespace small location '${disk}'`)
        yield* sql`create table roomy (text text)`
        for (const table of ["filler", "kept", "first"]) {
          yield* sql`create table ${sql(table)} (text text) with (autovacuum_enabled = off) tablespace small`
        }
        yield* query(write, insert("kept"))

        const fill = sql`insert into filler select repeat('x', 1000) from generate_series(1, 20000)`
        const error = isFull(yield* Effect.flip(query(write, fill)))
        assert.match(error.message, /No space left on device|could not extend/)
        assert.deepEqual([yield* count("filler"), yield* count("kept")], [0, 1])

        // What the failed statement had written stays until somebody clears it away: one row more is too much.
        isFull(yield* Effect.flip(query(write, insert("first"))))
        const both = Effect.andThen(query(write, insert("roomy")), query(write, insert("first")))
        isFull(yield* Effect.flip(run(both)))
        const many = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          () => Effect.flip(query(write, insert("first"))),
          { concurrency: "unbounded" }
        )
        many.forEach(isFull)
        assert.deepEqual([yield* count("first"), yield* count("roomy"), yield* count("kept")], [0, 0, 1])
        const { inUse, size, waiting } = yield* stats
        assert.ok(inUse === 0 && waiting === 0 && size >= 1 && size <= 3, `${inUse} of ${size}, ${waiting} waiting`)

        yield* query(write, sql`drop table filler`)
        yield* query(write, insert("first"))
        yield* run(both)
        assert.deepEqual([yield* count("first"), yield* count("roomy"), yield* count("kept")], [2, 1, 1])
      }).pipe(
        Effect.provide(
          TransactionLive.layer.pipe(
            Layer.provideMerge(PostgresClient.layer({ url: Redacted.make(url), minConnections: 1, maxConnections: 3 }))
          )
        )
      )
    })
  )
})
