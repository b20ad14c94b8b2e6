import * as Effect from "effect/Effect"
import type { TellProgress } from "../../core/MigrationDriver.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import { concurrentStatement } from "./ConcurrentStatement.ts"
import type { Which } from "./Which.ts"

/** What a killed run left of a CONCURRENTLY statement. */
export const makeLeftBehind = ({ query, sql }: PostgresClient["Service"]) => {
  /** The index that a CONCURRENTLY statement is about: whether it is there, and whether it is whole. */
  const indexOf = (operation: string, name: string, table: string) =>
    Effect.map(
      query(
        { operation, kind: "read" },
        sql<{ readonly name: string; readonly valid: boolean }>`select
          format('%I.%I', n.nspname, c.relname) as name, i.indisvalid as valid
          from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
          where i.indrelid = to_regclass(${table}) and c.relname = (parse_ident(${name}))[1]`
      ),
      ([row]) => row
    )

  /**
   * Looks at what a killed run may have left of a statement that no transaction protects, and says whether it is done.
   *
   * A broken CREATE INDEX CONCURRENTLY leaves an invalid index, which the same statement with IF NOT EXISTS would take for
   * whole.
   */
  const leftBehind = (operation: string, which: Which, text: string, tell: TellProgress) =>
    Effect.gen(function* () {
      const statement = concurrentStatement(text)
      if (statement?._tag === "CreateIndex") {
        const index = yield* indexOf(operation, statement.name, statement.table)
        if (index === undefined || index.valid) return index !== undefined
        yield* query({ operation, kind: "write" }, sql.unsafe(`drop index concurrently if exists ${index.name}`))
        yield* tell({ _tag: "Cleared", ...which, object: `the invalid index ${index.name}` })
        return false
      }
      if (statement?._tag !== "DropIndex") return false
      const [row] = yield* query(
        { operation, kind: "read" },
        sql<{ readonly gone: boolean }>`select to_regclass(${statement.name}) is null as gone`
      )
      return row?.gone === true
    })

  return leftBehind
}
