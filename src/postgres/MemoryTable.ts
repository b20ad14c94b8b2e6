import { HashMap, Option, type Order, Result } from "effect"

/** What a memory table is told of its rows. */
export interface MemoryTableSpec<Row> {
  readonly key: (row: Row) => string
  /** Unique indexes by name, in the order in which they are checked. */
  readonly unique: Readonly<Record<string, (row: Row) => string>>
}

/** The rows of a table in memory, with its unique indexes; a value that is never changed, so that a snapshot costs nothing. */
export interface MemoryTable<Row> {
  readonly spec: MemoryTableSpec<Row>
  readonly rows: HashMap.HashMap<string, Row>
  readonly indexes: ReadonlyMap<string, HashMap.HashMap<string, string>>
}

/** The row would be the second with this value in a unique index. */
export interface UniqueViolation {
  readonly index: string
}

export const emptyTable = <Row>(spec: MemoryTableSpec<Row>): MemoryTable<Row> => ({
  spec,
  rows: HashMap.empty(),
  indexes: new Map(Object.keys(spec.unique).map((name) => [name, HashMap.empty<string, string>()]))
})

export const getRow = <Row>(table: MemoryTable<Row>, key: string): Option.Option<Row> => HashMap.get(table.rows, key)

/** Finds a row by the value of a unique index. */
export const findRow = <Row>(table: MemoryTable<Row>, index: string, value: string): Option.Option<Row> => {
  const keys = table.indexes.get(index)
  return keys === undefined
    ? Option.none()
    : Option.flatMap(HashMap.get(keys, value), (key) => HashMap.get(table.rows, key))
}

const withoutEntries = <Row>(table: MemoryTable<Row>, row: Row) =>
  [...table.indexes].map(([name, keys]) => [name, HashMap.remove(keys, table.spec.unique[name]?.(row) ?? "")] as const)

/** Inserts a row, or replaces the one with its key; fails with the first unique index that another row holds. */
export const putRow = <Row>(table: MemoryTable<Row>, row: Row): Result.Result<MemoryTable<Row>, UniqueViolation> => {
  const key = table.spec.key(row)
  const indexes = new Map<string, HashMap.HashMap<string, string>>()
  for (const [name, valueOf] of Object.entries(table.spec.unique)) {
    const keys = table.indexes.get(name) ?? HashMap.empty<string, string>()
    const before = HashMap.get(table.rows, key)
    const free = Option.isSome(before) ? HashMap.remove(keys, valueOf(before.value)) : keys
    if (HashMap.has(free, valueOf(row))) return Result.fail({ index: name })
    indexes.set(name, HashMap.set(free, valueOf(row), key))
  }
  return Result.succeed({ ...table, indexes, rows: HashMap.set(table.rows, key, row) })
}

/** Removes the row with this key, if there is one. */
export const removeRow = <Row>(table: MemoryTable<Row>, key: string): MemoryTable<Row> =>
  Option.match(HashMap.get(table.rows, key), {
    onNone: () => table,
    onSome: (row) => ({
      ...table,
      rows: HashMap.remove(table.rows, key),
      indexes: new Map(withoutEntries(table, row))
    })
  })

/**
 * Keeps a table's rows sorted, as an index would.
 *
 * The sorting is done anew only where the rows have changed since.
 */
export const makeSorted = <Row>(order: Order.Order<Row>): ((table: MemoryTable<Row>) => ReadonlyArray<Row>) => {
  const sorted = new WeakMap<object, ReadonlyArray<Row>>()
  return ({ rows }) => {
    const known = sorted.get(rows)
    if (known !== undefined) return known
    const made = HashMap.toValues(rows).sort(order)
    sorted.set(rows, made)
    return made
  }
}
