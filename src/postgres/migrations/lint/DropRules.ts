import type { Node } from "libpg-query"
import { commandsOf } from "./AlterTable.ts"
import { isMade } from "./Made.ts"
import { objectName } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** Rules about what is lost. */
export const dropRules = {
  "ban-drop-table": rule(
    "error",
    "The data is gone, and programs that still use the table fail",
    "Deploy programs that no longer use it, rename nothing, and drop it in a later release, after a backup."
  ),
  "ban-drop-column": rule(
    "error",
    "The data is gone, and programs that still name the column fail",
    "Deploy programs that no longer name it, and drop it in a later release."
  ),
  "ban-drop-database": rule(
    "error",
    "All the data of every schema is gone, and whoever is connected fails",
    "Leave it to whoever runs the server: a migration changes one schema of the database that it is connected to."
  ),
  "ban-drop-cascade": rule(
    "error",
    "CASCADE drops whatever depends on it, views and columns of tables included",
    "Name each object to drop, without CASCADE."
  ),
  "ban-drop-owned": rule(
    "error",
    "DROP OWNED drops whatever belongs to the role, tables with their data included, without a name",
    "REASSIGN OWNED BY … TO another role, then REVOKE what it was granted; or name each object to drop."
  ),
  "ban-truncate-cascade": rule(
    "error",
    "TRUNCATE CASCADE empties every table that refers to this one, and theirs",
    "Name the tables to empty, without CASCADE."
  )
} satisfies Record<string, Rule>

type Found = ReadonlyArray<Warning<keyof typeof dropRules>>

export const dropWarnings = (node: Node, around: Around): Found => {
  if ("DropdbStmt" in node) return [{ rule: "ban-drop-database" }]
  if ("DropOwnedStmt" in node) return [{ rule: "ban-drop-owned" }]
  if ("TruncateStmt" in node) {
    return node.TruncateStmt.behavior === "DROP_CASCADE" ? [{ rule: "ban-truncate-cascade" }] : []
  }
  if ("DropStmt" in node) {
    const { behavior, objects = [], removeType } = node.DropStmt
    if (removeType === "OBJECT_INDEX") return []
    if (removeType === "OBJECT_TABLE") {
      return objects.every((object) => isMade(around.made, "relation", objectName(object)))
        ? []
        : [{ rule: "ban-drop-table" }]
    }
    if (behavior !== "DROP_CASCADE") return []
    return [{ rule: removeType === "OBJECT_SCHEMA" ? "ban-drop-table" : "ban-drop-cascade" }]
  }
  return commandsOf(node, around).flatMap(({ subtype }) =>
    subtype === "AT_DropColumn" ? [{ rule: "ban-drop-column" } as const] : []
  )
}
