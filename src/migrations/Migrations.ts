import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { LintFinding } from "../core/LintFinding.ts"
import type {
  AppliedMigration,
  Migration,
  MigrationDriver,
  MigrationSession,
  MigrationState,
  MigrationStep,
  TellProgress
} from "../core/MigrationDriver.ts"
import type { ProgramFailed } from "../core/MigrationFailure.ts"
import { type MigrationProgress, progressText } from "../core/MigrationProgress.ts"
import { displayName, type Store } from "../core/Store.ts"
import { isStoreError, type StoreError } from "../core/StoreError.ts"
import {
  DownUnfaithful,
  FileInvalid,
  Irreversible,
  MigrationError,
  RunTimedOut,
  StatementFailed,
  StepFailed,
  UnknownVersion
} from "./MigrationError.ts"
import { nameProblem, readFolder, versionProblem } from "./MigrationFile.ts"
import { checkBaseline, checkDown, checkOptions, checkRedo, checkRepair } from "./MigrationsInput.ts"
import {
  contradictions,
  futureApplied,
  futureOf,
  type FuturePolicy,
  type HistoryPolicies,
  type HistoryProblem,
  historyProblems,
  type MigrationPlan,
  type OutOfOrderPolicy,
  planOf
} from "./Plan.ts"
import { planText } from "./PlanReport.ts"
import { type MigrationStatus, statusOf } from "./Status.ts"
import { driftOf, isDrift, type SchemaDrift } from "./SchemaDrift.ts"

/** Where migrations come from, and how they are run. */
export interface MigrationsOptions<R = never> {
  /** Folder of `VERSION_name.sql` files. */
  readonly folder?: string | undefined
  /** Migrations that are programs, in one order with the files; see `program`. */
  readonly programs?: ReadonlyArray<Migration<R>> | undefined
  /** What becomes of a pending migration that is older than one that was applied; `error`. */
  readonly outOfOrder?: OutOfOrderPolicy | undefined
  /**
   * What becomes of an applied migration that is newer than every file here; `allow`: a newer program has migrated, which is
   * told in a warning.
   */
  readonly future?: FuturePolicy | undefined
  /**
   * Longest time that migrations may run, without the wait for the lock and the backup; 300 seconds. On PostgreSQL one of their
   * statements may take as long, whatever `statementTimeout` the client has.
   */
  readonly timeout?: Duration.Input | undefined
  /** Whether `run`, `down` and `redo` first back up what the driver says is in danger; true, where the driver can. */
  readonly backup?: boolean | undefined
  /**
   * Is told how far a run is, beside the log and outside of the migration's transaction; the run goes on when it is done. It
   * must not ask the embedded engine that is migrated, whose one connection is taken.
   */
  readonly onProgress?: ((progress: MigrationProgress) => Effect.Effect<void>) | undefined
}

/** What a run did. */
export interface MigrationReport {
  /** What this run applied, in order. */
  readonly applied: ReadonlyArray<AppliedMigration>
  /** What it left out because it is older than what was applied; only under the policy `skip`. */
  readonly skipped: ReadonlyArray<{ readonly version: bigint; readonly name: string }>
  /** What a newer program has applied; only under the policy `allow`. */
  readonly future: ReadonlyArray<{ readonly version: bigint; readonly name: string }>
  /** How many had been applied before. */
  readonly alreadyApplied: number
  /** File that holds the backup, where one was made. */
  readonly backup: string | undefined
}

/** Whether files, history and schema agree. */
export interface VerifyReport {
  /** Nothing contradicts, nothing broke off, and the schema is as the last migration left it. */
  readonly ok: boolean
  readonly problems: ReadonlyArray<HistoryProblem>
  /** Versions that a newer program has applied; a problem too where the policy is `error`. */
  readonly future: ReadonlyArray<bigint>
  /** Versions of migrations that broke off between two statements, up or down. */
  readonly unfinished: ReadonlyArray<bigint>
  /** How the schema differs from what the last migration left; undefined where the store does not keep that. */
  readonly drift: SchemaDrift | undefined
}

