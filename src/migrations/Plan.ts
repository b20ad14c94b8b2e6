import { Effect } from "effect"
import type { AppliedMigration, Migration, MigrationState } from "../core/MigrationDriver.ts"
import { ChecksumChanged, FileMissing, MigrationError, OutOfOrder } from "./MigrationError.ts"

/**
 * What becomes of a pending migration that is older than one that was applied: the run fails, it is applied all the same, or
 * it is left out and told.
 */
export type OutOfOrderPolicy = "error" | "allow" | "skip"

/** What a run would do. */
export interface MigrationPlan<R = never> {
  /** What would be applied, in order of version. */
  readonly pending: ReadonlyArray<Migration<R>>
  /** What is left out because it is older than what was applied. */
  readonly skipped: ReadonlyArray<Migration<R>>
  readonly alreadyApplied: number
}

/** A way in which files and history contradict each other. */
export type HistoryProblem = ChecksumChanged | FileMissing | OutOfOrder

const newestOf = (applied: ReadonlyArray<AppliedMigration>): bigint =>
  applied.reduce((newest, { version }) => (version > newest ? version : newest), -1n)

const notApplied = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<Migration<R>> => {
  const versions = new Set(applied.map(({ version }) => version))
  return migrations.filter(({ version }) => !versions.has(version))
}

/** Every row of the history that the files contradict. */
export const contradictions = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<ChecksumChanged | FileMissing> => {
  const files = new Map(migrations.map((migration) => [migration.version, migration]))
  return applied.flatMap(({ checksum, name, version }): ReadonlyArray<ChecksumChanged | FileMissing> => {
    const file = files.get(version)
    if (file === undefined) return [new FileMissing({ version, name })]
    return file.checksum === checksum
      ? []
      : [new ChecksumChanged({ version, name, applied: checksum, found: file.checksum })]
  })
}

/** Pending migrations that are older than one that was applied. */
const late = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<Migration<R>> => {
  const newest = newestOf(applied)
  return notApplied(migrations, applied).filter(({ version }) => version < newest)
}

/** Everything in which files and history contradict each other. */
export const historyProblems = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<HistoryProblem> => [
  ...contradictions(migrations, applied),
  ...late(migrations, applied).map(({ name, version }) => new OutOfOrder({ version, name, newest: newestOf(applied) }))
]

/**
 * Finds what is pending: every migration that the history does not hold.
 *
 * Fails with `MigrationError`: `ChecksumChanged`, `FileMissing`, and `OutOfOrder` where the policy is `error`.
 */
export const planOf = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  { applied }: Pick<MigrationState, "applied">,
  policy: OutOfOrderPolicy
): Effect.Effect<MigrationPlan<R>, MigrationError> => {
  const problems = policy === "error" ? historyProblems(migrations, applied) : contradictions(migrations, applied)
  const [reason] = problems
  if (reason !== undefined) return Effect.fail(new MigrationError({ reason }))
  const skipped = policy === "skip" ? late(migrations, applied) : []
  return Effect.succeed({
    pending: notApplied(migrations, applied).filter((migration) => !skipped.includes(migration)),
    skipped,
    alreadyApplied: applied.length
  })
}
