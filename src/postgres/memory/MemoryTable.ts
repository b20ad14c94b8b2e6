/**
 * What a rule asks of a row.
 *
 * Typed as a method is, because a database holds tables of many row types beside each other.
 */
type Of<Row, A> = { of(row: Row): A }["of"]

/** What becomes of a row when the row it refers to is removed: the removal is refused, it goes too, or it is changed. */
export type OnRemoval<Row> = "restrict" | "cascade" | Of<Row, Row>

/** A foreign key of a memory table. */
export interface MemoryReference<Row> {
  /** Name of the table that is referred to, without its schema; it must be registered in the same memory database. */
  readonly to: string
  /** Key of the row that is referred to; null or undefined where there is none. */
  readonly key: Of<Row, string | null | undefined>
  readonly onRemoval: OnRemoval<Row>
}

/**
 * A table in memory and its rules, which bear the names that PostgreSQL knows them by, so that one mapping from constraints to
 * domain errors serves both.
 */
export interface MemoryTable<Row> {
  /** Without its schema: `users`. No other table of the memory database has it. */
  readonly name: string
  /** The primary key, as text. */
  readonly key: Of<Row, string>
  /** Unique indexes by name, in the order in which they are checked; null or undefined where the index leaves the row out. */
  readonly unique: Readonly<Record<string, Of<Row, string | null | undefined>>>
  readonly references: Readonly<Record<string, MemoryReference<Row>>>
  readonly checks: Readonly<Record<string, Of<Row, boolean>>>
}

/**
 * Describes a table in memory; what is left out has no rules. Its layer registers it (`PostgresMemory.register`).
 *
 * @example
 * ```ts
 * const notes = memoryTable<Note>({
 *   name: "notes",
 *   key: (note) => note.id,
 *   unique: { notes_title_key: (note) => note.title },
 *   references: { notes_author_id_fkey: { to: "users", key: (note) => note.authorId, onRemoval: "cascade" } }
 * })
 * ```
 */
export const memoryTable = <Row>(
  spec: Pick<MemoryTable<Row>, "key" | "name"> & Partial<MemoryTable<Row>>
): MemoryTable<Row> => ({ unique: {}, references: {}, checks: {}, ...spec })