/** What repairing may do beyond taking the files' checksums. */
export interface RepairOptions {
  /** Forget applied migrations whose file is gone; no. Those that are newer than every file are not meant. */
  readonly forgetMissing?: boolean | undefined
  /** Forget applied migrations that are newer than every file; no. The program that has their files would run them again. */
  readonly forgetFuture?: boolean | undefined
  /**
   * Forget which statements of migrations that broke off have been done, so that they begin anew, and that those which are
   * undone only in part are not whole; no.
   */
  readonly forgetUnfinished?: boolean | undefined
  /** Take the schema as it is for the expected one; no. */
  readonly acceptSchema?: boolean | undefined
}

/** What was repaired. */
export interface RepairReport {
  /** Versions whose row took the file's checksum. */
  readonly realigned: ReadonlyArray<bigint>
  readonly forgotten: ReadonlyArray<bigint>
  readonly abandoned: ReadonlyArray<bigint>
}

/** Which migrations are undone, newest first. */
export interface DownOptions {
  /** How many, a whole number from 1 on; 1. More than there are undo all. */
  readonly steps?: number | undefined
  /**
   * In place of `steps`: every migration that is newer than this version, which files or history know; `0n` undoes all.
   */
  readonly to?: bigint | undefined
  /**
   * Whether each must be proved first: down and up again must give the schema that is there now. What the proof did is undone.
   * True, where the store has transactions and the migration is one.
   */
  readonly verify?: boolean | undefined
}

/**
 * The migrations of one store and namespace, and what can be done with them.
 *
 * Operations fail with `MigrationError`, and with `StoreError` where the store cannot be asked or somebody else keeps the lock
 * (`Conflict`). Only `run`, `down`, `redo`, `repair` and `baseline` write; each holds the lock. Options that are none, of an
 * operation or of `make`, fail it with `StoreError` (`InvalidData`) naming the field, before anything is done.
 */
export interface Migrations<R = never> {
  readonly store: Store
  /** What a run would do. Writes nothing, not even the table of the history. */
  readonly plan: Effect.Effect<MigrationPlan<R>, MigrationError | StoreError>
  /**
   * Applies the pending migrations in order. Of programs that do so at once one applies, and the others wait for it.
   *
   * The first failure ends the run; what was applied before it stays, and the next run continues there. Where a migration is
   * undone only in part nothing is applied (`HalfUndone`).
   */
  readonly run: Effect.Effect<MigrationReport, MigrationError | StoreError, R>
  /** What has been applied, in order of version. */
  readonly history: Stream.Stream<AppliedMigration, StoreError>
  /** Every migration that the files or the history know, in order of version. */
  readonly status: Effect.Effect<ReadonlyArray<MigrationStatus>, MigrationError | StoreError>
  /** Undoes the newest applied migrations, and gives them in the order in which they were undone. */
  readonly down: (
    options?: DownOptions
  ) => Effect.Effect<ReadonlyArray<AppliedMigration>, MigrationError | StoreError, R>
  /**
   * Undoes the newest applied migrations and applies them again; their data is lost. Where the store has transactions this is
   * one, and must end with the schema that was there before.
   */
  readonly redo: (options?: {
    /** How many, a whole number from 1 on; 1. */
    readonly steps?: number | undefined
  }) => Effect.Effect<ReadonlyArray<AppliedMigration>, MigrationError | StoreError, R>
  /** Makes the history agree with the files: edited files keep their row under the new checksum. Runs no migration. */
  readonly repair: (options?: RepairOptions) => Effect.Effect<RepairReport, MigrationError | StoreError>
  /**
   * Says that a schema made otherwise is at this version: enters every migration up to it in the history, running none.
   *
   * Gives what was entered; what the history holds already stays as it is.
   */
  readonly baseline: (version: bigint) => Effect.Effect<ReadonlyArray<bigint>, MigrationError | StoreError>
  /** Compares files, history and schema; writes nothing. */
  readonly verify: Effect.Effect<VerifyReport, MigrationError | StoreError>
  /** Finds what is dangerous in the files, where the driver knows the store's language; `renderLint` tells it to people. */
  readonly lint: Effect.Effect<ReadonlyArray<LintFinding>, MigrationError>
}

