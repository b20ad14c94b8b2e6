import type { Migration } from "../core/MigrationDriver.ts"
import type { MigrationPlan } from "./Plan.ts"

const shown = ({ name, up, version }: Migration<unknown>): ReadonlyArray<string> => [
  `  ${version}_${name}${up.transaction ? "" : " (without a transaction)"}`,
  ...(up._tag === "Program"
    ? ["    a program"]
    : up.text
        .trim()
        .split("\n")
        .map((line) => `    ${line}`))
]

/** A plan for people: what would be applied with its statements, and what is left out. */
export const planText = ({ alreadyApplied, pending, skipped }: MigrationPlan<unknown>): string =>
  [
    `${alreadyApplied} applied, ${pending.length} pending`,
    ...pending.flatMap(shown),
    ...skipped.map(({ name, version }) => `  left out, older than what was applied: ${version}_${name}`)
  ].join("\n")
