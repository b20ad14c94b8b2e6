import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Stream } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"
import assert from "node:assert/strict"
import { within } from "../../../src/core/Deadline.ts"
import { isStoreError, type StoreError } from "../../../src/core/StoreError.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../../src/postgres/PostgresEmbedded.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../../src/postgres/TransactionLive.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const storeError = (error: SqlError | StoreError): StoreError => {
  const found = isStoreError(error) ? error : error.reason.cause
  assert.ok(isStoreError(found), String(error))
  return found
}

const refused = (error: SqlError | StoreError, detail: RegExp): void => {
  const { outcome, reason, statement } = storeError(error)
  assert.ok(reason._tag === "InvalidStatement", String(error))
  assert.equal(outcome, "not-applied")
  assert.match(reason.detail ?? "", detail)
  assert.notEqual(statement?.text ?? "", "")
}

/** What leaves something in the session that the next caller would find. */
const lasting = [
  "set search_path to pg_temp",
  "set session statement_timeout = 0",
  "prepare p as select 1",
  "create temp table passing (n int)",
  "declare c cursor with hold for select 1"
]

const suite = (client: Layer.Layer<Postgres.PostgresTags, unknown>) => {
  const layer = TransactionLive.layer.pipe(Layer.provideMerge(client))

  const table = Effect.gen(function* () {
    const found = yield* Postgres.PostgresClient
    yield* found.sql`create table if not exists kept (n int)`
    yield* found.sql`truncate kept`
    const stored = Effect.map(found.sql<{ n: number }>`select n from kept order by n`, (rows) => rows.map(({ n }) => n))
    /** The connection, told by what only its session has. */
    const pid = Effect.map(
      found.sql<{ at: string }>`select backend_start::text as at from pg_stat_activity
      where pid = pg_backend_pid()`,
      ([row]) => row?.at
    )
    const pathOf = Effect.map(
      found.query(read, found.sql<{ path: string }>`select current_setting('search_path') as path`),
      ([row]) => row?.path
    )
    return { ...found, stored, pid, pathOf, path: yield* pathOf }
  })

  it.live(
    "BEGIN over a connection that is another's next is refused, however it is sent, and the next INSERT is stored",
    () =>
      Effect.gen(function* () {
        const { keyed, query, sql, stored } = yield* table
        const begin = sql.unsafe("/* x */ BEGIN")
        const ways: ReadonlyArray<Effect.Effect<unknown, SqlError | StoreError>> = [
          begin,
          begin.raw,
          begin.values,
          begin.unprepared,
          begin.valuesUnprepared,
          begin.withoutTransform,
          query(write, sql`BEGIN`),
          query(write, keyed`BEGIN`)
        ]
        for (const way of ways) refused(yield* Effect.flip(way), /use Transaction\.run, client\.unit, or sql\.reserve/)
        const { operation } = storeError(yield* Effect.flip(query(write, sql`COMMIT`)))
        assert.equal(operation, "Test.write")
        yield* sql`insert into kept values (1)`
        assert.deepEqual(yield* stored, [1])
      }).pipe(Effect.provide(layer))
  )

  it.live("a statement whose effect would last is refused, and says what to use; one that only clears is not", () =>
    Effect.gen(function* () {
      const { query, sql, unit } = yield* table
      const transaction = yield* Transaction
      for (const text of lasting) {
        const statement = (): Statement<object> => sql.unsafe<object>(text)
        refused(
          yield* Effect.flip(query(write, statement())),
          /last for whoever gets the connection next; use .+sql\.reserve/
        )
        refused(
          yield* Effect.flip(transaction.run(query(write, statement()))),
          /outlast the transaction around it; use /
        )
        refused(
          yield* Effect.flip(unit(write, [sql`select 1`, statement()])),
          /outlast the transaction around it; use /
        )
      }
      refused(yield* Effect.flip(query(write, sql`listen jobs`)), /PostgresClient\.listen/)
      for (const text of ["deallocate all", "reset all", "unlisten *", "set local search_path to pg_temp"]) {
        yield* sql.unsafe(text).unprepared
      }
    }).pipe(Effect.provide(layer))
  )

  it.live(
    "a transaction's end is its own: raw BEGIN, COMMIT and ROLLBACK inside are refused, savepoints and SET LOCAL are not",
    () =>
      Effect.gen(function* () {
        const { path, pathOf, query, sql, stored, unit } = yield* table
        const transaction = yield* Transaction
        yield* transaction.run(
          Effect.gen(function* () {
            yield* sql`insert into kept values (1)`
            for (const text of ["BEGIN", "COMMIT", "ROLLBACK", "commit and chain"]) {
              refused(
                yield* Effect.flip(query(write, sql.unsafe<object>(text))),
                /^the transaction around it commits where/
              )
            }
            yield* sql`savepoint mine`
            yield* sql`insert into kept values (2)`
            yield* sql`rollback to mine`
            yield* sql`set local search_path to pg_catalog, public`
            yield* sql`create temp table passing (n int) on commit drop`
            yield* sql`insert into kept values (3)`
          })
        )
        refused(
          yield* Effect.flip(unit(write, [sql`insert into kept values (4)`, sql`COMMIT`])),
          /^the transaction around/
        )
        refused(
          yield* Effect.flip(transaction.run(unit(write, [sql`insert into kept values (4)`, sql`COMMIT`]))),
          /^the transaction around/
        )
        assert.deepEqual(yield* stored, [1, 3])
        assert.equal(yield* pathOf, path)
      }).pipe(Effect.provide(layer))
  )

  it.live("a reserved connection whose transaction was left open is rolled back, and never another's", () =>
    Effect.gen(function* () {
      const { sql, stats, stored } = yield* table
      for (let round = 0; round < 20; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* sql.reserve
            yield* connection.execute("begin", [], undefined)
            yield* connection.execute("insert into kept values (-1)", [], undefined)
          })
        )
        yield* sql`insert into kept values (${round})`
      }
      assert.deepEqual(
        yield* stored,
        Array.from({ length: 20 }, (_, n) => n)
      )
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("a BEGIN that was asked for while a COMMIT was under way is rolled back as well", () =>
    Effect.gen(function* () {
      const { sql, stored } = yield* table
      const inOrder = (texts: ReadonlyArray<string>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* sql.reserve
            const send = (text: string) => connection.execute(text, [], undefined)
            yield* send("begin")
            yield* Effect.forEach(texts, send, { concurrency: "unbounded" })
            yield* send("insert into kept values (-1)")
          })
        )
      yield* inOrder(["commit", "begin"])
      assert.deepEqual(yield* stored, [])
      yield* inOrder(["commit", "begin", "rollback", "begin"])
      assert.deepEqual(yield* stored, [])
    }).pipe(Effect.provide(layer))
  )

  it.live("a reserved connection whose session was changed is never another's; its holder has it until then", () =>
    Effect.gen(function* () {
      const { path, sql, stats } = yield* table
      for (const text of lasting) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* sql.reserve
            yield* connection.executeUnprepared(text, [], undefined)
            assert.deepEqual(yield* connection.execute("select 1 as n", [], undefined), [{ n: 1 }])
          })
        )
        const left = yield* sql`select current_setting('search_path') as path,
          (select count(*)::int from pg_prepared_statements where name = 'p') as prepared,
          (select count(*)::int from pg_cursors where name = 'c') as cursors, to_regclass('passing')::text as passing`
        assert.deepEqual(left, [{ path, prepared: 0, cursors: 0, passing: null }], text)
      }
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(layer))
  )

  return { layer, table }
}

