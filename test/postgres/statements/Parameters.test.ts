import * as PgTypes from "@effect/sql-pg/PgTypes"
import { it } from "@effect/vitest"
import { BigDecimal, DateTime, Option, Effect, Schema, Stream } from "effect"
import assert from "node:assert/strict"
import { inspect } from "node:util"
import { describe } from "vitest"
import * as StoreErrorReport from "../../../src/core/StoreErrorReport.ts"
import type { StoreError } from "../../../src/core/StoreError.ts"
import { parameterProblem } from "../../../src/postgres/statements/ParameterProblem.ts"
import { PostgresClient } from "../../../src/postgres/PostgresClient.ts"
import { rowReader } from "../../../src/postgres/repository/Row.ts"
import { streamRows } from "../../../src/postgres/repository/StreamRows.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { describeLive } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

const write = { operation: "Test.write", kind: "write" } as const

/** Values that no statement can carry, and what is said of them. */
const circular: { self?: unknown } = {}
circular.self = circular
const unfit: ReadonlyArray<readonly [value: unknown, problem: RegExp]> = [
  [{ secret: "hidden" }, /^is an object, which is no type of PostgreSQL: write it as JSON text, cast to jsonb$/],
  [Symbol("hidden"), /^is a symbol/],
  [() => "hidden", /^is a function/],
  [2n ** 63n, /^is outside the range of bigint/],
  [new Date(Number.NaN), /^is no time that timestamptz can hold/],
  [[1n, 2.5], /^is a list of values of several types \(bigint, double precision\)/],
  [["hidden", 1], /^is a list of values of several types \(text, integer\)/],
  [[1, "hidden", null], /^is a list of values of several types \(integer, text\)/],
  [[[1], [2]], /^is a list of lists/],
  [[{ secret: "hidden" }], /^holds a value that is an object, which is no type of PostgreSQL/],
  [DateTime.makeUnsafe(0), /^is a DateTime: send DateTime.toDateUtc of it$/],
  [BigDecimal.make(5n, 1), /^is a BigDecimal: send BigDecimal.format of it, cast to numeric$/],
  [Option.some("hidden"), /^is an Option: send Option.getOrNull of it$/],
  [[1n, 2n ** 64n], /^holds a value that is outside the range of bigint/],
  [PgTypes.uuid("hidden"), /^does not fit the type that it was given/],
  [PgTypes.jsonb(circular), /^does not fit the type that it was given/]
]

/** Values that a statement carries. */
const fit: ReadonlyArray<unknown> = [
  null,
  undefined,
  "",
  true,
  1,
  -1.5,
  Number.NaN,
  1e300,
  3_000_000_000,
  2n ** 63n - 1n,
  new Date(0),
  new Uint8Array([1]),
  new Int8Array([1]),
  [],
  ["a", null],
  [1, 2],
  [1.5, 2.5],
  [1n],
  [true],
  [new Date(0)],
  [new Uint8Array([1])],
  PgTypes.jsonb({ a: 1 }),
  PgTypes.uuid(null)
]

