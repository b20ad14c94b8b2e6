import { it } from "@effect/vitest"
import { BigDecimal, Context, DateTime, Effect, Layer, Redacted, Stream } from "effect"
import assert from "node:assert/strict"
import { type BulkColumns, makeBulkInsert } from "../../../src/postgres/repository/BulkInsert.ts"
import * as Postgres from "../../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import * as TcpProxy from "../../../src/testing/TcpProxy.ts"
import { describeLive, freshPostgres } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

interface Note {
  readonly id: number
  readonly text?: string | null
}

const notes = (options: { readonly onConflict?: "skip"; readonly chunkSize?: number } = {}) =>
  Effect.gen(function* () {
    const client = yield* Postgres.PostgresClient
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
      const client = yield* Postgres.PostgresClient
      yield* client.sql`create table t (a text, b uuid, c boolean, d integer, e bigint, f double precision, g timestamptz,
        h jsonb, i bytea, j date, k numeric, l text[])`
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
        i: new Uint8Array([0, 255]),
        j: "0001-02-28",
        k: "-12345678901234567890123456789.000000125",
        l: ["a", "", `b,"c"}`, "null"]
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
          i: ["bytea", ({ i }) => i],
          j: ["date", ({ j }) => j],
          k: ["numeric", ({ k }) => (k ? BigDecimal.fromStringUnsafe(k) : null)],
          l: ["text[]", ({ l }) => l]
        }
      })
      const nothing = {
        a: null,
        b: null,
        c: null,
        d: null,
        e: null,
        f: null,
        g: null,
        h: null,
        i: undefined,
        j: null,
        k: null,
        l: null
      }
      assert.equal(yield* insert.all([row, nothing, { ...nothing, k: "1e40", l: [] }]), 3)
      const [first, second, third] = yield* client.sql`select * from t`
      assert.deepEqual(third, { ...nothing, i: null, k: "1" + "0".repeat(40), l: [] })
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

  /** Why values of a column are refused; nothing where they are stored. */
  const refusals = (type: BulkColumns<unknown>[string][0], values: ReadonlyArray<unknown>) =>
    Effect.gen(function* () {
      const client = yield* Postgres.PostgresClient
      yield* client.sql`create table if not exists ${client.sql(`of_${type}`)} (v ${client.sql.literal(type)})`
      // A caller's own types may be wrong: a value of a column is whatever comes.
      const column = [type, (value: unknown) => value] as never
      const insert = makeBulkInsert<unknown>(client, {
        operation: "test",
        table: `of_${type}`,
        columns: { v: column }
      })
      return yield* Effect.forEach(values, (value) =>
        Effect.match(insert.all([value]), {
          onSuccess: (count) => (count === 1 ? "stored" : count),
          onFailure: ({ reason }) =>
            reason._tag === "InvalidData" && reason.code === undefined ? reason.problems[0]?.problem : reason._tag
        })
      )
    })

  it.live("refuses by itself what the server would refuse, and nothing else", () =>
    Effect.gen(function* () {
      const cyclic: { self?: unknown } = {}
      cyclic.self = cyclic
      const cases: Record<string, readonly [good: ReadonlyArray<unknown>, bad: ReadonlyArray<unknown>]> = {
        text: [
          ["", "\\0", "🐘", '{"a",b}'],
          ["\0", "\udc00", 1]
        ],
        uuid: [["01900000-0000-7000-8000-0000000000AB"], ["01900000-0000-7000-8000-0000000000", "x", 1]],
        bool: [
          [true, false],
          ["true", 1]
        ],
        int4: [
          [2 ** 31 - 1, -(2 ** 31), 0],
          [2 ** 31, 0.5, Number.NaN, "1", 1n]
        ],
        int8: [
          [2n ** 63n - 1n, -(2n ** 63n), 2 ** 53 - 1],
          [2n ** 63n, 2 ** 53, 0.5, "1"]
        ],
        float8: [
          [0.1, Number.NaN, Number.POSITIVE_INFINITY, -0],
          ["1", 1n]
        ],
        timestamptz: [
          [new Date(0), DateTime.makeUnsafe("2026-01-02T03:04:05Z")],
          [new Date(Number.NaN), "2026-01-02", 0]
        ],
        jsonb: [
          [{ a: [null, "🐘"] }, "x", 1, "\\u0000 and \\ud800 as they are written", { "\\\\u0000": true }, "\u0001\n"],
          ["\0", { "a\0": 1 }, ["\ud800"], "\\\0", { a: 1n }, cyclic, () => 1]
        ],
        bytea: [
          [new Uint8Array([0, 255]), new Uint8Array()],
          ["\\x00", [0]]
        ],
        date: [
          ["2024-02-29", "9999-12-31"],
          ["2026-02-29", "infinity", new Date(0)]
        ],
        numeric: [
          [BigDecimal.make(0n, 0), BigDecimal.make(-1n, 16_383), BigDecimal.make(1n, -131_071)],
          [BigDecimal.make(1n, 16_384), BigDecimal.make(1n, -131_072), "1", 1, 1n]
        ],
        "text[]": [
          [[], ["null", '"', "{}"]],
          [["\0"], [null], [1], [["a"]], "a", {}]
        ]
      }
      for (const [type, [good, bad]] of Object.entries(cases)) {
        const column = type as BulkColumns<unknown>[string][0]
        assert.deepEqual(
          yield* refusals(column, good),
          good.map(() => "stored"),
          type
        )
        const told = yield* refusals(column, bad)
        for (const problem of told) assert.match(String(problem), /^must be /, type)
      }
    }).pipe(live)
  )

  it.live("by chunks it names a wrong value by its place in the stream", () =>
    Effect.gen(function* () {
      const { insert, stored } = yield* notes({ chunkSize: 10 })
      const wrong = (count: number): ReadonlyArray<Note> => Array.from({ length: count }, () => ({ id: 0.5 }))
      const error = yield* Effect.flip(
        insert.chunks(Stream.fromIterable([...many(25), ...wrong(3)])).pipe(Stream.runDrain)
      )
      assert.ok(error.reason._tag === "InvalidData")
      assert.deepEqual(
        error.reason.problems.map(({ field }) => field),
        ["[25].id", "[26].id", "[27].id"]
      )
      assert.equal(yield* stored, 20)
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

  it.live("names twenty wrong values at most", () =>
    Effect.gen(function* () {
      const { insert } = yield* notes()
      const error = yield* Effect.flip(insert.all(Array.from({ length: 100 }, () => ({ id: 0.5 }))))
      assert.ok(error.reason._tag === "InvalidData")
      assert.equal(error.reason.problems.length, 20)
      assert.equal(error.reason.problems[19]?.field, "[19].id")
    }).pipe(live)
  )

  /** A bulk insert of numbers, which may be there twice, by way of a proxy; and how many are stored in the end. */
  const scene = Effect.gen(function* () {
    const url = yield* freshPostgres
    const proxy = yield* TcpProxy.forUrl(url)
    const clientAt = (url: string) =>
      Effect.map(
        Layer.build(Postgres.layer({ url: Redacted.make(url), minConnections: 0, shutdownTimeout: "1 second" })),
        (context) => Context.get(context, Postgres.PostgresClient)
      )
    const { sql } = yield* clientAt(url)
    yield* sql`create table numbers (n integer)`
    const insert = makeBulkInsert(yield* clientAt(proxy.url), {
      operation: "Numbers.createMany",
      table: "numbers",
      columns: { n: ["int4", (n: number) => n] },
      chunkSize: 10
    })
    // The server may come to COMMIT later than its client hears of the lost connection.
    const stored = Effect.andThen(
      Effect.sleep("300 millis"),
      Effect.map(sql<{ n: number }>`select count(*)::int as n from numbers`, ([row]) => row?.n ?? -1)
    )
    return { insert, proxy, stored }
  })

  it.live("the answer is lost: CommitUnknown, all rows are there or none, and never twice", () =>
    Effect.gen(function* () {
      const { insert, proxy, stored } = yield* scene
      yield* proxy.dropReplies({ afterRequestMatching: "COMMIT" })
      const error = yield* Effect.flip(insert.all(Array.from({ length: 25 }, (_, n) => n)))
      assert.deepEqual(
        [error.reason._tag, error.outcome, error.operation],
        ["CommitUnknown", "unknown", "Numbers.createMany"]
      )
      const count = yield* stored
      assert.ok(count === 0 || count === 25, `${count} of 25 rows`)
      assert.equal(yield* insert.all([1]), 1)
      assert.equal(yield* stored, count + 1)
    })
  )

  it.live(
    "the connection is cut in a stream of chunks: those before it are told, and the lost one is there or not",
    () =>
      Effect.gen(function* () {
        const { insert, proxy, stored } = yield* scene
        const counts: Array<number> = []
        const error = yield* insert.chunks(Stream.range(1, 100)).pipe(
          Stream.tap((count) => Effect.suspend(() => (counts.push(count) === 1 ? proxy.dropReplies() : Effect.void))),
          Stream.runDrain,
          Effect.flip
        )
        assert.deepEqual([error.reason._tag, error.outcome], ["CommitUnknown", "unknown"])
        const told = counts.length * 10
        const count = yield* stored
        assert.ok(told < 100 && (count === told || count === told + 10), `${count} rows, ${told} told`)
      })
  )
})
