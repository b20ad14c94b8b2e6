import { describe, it } from "@effect/vitest"
import { Effect, Layer, Order, Redacted } from "effect"
import * as assert from "node:assert/strict"
import { pageOfSorted } from "../../../src/core/KeysetPage.ts"
import { type Direction, keyset } from "../../../src/postgres/repository/Keyset.ts"
import * as PostgresClient from "../../../src/postgres/PostgresClient.ts"
import * as PostgresEmbedded from "../../../src/postgres/PostgresEmbedded.ts"
import * as Contract from "../../../src/testing/Contract.ts"
import { runContract } from "../../contracts/runContract.ts"
import { describeLive, serverUrl } from "../../servers/index.ts"
import { freshClient } from "../freshClient.ts"

interface Row {
  readonly id: number
  readonly place: unknown
}

/** Reads a table in pages of three, ordered by a column of this type and the id. */
const walk = (table: string, column: string, type: string, direction: Direction = "ascending") =>
  Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    const seen: Array<number> = []
    let last: Row | undefined
    while (true) {
      const after = last && [sql`${last.place}::${sql.literal(type)}`, sql`${last.id}::int`]
      const page = keyset(sql, [column, "id"], direction, after)
      const rows: ReadonlyArray<Row> = yield* sql<Row>`select id, ${sql(column)} as place from ${sql(table)}
        where ${page.behind} order by ${page.order} limit 3`
      last = rows.at(-1)
      if (last === undefined) return seen
      seen.push(...rows.map(({ id }) => id))
    }
  })

const KeysetContract = Contract.make<PostgresClient.PostgresClient>("Keyset", {
  "every row is read once, in both directions, across ties": Effect.gen(function* () {
    const { sql } = yield* PostgresClient.PostgresClient
    yield* sql`create table ties (id int primary key, rank int not null)`
    yield* sql`insert into ties select i, i % 3 from generate_series(1, 20) i`
    const ids = (yield* sql<Row>`select id from ties order by rank, id`).map(({ id }) => id)
    assert.deepEqual(yield* walk("ties", "rank", "int"), ids)
    assert.deepEqual(yield* walk("ties", "rank", "int", "descending"), ids.toReversed())
  }),
  "a null in the key is a defect that names the column, and a generated one orders rows whose date is missing":
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient.PostgresClient
      yield* sql`create table charges (
        id int primary key,
        due_on date,
        due_order date not null generated always as (coalesce(due_on, 'infinity'::date)) stored
      )`
      yield* sql`insert into charges (id, due_on)
        select i, case when i % 2 = 0 then date '2026-05-01' + i end from generate_series(1, 10) i`
      const defect = yield* Effect.sandbox(walk("charges", "due_on", "date", "descending")).pipe(Effect.flip)
      assert.match(String(defect), /"due_on" of `after` may not be null/)
      const ids = [2, 4, 6, 8, 10, 1, 3, 5, 7, 9]
      assert.deepEqual(yield* walk("charges", "due_order", "date"), ids)
      assert.deepEqual(yield* walk("charges", "due_order", "date", "descending"), ids.toReversed())
    })
})

runContract(KeysetContract, { implementation: "embedded", layer: PostgresEmbedded.layer() })
runContract(KeysetContract, { implementation: "live", stores: ["postgresql"], layer: freshClient })

describe("Keyset · memory", () => {
  it("a null in the key is a defect that names the field", () => {
    interface Due {
      readonly dueOn: string | null
    }
    const order = Order.mapInput(Order.String, ({ dueOn }: Due) => dueOn ?? "")
    assert.throws(
      () => pageOfSorted([{ dueOn: null }], order, { dueOn: null }, 1, () => ""),
      /"dueOn" of `after` may not be null/
    )
  })
})

/** A client of a database that compares texts as English does. */
const english = () =>
  Layer.unwrap(
    Effect.gen(function* () {
      const admin = serverUrl("postgresql")!
      const name = (yield* Contract.unique("english")).replaceAll("-", "_")
      const asAdmin = (statement: string) =>
        Effect.flatMap(PostgresClient.PostgresClient, ({ sql }) => sql.unsafe(statement)).pipe(
          Effect.provide(PostgresClient.layer({ url: Redacted.make(admin), minConnections: 0, maxConnections: 1 }))
        )
      yield* Effect.acquireRelease(
        asAdmin(`create database ${name} template template0 locale_provider icu icu_locale 'en-US' locale 'C'`),
        () => Effect.ignore(asAdmin(`drop database if exists ${name} with (force)`))
      )
      const url = new URL(admin)
      url.pathname = `/${name}`
      return PostgresClient.layer({ url: Redacted.make(url.href), minConnections: 0, maxConnections: 2 })
    })
  )

describeLive("postgresql", "Keyset where texts are compared as English does", () => {
  it.layer(english(), { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect('a text column that is `collate "C"` is read in the order of memory, another one is not', () =>
      Effect.gen(function* () {
        const { sql } = yield* PostgresClient.PostgresClient
        const words = ["b", "B", "a-c", "ab", "a.d", "é", "Z", "_a", "a b"]
        yield* sql`create table words (id int primary key, word text collate "C" not null, english text not null)`
        yield* sql`insert into words select n, w, w from unnest(${words}::text[]) with ordinality as t (w, n)`
        const inOrder = (ids: ReadonlyArray<number>) => ids.map((id) => words[id - 1])
        const inMemory = words.toSorted(Order.String)
        assert.deepEqual(inOrder(yield* walk("words", "word", "text")), inMemory)
        assert.notDeepEqual(inOrder(yield* walk("words", "english", "text")), inMemory)
      })
    )
  })
})
