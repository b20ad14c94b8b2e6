import type { AlterTableCmd, ColumnDef, Node } from "libpg-query"
import { commandsOf } from "./AlterTable.ts"
import { constraintsOf, isPrimary, typeOf } from "./Columns.ts"
import { isVolatile } from "./Functions.ts"
import { stringsOf } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** Rules about columns: their types, whether they are required, and their defaults. */
export const columnRules = {
  "changing-column-type": rule(
    "error",
    "A new type rewrites the table while nobody may use it, and breaks programs that know the old one",
    "Add a column of the new type, write both, fill it in batches, switch readers, then drop the old column."
  ),
  "adding-not-nullable-field": rule(
    "error",
    "SET NOT NULL reads the whole table while nobody may use it",
    "ADD CONSTRAINT … CHECK (column IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL, which trusts the check; drop the check."
  ),
  "adding-required-field": rule(
    "error",
    "A required column without a default cannot be added to rows that are there",
    "Give it a constant DEFAULT, or add it without NOT NULL, fill it, and make it required later."
  ),
  "adding-field-with-default": rule(
    "error",
    "A default that is computed for each row rewrites the table while nobody may use it",
    "Add the column without it, SET DEFAULT in a second statement for new rows, and fill the old rows in batches."
  ),
  "prefer-bigint-over-int": rule("warning", "A key of 4 bytes runs out at 2147483647", "Use bigint, or uuid."),
  "prefer-timestamptz": rule(
    "warning",
    "A timestamp without time zone means another moment in every session's zone",
    "Use timestamptz."
  ),
  "ban-char-field": rule(
    "warning",
    "char(n) is padded with blanks that count in some comparisons and not in others",
    "Use text, with a check on its length if that matters."
  )
} satisfies Record<string, Rule>

type Found = ReadonlyArray<Warning<keyof typeof columnRules>>

const serial = /^(?:small|big)?serial\d?$/
const narrowKeys: ReadonlySet<string> = new Set(["int2", "int4", "serial", "serial2", "serial4", "smallserial"])

/** Warnings about the type of a column, wherever it is made. */
const ofType = (column: ColumnDef, key: boolean): Found => {
  const type = typeOf(column.typeName)
  const at = column.typeName?.location
  return [
    ...((key || serial.test(type)) && narrowKeys.has(type) ? [{ rule: "prefer-bigint-over-int", at } as const] : []),
    ...(type === "timestamp" ? [{ rule: "prefer-timestamptz", at } as const] : []),
    ...(type === "bpchar" ? [{ rule: "ban-char-field", at } as const] : [])
  ]
}

const ofAdded = (column: ColumnDef): Found => {
  const constraints = constraintsOf(column)
  const has = (kind: (typeof constraints)[number]["contype"]) => constraints.find(({ contype }) => contype === kind)
  const fallback = has("CONSTR_DEFAULT")
  const own = has("CONSTR_IDENTITY") ?? has("CONSTR_GENERATED")
  const required = has("CONSTR_NOTNULL") ?? has("CONSTR_PRIMARY")
  const numbered = serial.test(typeOf(column.typeName))
  const computed = (fallback !== undefined && isVolatile(fallback.raw_expr)) || own !== undefined || numbered
  return [
    ...ofType(column, constraints.some(isPrimary)),
    ...(required !== undefined && fallback === undefined && own === undefined && !numbered
      ? [{ rule: "adding-required-field", at: column.location } as const]
      : []),
    ...(computed
      ? [{ rule: "adding-field-with-default", at: (fallback ?? own)?.location ?? column.location } as const]
      : [])
  ]
}

/** The columns of a new table. */
const ofNewTable = (elements: ReadonlyArray<Node>): Found => {
  const keys = new Set(
    elements.flatMap((element) =>
      "Constraint" in element && isPrimary(element.Constraint) ? stringsOf(element.Constraint.keys) : []
    )
  )
  return elements.flatMap((element) => {
    if (!("ColumnDef" in element)) return []
    const column = element.ColumnDef
    return ofType(column, keys.has(column.colname ?? "") || constraintsOf(column).some(isPrimary))
  })
}

/** A check that a SET NOT NULL may trust is not looked for: the hint tells the whole way. */
const ofCommand = ({ def, subtype }: AlterTableCmd): Found => {
  const column = def !== undefined && "ColumnDef" in def ? def.ColumnDef : undefined
  switch (subtype) {
    case "AT_AddColumn":
      return column === undefined ? [] : ofAdded(column)
    case "AT_AlterColumnType":
      return [{ rule: "changing-column-type" }, ...(column === undefined ? [] : ofType(column, false))]
    case "AT_SetNotNull":
      return [{ rule: "adding-not-nullable-field" }]
    default:
      return []
  }
}

export const columnWarnings = (node: Node, around: Around): Found =>
  "CreateStmt" in node
    ? ofNewTable(node.CreateStmt.tableElts ?? [])
    : commandsOf(node, around).flatMap((command) => ofCommand(command))
