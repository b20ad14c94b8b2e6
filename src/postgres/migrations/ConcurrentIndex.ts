import * as Effect from "effect/Effect"
import type { TellProgress } from "../../core/MigrationDriver.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import type { Which } from "./Which.ts"

/** `CREATE INDEX CONCURRENTLY name ON table`, and `DROP INDEX CONCURRENTLY name`, with names as they stand there. */
const identifier = String.raw`(?:"(?:[^"]|"")+"|[\w$\u0080-\uffff]+)`
const qualified = `${identifier}(?:\\.${identifier})*`
const createConcurrently = new RegExp(
  `^create\\s+(?:unique\\s+)?index\\s+concurrently\\s+(?:if\\s+not\\s+exists\\s+)?(${identifier})\\s+on\\s+(?:only\\s+)?(${qualified})`,
  "i"
)
const dropConcurrently = new RegExp(
  `^drop\\s+index\\s+concurrently\\s+(?:if\\s+exists\\s+)?(${qualified})\\s*(?:restrict|cascade)?\\s*$`,
  "i"
)
/** Whether a statement works beside others, and so in no transaction. */
export const isConcurrent = (text: string): boolean => /\bconcurrently\b/i.test(text)

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
      const [, name, table] = createConcurrently.exec(text) ?? []
      if (name !== undefined && table !== undefined) {
        const index = yield* indexOf(operation, name, table)
        if (index === undefined || index.valid) return index !== undefined
        yield* query({ operation, kind: "write" }, sql.unsafe(`drop index concurrently if exists ${index.name}`))
        yield* tell({ _tag: "Cleared", ...which, object: `the invalid index ${index.name}` })
        return false
      }
      const [, dropped] = dropConcurrently.exec(text) ?? []
      if (dropped === undefined) return false
      const [row] = yield* query(
        { operation, kind: "read" },
        sql<{ readonly gone: boolean }>`select to_regclass(${dropped}) is null as gone`
      )
      return row?.gone === true
    })

  return leftBehind
}
