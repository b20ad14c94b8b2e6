import { BigDecimal, Effect, type Exit, Option, Schema } from "effect"
import * as assert from "node:assert/strict"
import { Day } from "../../../src/core/Day.ts"
import { decodeInput } from "../../../src/core/Decode.ts"
import { Int32, Int64 } from "../../../src/core/Integers.ts"
import { Numeric } from "../../../src/core/Numeric.ts"
import type { StoreError } from "../../../src/core/StoreError.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../../src/postgres/PostgresEmbedded.ts"
import { Decimal, NullableDecimal, rowReader, SafeInteger } from "../../../src/postgres/repository/Row.ts"
import * as Contract from "../../../src/testing/Contract.ts"
import { runContract } from "../../contracts/runContract.ts"
import { freshClient } from "../freshClient.ts"

const at = { store: "postgresql", operation: "test", subject: "input" } as const

/** Whether a schema takes a value, and whether PostgreSQL takes it for a type. */
const takenBy = <A>(schema: Schema.ConstraintDecoder<A>, type: string, value: unknown) =>
  Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    const taken = <B, E, R>(effect: Effect.Effect<B, E, R>) =>
      Effect.match(effect, { onSuccess: () => true, onFailure: () => false })
    return {
      schema: yield* taken(decodeInput(schema)(at, value)),
      column: yield* taken(sql`select ${String(value)}::text::${sql.literal(type)}`)
    }
  })

const values: ReadonlyArray<
  readonly [type: string, schema: Schema.ConstraintDecoder<unknown>, value: unknown, boolean]
> = [
  ["date", Day, "2026-05-01", true],
  ["date", Day, "2024-02-29", true],
  ["date", Day, "0001-01-01", true],
  ["date", Day, "9999-12-31", true],
  ["date", Day, "2026-02-30", false],
  ["date", Day, "2026-02-29", false],
  ["date", Day, "2026-13-01", false],
  ["date", Day, "2026-00-10", false],
  ["date", Day, "0000-01-01", false],
  ["date", Day, "", false],
  ["integer", Int32, 2_147_483_647, true],
  ["integer", Int32, -2_147_483_648, true],
  ["integer", Int32, 2_147_483_648, false],
  ["integer", Int32, -2_147_483_649, false],
  ["bigint", Int64, 2n ** 63n - 1n, true],
  ["bigint", Int64, -(2n ** 63n), true],
  ["bigint", Int64, 2n ** 63n, false],
  ["bigint", Int64, 2n ** 64n, false],
  ["bigint", Int64, -(2n ** 63n) - 1n, false]
]

const ColumnsContract = Contract.make<PostgresClient.PostgresClient>("Columns", {
  "a schema takes what its column takes": Effect.gen(function* () {
    for (const [type, schema, value, right] of values) {
      assert.deepEqual(
        yield* takenBy(schema, type, value),
        { schema: right, column: right },
        `${type} ${String(value)}`
      )
    }
  }),
  "what a field may not be is told by its name": Effect.gen(function* () {
    const input = decodeInput(Schema.Struct({ day: Day, count: Int32, cents: Int64 }))
    const { reason } = yield* Effect.flip(input(at, { day: "2026-02-30", count: 2 ** 31, cents: 2n ** 64n }))
    assert.deepEqual(reason._tag === "InvalidData" && reason.problems.map((p) => `${p.field} ${p.problem}`), [
      "day must be a day of the calendar, like 2026-05-01",
      "count must be a whole number from -2^31 to 2^31 - 1",
      "cents must be a whole number from -2^63 to 2^63 - 1"
    ])
  }),
  "a numeric holds what its schema takes as it is, in one form, and no more": Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    const rows = rowReader(Schema.Struct({ price: Decimal, none: NullableDecimal }))
    for (const text of [
      "10.50",
      "10.5",
      "0",
      "0.00",
      "-9999.99",
      "0.01",
      "1e3",
      "10.555",
      "10000",
      "0.001",
      "1e-200"
    ]) {
      const given = BigDecimal.fromStringUnsafe(text)
      const checked = Effect.option(decodeInput(Schema.Struct({ price: Numeric(6, 2) }))(at, { price: given }))
      const stored = sql`select ${BigDecimal.format(given)}::numeric::numeric(6, 2) as price, null::numeric as none`
      const found = yield* Effect.option(Effect.flatMap(stored, (found) => rows.one("test", found)))
      const same = Option.filter(found, ({ price }) => BigDecimal.equals(price, given))
      assert.deepEqual(
        Option.map(same, ({ price }) => price),
        Option.map(yield* checked, ({ price }) => price),
        text
      )
    }
    const nan = yield* Effect.flip(rows.one("test", [{ price: "NaN", none: "Infinity" }]))
    assert.deepEqual(nan.reason._tag === "InvalidData" && nan.reason.problems.map(({ field }) => field), [
      "price",
      "none"
    ])
  }),
  "a row that does not fit what was written is no proof that nothing was": Effect.gen(function* () {
    const { query, sql } = yield* PostgresClient.PostgresClient
    yield* sql`create table if not exists kept (id bigint)`
    const rows = rowReader(Schema.Struct({ id: Schema.Int }))
    const write = { operation: "Kept.create", kind: "write" } as const
    const inserted = yield* query(write, sql`insert into kept values (1) returning id`)
    for (const of of [write, "Kept.create"]) {
      const reads: ReadonlyArray<Exit.Exit<unknown, StoreError>> = [
        rows.one(of, inserted),
        rows.option(of, inserted),
        rows.all(of, inserted),
        rows.one(of, [])
      ]
      for (const read of reads) {
        const error = yield* Effect.flip(read)
        assert.equal(error.outcome, "unknown")
        assert.equal(error.isRetryable({ idempotent: true }), false)
      }
    }
    const error = yield* Effect.flip(rows.one({ operation: "Kept.find", kind: "read" }, inserted))
    assert.equal(error.message, "PostgreSQL Kept.find: row: id must be number (not-applied)")
  }),
  "columns are read as the guide to a repository of one's own says": Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    const rows = rowReader(
      Schema.Struct({
        day: Day,
        amount: Decimal,
        tags: Schema.Array(Schema.String),
        detail: Schema.Struct({ room: Schema.Int }),
        cents: Int64,
        count: Int32,
        visits: SafeInteger
      })
    )
    const found = yield* rows.one(
      "test",
      yield* sql`select '2026-05-01'::date as day, 12.50::numeric as amount, array['a', 'b,"c']::text[] as tags,
        '{"room": 7}'::jsonb as detail, 9223372036854775807::bigint as cents, 5::integer as count, 6::bigint as visits`
    )
    assert.equal(found.amount.toString(), "BigDecimal(12.5)")
    assert.deepEqual(
      { ...found, amount: undefined },
      {
        day: "2026-05-01",
        amount: undefined,
        tags: ["a", 'b,"c'],
        detail: { room: 7 },
        cents: 2n ** 63n - 1n,
        count: 5,
        visits: 6
      }
    )
  })
})

runContract(ColumnsContract, { implementation: "embedded", layer: PostgresEmbedded.layer() })
runContract(ColumnsContract, { implementation: "live", stores: ["postgresql"], layer: freshClient })