/** Logs what a run would do, with the statements, and writes nothing. */
export const dryRun = <R>(migrations: Migrations<R>): Effect.Effect<MigrationPlan<R>, MigrationError | StoreError> =>
  Effect.tap(migrations.plan, (plan) => Effect.logInfo(`${displayName[migrations.store]}, dry run: ${planText(plan)}`))

const failed = (
  { name, version }: Migration<unknown>,
  failure: StoreError | ProgramFailed | MigrationError
): MigrationError => {
  if (failure._tag === "MigrationError") return failure
  return new MigrationError({
    reason: isStoreError(failure)
      ? new StatementFailed({ version, name, failure })
      : new StepFailed({ version, name, cause: failure.cause })
  })
}

/** Whether a migration can be undone and done again within one transaction. */
const isTransactional = ({ down, up }: Migration<unknown>): boolean => up.transaction && down?.transaction === true

const merged = <R>(
  files: ReadonlyArray<Migration>,
  programs: ReadonlyArray<Migration<R>>
): Effect.Effect<ReadonlyArray<Migration<R>>, MigrationError> => {
  const refuse = ({ name, version }: Migration<R>, problem: string) =>
    Effect.fail(new MigrationError({ reason: new FileInvalid({ file: `the program ${version}_${name}`, problem }) }))
  for (const one of programs) {
    const problem = versionProblem(one.version) ?? nameProblem(one.name)
    if (problem !== undefined) return refuse(one, problem)
  }
  const known = new Map(files.map(({ name, version }) => [version, `${version}_${name}.sql`]))
  for (const one of programs) {
    const other = known.get(one.version)
    if (other !== undefined) return refuse(one, `has the version of ${other}: give it another one`)
    known.set(one.version, `the program ${one.version}_${one.name}`)
  }
  return Effect.succeed([...files, ...programs].sort((a, b) => (a.version < b.version ? -1 : 1)))
}

