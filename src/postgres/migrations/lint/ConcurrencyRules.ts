import type { Node } from "libpg-query"
import { commandsOf } from "./AlterTable.ts"
import { isMade } from "./Made.ts"
import { nameOf } from "./Names.ts"
import { type Around, type Rule, rule, type Warning } from "./Rule.ts"

/** Rules about what can work beside others. */
export const concurrencyRules = {
  "require-concurrent-index-creation": rule(
    "error",
    "CREATE INDEX keeps writers out of the table until the index is built",
    "CREATE INDEX CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "require-concurrent-index-deletion": rule(
    "error",
    "DROP INDEX waits for every query of the table, and everybody who comes after waits with it",
    "DROP INDEX CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "ban-concurrent-index-creation-in-transaction": rule(
    "error",
    "CONCURRENTLY cannot run inside a transaction",
    "Give it a file of its own, whose mark says transaction:false."
  ),
  "ban-unnamed-concurrent-index": rule(
    "error",
    "What a run that breaks off leaves of an index without a name could not be found again, so that the engine refuses it",
    "CREATE INDEX CONCURRENTLY name ON …"
  ),
  "require-concurrent-reindex": rule(
    "error",
    "REINDEX keeps writers out of the table, and readers out of the index, until it is built anew",
    "REINDEX … CONCURRENTLY, in a file of its own whose mark says transaction:false."
  ),
  "require-concurrent-refresh": rule(
    "error",
    "REFRESH MATERIALIZED VIEW keeps readers out until all of it is computed",
    "A unique index on the view, then REFRESH MATERIALIZED VIEW CONCURRENTLY."
  ),
  "require-concurrent-partition-detach": rule(
    "error",
    "DETACH PARTITION waits for every query of the whole table, and everybody who comes after waits with it",
    "DETACH PARTITION … CONCURRENTLY, in a file of its own whose mark says transaction:false."
  )
} satisfies Record<string, Rule>

type Found = ReadonlyArray<Warning<keyof typeof concurrencyRules>>

/** What works beside others must do so, and outside of a transaction. */
const ofConcurrent = (concurrent: boolean, transaction: boolean, rule: Found[number]["rule"]): Found => {
  if (!concurrent) return [{ rule }]
  return transaction ? [{ rule: "ban-concurrent-index-creation-in-transaction" }] : []
}

export const concurrencyWarnings = (node: Node, around: Around): Found => {
  const { made, transaction } = around
  if ("IndexStmt" in node) {
    const { concurrent, idxname, relation } = node.IndexStmt
    if (concurrent !== true && isMade(made, "relation", nameOf(relation))) return []
    return [
      ...ofConcurrent(concurrent === true, transaction, "require-concurrent-index-creation"),
      ...(concurrent === true && idxname === undefined ? [{ rule: "ban-unnamed-concurrent-index" } as const] : [])
    ]
  }
  if ("DropStmt" in node) {
    const { concurrent, removeType } = node.DropStmt
    return removeType === "OBJECT_INDEX"
      ? ofConcurrent(concurrent === true, transaction, "require-concurrent-index-deletion")
      : []
  }
  if ("ReindexStmt" in node) {
    const concurrent = (node.ReindexStmt.params ?? []).some(
      (param) => "DefElem" in param && param.DefElem.defname === "concurrently"
    )
    return !concurrent && isMade(made, "relation", nameOf(node.ReindexStmt.relation))
      ? []
      : ofConcurrent(concurrent, transaction, "require-concurrent-reindex")
  }
  if ("RefreshMatViewStmt" in node) {
    const { concurrent, relation } = node.RefreshMatViewStmt
    return concurrent === true || isMade(made, "relation", nameOf(relation))
      ? []
      : [{ rule: "require-concurrent-refresh" }]
  }
  return commandsOf(node, around).flatMap(({ def, subtype }) =>
    subtype === "AT_DetachPartition"
      ? ofConcurrent(
          def !== undefined && "PartitionCmd" in def && def.PartitionCmd.concurrent === true,
          transaction,
          "require-concurrent-partition-detach"
        )
      : []
  )
}
