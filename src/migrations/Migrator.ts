import { Effect } from "effect"
import type { AppliedMigration, Migration, MigrationDriver } from "../core/MigrationDriver.ts"
import type { StoreError } from "../core/StoreError.ts"
import { ChecksumChanged, FileMissing, MigrationError, OutOfOrder, StatementFailed } from "./MigrationError.ts"
import { readFolder } from "./MigrationFile.ts"

/** What a run did. */
export interface MigrationReport {
  /** What this run applied, in order. */
  readonly applied: ReadonlyArray<AppliedMigration>
  /** How many had been applied before. */
  readonly alreadyApplied: number
}

/**
 * Finds what is pending: every migration that the history does not hold.
 *
 * Fails with `MigrationError`: `ChecksumChanged`, `FileMissing` or `OutOfOrder`.
 */
export const pending = (
  migrations: ReadonlyArray<Migration>,
  history: ReadonlyArray<AppliedMigration>
): Effect.Effect<ReadonlyArray<Migration>, MigrationError> =>
  Effect.gen(function* () {
    const files = new Map(migrations.map((migration) => [migration.version, migration]))
    const applied = new Set(history.map(({ version }) => version))
    for (const { checksum, name, version } of history) {
      const file = files.get(version)
      if (file === undefined) return yield* new MigrationError({ reason: new FileMissing({ version, name }) })
      if (file.checksum !== checksum) {
        return yield* new MigrationError({
          reason: new ChecksumChanged({ version, name, applied: checksum, found: file.checksum })
        })
      }
    }
    const newest = history.reduce((newest, { version }) => (version > newest ? version : newest), -1n)
    const missing = migrations.filter(({ version }) => !applied.has(version))
    const late = missing.find(({ version }) => version < newest)
    if (late !== undefined) {
      return yield* new MigrationError({
        reason: new OutOfOrder({ version: late.version, name: late.name, newest })
      })
    }
    return missing
  })

/**
 * Applies the pending migrations of a folder in order, each with its row of the history, while nobody else migrates.
 *
 * The first failure ends the run; what was applied before it stays, and the next run continues there. Fails with
 * `MigrationError`, or with `StoreError` where the store cannot be reached or somebody else keeps the lock.
 */
export const migrate = (
  driver: MigrationDriver,
  folder: string
): Effect.Effect<MigrationReport, MigrationError | StoreError> =>
  Effect.gen(function* () {
    const migrations = yield* readFolder(folder)
    return yield* driver.locked((session) =>
      Effect.gen(function* () {
        const history = yield* session.history
        const todo = yield* pending(migrations, history)
        const applied = yield* Effect.forEach(todo, (migration) =>
          session.apply(migration).pipe(
            Effect.mapError(
              (failure) =>
                new MigrationError({
                  reason: new StatementFailed({ version: migration.version, name: migration.name, failure })
                })
            ),
            Effect.tap(({ elapsedMillis, name, version }) =>
              Effect.logInfo(`Migrated ${driver.store} to ${version}_${name} in ${elapsedMillis} ms`)
            )
          )
        )
        return { applied, alreadyApplied: history.length }
      })
    )
  })
