import type * as DateTime from "effect/DateTime"
import type { AppliedMigration, Migration, MigrationState } from "../core/MigrationDriver.ts"
import { historyProblems } from "./Plan.ts"

/** What became of one migration. */
export interface MigrationStatus {
  readonly version: bigint
  readonly name: string
  /**
   * `pending` and `applied`; `baseline`: was there before; `late`: pending, and older than what was applied; `changed`: edited
   * after it was applied; `missing`: applied, and its file is not here; `future`: likewise, and newer than every file here;
   * `unfinished`: broke off between two statements; `half-undone`: likewise, while it was being undone.
   */
  readonly state:
    "applied" | "baseline" | "pending" | "late" | "changed" | "missing" | "future" | "unfinished" | "half-undone"
  readonly appliedAt: DateTime.Utc | undefined
  /** Whether it says how it is undone. */
  readonly reversible: boolean
}

/** Every migration that files or history know, in order of version. */
export const statusOf = (
  migrations: ReadonlyArray<Migration<unknown>>,
  { applied, unfinished }: MigrationState
): ReadonlyArray<MigrationStatus> => {
  const problems = new Map(
    historyProblems(migrations, { applied, unfinished }, { future: "error", outOfOrder: "error" })
      .map((problem) => [problem.version, problem._tag] as const)
      // Of two problems the first counts.
      .toReversed()
  )
  const halves = new Set(unfinished.map(({ version }) => version))
  const files = new Map(migrations.map((migration) => [migration.version, migration]))
  const rows = new Map(applied.map((row) => [row.version, row]))
  const stateOf = (version: bigint, row: AppliedMigration | undefined): MigrationStatus["state"] => {
    const problem = problems.get(version)
    if (problem === "HalfUndone") return "half-undone"
    if (halves.has(version)) return "unfinished"
    switch (problem) {
      case "ChecksumChanged":
        return "changed"
      case "FileMissing":
        return "missing"
      case "FutureApplied":
        return "future"
      case "OutOfOrder":
        return "late"
      case undefined:
        if (row === undefined) return "pending"
        return row.kind === "baseline" ? "baseline" : "applied"
    }
  }
  return [...new Set([...files.keys(), ...rows.keys(), ...halves])]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((version) => {
      const row = rows.get(version)
      const file = files.get(version)
      return {
        version,
        name: file?.name ?? row?.name ?? "",
        state: stateOf(version, row),
        appliedAt: row?.appliedAt,
        reversible: file?.down !== undefined
      }
    })
}
