import { describe, it } from "@effect/vitest"
import { Effect, Option, Schema } from "effect"
import * as assert from "node:assert/strict"
import { ConstraintViolated, isStoreError, StoreError, Timeout } from "../../../src/core/StoreError.ts"
import { makeContained } from "../../../src/postgres/repository/Contained.ts"
import { onConstraint } from "../../../src/postgres/repository/onConstraint.ts"
import { PostgresClient } from "../../../src/postgres/PostgresClient.ts"
import { rowReader, SafeInteger, Timestamp } from "../../../src/postgres/repository/Row.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

describe("onConstraint", () => {
  const violated = (constraint: string) =>
    new StoreError({
      store: "postgresql",
      operation: "test",
      outcome: "not-applied",
      reason: new ConstraintViolated({ kind: "unique", constraint })
    })
  const told = onConstraint({ a_key: () => "a is taken" as const, b_key: () => "b is taken" as const })

  it("tells a rule that it knows, and leaves every other failure", () => {
    assert.equal(told(violated("a_key")), "a is taken")
    assert.equal(told(violated("b_key")), "b is taken")
    const other = violated("c_key")
    assert.equal(told(other), other)
    // Not a rule, though an object has it.
    const inherited = violated("toString")
    assert.equal(told(inherited), inherited)
    const late = new StoreError({
      store: "postgresql",
      operation: "test",
      outcome: "unknown",
      reason: new Timeout({ afterMillis: 1 })
    })
    assert.equal(told(late), late)
    assert.equal(told("another error"), "another error")
  })
})

describeLive("postgresql", "Parts of repositories", () => {
  it.layer(freshClient(), { excludeTestServices: true })("on a server", (it) => {
    it.effect("rows are read as the driver gives them; what is wrong names row and column", () =>
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient
        const rows = rowReader(Schema.Struct({ n: SafeInteger, at: Timestamp }))
        const found = yield* rows.all("Test.all", yield* sql`select 9007199254740991::bigint n, now() at`)
        assert.equal(found[0]?.n, 9007199254740991)
        assert.deepEqual(yield* rows.option("Test.option", []), Option.none())
        const refused = (text: string) =>
          Effect.flip(Effect.flatMap(sql.unsafe(text), (wrong) => rows.all("Test.all", wrong)))
        const problems = (error: unknown) =>
          isStoreError(error) && error.reason._tag === "InvalidData"
            ? error.reason.problems.map(({ field }) => field)
            : error
        assert.deepEqual(problems(yield* refused("select 9007199254740992::bigint n, now() at")), ["[0].n"])
        assert.deepEqual(problems(yield* refused("select 1::bigint n, 'infinity'::timestamptz at")), ["[0].at"])
        assert.deepEqual(problems(yield* Effect.flip(rows.one("Test.one", []))), [""])
      })
    )

    it.effect(
      "a contained write that a rule refuses leaves the transaction usable; without it the transaction is lost",
      () =>
        Effect.gen(function* () {
          const client = yield* PostgresClient
          const transaction = yield* Transaction
          const contained = makeContained(client, transaction)
          const { sql } = client
          yield* sql`create table names (name text primary key)`
          const insert = (name: string) =>
            client.query({ operation: "Names.insert", kind: "write" }, sql`insert into names values (${name})`)
          yield* insert("ann")
          yield* transaction.run(
            Effect.gen(function* () {
              yield* insert("bob")
              const refused = yield* Effect.flip(contained(insert("ann")))
              assert.ok(isStoreError(refused) && refused.reason._tag === "ConstraintViolated")
              yield* contained(insert("cid"))
            })
          )
          const names = yield* sql<{ name: string }>`select name from names order by name`
          assert.deepEqual(
            names.map(({ name }) => name),
            ["ann", "bob", "cid"]
          )
          const lost = yield* Effect.flip(transaction.run(Effect.andThen(Effect.ignore(insert("ann")), insert("dan"))))
          assert.equal(isStoreError(lost) && "code" in lost.reason && lost.reason.code, "25P02")
          // Outside a transaction it is the write itself.
          const alone = yield* Effect.flip(contained(insert("ann")))
          assert.equal(isStoreError(alone) && alone.reason._tag, "ConstraintViolated")
        })
    )
  })
})