describeLive("postgresql", "Parameters", () => {
  it.layer(freshClient(), { excludeTestServices: true })("on a server", (it) => {
    const table = Effect.gen(function* () {
      const client = yield* PostgresClient
      yield* client.sql`create table if not exists notes (id int, body text)`
      yield* client.sql`truncate notes`
      return { ...client, stored: client.sql<{ readonly id: number }>`select id from notes order by id` }
    })

    const assertUnsent = ({ outcome, reason }: StoreError, field: string, problem: RegExp) => {
      assert.ok(reason._tag === "InvalidData", reason._tag)
      assert.equal(outcome, "not-applied")
      assert.equal(reason.subject, "input")
      assert.deepEqual(
        reason.problems.map((p) => p.field),
        [field]
      )
      assert.match(reason.problems[0]!.problem, problem)
    }

    it.effect("a date is sent exactly, however far from now it is, alone and in an array", () =>
      Effect.gen(function* () {
        const { keyed, sql } = yield* PostgresClient
        yield* sql`create table moments (at timestamptz(3) not null)`
        const dates = [
          "2026-01-02T03:04:05.678Z",
          "2255-06-05T23:47:34.741Z",
          "9999-12-31T23:59:59.999Z",
          "+010000-01-01T00:00:00.001Z",
          "+275760-09-12T23:59:59.999Z",
          "0044-03-15T12:00:00.001Z",
          "0000-12-31T23:59:59.999Z",
          "-000001-02-03T04:05:06.007Z",
          "-004000-01-01T00:00:00.001Z"
        ].map((iso) => new Date(iso))
        for (const date of dates) {
          for (const run of [sql, keyed]) {
            yield* run`truncate moments`
            yield* run`insert into moments values (${date})`
            const [found] = yield* run<Record<string, unknown>>`select at, at < ${date} as less, at > ${date} as more,
              at = any(${[null, date]}::timestamptz[]) as one from moments`
            assert.deepEqual(found, { at: date, less: false, more: false, one: true }, date.toISOString())
          }
        }
      })
    )

    it.effect("one that cannot be sent is told by its number, without its value, and nothing was applied", () =>
      Effect.gen(function* () {
        const { keyed, query, sql, stored } = yield* table
        for (const [value, problem] of unfit) {
          for (const run of [sql, keyed]) {
            const error = yield* Effect.flip(query(write, run`insert into notes values (${1}, ${value}::text)`))
            assertUnsent(error, "$2", problem)
            for (const text of [StoreErrorReport.render(error), inspect(error, { depth: 9 })]) {
              assert.ok(!text.includes("hidden"), text)
            }
          }
        }
        yield* query(write, keyed`insert into notes values (${1}, ${"a"})`)
        assert.deepEqual(yield* stored, [{ id: 1 }])
      })
    )

    it.effect("each of several is told", () =>
      Effect.gen(function* () {
        const { query, sql } = yield* table
        const { reason } = yield* Effect.flip(query(write, sql`select ${{}}::text, ${1}::int, ${[[]]}::text`))
        assert.ok(reason._tag === "InvalidData")
        assert.deepEqual(
          reason.problems.map(({ field }) => field),
          ["$1", "$3"]
        )
      })
    )

    it.effect("the transaction around it goes on", () =>
      Effect.gen(function* () {
        const { query, sql, stored } = yield* table
        const { run } = yield* Transaction
        yield* run(
          Effect.gen(function* () {
            yield* sql`insert into notes values (1, 'a')`
            assertUnsent(
              yield* Effect.flip(query(write, sql`insert into notes values (2, ${{}})`)),
              "$1",
              /^is an object/
            )
            yield* sql`insert into notes values (3, 'c')`
          })
        )
        assert.deepEqual(yield* stored, [{ id: 1 }, { id: 3 }])
      })
    )

    it.effect("nothing of its unit is applied", () =>
      Effect.gen(function* () {
        const { stored, sql, unit } = yield* table
        const statements = [sql`insert into notes values (1, 'a')`, sql`insert into notes values (2, ${{}})`] as const
        assertUnsent(yield* Effect.flip(unit(write, statements)), "$1", /^is an object/)
        assert.deepEqual(yield* stored, [])
      })
    )

    it.effect("a stream of rows tells it too", () =>
      Effect.gen(function* () {
        const client = yield* table
        const rows = rowReader(Schema.Struct({ id: Schema.Int }))
        const statement = client.sql`select id from notes where body = ${{}}`
        const stream = streamRows(client, { operation: "Test.stream", statement, rows })
        assertUnsent(yield* Effect.flip(Stream.runDrain(stream)), "$1", /^is an object/)
      })
    )

    it.effect("too many of them are a limit exceeded, not applied", () =>
      Effect.gen(function* () {
        const { query, sql, stored } = yield* table
        const rows = Array.from({ length: 20_000 }, (_, id) => sql`(${id}, ${"x"})`)
        const error = yield* Effect.flip(query(write, sql`insert into notes values ${sql.csv(rows)}`))
        assert.deepEqual([error.reason._tag, error.outcome], ["LimitExceeded", "not-applied"])
        assert.deepEqual(yield* stored, [])
      })
    )

    it.effect("a row that the driver cannot read says nothing of what was sent: it was", () =>
      Effect.gen(function* () {
        const { query, sql, stored } = yield* table
        const unreadable = sql`insert into notes values (${7}, 'x') returning id, '{{1},{2}}'::int[]`
        const error = yield* Effect.flip(query(write, unreadable))
        assert.equal(error.outcome, "unknown")
        assert.deepEqual(yield* stored, [{ id: 7 }])
      })
    )

    it.effect("an array is sent whatever its elements are", () =>
      Effect.gen(function* () {
        const { keyed, sql, query } = yield* table
        for (const run of [sql, keyed]) {
          const back = (type: string, values: ReadonlyArray<unknown>) =>
            Effect.map(
              query(write, run<{ readonly back: unknown }>`select ${values}::${run.literal(type)}[] as back`),
              ([row]) => row?.back
            )
          assert.deepEqual(yield* back("bigint", [5, null, 20_000_000_000]), [5n, null, 20_000_000_000n])
          assert.deepEqual(yield* back("bigint", [5, -3_000_000_000, 2n ** 62n]), [5n, -3_000_000_000n, 2n ** 62n])
          assert.deepEqual(yield* back("int", [5, null, 7]), [5, null, 7])
          assert.deepEqual(yield* back("float8", [1, 1.5, null, 1e300]), [1, 1.5, null, 1e300])
          assert.deepEqual(yield* back("float8", [1.5, 2.5]), [1.5, 2.5])
          assert.deepEqual(yield* back("numeric", [1, 0.1, 2 ** 31]), ["1", "0.1", "2147483648"])
          assert.deepEqual(yield* back("timestamptz", [null, undefined]), [null, null])
          assert.deepEqual(yield* back("text", [null]), [null])
          assert.deepEqual(yield* back("text", []), [])
        }
        const inserted =
          yield* sql`insert into notes ${sql.insert({ id: 1, body: "x" })} returning ${[1, 2 ** 40]}::bigint[] as n`
        assert.deepEqual(inserted, [{ n: [1n, 2n ** 40n] }])
      })
    )

    it.effect("those that we take for good ones are sent", () =>
      Effect.gen(function* () {
        const { sql } = yield* table
        for (const value of fit) assert.equal((yield* sql`select ${value} as value`).length, 1)
      })
    )
  })
})

describe("parameterProblem", () => {
  it("finds nothing wrong with what can be sent", () => {
    for (const value of fit) assert.equal(parameterProblem(value), undefined)
  })
})
