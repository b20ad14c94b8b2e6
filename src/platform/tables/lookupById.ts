import type { Fragment, Statement } from "effect/sql/Statement"
import { makeLookup } from "../../postgres/repository/Lookup.ts"
import type { Lookup } from "../../postgres/repository/LookupShape.ts"
import type { PostgresClient } from "../../postgres/PostgresClient.ts"
import type { RowReader } from "../../postgres/repository/Row.ts"

/** Makes a lookup of rows by their id; `id` is its column, `select` the statement that gives the rows for which a condition holds. */
export const lookupById = <Id extends string, A>(
  client: PostgresClient["Service"],
  {
    id,
    operation,
    rows,
    select
  }: {
    readonly operation: string
    readonly id: Fragment
    readonly select: (condition: Fragment) => Statement<{ readonly id: Id }>
    readonly rows: RowReader<A>
  }
): Lookup<Id, A> => {
  const { sql } = client
  return makeLookup(client, {
    operation,
    select: (ids: ReadonlyArray<Id>) => select(sql`${id} = any(${ids}::uuid[])`),
    selectOne: (one) => select(sql`${id} = ${one}::uuid`),
    key: (row) => row.id,
    rows
  })
}
