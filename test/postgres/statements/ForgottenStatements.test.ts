import { it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { isStoreError } from "../../../src/core/StoreError.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as Tenant from "../../../src/postgres/Tenant.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

describeLive("postgresql", "transactions after the server has forgotten its prepared statements", () => {
  const scene = Effect.gen(function* () {
    const { query, sql, stats } = yield* PostgresClient.PostgresClient
    const transaction = yield* Transaction
    yield* sql`CREATE TABLE t (id int)`
    const insert = (id: number) => query(write, sql`INSERT INTO t SELECT ${id}::int`)
    const forget = sql`DEALLOCATE ALL`.unprepared
    const ids = Effect.map(query(read, sql<{ id: number }>`SELECT id FROM t ORDER BY id`), (rows) =>
      rows.map(({ id }) => id)
    )
    return { forget, ids, insert, query, sql, stats, transaction }
  })

  it.live("one that cannot commit for it is not applied, and leaves nothing open", () =>
    Effect.gen(function* () {
      const { forget, ids, insert, stats, transaction } = yield* scene
      yield* transaction.run(insert(1))
      const error = yield* Effect.flip(transaction.run(Effect.andThen(insert(2), forget), { retry: false }))
      assert.ok(isStoreError(error))
      assert.deepEqual(
        [error.operation, error.reason._tag, error.outcome, error.retry],
        ["Transaction.commit", "Conflict", "not-applied", "transaction"]
      )
      yield* insert(3)
      yield* transaction.run(insert(4))
      assert.deepEqual(yield* ids, [1, 3, 4])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("one that cannot commit for it is run again, and applied once", () =>
    Effect.gen(function* () {
      const { forget, ids, insert, stats, transaction } = yield* scene
      yield* transaction.run(insert(1))
      let runs = 0
      const counted = Effect.suspend(() => {
        runs++
        return insert(2)
      })
      yield* transaction.run(Effect.andThen(counted, forget))
      assert.deepEqual([runs, yield* ids], [2, [1, 2]])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("it takes nobody with it who waits", () =>
    Effect.gen(function* () {
      const { forget, ids, insert, stats, transaction } = yield* scene
      yield* transaction.run(insert(1))
      const waiting = Effect.repeat(stats, { until: ({ waiting }) => waiting === 2 })
      const forgetful = insert(2).pipe(Effect.andThen(forget), Effect.andThen(waiting))
      const first = Effect.exit(transaction.run(forgetful, { retry: false }))
      const all = [first, transaction.run(insert(3)), transaction.run(insert(4))]
      yield* Effect.all(all, { concurrency: "unbounded" })
      assert.deepEqual(yield* ids, [1, 3, 4])
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("one that is rolled back leaves nothing open", () =>
    Effect.gen(function* () {
      const { forget, ids, insert, transaction } = yield* scene
      yield* Effect.exit(transaction.run(Effect.andThen(insert(1), Effect.fail("undone"))))
      yield* Effect.exit(transaction.run(Effect.andThen(forget, Effect.fail("undone"))))
      yield* insert(2)
      assert.deepEqual(yield* ids, [2])
    }).pipe(Effect.provide(freshClient(1)))
  )

  it.live("one of a tenant is the tenant's", () =>
    Effect.gen(function* () {
      const { forget, query, sql, transaction } = yield* scene
      const tenant = Effect.map(
        query(read, sql<{ tenant: string | null }>`SELECT current_setting('ai_core.tenant', true) AS tenant`),
        ([row]) => row?.tenant
      )
      yield* transaction.run(Effect.void)
      yield* forget
      assert.equal(yield* transaction.run(tenant).pipe(Tenant.within("acme")), "acme")
      yield* forget
      assert.equal(yield* tenant.pipe(Tenant.within("acme")), "acme")
    }).pipe(Effect.provide(freshClient(1)))
  )
})
