import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { ConstraintViolated, type StoreError } from "../../core/StoreError.ts"
import type { MemoryReader } from "../../postgres/memory/MemoryDatabase.ts"
import type { MemoryTable } from "../../postgres/memory/MemoryTable.ts"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { makeSeesOthers } from "../SeesOthersMemory.ts"
import { presentUser } from "../users/UsersMemory.ts"
import { exactSum } from "./exactSum.ts"
import type { Query, Table, Tables } from "./Tables.ts"

/** Something that `<` orders as PostgreSQL does. */
const plain = (value: unknown): unknown => (DateTime.isDateTime(value) ? value.epochMilliseconds : value)

const compare = (one: unknown, other: unknown): number => {
  const [a, b] = [plain(one), plain(other)]
  if (a === b) return 0
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : 1
  return String(a) < String(b) ? -1 : 1
}

type Holds<Row> = (row: Row) => boolean

/** A condition on every field that is asked for. */
const each = <Row>(asked: object | undefined, holds: (stored: unknown, wanted: unknown) => boolean): Holds<Row> => {
  const wanted = Object.entries(asked ?? {}).filter(([, value]) => value !== undefined)
  return (row) => wanted.every(([field, value]) => holds(row[field as keyof Row], value))
}

/** Comparing with null holds of nothing, as in SQL. */
const known = (holds: (order: number) => boolean) => (stored: unknown, wanted: unknown) =>
  stored !== null && holds(compare(stored, wanted))

const matching = <Row>({ below, from, includes, isNull, only, oneOf = {}, where }: Query<Row>): Holds<Row> => {
  const sets = Object.fromEntries(
    Object.entries<ReadonlyArray<unknown> | undefined>(oneOf).map(([field, values]) => [
      field,
      values && new Set(values)
    ])
  )
  const conditions: ReadonlyArray<Holds<Row>> = [
    each(where, (stored, wanted) => compare(stored, wanted) === 0),
    each(sets, (stored, wanted) => wanted instanceof Set && wanted.has(stored)),
    each(includes, (stored, wanted) => Array.isArray(stored) && stored.includes(wanted)),
    each(
      from,
      known((order) => order >= 0)
    ),
    each(
      below,
      known((order) => order < 0)
    ),
    each(isNull, (stored, wanted) => (stored === null) === wanted),
    only?.holds ?? (() => true)
  ]
  return (row) => conditions.every((holds) => holds(row))
}

const found = <Row>(db: MemoryReader, table: Table<Row>, query: Query<Row>): ReadonlyArray<Row> => {
  const { after, direction = "ascending", limit, order = [], where } = query
  const sign = direction === "ascending" ? 1 : -1
  const holds = matching(query)
  const key = table.keyFields.map((field) => where?.[field])
  // A row that is asked for by its key is not searched for.
  const rows = key.every((value) => value !== undefined)
    ? Option.toArray(db.get(table, key.map(String).join("/"))).filter(holds)
    : db.rows(table, holds)
  const place = (row: Row): ReadonlyArray<unknown> => order.map((field) => row[field])
  const inOrder = (one: ReadonlyArray<unknown>, other: ReadonlyArray<unknown>): number => {
    for (const [i, value] of one.entries()) {
      const compared = compare(value, other[i])
      if (compared !== 0) return sign * compared
    }
    return 0
  }
  const sorted = order.length === 0 ? rows : rows.toSorted((one, other) => inOrder(place(one), place(other)))
  const behind = after === undefined ? sorted : sorted.filter((row) => inOrder(place(row), after) > 0)
  return limit === undefined ? behind : behind.slice(0, limit)
}

const isTaken = ({ reason }: StoreError): boolean => reason instanceof ConstraintViolated && reason.kind === "unique"

/** The rows of these tables in memory. A transaction is the only writer, so that it need not lock any. */
export const make = Effect.fnUntraced(function* (
  ...tables: ReadonlyArray<MemoryTable<unknown>>
): Effect.fn.Return<Tables, never, PostgresMemory> {
  const memory = yield* PostgresMemory
  const { read, register, transaction, write } = memory
  const seesOthers = makeSeesOthers(memory)
  yield* register(...tables)
  return {
    run: transaction,
    runSeeingOthers: (operation, effect) => Effect.andThen(seesOthers(operation), transaction(effect)),
    present: (operation, user) =>
      Effect.flatMap(
        read(operation, (db) => presentUser(db, user)),
        Effect.fromResult
      ),
    many: (operation, table, query) => read(operation, (db) => found(db, table, query)),
    one: (operation, table, query) =>
      read(operation, (db) => Option.fromUndefinedOr(found(db, table, { ...query, limit: 1 })[0])),
    lookup: (operation, table) => ({
      find: (id) => read(operation, (db) => db.get(table, id)),
      findMany: (ids) => read(operation, (db) => ids.map((id) => db.get(table, id)))
    }),
    composed: ({ find, key }) => ({
      find: (wanted) => Effect.map(find([wanted]), ([found]) => Option.fromUndefinedOr(found)),
      findMany: (wanted) =>
        Effect.map(find(wanted), (all) => {
          const found = new Map(all.map((one) => [key(one), one]))
          return wanted.map((id) => Option.fromUndefinedOr(found.get(id)))
        })
    }),
    sum: (operation, table, field, query) =>
      Effect.flatMap(
        read(operation, (db) => found(db, table, query).reduce((sum, row) => sum + BigInt(Number(row[field])), 0n)),
        (sum) => exactSum({ operation, kind: "read" }, sum)
      ),
    insertNew: <Row>(operation: string, table: Table<Row>, rows: ReadonlyArray<Row>) =>
      write<ReadonlyArray<Row>, StoreError>(operation, (db) => {
        const made: Array<Row> = []
        for (const row of rows) {
          const inserted = db.insert(table, row)
          if (Result.isSuccess(inserted)) made.push(row)
          else if (!isTaken(inserted.failure)) return Result.fail(inserted.failure)
        }
        return Result.succeed(made)
      }),
    replace: (operation, table, row) => write(operation, (db) => db.replace(table, row)),
    remove: (operation, table, where) =>
      write<void, StoreError>(operation, (db) => {
        for (const row of found(db, table, { where })) {
          const removed = db.remove(table, table.key(row))
          if (Result.isFailure(removed)) return removed
        }
        return Result.void
      })
  }
})
