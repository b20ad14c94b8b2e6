import type { AlterTableCmd, Node } from "libpg-query"
import { isMade } from "./Made.ts"
import { nameOf } from "./Names.ts"
import type { Around } from "./Rule.ts"

/** What an ALTER TABLE does, in order; nothing for any other statement. */
export const allCommandsOf = (node: Node): ReadonlyArray<AlterTableCmd> =>
  "AlterTableStmt" in node
    ? (node.AlterTableStmt.cmds ?? []).flatMap((command) => ("AlterTableCmd" in command ? [command.AlterTableCmd] : []))
    : []

/** The same where the table was there before. */
export const commandsOf = (node: Node, { made }: Around): ReadonlyArray<AlterTableCmd> =>
  "AlterTableStmt" in node && isMade(made, "relation", nameOf(node.AlterTableStmt.relation)) ? [] : allCommandsOf(node)