/** The migrations of a folder, of programs, or of both, on one store. */
export const make = <R = never>(driver: MigrationDriver, options: MigrationsOptions<R>): Migrations<R> => {
  const policies: HistoryPolicies = { outOfOrder: options.outOfOrder ?? "error", future: options.future ?? "allow" }
  const limit = options.timeout ?? "300 seconds"
  const store = displayName[driver.store]
  const subject = (operation: string) =>
    ({ store: driver.store, operation: `Migrations.${operation}`, subject: "input" }) as const

  const readAll: Effect.Effect<ReadonlyArray<Migration<R>>, MigrationError> = Effect.flatMap(
    options.folder === undefined ? Effect.succeed([]) : readFolder(options.folder),
    (files) => merged(files, options.programs ?? [])
  )
  const read: Effect.Effect<ReadonlyArray<Migration<R>>, MigrationError | StoreError> = Effect.suspend(() =>
    Effect.andThen(checkOptions(subject("make"), options), readAll)
  )

  /** Runs an operation under the lock; `bounded` gives its migrations their time. */
  const exclusively = <A, E, R2>(
    use: (
      session: MigrationSession,
      run: {
        readonly tell: TellProgress
        readonly bounded: <B, E2, R3>(work: Effect.Effect<B, E2, R3>) => Effect.Effect<B, E2 | MigrationError, R3>
        readonly silently: <B, E2, R3>(work: Effect.Effect<B, E2, R3>) => Effect.Effect<B, E2, R3>
      }
    ) => Effect.Effect<A, E, R2>
  ): Effect.Effect<A, E | StoreError, R2> =>
    Effect.suspend(() => {
      let during = "the start"
      let silent = false
      const tell = (progress: MigrationProgress): Effect.Effect<void> =>
        Effect.suspend(() => {
          if (silent) return Effect.void
          if ("version" in progress) during = `${progress.version}_${progress.name}`
          const log = progress._tag === "StatementDone" ? Effect.logDebug : Effect.logInfo
          return Effect.andThen(
            log(`${store}: ${progressText(progress)}`),
            options.onProgress === undefined ? Effect.void : options.onProgress(progress)
          )
        })
      const silently = <B, E2, R3>(work: Effect.Effect<B, E2, R3>): Effect.Effect<B, E2, R3> =>
        Effect.acquireUseRelease(
          Effect.sync(() => (silent = true)),
          () => work,
          () => Effect.sync(() => (silent = false))
        )
      const bounded = <B, E2, R3>(work: Effect.Effect<B, E2, R3>): Effect.Effect<B, E2 | MigrationError, R3> =>
        Effect.flatMap(Clock.currentTimeMillis, (startedAt) =>
          Effect.timeoutOrElse(work, {
            duration: limit,
            orElse: () =>
              Effect.flatMap(Clock.currentTimeMillis, (now) =>
                Effect.fail(new MigrationError({ reason: new RunTimedOut({ afterMillis: now - startedAt, during }) }))
              )
          })
        )
      return driver.locked(tell, (session) => use(session, { tell, bounded, silently }), Duration.toMillis(limit))
    })

  const backUp = (tell: TellProgress): Effect.Effect<string | undefined, MigrationError | StoreError> =>
    options.backup === false || driver.backup === undefined
      ? Effect.succeed(undefined)
      : driver.backup.pipe(
          Effect.mapError((failure) =>
            failure._tag === "BackupFailed" ? new MigrationError({ reason: failure }) : failure
          ),
          Effect.tap((file) => (file === undefined ? Effect.void : tell({ _tag: "BackedUp", file })))
        )

  const warnOf = (what: string, which: ReadonlyArray<{ readonly version: bigint; readonly name: string }>) =>
    which.length === 0
      ? Effect.void
      : Effect.logWarning(`${store}: ${what}: ${which.map(({ name, version }) => `${version}_${name}`).join(", ")}`)

  const tellLeftAlone = ({ future, skipped }: MigrationPlan<R>): Effect.Effect<void> =>
    Effect.andThen(
      warnOf("left out, because newer ones were applied", skipped),
      warnOf("a newer program has migrated", future)
    )

  const reportOf = (
    plan: MigrationPlan<R>,
    applied: ReadonlyArray<AppliedMigration>,
    backup: string | undefined
  ): MigrationReport => ({
    applied,
    skipped: plan.skipped.map(({ name, version }) => ({ version, name })),
    future: plan.future.map(({ name, version }) => ({ version, name })),
    alreadyApplied: plan.alreadyApplied,
    backup
  })

  const planWith = (
    migrations: ReadonlyArray<Migration<R>>,
    state: Effect.Effect<MigrationState, StoreError>
  ): Effect.Effect<MigrationPlan<R>, MigrationError | StoreError> =>
    Effect.flatMap(state, (state) => planOf(migrations, state, policies))

  const plan = Effect.flatMap(read, (migrations) => planWith(migrations, driver.state))

  const apply = (session: MigrationSession, migration: Migration<R>) =>
    Effect.mapError(session.apply(migration), (failure) => failed(migration, failure))

  const revert = (session: MigrationSession, migration: Migration<R>, down: MigrationStep<R>) =>
    Effect.mapError(session.revert(migration, down), (failure) => failed(migration, failure))

  const run: Migrations<R>["run"] = Effect.gen(function* () {
    const migrations = yield* read
    // Asked without the lock, so that a program whose schema is up to date waits for nobody.
    const before = yield* planWith(migrations, driver.state)
    if (before.pending.length === 0) return yield* Effect.as(tellLeftAlone(before), reportOf(before, [], undefined))
    return yield* exclusively((session, { bounded, tell }) =>
      Effect.gen(function* () {
        const plan = yield* planWith(migrations, session.state)
        yield* tellLeftAlone(plan)
        if (plan.pending.length === 0) return reportOf(plan, [], undefined)
        const backup = yield* backUp(tell)
        const applied = yield* bounded(Effect.forEach(plan.pending, (migration) => apply(session, migration)))
        return reportOf(plan, applied, backup)
      })
    )
  })

  /** The newest applied migrations with their files, newest first; each says how it is undone. */
  const newest = (
    migrations: ReadonlyArray<Migration<R>>,
    applied: ReadonlyArray<AppliedMigration>,
    which: Pick<DownOptions, "steps" | "to">
  ): Effect.Effect<
    ReadonlyArray<{
      readonly row: AppliedMigration
      readonly migration: Migration<R>
      readonly down: MigrationStep<R>
    }>,
    MigrationError
  > =>
    Effect.gen(function* () {
      const [reason] = contradictions(migrations, applied)
      if (reason !== undefined) return yield* new MigrationError({ reason })
      const { to } = which
      const known = [...migrations, ...applied].some(({ version }) => version === to)
      if (to !== undefined && to !== 0n && !known) {
        return yield* new MigrationError({ reason: new UnknownVersion({ version: to }) })
      }
      const descending = applied.toReversed()
      const chosen =
        to === undefined ? descending.slice(0, which.steps ?? 1) : descending.filter(({ version }) => version > to)
      return yield* Effect.forEach(chosen, (row) => {
        const migration = migrations.find(({ version }) => version === row.version)
        const { name, version } = row
        // A missing file among the known ones was refused above.
        if (migration === undefined) {
          return Effect.fail(new MigrationError({ reason: futureApplied(migrations, row) }))
        }
        const { down } = migration
        return down === undefined
          ? Effect.fail(new MigrationError({ reason: new Irreversible({ version, name }) }))
          : Effect.succeed({ row, migration, down })
      })
    })

  const sameSchema = (
    migration: Migration<R>,
    before: ReadonlyArray<string>,
    after: ReadonlyArray<string>
  ): Effect.Effect<void, MigrationError> => {
    const drift = driftOf(before, after)
    const { name, version } = migration
    return isDrift(drift)
      ? Effect.fail(new MigrationError({ reason: new DownUnfaithful({ version, name, ...drift }) }))
      : Effect.void
  }

  const down: Migrations<R>["down"] = (downOptions = {}) =>
    Effect.flatMap(Effect.andThen(checkDown(subject("down"), downOptions), read), (migrations) =>
      exclusively((session, { bounded, silently, tell }) =>
        Effect.gen(function* () {
          const { applied } = yield* session.state
          const chosen = yield* newest(migrations, applied, downOptions)
          if (chosen.length === 0) return []
          yield* backUp(tell)
          const { transactions } = session
          const { schema } = driver
          const undo = ({ down, migration, row }: (typeof chosen)[number]) => {
            const plain = Effect.as(revert(session, migration, down), row)
            if (
              downOptions.verify === false ||
              transactions === undefined ||
              schema === undefined ||
              !isTransactional(migration) ||
              row.kind === "baseline"
            ) {
              return plain
            }
            const proved = Effect.gen(function* () {
              const before = yield* schema
              yield* revert(session, migration, down)
              const again = yield* silently(transactions.tried(Effect.andThen(apply(session, migration), schema)))
              yield* sameSchema(migration, before, again)
              return row
            })
            return transactions.atomically(proved)
          }
          return yield* bounded(Effect.forEach(chosen, undo))
        })
      )
    )

  const redo: Migrations<R>["redo"] = (redoOptions = {}) =>
    Effect.flatMap(Effect.andThen(checkRedo(subject("redo"), redoOptions), read), (migrations) =>
      exclusively((session, { bounded, tell }) =>
        Effect.gen(function* () {
          const { applied } = yield* session.state
          const chosen = yield* newest(migrations, applied, redoOptions)
          const oldest = chosen.at(-1)
          if (oldest === undefined) return []
          yield* backUp(tell)
          const again = Effect.andThen(
            Effect.forEach(chosen, ({ down, migration }) => revert(session, migration, down), { discard: true }),
            Effect.forEach(chosen.toReversed(), ({ migration }) => apply(session, migration))
          )
          const { transactions } = session
          const { schema } = driver
          if (
            transactions === undefined ||
            schema === undefined ||
            !chosen.every(({ migration }) => isTransactional(migration))
          ) {
            return yield* bounded(again)
          }
          return yield* bounded(
            transactions.atomically(
              Effect.gen(function* () {
                const before = yield* schema
                const redone = yield* again
                yield* sameSchema(oldest.migration, before, yield* schema)
                return redone
              })
            )
          )
        })
      )
    )

  const repair: Migrations<R>["repair"] = (repairOptions = {}) =>
    Effect.flatMap(Effect.andThen(checkRepair(subject("repair"), repairOptions), read), (migrations) =>
      exclusively((session) =>
        Effect.gen(function* () {
          const { applied, unfinished } = yield* session.state
          const problems = contradictions(migrations, applied)
          const changed = new Set(problems.flatMap((one) => (one._tag === "ChecksumChanged" ? [one.version] : [])))
          const realign = migrations.filter(({ version }) => changed.has(version))
          const forget = [
            ...(repairOptions.forgetMissing === true ? problems.filter(({ _tag }) => _tag === "FileMissing") : []),
            ...(repairOptions.forgetFuture === true ? futureOf(migrations, applied) : [])
          ].map(({ version }) => version)
          const abandon =
            repairOptions.forgetUnfinished === true ? [...new Set(unfinished.map(({ version }) => version))] : []
          yield* session.change({ realign, forget, abandon, acceptSchema: repairOptions.acceptSchema })
          return { realigned: realign.map(({ version }) => version), forgotten: forget, abandoned: abandon }
        })
      )
    )

  const baseline: Migrations<R>["baseline"] = (version) =>
    Effect.gen(function* () {
      yield* checkBaseline(subject("baseline"), { version })
      const migrations = yield* read
      if (!migrations.some((migration) => migration.version === version)) {
        return yield* new MigrationError({ reason: new UnknownVersion({ version }) })
      }
      return yield* exclusively((session) =>
        Effect.gen(function* () {
          const { applied } = yield* session.state
          const held = new Set(applied.map(({ version }) => version))
          const enter = migrations.filter((one) => one.version <= version && !held.has(one.version))
          yield* session.change({ baseline: enter, acceptSchema: true })
          return enter.map(({ version }) => version)
        })
      )
    })

  const status: Migrations<R>["status"] = Effect.flatMap(read, (migrations) =>
    Effect.map(driver.state, (state) => statusOf(migrations, state))
  )

  const verify: Migrations<R>["verify"] = Effect.gen(function* () {
    const migrations = yield* read
    const { applied, schema: expected, unfinished } = yield* driver.state
    const problems = historyProblems(migrations, { applied, unfinished }, { ...policies, outOfOrder: "error" })
    const drift =
      expected === undefined || driver.schema === undefined ? undefined : driftOf(expected, yield* driver.schema)
    return {
      ok: problems.length === 0 && unfinished.length === 0 && (drift === undefined || !isDrift(drift)),
      problems,
      future: futureOf(migrations, applied).map(({ version }) => version),
      unfinished: [...new Set(unfinished.map(({ version }) => version))],
      drift
    }
  })

  const lint: Migrations<R>["lint"] = Effect.flatMap(readAll, (migrations) =>
    driver.lint === undefined
      ? Effect.succeed([])
      : Effect.mapError(driver.lint(migrations), (reason) => new MigrationError({ reason }))
  )

  return {
    store: driver.store,
    plan,
    run,
    history: Stream.fromIterableEffect(Effect.map(driver.state, ({ applied }) => applied)),
    status,
    down,
    redo,
    repair,
    baseline,
    verify,
    lint
  }
}
