import { normalText } from "./NormalText.ts"

/** A statement that works beside others, and so in no transaction, with names as they stand there. */
export type ConcurrentStatement =
  | { readonly _tag: "CreateIndex"; readonly name: string; readonly table: string }
  /** PostgreSQL would choose a name, and a later run could not find what this one left. */
  | { readonly _tag: "CreateUnnamedIndex" }
  | { readonly _tag: "DropIndex"; readonly name: string }
  | { readonly _tag: "Other" }

const identifier = String.raw`(?:"(?:[^"]|"")+"|[\w$\u0080-\uffff]+)`
const qualified = `${identifier}(?: \\. ${identifier})*`
const onTable = `on (?:only )?(${qualified})`
const createNamed = new RegExp(
  `^create (?:unique )?index concurrently (?:if not exists )?(${identifier}) ${onTable}(?: |$)`
)
const createUnnamed = new RegExp(`^create (?:unique )?index concurrently ${onTable}(?: |$)`)
const drop = new RegExp(`^drop index concurrently (?:if exists )?(${qualified})(?: restrict| cascade)?$`)
const others = [
  /^(?:create (?:unique )?|drop )index concurrently /,
  /^reindex (?:\( [^)]*\bconcurrently\b|(?:\( [^)]*\) )?(?:index|table|schema|database|system) concurrently\b)/,
  /^refresh materialized view concurrently /,
  new RegExp(`^alter table (?:if exists )?(?:only )?${qualified}(?: \\*)? detach partition ${qualified} concurrently$`)
]
/** The words that such a statement begins with; all others are told apart by this alone. */
const beginning = /^(?:create|drop|reindex|refresh|alter)\b/i

/** What a CONCURRENTLY statement is about; undefined for every other one, whatever its strings and comments say. */
export const concurrentStatement = (text: string): ConcurrentStatement | undefined => {
  if (!beginning.test(text)) return undefined
  const normal = normalText(text)
  if (createUnnamed.test(normal)) return { _tag: "CreateUnnamedIndex" }
  const [, name, table] = createNamed.exec(normal) ?? []
  if (name !== undefined && table !== undefined) return { _tag: "CreateIndex", name, table }
  const [, dropped] = drop.exec(normal) ?? []
  if (dropped !== undefined) return { _tag: "DropIndex", name: dropped }
  return others.some((form) => form.test(normal)) ? { _tag: "Other" } : undefined
}
