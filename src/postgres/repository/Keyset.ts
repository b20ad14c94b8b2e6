import type * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"
import { nullInKey } from "../../core/nullInKey.ts"

/** Which way a list runs. */
export type Direction = "ascending" | "descending"

/** The condition and the order by which a statement reads one keyset page. */
export interface Keyset {
  /** True of the rows behind the last one of the page before; of all rows on the first page. */
  readonly behind: Statement.Fragment
  /** What follows `order by`. */
  readonly order: Statement.Fragment
}

const holdsNull = ({ segments }: Statement.Fragment): boolean =>
  segments.some((segment) => segment._tag === "Parameter" && segment.value === null)

/**
 * Reads a list by its key instead of an offset: rows added or removed elsewhere move nothing, and page 1000 costs as page 1.
 *
 * `columns` are the names of columns (not expressions) that an index has, the last of them unique; `after` holds their values in
 * the last row of the page before, each with its cast, because PostgreSQL compares them as a row.
 *
 * They are `not null`, or the statement's own condition leaves null out: PostgreSQL finds no such row behind another. A null in
 * `after` is a defect that names the column. What may be missing is ordered by a column that stands for it:
 * `due_order date not null generated always as (coalesce(due_on, 'infinity'::date)) stored`.
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
  const unknown =
    after === undefined ? undefined : columns.find((_, i) => after[i] !== undefined && holdsNull(after[i]))
  if (unknown !== undefined) throw nullInKey("`after`", unknown)
  const names = columns.map((column) => sql`${sql(column)}`)
  const ascending = direction === "ascending"
  const sorted = names.map((name) => (ascending ? name : sql`${name} desc`))
  return {
    behind:
      after === undefined ? sql`true` : sql`(${sql.csv(names)}) ${ascending ? sql`>` : sql`<`} (${sql.csv(after)})`,
    order: sql.csv(sorted)
  }
}
