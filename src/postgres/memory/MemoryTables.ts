import type { MemoryTable } from "./MemoryTable.ts"

/** The tables that a memory database was told of, by name: what it is told wrong is a mistake in a program, so a defect. */
export type MemoryTables = Map<string, MemoryTable<unknown>>

const clash = (name: string): Error =>
  new Error(
    `two memory tables of one memory database are named "${name}". Give one of them another name: they share one set of ` +
      "names, whatever their schemas. Is it meant to be the same table? Then make it once, outside of the layer."
  )

/** Makes a table known; the same one may be told again. */
export const register = (tables: MemoryTables, table: MemoryTable<unknown>): void => {
  const known = tables.get(table.name)
  if (known !== undefined && known !== table) throw clash(table.name)
  tables.set(table.name, table)
}

/** Throws unless the table was registered. */
export const assertRegistered = <Row>(tables: MemoryTables, table: MemoryTable<Row>): void => {
  const known = tables.get(table.name)
  if (known === table) return
  if (known !== undefined) throw clash(table.name)
  throw new Error(
    `the memory table "${table.name}" is not registered in this memory database. Call \`register\` of PostgresMemory with ` +
      "it where its layer is made."
  )
}

/** Throws unless every table that this one refers to was registered: otherwise each of its rows would be refused. */
export const assertReferences = <Row>(tables: MemoryTables, table: MemoryTable<Row>): void => {
  for (const [name, { to }] of Object.entries(table.references)) {
    if (tables.has(to)) continue
    throw new Error(
      `the foreign key ${name} of the memory table "${table.name}" refers to "${to}", which is not registered in this ` +
        `memory database; registered are ${[...tables.keys()].sort().join(", ")}. Write \`to\` as a table's name without ` +
        "its schema, and provide the layer that registers that table over the same PostgresMemory.layer."
    )
  }
}
