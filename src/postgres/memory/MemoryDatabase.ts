import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import type * as Order from "effect/Order"
import * as Result from "effect/Result"
import { ConstraintViolated, StoreError } from "../../core/StoreError.ts"
import type { MemoryReference, MemoryTable } from "./MemoryTable.ts"
import { assertReferences, assertRegistered, type MemoryTables } from "./MemoryTables.ts"

interface Held<Row> {
  readonly table: MemoryTable<Row>
  readonly rows: HashMap.HashMap<string, Row>
  /** For each unique index, the key of the row that has a value. */
  readonly indexes: ReadonlyMap<string, HashMap.HashMap<string, string>>
}

/** All tables by name; a value that is never changed, so that a snapshot costs nothing. */
export type MemoryDatabase = ReadonlyMap<string, Held<unknown>>

export const emptyDatabase: MemoryDatabase = new Map()

/** What a reader sees of the tables. */
export interface MemoryReader {
  readonly get: <Row>(table: MemoryTable<Row>, key: string) => Option.Option<Row>
  /** Finds a row by the value of a unique index; a defect where the table has no such index. */
  readonly find: <Row>(table: MemoryTable<Row>, index: string, value: string) => Option.Option<Row>
  /** The rows that meet a condition, all of them where there is none, in no particular order. */
  readonly rows: <Row>(table: MemoryTable<Row>, where?: (row: Row) => boolean) => Array<Row>
  /** All rows in an order, sorted anew only where they have changed since. */
  readonly sorted: <Row>(table: MemoryTable<Row>, order: Order.Order<Row>) => ReadonlyArray<Row>
}

/** What a writer may do. Each rule that refuses fails with `StoreError` (`ConstraintViolated`) and its name. */
export interface MemoryWriter extends MemoryReader {
  readonly insert: <Row>(table: MemoryTable<Row>, row: Row) => Result.Result<void, StoreError>
  /**
   * Inserts all rows, or none, as one statement does: what they refer to is looked at when all are there, after the other rules.
   */
  readonly insertAll: <Row>(table: MemoryTable<Row>, rows: ReadonlyArray<Row>) => Result.Result<void, StoreError>
  /** Puts the row in the place of the one with its key. */
  readonly replace: <Row>(table: MemoryTable<Row>, row: Row) => Result.Result<void, StoreError>
  /** Removes the row with this key, if there is one, and does what the rows that refer to it ask for. */
  readonly remove: <Row>(table: MemoryTable<Row>, key: string) => Result.Result<void, StoreError>
  /**
   * Does what the rows that refer to this one ask for when it is removed, and lets it stay, with those that would refuse to let
   * it go.
   */
  readonly letGo: <Row>(table: MemoryTable<Row>, key: string) => Result.Result<void, StoreError>
}

const heldOf = <Row>(tables: MemoryTables, database: MemoryDatabase, table: MemoryTable<Row>): Held<Row> => {
  assertRegistered(tables, table)
  // Only `withHeld` puts rows there, and only this table has its name.
  return (
    (database.get(table.name) as Held<Row> | undefined) ?? {
      table,
      rows: HashMap.empty(),
      indexes: new Map(Object.keys(table.unique).map((name) => [name, HashMap.empty()]))
    }
  )
}

const withHeld = <Row>(database: MemoryDatabase, held: Held<Row>): MemoryDatabase =>
  new Map(database).set(held.table.name, held)

type Kind = ConstraintViolated["kind"]

const refusal = (operation: string, kind: Kind, constraint: string, table: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new ConstraintViolated({ kind, constraint, table })
  })

const indexed = <Row>(
  { indexes, table }: Held<Row>,
  before: Option.Option<Row>,
  row: Option.Option<Row>,
  key: string
) =>
  new Map(
    [...indexes].map(([name, keys]) => {
      const valueOf = table.unique[name]
      const old = Option.flatMapNullishOr(before, (row) => valueOf?.(row))
      const value = Option.flatMapNullishOr(row, (row) => valueOf?.(row))
      const free = Option.isSome(old) ? HashMap.remove(keys, old.value) : keys
      return [name, Option.isSome(value) ? HashMap.set(free, value.value, key) : free]
    })
  )

const sortings = new WeakMap<object, WeakMap<object, ReadonlyArray<unknown>>>()

const sortedRows = <Row>(rows: HashMap.HashMap<string, Row>, order: Order.Order<Row>): ReadonlyArray<Row> => {
  const known = sortings.get(order) ?? new WeakMap<object, ReadonlyArray<unknown>>()
  sortings.set(order, known)
  // Made below, by this order, of these very rows.
  const found = known.get(rows) as ReadonlyArray<Row> | undefined
  if (found !== undefined) return found
  const made = HashMap.toValues(rows).sort(order)
  known.set(rows, made)
  return made
}

