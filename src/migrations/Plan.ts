import * as Effect from "effect/Effect"
import type { AppliedMigration, Migration, MigrationState } from "../core/MigrationDriver.ts"
import {
  ChecksumChanged,
  FileMissing,
  FutureApplied,
  HalfUndone,
  MigrationError,
  OutOfOrder
} from "./MigrationError.ts"

/**
 * What becomes of a pending migration that is older than one that was applied: the run fails, it is applied all the same, or
 * it is left out and told.
 */
export type OutOfOrderPolicy = "error" | "allow" | "skip"

/**
 * What becomes of an applied migration that is newer than every file here, as after a newer program has migrated: it is told
 * and left alone, or the run fails.
 */
export type FuturePolicy = "allow" | "error"

/** What a run does about a history that is not the beginning of the files. */
export interface HistoryPolicies {
  readonly outOfOrder: OutOfOrderPolicy
  readonly future: FuturePolicy
}

/** What a run would do. */
export interface MigrationPlan<R = never> {
  /** What would be applied, in order of version. */
  readonly pending: ReadonlyArray<Migration<R>>
  /** What is left out because it is older than what was applied. */
  readonly skipped: ReadonlyArray<Migration<R>>
  /** What a newer program has applied: migrations newer than every file here, in order of version. */
  readonly future: ReadonlyArray<AppliedMigration>
  readonly alreadyApplied: number
}

/** A way in which files and history contradict each other, or the history says that the schema is not whole. */
export type HistoryProblem = HalfUndone | ChecksumChanged | FileMissing | FutureApplied | OutOfOrder

/** What the history says of migrations. */
type Known = Pick<MigrationState, "applied" | "unfinished">

const newestOf = (applied: ReadonlyArray<AppliedMigration>): bigint =>
  applied.reduce((newest, { version }) => (version > newest ? version : newest), -1n)

const notApplied = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<Migration<R>> => {
  const versions = new Set(applied.map(({ version }) => version))
  return migrations.filter(({ version }) => !versions.has(version))
}

/** The newest version that has a file; undefined where there is none. */
const newestFile = (migrations: ReadonlyArray<Migration<unknown>>): bigint | undefined =>
  migrations.reduce<bigint | undefined>(
    (newest, { version }) => (newest === undefined || version > newest ? version : newest),
    undefined
  )

/**
 * Applied migrations that are newer than every file.
 *
 * Where there are no files at all there are none either: an empty folder is a mistake, not an older program.
 */
export const futureOf = (
  migrations: ReadonlyArray<Migration<unknown>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<AppliedMigration> => {
  const newest = newestFile(migrations)
  return newest === undefined ? [] : applied.filter(({ version }) => version > newest)
}

/** Why nothing is done that would need the file of an applied migration that is newer than all of them. */
export const futureApplied = (
  migrations: ReadonlyArray<Migration<unknown>>,
  { name, version }: AppliedMigration
): FutureApplied => new FutureApplied({ version, name, newest: newestFile(migrations) ?? -1n })

/** Every row of the history that the files contradict. */
export const contradictions = (
  migrations: ReadonlyArray<Migration<unknown>>,
  applied: ReadonlyArray<AppliedMigration>
): ReadonlyArray<ChecksumChanged | FileMissing> => {
  const files = new Map(migrations.map((migration) => [migration.version, migration]))
  const future = new Set(futureOf(migrations, applied))
  return applied.flatMap((row): ReadonlyArray<ChecksumChanged | FileMissing> => {
    const { checksum, name, version } = row
    const file = files.get(version)
    if (file === undefined) return future.has(row) ? [] : [new FileMissing({ version, name })]
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

/** Applied migrations whose way down broke off: their row says that they are there, and a part of them is not. */
const halfUndone = ({ applied, unfinished }: Known): ReadonlyArray<HalfUndone> =>
  applied.flatMap(({ name, version }) => {
    const half = unfinished.find((one) => one.version === version && one.direction === "down")
    return half === undefined ? [] : [new HalfUndone({ version, name, done: half.done })]
  })

/**
 * Everything in which files and history contradict each other, as far as the policies call it that; before it, what is undone
 * only in part.
 */
export const historyProblems = (
  migrations: ReadonlyArray<Migration<unknown>>,
  { applied, unfinished }: Known,
  { future, outOfOrder }: HistoryPolicies
): ReadonlyArray<HistoryProblem> => [
  ...halfUndone({ applied, unfinished }),
  ...contradictions(migrations, applied),
  ...(future === "error" ? futureOf(migrations, applied).map((row) => futureApplied(migrations, row)) : []),
  ...(outOfOrder === "error"
    ? late(migrations, applied).map(({ name, version }) => new OutOfOrder({ version, name, newest: newestOf(applied) }))
    : [])
]

/**
 * Finds what is pending: every migration that the history does not hold.
 *
 * Fails with `MigrationError`: `HalfUndone`, `ChecksumChanged`, `FileMissing`, and `FutureApplied` and `OutOfOrder` where their
 * policy is `error`.
 */
export const planOf = <R>(
  migrations: ReadonlyArray<Migration<R>>,
  known: Known,
  policies: HistoryPolicies
): Effect.Effect<MigrationPlan<R>, MigrationError> => {
  const { applied } = known
  const [reason] = historyProblems(migrations, known, policies)
  if (reason !== undefined) return Effect.fail(new MigrationError({ reason }))
  const skipped = policies.outOfOrder === "skip" ? late(migrations, applied) : []
  return Effect.succeed({
    pending: notApplied(migrations, applied).filter((migration) => !skipped.includes(migration)),
    skipped,
    future: futureOf(migrations, applied),
    alreadyApplied: applied.length
  })
}