describeLive("postgresql", "what a caller leaves in a session", () => {
  const { layer, table } = suite(
    Layer.unwrap(
      Effect.map(freshPostgres, (url) =>
        Postgres.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 1, acquireTimeout: "2 seconds" })
      )
    )
  )

  it.live(
    "one that was left as it was found is lent again: ended transactions, streams, settings of a transaction",
    () =>
      Effect.gen(function* () {
        const { pid, sql } = yield* table
        const before = yield* pid
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* sql.reserve
            for (const text of ["begin", "set local work_mem = '8MB'", "savepoint a", "rollback to a", "commit"]) {
              yield* connection.execute(text, [], undefined)
            }
            yield* connection.execute("begin read only", [], undefined)
            yield* connection.execute("rollback", [], undefined)
            yield* connection.execute("reset all", [], undefined)
          })
        )
        yield* Stream.runDrain(sql`select generate_series(1, 1000)`.stream)
        assert.equal(yield* pid, before)
      }).pipe(Effect.provide(layer))
  )

  it.live("one whose COMMIT never came back is not lent again", () =>
    Effect.gen(function* () {
      const { pid, sql, stored } = yield* table
      const before = yield* pid
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* sql.reserve
          yield* connection.execute("begin", [], undefined)
          yield* connection.execute("insert into kept values (1)", [], undefined)
          yield* Effect.exit(connection.execute("commit", [], undefined).pipe(within("0 millis")))
        })
      )
      assert.notEqual(yield* pid, before)
      assert.deepEqual(yield* stored, [])
    }).pipe(Effect.provide(layer))
  )

  it.live("its holder is interrupted in the middle of a transaction of his own", () =>
    Effect.gen(function* () {
      const { sql, stats, stored } = yield* table
      const holder = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* sql.reserve
            yield* connection.execute("begin", [], undefined)
            yield* connection.execute("insert into kept values (1)", [], undefined)
            yield* connection.execute("select pg_sleep(20)", [], undefined)
          })
        )
      )
      yield* Effect.sleep("200 millis")
      yield* Fiber.interrupt(holder)
      yield* sql`insert into kept values (2)`
      assert.deepEqual(yield* stored, [2])
      assert.equal((yield* stats).inUse, 0)
    }).pipe(Effect.provide(layer))
  )

  it.live("a session of the client's own may be used as its holder likes", () =>
    Effect.gen(function* () {
      const { path, pathOf, session, sql, stored } = yield* table
      yield* Effect.scoped(
        Effect.gen(function* () {
          const own = yield* session
          yield* own.query(write, sql`begin`)
          yield* own.query(write, sql`insert into kept values (1)`)
          yield* own.query(write, sql`set search_path to pg_catalog, public`)
        })
      )
      assert.equal(yield* pathOf, path)
      assert.deepEqual(yield* stored, [])
    }).pipe(Effect.provide(layer))
  )
})

describe("what a caller leaves in the embedded engine's session", () => {
  suite(PostgresEmbedded.layer())
})
