import { it } from "@effect/vitest"
import { DateTime, Effect, Stream } from "effect"
import assert from "node:assert/strict"
import { makeBulkInsert } from "../../src/postgres/BulkInsert.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import { describeLive } from "../servers/index.ts"
import { freshClient } from "./freshClient.ts"

interface Note {
  readonly id: number
  readonly text?: string | null
}

const notes = (options: { readonly onConflict?: "skip"; readonly chunkSize?: number } = {}) =>
  Effect.gen(function* () {
    const client = yield* PostgresClient
    yield* client.sql`create schema "odd ""one"""`
    yield* client.sql`create table "odd ""one""".notes (id integer primary key, "the text" text check ("the text" <> 'no'))`
    const insert = makeBulkInsert(client, {
      operation: "Notes.createMany",
      table: `odd "one".notes`,
      columns: { id: ["int4", ({ id }: Note) => id], "the text": ["text", ({ text }) => text] },
      ...options
    })
    const stored = Effect.map(
      client.sql<{ n: number }>`select count(*)::int as n from "odd ""one""".notes`,
      ([row]) => row?.n
    )
    return { client, insert, stored }
  })

const many = (count: number): ReadonlyArray<Note> =>
  Array.from({ length: count }, (_, id) => ({ id, text: `note ${id}` }))

describeLive("postgresql", "a bulk insert", () => {
  const live = Effect.provide(freshClient(2))

  it.live("stores values of every type as they are", () =>
    Effect.gen(function* () {
      const client = yield* PostgresClient
      yield* client.sql`create table t (a text, b uuid, c boolean, d integer, e bigint, f double precision, g timestamptz,
        h jsonb, i bytea)`
      const at = new Date("2026-01-02T03:04:05.678Z")
      const row = {
        a: `it's "quoted", {braced}, \\ and 🐘`,
        b: "01900000-0000-7000-8000-0000000000ab",
        c: false,
        d: -(2 ** 31),
        e: 2n ** 63n - 1n,
        f: -0.1,
        g: at,
        h: { list: [1, null, "x"], "it's": true },
        i: new Uint8Array([0, 255])
      }
      type Row = { readonly [K in keyof typeof row]: (typeof row)[K] | null | undefined }
      const insert = makeBulkInsert<Row>(client, {
        operation: "test",
        table: "t",
        columns: {
          a: ["text", ({ a }) => a],
          b: ["uuid", ({ b }) => b],
          c: ["bool", ({ c }) => c],
          d: ["int4", ({ d }) => d],
          e: ["int8", ({ e }) => e],
          f: ["float8", ({ f }) => f],
          g: ["timestamptz", ({ g }) => g && DateTime.fromDateUnsafe(g)],
          h: ["jsonb", ({ h }) => h],
          i: ["bytea", ({ i }) => i]
        }
      })
      const nothing = { a: null, b: null, c: null, d: null, e: null, f: null, g: null, h: null, i: undefined }
      assert.equal(yield* insert.all([row, nothing]), 2)
      const [first, second] = yield* client.sql`select * from t`
      assert.deepEqual({ ...first, i: new Uint8Array(first?.["i"] as Uint8Array) }, row)
      assert.deepEqual(second, { ...nothing, i: null })
    }).pipe(live)
  )

  it.live("stores more rows than a statement takes, in one transaction", () =>
    Effect.gen(function* () {
      const { client, insert, stored } = yield* notes({ chunkSize: 100 })
      assert.equal(yield* insert.all(many(1050)), 1050)
      assert.equal(yield* stored, 1050)
      assert.deepEqual(yield* client.sql`select count(distinct xmin::text)::int as n from "odd ""one""".notes`, [
        { n: 1 }
      ])
      assert.equal(yield* insert.all([]), 0)
    }).pipe(live)
  )

  it.live("one refused row refuses them all, by the name of the rule", () =>
    Effect.gen(function* () {
      const { insert, stored } = yield* notes({ chunkSize: 100 })
      const error = yield* Effect.flip(insert.all([...many(950), { id: 3, text: "twice" }]))
      assert.equal(error.operation, "Notes.createMany")
      assert.equal(error.outcome, "not-applied")
      assert.ok(error.reason._tag === "ConstraintViolated" && error.reason.constraint === "notes_pkey", error.message)
      assert.equal(yield* stored, 0)
    }).pipe(live)
  )

  it.live("skips what is there where it is told to, and counts what it stored", () =>
    Effect.gen(function* () {
      const { insert, stored } = yield* notes({ chunkSize: 10, onConflict: "skip" })
      assert.equal(yield* insert.all(many(15)), 15)
      assert.equal(yield* insert.all([...many(40), { id: 39 }]), 25)
      assert.equal(yield* stored, 40)
    }).pipe(live)
  )

  it.live("names row and column of values that are not of their type, and sends nothing", () =>
    Effect.gen(function* () {
      const { insert, stored } = yield* notes({ chunkSize: 2 })
      const untyped = (row: unknown): Note => row as Note
      const error = yield* Effect.flip(
        insert.all([...many(4), untyped({ id: 1.5, text: 7 }), { id: 5, text: "\ud800" }])
      )
      assert.ok(error.reason._tag === "InvalidData")
      assert.deepEqual(error.reason.problems, [
        { field: "[4].id", problem: "must be an integer of 32 bits" },
        { field: "[4].the text", problem: "must be text without NUL and without broken Unicode" },
        { field: "[5].the text", problem: "must be text without NUL and without broken Unicode" }
      ])
      assert.doesNotMatch(JSON.stringify(error), /1\.5/)
      assert.equal(yield* stored, 0)
    }).pipe(live)
  )

  it.live("by chunks it keeps what was stored before a failure, and has told how much", () =>
    Effect.gen(function* () {
      const { insert, stored } = yield* notes({ chunkSize: 10 })
      const counts: Array<number> = []
      const rows = Stream.fromIterable([...many(25), { id: 3 }, ...many(3)])
      const error = yield* insert.chunks(rows).pipe(
        Stream.runForEach((count) => Effect.sync(() => counts.push(count))),
        Effect.flip
      )
      assert.equal(error.reason._tag, "ConstraintViolated")
      assert.deepEqual(counts, [10, 10])
      assert.equal(yield* stored, 20)
    }).pipe(live)
  )

  it.live("takes part in the transaction around it", () =>
    Effect.gen(function* () {
      const { insert, stored } = yield* notes({ chunkSize: 10 })
      const transaction = yield* Transaction
      yield* Effect.ignore(transaction.run(Effect.andThen(insert.all(many(25)), Effect.fail("stop"))))
      assert.equal(yield* stored, 0)
      assert.equal(yield* transaction.run(insert.all(many(25))), 25)
      assert.equal(yield* stored, 25)
    }).pipe(live)
  )
})
