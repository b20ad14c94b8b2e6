import type * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"

/** Which way a list runs. */
export type Direction = "ascending" | "descending"

/** The condition and the order by which a statement reads one keyset page. */
export interface Keyset {
  /** True of the rows behind the last one of the page before; of all rows on the first page. */
  readonly behind: Statement.Fragment
  /** What follows `order by`. */
  readonly order: Statement.Fragment
}

/**
 * Reads a list by its key instead of an offset: rows added or removed elsewhere move nothing, and page 1000 costs as page 1.
 *
 * `columns` are those of an index, the last of them unique; `after` holds their values in the last row of the page before, each
 * with its cast, because PostgreSQL compares them as a row.
 *
 * @example
 * ```ts
 * const page = keyset(sql, ["created_at", "id"], "ascending", after && [sql`${after.createdAt}`, sql`${after.id}::uuid`])
 * sql`select … where ${page.behind} and state = ${state} order by ${page.order} limit ${limit + 1}`
 * ```
 */
export const keyset = (
  sql: SqlClient.SqlClient,
  columns: ReadonlyArray<string>,
  direction: Direction,
  after: ReadonlyArray<Statement.Fragment> | undefined
): Keyset => {
  const names = columns.map((column) => sql`${sql(column)}`)
  const ascending = direction === "ascending"
  const sorted = names.map((name) => (ascending ? name : sql`${name} desc`))
  return {
    behind:
      after === undefined ? sql`true` : sql`(${sql.csv(names)}) ${ascending ? sql`>` : sql`<`} (${sql.csv(after)})`,
    order: sql.csv(sorted)
  }
}