/** What a reader sees of a database. */
export const readerOf = (tables: MemoryTables, current: () => MemoryDatabase): MemoryReader => ({
  get: (table, key) => HashMap.get(heldOf(tables, current(), table).rows, key),
  find: (table, index, value) => {
    const { indexes, rows } = heldOf(tables, current(), table)
    const keys = indexes.get(index)
    if (keys === undefined) {
      const known = [...indexes.keys()].join(", ")
      throw new Error(`the memory table "${table.name}" has no unique index "${index}"; it has ${known || "none"}`)
    }
    return Option.flatMap(HashMap.get(keys, value), (key) => HashMap.get(rows, key))
  },
  rows: (table, where) => {
    const rows = HashMap.toValues(heldOf(tables, current(), table).rows)
    return where === undefined ? rows : rows.filter(where)
  },
  sorted: (table, order) => sortedRows(heldOf(tables, current(), table).rows, order)
})

/** Does a piece of work on a database; gives its result and the database after it. */
export const writeTo = <A, E>(
  tables: MemoryTables,
  database: MemoryDatabase,
  operation: string,
  work: (writer: MemoryWriter) => Result.Result<A, E>
): Result.Result<readonly [result: A, next: MemoryDatabase], E> => {
  let current = database

  /** All of it, or nothing. */
  const whole = <A, E>(change: () => Result.Result<A, E>): Result.Result<A, E> => {
    const unchanged = current
    const result = change()
    if (Result.isFailure(result)) current = unchanged
    return result
  }

  const place = <Row>(
    table: MemoryTable<Row>,
    row: Row,
    before: Option.Option<Row>
  ): Result.Result<void, StoreError> => {
    assertReferences(tables, table)
    const held = heldOf(tables, current, table)
    const key = table.key(row)
    for (const [name, holds] of Object.entries(table.checks)) {
      if (!holds(row)) return Result.fail(refusal(operation, "check", name, table.name))
    }
    for (const [name, keys] of held.indexes) {
      const value = table.unique[name]?.(row)
      const holder = value == null ? Option.none() : HashMap.get(keys, value)
      if (Option.isSome(holder) && holder.value !== key) {
        return Result.fail(refusal(operation, "unique", name, table.name))
      }
    }
    current = withHeld(current, {
      table,
      rows: HashMap.set(held.rows, key, row),
      indexes: indexed(held, before, Option.some(row), key)
    })
    return Result.void
  }

  const refer = <Row>(table: MemoryTable<Row>, row: Row): Result.Result<void, StoreError> => {
    for (const [name, reference] of Object.entries(table.references)) {
      const target = reference.key(row)
      const rows = current.get(reference.to)?.rows
      if (target != null && (rows === undefined || !HashMap.has(rows, target))) {
        return Result.fail(refusal(operation, "foreign-key", name, table.name))
      }
    }
    return Result.void
  }

  const insertAll: MemoryWriter["insertAll"] = (table, rows) =>
    whole(() => {
      for (const row of rows) {
        const placed = HashMap.has(heldOf(tables, current, table).rows, table.key(row))
          ? Result.fail(refusal(operation, "unique", `${table.name}_pkey`, table.name))
          : place(table, row, Option.none())
        if (Result.isFailure(placed)) return placed
      }
      return rows.map((row) => refer(table, row)).find(Result.isFailure) ?? Result.void
    })

  const insert: MemoryWriter["insert"] = (table, row) => insertAll(table, [row])

  const replace: MemoryWriter["replace"] = (table, row) =>
    whole(() => {
      const before = HashMap.get(heldOf(tables, current, table).rows, table.key(row))
      return Result.andThen(place(table, row, before), () => refer(table, row))
    })

  const followRemoval = <Row>(
    table: MemoryTable<Row>,
    name: string,
    { key, onRemoval }: MemoryReference<Row>,
    removed: string
  ): Result.Result<void, StoreError> => {
    for (const row of HashMap.toValues(heldOf(tables, current, table).rows)) {
      if (key(row) !== removed) continue
      if (onRemoval === "restrict") return Result.fail(refusal(operation, "foreign-key", name, table.name))
      const followed = onRemoval === "cascade" ? remove(table, table.key(row)) : replace(table, onRemoval(row))
      if (Result.isFailure(followed)) return followed
    }
    return Result.void
  }

  const remove: MemoryWriter["remove"] = (table, key) => {
    const held = heldOf(tables, current, table)
    const before = HashMap.get(held.rows, key)
    if (Option.isNone(before)) return Result.void
    return whole(() => {
      current = withHeld(current, {
        table,
        rows: HashMap.remove(held.rows, key),
        indexes: indexed(held, before, Option.none(), key)
      })
      return followAll(table, key, () => true)
    })
  }

  const followAll = <Row>(
    table: MemoryTable<Row>,
    key: string,
    which: (reference: MemoryReference<unknown>) => boolean
  ): Result.Result<void, StoreError> => {
    for (const { table: other } of current.values()) {
      for (const [name, reference] of Object.entries(other.references)) {
        if (reference.to !== table.name || !which(reference)) continue
        const followed = followRemoval(other, name, reference, key)
        if (Result.isFailure(followed)) return followed
      }
    }
    return Result.void
  }

  const letGo: MemoryWriter["letGo"] = (table, key) => {
    assertRegistered(tables, table)
    return whole(() => followAll(table, key, ({ onRemoval }) => onRemoval !== "restrict"))
  }

  return Result.map(
    work({ ...readerOf(tables, () => current), insert, insertAll, replace, remove, letGo }),
    (result) => [result, current] as const
  )
}
