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

/** A plan for people: what would be applied with its statements, what is left out, and what a newer program has applied. */
export const planText = ({ alreadyApplied, future, pending, skipped }: MigrationPlan<unknown>): string =>
  [
    `${alreadyApplied} applied, ${pending.length} pending`,
    ...pending.flatMap(shown),
    ...skipped.map(({ name, version }) => `  left out, older than what was applied: ${version}_${name}`),
    ...future.map(({ name, version }) => `  applied by a newer program: ${version}_${name}`)
  ].join("\n")
