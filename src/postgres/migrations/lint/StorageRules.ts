import type { Node } from "libpg-query"
import { allCommandsOf, commandsOf } from "./AlterTable.ts"
import { isMade } from "./Made.ts"
import { nameOf } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** Rules about what reads or writes a whole table under its lock. */
export const storageRules = {
  "attaching-partition": rule(
    "error",
    "ATTACH PARTITION reads the whole partition, and the default one, while nobody may use them",
    "ADD CONSTRAINT … CHECK (what its bound says) NOT VALID, VALIDATE CONSTRAINT, then ATTACH PARTITION, which trusts the check; for the default one, a check that it holds nothing of the bound."
  ),
  "changing-persistence": rule(
    "error",
    "SET LOGGED and SET UNLOGGED write the table anew while nobody may use it",
    "Make a second table of the other kind, write both, fill it in batches, switch readers, then drop the old one."
  ),
  "changing-tablespace": rule(
    "error",
    "SET TABLESPACE and SET ACCESS METHOD write the table or index anew while nobody may use it",
    "An index: CREATE INDEX CONCURRENTLY … TABLESPACE, or REINDEX (TABLESPACE …, CONCURRENTLY). A table: pg_repack, or a second table there, write both, fill it in batches, switch readers, then drop the old one."
  ),
  "ban-vacuum-full": rule(
    "error",
    "VACUUM FULL and CLUSTER write the table anew while nobody may use it",
    "VACUUM without FULL, or pg_repack."
  )
} satisfies Record<string, Rule>

type Found = ReadonlyArray<Warning<keyof typeof storageRules>>

/** A check that an ATTACH PARTITION may trust is not looked for: the hint tells the whole way. */
const ofAttached = (node: Node, { made }: Around): Found =>
  // What is attached to a new table may be an old one.
  allCommandsOf(node).flatMap(({ def, subtype }) =>
    subtype === "AT_AttachPartition" &&
    def !== undefined &&
    "PartitionCmd" in def &&
    def.PartitionCmd.bound !== undefined &&
    !isMade(made, "relation", nameOf(def.PartitionCmd.name))
      ? [{ rule: "attaching-partition" } as const]
      : []
  )

export const storageWarnings = (node: Node, around: Around): Found => {
  if ("VacuumStmt" in node) {
    const full = (node.VacuumStmt.options ?? []).some(
      (option) => "DefElem" in option && option.DefElem.defname === "full"
    )
    return full ? [{ rule: "ban-vacuum-full" }] : []
  }
  if ("ClusterStmt" in node) return [{ rule: "ban-vacuum-full" }]
  // ALTER TABLE ALL IN TABLESPACE … SET TABLESPACE.
  if ("AlterTableMoveAllStmt" in node) return [{ rule: "changing-tablespace" }]
  return [
    ...ofAttached(node, around),
    ...commandsOf(node, around).flatMap(({ subtype }): Found => {
      switch (subtype) {
        case "AT_SetLogged":
        case "AT_SetUnLogged":
          return [{ rule: "changing-persistence" }]
        case "AT_SetTableSpace":
        case "AT_SetAccessMethod":
          return [{ rule: "changing-tablespace" }]
        default:
          return []
      }
    })
  ]
}
