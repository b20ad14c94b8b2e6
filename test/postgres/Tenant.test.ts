import { it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import assert from "node:assert/strict"
import { isStoreError, type StoreError } from "../../src/core/StoreError.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import * as Tenant from "../../src/postgres/Tenant.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { unique } from "../../src/testing/Contract.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"

const read = { operation: "Test.read", kind: "read" } as const
const write = { operation: "Test.write", kind: "write" } as const

const admin = (url: string) =>
  Effect.map(
    Layer.build(PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 2 })),
    (context) => context
  )

/** A database with a table that each tenant sees its own rows of, and a client of a role that owns nothing. */
const house = (maxConnections: number) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const url = yield* freshPostgres
      const role = (yield* unique("tenant_role")).replaceAll("-", "_")
      const owner = yield* admin(url)
      const { sql } = yield* Effect.provide(PostgresClient.PostgresClient, owner)
      yield* Effect.acquireRelease(sql.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`), () =>
        Effect.ignore(Effect.andThen(sql.unsafe(`DROP OWNED BY ${role}`), sql.unsafe(`DROP ROLE ${role}`)))
      )
      yield* sql`CREATE TABLE note (id int PRIMARY KEY, tenant text NOT NULL
        DEFAULT nullif(current_setting('ai_core.tenant', true), ''), body text)`
      yield* sql`ALTER TABLE note ENABLE ROW LEVEL SECURITY`
      yield* sql`ALTER TABLE note FORCE ROW LEVEL SECURITY`
      yield* sql`CREATE POLICY own_rows ON note
        USING (tenant = nullif(current_setting('ai_core.tenant', true), ''))`
      yield* sql.unsafe(`GRANT SELECT, INSERT, UPDATE, DELETE ON note TO ${role}`)
      yield* sql`INSERT INTO note (id, tenant, body) VALUES (1, 'a', 'of a'), (2, 'b', 'of b'), (3, 'b', 'of b')`
      const own = Object.assign(new URL(url), { username: role, password: "secret" }).href
      return TransactionLive.layer.pipe(
        Layer.provideMerge(
          PostgresClient.layer({
            url: Redacted.make(own),
            minConnections: 0,
            maxConnections,
            statementTimeout: "5 seconds"
          })
        )
      )
    })
  )

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<StoreError, unknown, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), String(error))
    return error
  })

const fieldsOf = ({ reason }: StoreError): ReadonlyArray<string> =>
  reason._tag === "InvalidData" ? reason.problems.map(({ field }) => field) : [reason._tag]

const idsBy = (client: "sql" | "keyed") =>
  Effect.flatMap(PostgresClient.PostgresClient, (postgres) =>
    Effect.map(postgres.query(read, postgres[client]<{ id: number }>`SELECT id FROM note ORDER BY id`), (rows) =>
      rows.map(({ id }) => id)
    )
  )

describeLive("postgresql", "Tenant on a server with row level security", () => {
  it.live("statements see their tenant's rows, inside a transaction and outside one; without a tenant none", () =>
    Effect.gen(function* () {
      const transaction = yield* Transaction
      for (const client of ["sql", "keyed"] as const) {
        const ids = idsBy(client)
        assert.deepEqual(yield* Tenant.within("a")(ids), [1])
        assert.deepEqual(yield* Tenant.within("b")(transaction.run(ids)), [2, 3])
        assert.deepEqual(yield* Tenant.within("b")(transaction.run(transaction.run(ids))), [2, 3])
        assert.deepEqual(yield* Tenant.within("nobody")(ids), [])
        assert.deepEqual(yield* ids, [])
        assert.deepEqual(yield* transaction.run(ids), [])
      }
    }).pipe(Effect.provide(house(2)))
  )

  it.live("a write outside a transaction is kept and belongs to its tenant; another's row cannot be written", () =>
    Effect.gen(function* () {
      const { keyed, query } = yield* PostgresClient.PostgresClient
      yield* Tenant.within("a")(query(write, keyed`INSERT INTO note (id, body) VALUES (4, 'new')`))
      assert.deepEqual(yield* Tenant.within("a")(idsBy("keyed")), [1, 4])
      const stolen = yield* failure(
        Tenant.within("a")(query(write, keyed`INSERT INTO note (id, tenant, body) VALUES (5, 'b', 'stolen')`))
      )
      assert.equal(stolen.reason._tag, "Forbidden")
      const updated = query(write, keyed`UPDATE note SET body = 'mine' WHERE id = 2 RETURNING id`)
      assert.deepEqual(yield* Tenant.within("a")(updated), [])
    }).pipe(Effect.provide(house(2)))
  )

  it.live("nothing is left on a connection that is used again: after success, failure, death and interruption", () =>
    Effect.gen(function* () {
      const { keyed, sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const left = Effect.gen(function* () {
        for (const client of [sql, keyed]) {
          const [row] = yield* client<{
            tenant: string | null
          }>`SELECT current_setting('ai_core.tenant', true) AS tenant`
          assert.ok(row?.tenant === null || row?.tenant === "", `tenant ${row?.tenant} is left`)
        }
        assert.deepEqual(yield* idsBy("sql"), [])
        assert.deepEqual(yield* idsBy("keyed"), [])
      })
      const asB = Tenant.within("b")
      yield* asB(transaction.run(idsBy("sql")))
      yield* left
      yield* Effect.exit(asB(transaction.run(Effect.andThen(idsBy("sql"), Effect.fail("stop")))))
      yield* left
      yield* Effect.exit(asB(transaction.run(Effect.andThen(idsBy("sql"), Effect.die("a bug")))))
      yield* left
      yield* Effect.exit(asB(sql`SELECT 1 / 0`))
      yield* left
      for (const slow of [sql`SELECT pg_sleep(5)`, keyed`SELECT pg_sleep(5)`]) {
        const fiber = yield* Effect.forkChild(asB(slow))
        yield* Effect.sleep("100 millis")
        yield* Fiber.interrupt(fiber)
        yield* left
      }
    }).pipe(Effect.provide(house(1)))
  )

  it.live("many tenants and none at once on few connections: each sees its own rows only", () =>
    Effect.gen(function* () {
      const transaction = yield* Transaction
      const expected = { a: [1], b: [2, 3], none: [] as ReadonlyArray<number> }
      const kinds = ["a", "b", "none"] as const
      yield* Effect.forEach(
        Array.from({ length: 300 }, (_, i) => i),
        (i) => {
          const who = kinds[i % 3] ?? "none"
          const ids = idsBy(i % 2 === 0 ? "keyed" : "sql")
          const work = i % 5 === 0 ? transaction.run(ids) : ids
          const asked = who === "none" ? work : Tenant.within(who)(work)
          // Some are given up in the middle, so that their connection comes back in a hurry.
          if (i % 7 === 0) return Effect.ignore(Effect.timeoutOption(asked, `${i % 4} millis`))
          return Effect.map(asked, (seen) => assert.deepEqual(seen, expected[who], `${who} saw ${seen.join()}`))
        },
        { concurrency: 40, discard: true }
      )
    }).pipe(Effect.provide(house(3)))
  )

  it.live("never may a statement run as somebody else: refused, and nothing is sent", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      const transaction = yield* Transaction
      const [asA, asB] = [Tenant.within("a"), Tenant.within("b")]
      const refused = (effect: Effect.Effect<unknown, unknown, PostgresClient.PostgresClient>) =>
        Effect.map(failure(effect), (error) => {
          assert.deepEqual(fieldsOf(error), ["tenant"])
          assert.equal(error.outcome, "not-applied")
        })
      yield* refused(asA(transaction.run(asB(idsBy("sql")))))
      yield* refused(asA(transaction.run(asB(transaction.run(Effect.void)))))
      yield* refused(transaction.run(asB(idsBy("keyed"))))
      yield* refused(asA(transaction.run(Effect.provideService(idsBy("sql"), Tenant.CurrentTenant, undefined))))
      yield* refused(Tenant.within("")(idsBy("sql")))
      yield* refused(Tenant.within("a\0b")(transaction.run(Effect.void)))
      for (const unscoped of [Stream.runDrain(sql`SELECT 1`.stream), Effect.scoped(sql.reserve)]) {
        const error = yield* Effect.flip(asA(unscoped))
        assert.ok(isStoreError(error.reason.cause) && fieldsOf(error.reason.cause)[0] === "tenant", error.message)
      }
      const streamed = asB(transaction.run(Stream.runCollect(sql<{ id: number }>`SELECT id FROM note`.stream)))
      assert.equal((yield* streamed).length, 2)
    }).pipe(Effect.provide(house(2)))
  )

  it.live("a tenant's id is a value, whatever is in it", () =>
    Effect.gen(function* () {
      const attack = "b', true); drop table note; --"
      assert.deepEqual(yield* Tenant.within(attack)(idsBy("sql")), [])
      const exit = yield* Effect.exit(Tenant.within("b")(idsBy("sql")))
      assert.deepEqual(exit, Exit.succeed([2, 3]))
    }).pipe(Effect.provide(house(2)))
  )
})
