import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { summaryOf } from "./StatementSummary.ts"

/** A statement that has ended. */
export interface EndedStatement {
  readonly operation: string
  readonly statement: string | undefined
}

const rowsOf = (answer: unknown): number | undefined => {
  if (Array.isArray(answer)) return answer.length
  return typeof answer === "object" && answer !== null && "rowCount" in answer && typeof answer.rowCount === "number"
    ? answer.rowCount
    : undefined
}

/** By hand, because Effect's comparison of levels costs more than all else here. */
const showsDebug = ({ cache: { minimumLogLevel } }: Fiber.Fiber<unknown, unknown>): boolean =>
  minimumLogLevel === "Debug" || minimumLogLevel === "Trace" || minimumLogLevel === "All"

/**
 * Logs statements: those slower than the threshold as warnings, all others at debug level; values are hidden.
 *
 * Answers with nothing where there is nothing to log, which costs one comparison.
 */
export const makeStatementLog =
  (slowMillis: number) =>
  (
    fiber: Fiber.Fiber<unknown, unknown>,
    { operation, statement }: EndedStatement,
    elapsedMillis: number,
    exit: Exit.Exit<unknown, unknown>
  ): Effect.Effect<void> | undefined => {
    const slow = elapsedMillis >= slowMillis
    if (statement === undefined || (!slow && !showsDebug(fiber))) return undefined
    const rows = Exit.isSuccess(exit) ? rowsOf(exit.value) : undefined
    const outcome = Exit.isSuccess(exit) ? (rows === undefined ? "" : `, ${rows} rows`) : ", failed"
    const log = slow ? Effect.logWarning : Effect.logDebug
    return log(`PostgreSQL ${operation}: ${Math.round(elapsedMillis)} ms${outcome}${slow ? ", slow" : ""}`).pipe(
      Effect.annotateLogs({ statement: summaryOf(statement) })
    )
  }
