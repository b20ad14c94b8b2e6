import type { Node, RangeVar } from "libpg-query"
import { isMade } from "./Made.ts"
import { listName, nameOf, objectName } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** Rules about names that programs know. */
export const renameRules = {
  "renaming-table": rule(
    "error",
    "Programs that run now know the old name",
    "Make a view of the new name, switch programs over, and rename once nobody uses the old one."
  ),
  "renaming-column": rule(
    "error",
    "Programs that run now know the old name",
    "Add a column, write both, fill it, switch readers, then drop the old one; or hide the table behind a view."
  ),
  "renaming-type": rule(
    "error",
    "Programs that run now know the old name, in their casts and parameters",
    "Make a domain or a type of the new name, switch programs over, and drop the old one once nobody uses it."
  ),
  "renaming-function": rule(
    "error",
    "Programs that run now call the old name",
    "Make a function of the new name that the old one calls, switch programs over, and drop the old one once nobody calls it."
  ),
  "renaming-schema": rule(
    "error",
    "Programs that run now know everything in it by the old name",
    "Make the new schema with views of what is in the old one, switch programs over, then move what they use."
  ),
  "renaming-value": rule(
    "error",
    "Programs that run now know the old value, and cannot read or write the new one",
    "ADD VALUE, deploy programs that know both, change the rows in batches, and leave the old value unused."
  )
} satisfies Record<string, Rule>

type Name = keyof typeof renameRules
type Found = ReadonlyArray<Warning<Name>>

/** The rule that a kind of object comes under, where programs know its name. */
const known: { readonly [kind in string]?: Name } = {
  OBJECT_TABLE: "renaming-table",
  OBJECT_VIEW: "renaming-table",
  OBJECT_MATVIEW: "renaming-table",
  OBJECT_FOREIGN_TABLE: "renaming-table",
  OBJECT_COLUMN: "renaming-column",
  OBJECT_ATTRIBUTE: "renaming-column",
  OBJECT_TYPE: "renaming-type",
  OBJECT_DOMAIN: "renaming-type",
  OBJECT_FUNCTION: "renaming-function",
  OBJECT_PROCEDURE: "renaming-function",
  OBJECT_ROUTINE: "renaming-function",
  OBJECT_AGGREGATE: "renaming-function",
  OBJECT_SCHEMA: "renaming-schema"
}

/** A renamed object, or one that is moved to another schema. */
const ofObject = (
  kind: string | undefined,
  relation: RangeVar | undefined,
  object: Node | undefined,
  { made }: Around
): Found => {
  const rule = known[kind ?? ""]
  const isNew =
    relation === undefined
      ? isMade(made, "type", objectName(object)) || isMade(made, "function", objectName(object))
      : (["relation", "view", "type"] as const).some((kind) => isMade(made, kind, nameOf(relation)))
  return rule === undefined || isNew ? [] : [{ rule }]
}

export const renameWarnings = (node: Node, around: Around): Found => {
  if ("RenameStmt" in node) {
    const { object, relation, renameType } = node.RenameStmt
    return ofObject(renameType, relation, object, around)
  }
  if ("AlterObjectSchemaStmt" in node) {
    const { object, objectType, relation } = node.AlterObjectSchemaStmt
    return ofObject(objectType, relation, object, around)
  }
  if ("AlterEnumStmt" in node) {
    const { oldVal, typeName } = node.AlterEnumStmt
    return oldVal === undefined || isMade(around.made, "type", listName(typeName)) ? [] : [{ rule: "renaming-value" }]
  }
  return []
}
