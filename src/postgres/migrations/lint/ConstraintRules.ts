import type { Constraint, Node } from "libpg-query"
import { allCommandsOf, commandsOf } from "./AlterTable.ts"
import { constraintsOf } from "./Columns.ts"
import { isMade } from "./Made.ts"
import { listName, nameOf } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** Rules about constraints, whose check reads the rows that are there. */
export const constraintRules = {
  "adding-foreign-key-constraint": rule(
    "error",
    "A foreign key locks both tables against writers while every row is checked",
    "ADD CONSTRAINT … NOT VALID, and in a later migration VALIDATE CONSTRAINT, which blocks nobody."
  ),
  "constraint-missing-not-valid": rule(
    "error",
    "A check, or a domain's NOT NULL, locks the table, or every table that uses the domain, while every row is checked",
    "ADD CONSTRAINT … NOT VALID (for a domain CHECK (VALUE IS NOT NULL) in the place of NOT NULL), and in a later migration VALIDATE CONSTRAINT, which blocks nobody."
  ),
  "validating-with-not-valid": rule(
    "error",
    "The lock of ADD CONSTRAINT … NOT VALID is held to the end of the transaction, while VALIDATE CONSTRAINT reads every row",
    "VALIDATE CONSTRAINT in a later migration, where it blocks nobody."
  ),
  "disallowed-unique-constraint": rule(
    "error",
    "A unique or primary key builds its index while nobody may use the table",
    "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … UNIQUE (or PRIMARY KEY) USING INDEX."
  )
} satisfies Record<string, Rule>

type Found = ReadonlyArray<Warning<keyof typeof constraintRules>>

/** One that comes with a new column is checked at once. */
const ofColumn = ({ contype, location: at }: Constraint): Found => {
  switch (contype) {
    case "CONSTR_FOREIGN":
      // Every new value is null, or one and the same, and still both tables are locked while that is checked.
      return [{ rule: "adding-foreign-key-constraint", at }]
    case "CONSTR_CHECK":
      return [{ rule: "constraint-missing-not-valid", at }]
    case "CONSTR_UNIQUE":
    case "CONSTR_PRIMARY":
      return [{ rule: "disallowed-unique-constraint", at }]
    default:
      return []
  }
}

const ofAdded = ({ contype, indexname, location: at, skip_validation }: Constraint): Found => {
  switch (contype) {
    case "CONSTR_FOREIGN":
      return skip_validation === true ? [] : [{ rule: "adding-foreign-key-constraint", at }]
    case "CONSTR_CHECK":
    case "CONSTR_NOTNULL":
      return skip_validation === true ? [] : [{ rule: "constraint-missing-not-valid", at }]
    case "CONSTR_UNIQUE":
    case "CONSTR_PRIMARY":
    case "CONSTR_EXCLUSION":
      return indexname === undefined ? [{ rule: "disallowed-unique-constraint", at }] : []
    default:
      return []
  }
}

const addsUnvalidated = (command: ReturnType<typeof allCommandsOf>[number]): boolean =>
  command.subtype === "AT_AddConstraint" &&
  command.def !== undefined &&
  "Constraint" in command.def &&
  command.def.Constraint.skip_validation === true

/** The table that a statement gives a constraint NOT VALID. */
export const tablesUnvalidated = (node: Node): ReadonlyArray<string> =>
  "AlterTableStmt" in node && allCommandsOf(node).some(addsUnvalidated) ? [nameOf(node.AlterTableStmt.relation)] : []

/** How the grammar writes ALTER DOMAIN … SET NOT NULL. */
const domainSetNotNull = "O"

export const constraintWarnings = (node: Node, around: Around): Found => {
  if ("AlterDomainStmt" in node) {
    const { def, subtype, typeName } = node.AlterDomainStmt
    if (isMade(around.made, "type", listName(typeName))) return []
    if (subtype === domainSetNotNull) return [{ rule: "constraint-missing-not-valid" }]
    return def !== undefined && "Constraint" in def ? ofAdded(def.Constraint) : []
  }
  if (!("AlterTableStmt" in node)) return []
  // In one statement they share the lock in whatever order, and whatever its mark says.
  const unvalidated =
    tablesUnvalidated(node).length > 0 ||
    (around.transaction && around.unvalidated.has(nameOf(node.AlterTableStmt.relation)))
  return commandsOf(node, around).flatMap(({ def, subtype }): Found => {
    if (subtype === "AT_ValidateConstraint") return unvalidated ? [{ rule: "validating-with-not-valid" }] : []
    if (def === undefined) return []
    if (subtype === "AT_AddColumn" && "ColumnDef" in def) return constraintsOf(def.ColumnDef).flatMap(ofColumn)
    return subtype === "AT_AddConstraint" && "Constraint" in def ? ofAdded(def.Constraint) : []
  })
}
