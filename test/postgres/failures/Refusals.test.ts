import { it } from "@effect/vitest"
import { Cause, Effect, Redacted } from "effect"
import assert from "node:assert/strict"
import { inspect } from "node:util"
import { isStoreError, type StoreError } from "../../../src/core/StoreError.ts"
import { render } from "../../../src/core/StoreErrorReport.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

const write = { operation: "Orders.add", kind: "write" } as const

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<StoreError, unknown, R> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.ok(isStoreError(error), String(error))
    return error
  })

/** What the server says, which may repeat values. */
const textOf = ({ reason }: StoreError): string | undefined =>
  "text" in reason && reason.text !== undefined ? Redacted.value(reason.text) : undefined

describeLive("postgresql", "what PostgreSQL refuses with an error of its user's own", () => {
  const live = Effect.provide(freshClient(2))

  /** Orders whose trigger raises what a row is named for, at once or at COMMIT. */
  const scene = Effect.gen(function* () {
    const client = yield* PostgresClient.PostgresClient
    const { keyed, query, sql } = client
    const { run } = yield* Transaction
    yield* sql`create table orders (name text)`
    const raise = (body: string) => sql.unsafe(`create function ${body}`)
    yield* raise(`deny() returns trigger language plpgsql as $$ begin
      if new.name like 'closed%' then raise exception 'order % is closed', new.name; end if;
      if new.name = 'quota' then raise exception 'no quota is left' using errcode = 'QU001'; end if;
      if new.name = 'other' then raise exception 'of another standard' using errcode = '45000'; end if;
      return new; end $$`)
    yield* raise(`deny_late() returns trigger language plpgsql as $$ begin
      if new.name = 'late' then raise exception 'too late' using errcode = 'LT001'; end if; return null; end $$`)
    yield* sql`create trigger deny before insert on orders for each row execute function deny()`
    yield* sql`create constraint trigger deny_late after insert on orders deferrable initially deferred
      for each row execute function deny_late()`
    const add = (name: string) => keyed`insert into orders values (${name})`
    const stored = Effect.map(sql<{ n: number }>`select count(*)::int as n from orders`, ([row]) => row?.n)
    return { add, client, query, run, sql, stored }
  })

  it.live(
    "a trigger's exception: Raised, not applied, by its code; its text is there, and shown where it is asked for",
    () =>
      Effect.gen(function* () {
        const { add, query, stored } = yield* scene
        const error = yield* failure(query(write, add("closed-canary")))
        assert.ok(error.reason._tag === "Raised", error.message)
        assert.deepEqual([error.reason.code, error.outcome, error.retry], ["P0001", "not-applied", "never"])
        assert.equal(textOf(error), "order closed-canary is closed")
        const told =
          JSON.stringify(error) +
          String(error) +
          Cause.pretty(Cause.fail(error)) +
          inspect(error, { depth: 9 }) +
          render(error)
        assert.ok(!told.includes("closed-canary"), told)
        assert.match(
          render(error),
          /failed: Raised\n\n {2}Problem {2}a function or trigger raised an error\n {2}Detail {3}code P0001\n/
        )
        assert.match(render(error, { values: true }), /\n {2}Detail {3}order closed-canary is closed \(code P0001\)\n/)
        assert.equal(yield* stored, 0)
      }).pipe(live)
  )

  it.live("a code of one's own can be told from every other", () =>
    Effect.gen(function* () {
      const { add, query, stored } = yield* scene
      const ordered = (name: string) =>
        query(write, add(name)).pipe(
          Effect.as("stored"),
          Effect.catchReason("StoreError", "Raised", ({ code = "" }) => Effect.succeed(code))
        )
      assert.deepEqual(yield* Effect.forEach(["quota", "other", "plain"], ordered), ["QU001", "45000", "stored"])
      assert.equal(yield* stored, 1)
    }).pipe(live)
  )

  it.live("what COMMIT raises was not applied: alone, in a unit, in a transaction", () =>
    Effect.gen(function* () {
      const { add, client, query, run, stored } = yield* scene
      const errors = [
        yield* failure(query(write, add("late"))),
        yield* failure(client.unit(write, [add("first"), add("late")])),
        yield* failure(run(query(write, add("late"))))
      ]
      for (const error of errors) {
        assert.ok(error.reason._tag === "Raised", error.message)
        assert.deepEqual([error.reason.code, textOf(error), error.outcome], ["LT001", "too late", "not-applied"])
      }
      assert.equal(yield* stored, 0)
    }).pipe(live)
  )

  it.live("a code that no table of ours has: Unclassified, not applied, and what the server says", () =>
    Effect.gen(function* () {
      const { query, sql, stored } = yield* scene
      const error = yield* failure(
        query(write, sql`insert into orders select (select 'a' union select ${"canary"}::text)`)
      )
      assert.ok(error.reason._tag === "Unclassified", error.message)
      assert.deepEqual([error.reason.code, error.outcome], ["21000", "not-applied"])
      assert.equal(textOf(error), "more than one row returned by a subquery used as an expression")
      assert.equal(yield* stored, 0)
    }).pipe(live)
  )

  it.live("what cannot be done so is an InvalidStatement", () =>
    Effect.gen(function* () {
      const { query, run, sql } = yield* scene
      yield* sql`create view named as select name from orders`
      const errors = [
        yield* failure(run(query(write, sql`vacuum orders`))),
        yield* failure(query(write, sql`drop table orders`)),
        yield* failure(query(write, sql`select pg_read_file(${"/canary"})`))
      ]
      assert.deepEqual(
        errors.map(({ outcome, reason }) => [reason._tag, "code" in reason && reason.code, outcome]),
        ["25001", "2BP01", "58P01"].map((code) => ["InvalidStatement", code, "not-applied"])
      )
      assert.match(errors[0]?.message ?? "", /VACUUM cannot run inside a transaction block/)
      assert.match(errors[1]?.message ?? "", /other objects depend on it/)
      assert.ok(!errors.some((error) => error.message.includes("canary")))
    }).pipe(live)
  )
})
