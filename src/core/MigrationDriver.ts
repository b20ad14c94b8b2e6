import type { DateTime, Effect } from "effect"
import type { Store } from "./Store.ts"
import type { StoreError } from "./StoreError.ts"

/** One step of a store's schema. */
export interface Migration {
  /** Orders the migrations; by custom the time of writing, `20241215000001`. A 64-bit number. */
  readonly version: bigint
  readonly name: string
  /** SHA-256 of the file in hexadecimal, with CRLF read as LF. */
  readonly checksum: string
  readonly up: string
  /** Undoes `up`, where the file tells how. */
  readonly down: string | undefined
}

/** A row of the history: a migration that has been applied. */
export interface AppliedMigration {
  readonly version: bigint
  readonly name: string
  readonly checksum: string
  readonly appliedAt: DateTime.Utc
  readonly elapsedMillis: number
}

/** What may be done while nobody else migrates. */
export interface MigrationSession {
  /** What has been applied, in order of version. */
  readonly history: Effect.Effect<ReadonlyArray<AppliedMigration>, StoreError>
  /** Applies a migration and enters it in the history: both or, where the store has transactions, neither. */
  readonly apply: (migration: Migration) => Effect.Effect<AppliedMigration, StoreError>
}

/** What a store offers to the migration engine. */
export interface MigrationDriver {
  readonly store: Store
  /**
   * Runs the use while holding the store's migration lock, which is given back however the use ends.
   *
   * Fails with `StoreError` (`Conflict`, not applied) where somebody else keeps the lock for longer than the driver waits.
   */
  readonly locked: <A, E, R>(
    use: (session: MigrationSession) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
}
