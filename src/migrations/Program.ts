import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Migration, ProgramStep } from "../core/MigrationDriver.ts"
import { ProgramFailed } from "../core/MigrationFailure.ts"
import { isStoreError } from "../core/StoreError.ts"
import { checksumOf } from "./MigrationFile.ts"

/** A migration that is a program. */
export interface ProgramOptions<E, R> {
  readonly version: bigint
  readonly name: string
  /**
   * Stands for the program in the checksum: change it whenever the program changes what it does, and never after the
   * migration has been applied anywhere.
   */
  readonly revision: string
  readonly up: Effect.Effect<unknown, E, R>
  readonly down?: Effect.Effect<unknown, E, R> | undefined
  /**
   * Whether it is one transaction with its row of the history; true. Without, each transaction that the program opens is
   * committed by itself, and a run that broke off begins the program anew: it must then be harmless when it runs twice.
   */
  readonly transaction?: boolean | undefined
}

/**
 * Makes a migration of a program: for what SQL alone cannot do.
 *
 * It runs where a file's statements would, so that the store's client and every repository in it take part in the
 * transaction. It may be run again from its start while somebody holds a lock, so it must do nothing outside the store that
 * may not happen twice.
 *
 * @example
 * ```ts
 * const backfill = program({
 *   version: 20260301120000n,
 *   name: "lower_emails",
 *   revision: "1",
 *   up: Effect.flatMap(SqlClient, (sql) => sql`update users set email = lower(email)`)
 * })
 * ```
 */
export const program = <E, R>(options: ProgramOptions<E, R>): Migration<R> => {
  const transaction = options.transaction ?? true
  const step = (run: Effect.Effect<unknown, E, R>): ProgramStep<R> => ({
    _tag: "Program",
    transaction,
    // However it ends, it is this migration that failed; who interrupts the whole run passes by here.
    run: Effect.asVoid(
      Effect.catchCause(run, (cause) => {
        const error = Cause.squash(cause)
        return Effect.fail(isStoreError(error) ? error : new ProgramFailed({ cause: error }))
      })
    )
  })
  return {
    version: options.version,
    name: options.name,
    checksum: checksumOf(options.revision),
    up: step(options.up),
    down: options.down === undefined ? undefined : step(options.down)
  }
}
