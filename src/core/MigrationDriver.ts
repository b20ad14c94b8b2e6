import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type { LintFinding } from "./LintFinding.ts"
import type { BackupFailed, LinterMissing, ProgramFailed } from "./MigrationFailure.ts"
import type { MigrationProgress } from "./MigrationProgress.ts"
import type { Store } from "./Store.ts"
import type { StoreError } from "./StoreError.ts"

/** Statements of a file, in the store's own language. */
export interface ScriptStep {
  readonly _tag: "Script"
  readonly text: string
  /** Line of the file on which the text begins, from 1. */
  readonly line: number
  /** Whether it is one transaction with its row of the history; `transaction:false` on the mark says no. */
  readonly transaction: boolean
}

/** A program in the place of statements. */
export interface ProgramStep<R = never> {
  readonly _tag: "Program"
  readonly run: Effect.Effect<void, StoreError | ProgramFailed, R>
  readonly transaction: boolean
}

/** One direction of a migration. */
export type MigrationStep<R = never> = ScriptStep | ProgramStep<R>

/** One step of a store's schema. */
export interface Migration<R = never> {
  /** Orders the migrations; by custom the time of writing, `20241215000001`. A 64-bit number. */
  readonly version: bigint
  readonly name: string
  /** SHA-256 in hexadecimal: of the file, with CRLF read as LF, or of a program's revision. */
  readonly checksum: string
  readonly up: MigrationStep<R>
  /** Undoes `up`, where the migration tells how. */
  readonly down: MigrationStep<R> | undefined
}

/** A row of the history: a migration that has been applied, or that a baseline says was there before. */
export interface AppliedMigration {
  readonly version: bigint
  readonly name: string
  readonly checksum: string
  readonly kind: "migrated" | "baseline"
  readonly appliedAt: DateTime.Utc
  readonly elapsedMillis: number
}

/** A migration without a transaction that broke off; the next run goes on after its last statement. */
export interface UnfinishedMigration {
  readonly version: bigint
  readonly direction: "up" | "down"
  /** Statements that have been done. */
  readonly done: number
}

/** What a store knows of its migrations. */
export interface MigrationState {
  /** In order of version. */
  readonly applied: ReadonlyArray<AppliedMigration>
  readonly unfinished: ReadonlyArray<UnfinishedMigration>
  /** The schema as the last migration left it, a line for each object; undefined where the store does not keep that. */
  readonly schema: ReadonlyArray<string> | undefined
}

/** A change of the history that runs no migration. */
export interface HistoryChange {
  /** Migrations that are said to have been applied before. */
  readonly baseline?: ReadonlyArray<Migration<unknown>> | undefined
  /** Migrations whose row takes the file's checksum and name. */
  readonly realign?: ReadonlyArray<Migration<unknown>> | undefined
  /** Versions whose row goes. */
  readonly forget?: ReadonlyArray<bigint> | undefined
  /** Versions whose unfinished statements are forgotten. */
  readonly abandon?: ReadonlyArray<bigint> | undefined
  /** Keeps the schema as it is now for the one that the history expects. */
  readonly acceptSchema?: boolean | undefined
}

/** What may be done while nobody else migrates. */
export interface MigrationSession {
  readonly state: Effect.Effect<MigrationState, StoreError>
  /** Runs `up` and enters it in the history: both or, where the store has transactions, neither. */
  readonly apply: <R>(migration: Migration<R>) => Effect.Effect<AppliedMigration, StoreError | ProgramFailed, R>
  /** Runs this `down` and takes the migration out of the history, in the same way. */
  readonly revert: <R>(
    migration: Migration<R>,
    down: MigrationStep<R>
  ) => Effect.Effect<void, StoreError | ProgramFailed, R>
  readonly change: (change: HistoryChange) => Effect.Effect<void, StoreError>
  /** Where the store has transactions that hold its schema too. */
  readonly transactions?:
    | {
        /** Makes several calls one: all of them happen, or none. */
        readonly atomically: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
        /** Tells what the work would give, and undoes it. Inside `atomically` it undoes no more than the work. */
        readonly tried: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
      }
    | undefined
}

/** Where a driver tells how far it is. */
export type TellProgress = (progress: MigrationProgress) => Effect.Effect<void>

/** What a store offers to the migration engine. */
export interface MigrationDriver {
  readonly store: Store
  /** Reads what the store knows; writes nothing, and makes no table. */
  readonly state: Effect.Effect<MigrationState, StoreError>
  /**
   * Runs the use while holding the store's migration lock, which is given back however the use ends.
   *
   * Fails with `StoreError` (`Conflict`, not applied) where somebody else keeps the lock for longer than the driver waits,
   * and with `LeaseLost` where the lock turns out not to have been held. A statement inside may take `longestMillis`, whatever
   * the client gives its own; a driver that cannot see to that leaves it to the client.
   */
  readonly locked: <A, E, R>(
    tell: TellProgress,
    use: (session: MigrationSession) => Effect.Effect<A, E, R>,
    longestMillis?: number
  ) => Effect.Effect<A, E | StoreError, R>
  /** The schema as it is now, a line for each object, in an order that depends on nothing else. */
  readonly schema?: Effect.Effect<ReadonlyArray<string>, StoreError> | undefined
  /** Copies what a migration could harm into a file, and gives its path; undefined where there is nothing to copy. */
  readonly backup?: Effect.Effect<string | undefined, StoreError | BackupFailed> | undefined
  /** Finds what is dangerous in the statements of migrations. */
  readonly lint?:
    | ((migrations: ReadonlyArray<Migration<unknown>>) => Effect.Effect<ReadonlyArray<LintFinding>, LinterMissing>)
    | undefined
}
