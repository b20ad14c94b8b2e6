import type { Node } from "libpg-query"
import { backfillRules, backfillWarnings } from "./lint/BackfillRules.ts"
import { columnRules, columnWarnings } from "./lint/ColumnRules.ts"
import { concurrencyRules, concurrencyWarnings } from "./lint/ConcurrencyRules.ts"
import { constraintRules, constraintWarnings } from "./lint/ConstraintRules.ts"
import { dropRules, dropWarnings } from "./lint/DropRules.ts"
import { renameRules, renameWarnings } from "./lint/RenameRules.ts"
import type { Around, Rule, Warning } from "./lint/Rule.ts"
import { storageRules, storageWarnings } from "./lint/StorageRules.ts"
import { textRules } from "./lint/TextRules.ts"

/** The rules, most of them squawk's (squawkhq.com/docs/rules), by name: what happens, and the safe way. */
export const rules = {
  ...textRules,
  ...concurrencyRules,
  ...constraintRules,
  ...columnRules,
  ...dropRules,
  ...renameRules,
  ...storageRules,
  ...backfillRules
} satisfies Record<string, Rule>

export type RuleName = keyof typeof rules

/** What is dangerous in one statement. */
export const warningsOf = (node: Node, around: Around): ReadonlyArray<Warning<RuleName>> => [
  ...concurrencyWarnings(node, around),
  ...constraintWarnings(node, around),
  ...columnWarnings(node, around),
  ...dropWarnings(node, around),
  ...renameWarnings(node, around),
  ...storageWarnings(node, around),
  ...backfillWarnings(node, around)
]
