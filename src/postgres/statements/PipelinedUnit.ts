import type { Result } from "@effect/sql-pg/PgConnection"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "effect/Result"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"
import type { retrying } from "../../core/Retry.ts"
import type { StoreCall } from "../../core/StoreCall.ts"
import { isStoreError, type StoreError } from "../../core/StoreError.ts"
import type { makeConflictRetry } from "../transactions/ConflictRetry.ts"
import { isInFailedTransaction, isServerError, isStale, leavesOpen } from "../failures/ServerError.ts"
import { commitFailure } from "../PostgresError.ts"
import type { PostgresPool, SendOnce } from "../pool/PoolShape.ts"
import { refusedInTransaction } from "./RefusedStatement.ts"
import { borrowOf } from "./StatementRunner.ts"
import { CurrentTenant } from "../Tenant.ts"

/** A statement as it is sent. */
type SentStatement = readonly [text: string, values: ReadonlyArray<unknown>]

/** How a unit failed. */
type UnitFailure =
  /** A statement was refused, and all of them undone. */
  | { readonly _tag: "Statement"; readonly index: number; readonly error: SqlError }
  /** BEGIN was refused, before any statement was applied. */
  | { readonly _tag: "Begin"; readonly error: SqlError }
  /** COMMIT was refused, or nobody knows. */
  | { readonly _tag: "Commit"; readonly error: SqlError }
  /** BEGIN alone was cancelled, so that the statements behind it were applied one by one. */
  | { readonly _tag: "Torn"; readonly error: SqlError }

type Answer = Exit.Exit<Result, SqlError>

const errorOf = (answer: Answer | undefined): SqlError | undefined =>
  answer !== undefined && Exit.isFailure(answer) ? Outcome.getOrUndefined(Cause.findError(answer.cause)) : undefined

const failed = (answer: Answer): boolean => errorOf(answer) !== undefined

const refused = (answer: Answer | undefined): boolean => isServerError(errorOf(answer)?.reason.cause)

const failureOf = (
  written: boolean,
  begin: Answer | undefined,
  statements: ReadonlyArray<Answer>,
  commit: Answer | undefined
): UnitFailure | undefined => {
  const notBegun = errorOf(begin)
  if (notBegun !== undefined && refused(begin)) {
    return { _tag: statements.some((answer) => errorOf(answer) === undefined) ? "Torn" : "Begin", error: notBegun }
  }
  const index = statements.findIndex((answer) => refused(answer) || (!written && failed(answer)))
  const refusal = errorOf(statements[index])
  if (refusal !== undefined) return { _tag: "Statement", index, error: refusal }
  const error = errorOf(commit)
  return error === undefined ? undefined : { _tag: "Commit", error }
}

/**
 * Sends BEGIN, the statements and COMMIT in one go, over a connection that nobody uses but other units, and tells once all are
 * answered.
 *
 * The server skips nothing when a statement fails: those behind it fail too, and it answers COMMIT with ROLLBACK. Nothing comes
 * between the parts of a unit, because they are handed over in one go too.
 */
const sendUnit =
  (
    caller: Fiber.Fiber<unknown, unknown>,
    statements: ReadonlyArray<SentStatement>,
    prepare: boolean
  ): SendOnce<Outcome.Result<ReadonlyArray<Result>, UnitFailure>> =>
  (connection, done) => {
    const run = Effect.runForkWith(caller.context)
    const send = ([text, values]: SentStatement, prepared: boolean) => run(connection.query(text, values, prepared))
    // BEGIN has no prepared form that could be lost: the statements behind it would run outside of a transaction.
    const begin = send(["BEGIN", []], false)
    const sent = statements.map((statement) => send(statement, prepare))
    // One that could not even be written, because of its values, must not be left out of what is committed.
    const written = sent.every((fiber) => fiber.pollUnsafe() === undefined)
    const end = send([written ? "COMMIT" : "ROLLBACK", []], prepare)
    const all = [begin, ...sent, end]
    let open = all.length
    const tell = () => {
      const [begun, ...answers] = all.flatMap((fiber) => fiber.pollUnsafe() ?? [])
      const ended = answers.pop()
      const failure = failureOf(written, begun, answers, ended)
      done(
        failure === undefined
          ? Outcome.succeed(answers.flatMap((answer) => (Exit.isSuccess(answer) ? [answer.value] : [])))
          : Outcome.fail(failure)
      )
    }
    const answered = () => {
      open--
      if (open > 0) return
      if (leavesOpen(errorOf(end.pollUnsafe())?.reason.cause)) send(["ROLLBACK", []], false).addObserver(tell)
      else tell()
    }
    for (const fiber of all) fiber.addObserver(answered)
  }

/** What a statement of a unit did. */
export interface UnitResult<A> {
  /** The rows that it gave. */
  readonly rows: ReadonlyArray<A>
  /** How many rows it gave or changed. */
  readonly count: number
}

/** What each statement of a unit did. */
export type UnitResults<Statements extends ReadonlyArray<Statement<unknown>>> = {
  readonly [K in keyof Statements]: Statements[K] extends Statement<infer A> ? UnitResult<A> : never
}

/** Runs statements that are declared beforehand as one transaction. */
export type RunUnit = <const Statements extends ReadonlyArray<Statement<unknown>>>(
  call: StoreCall,
  statements: Statements
) => Effect.Effect<UnitResults<Statements>, StoreError>

// A tuple that is made by map: that it has a result for each statement, in their order, no type can say.
const resultsOf = <Statements extends ReadonlyArray<Statement<unknown>>>(results: ReadonlyArray<Result>) =>
  results.map(({ rowCount, rows }) => ({ rows, count: rowCount })) as unknown as UnitResults<Statements>

/** Runs statements that are declared beforehand; see `PostgresClient.unit`. */
export const makeUnit =
  (options: {
    readonly pool: Pick<PostgresPool, "shared" | "unit">
    readonly sql: Pick<SqlClient, "transactionService" | "withTransaction">
    readonly retry: ReturnType<typeof retrying>
    readonly repeated: ReturnType<typeof makeConflictRetry>
    readonly storeError: (call: StoreCall, error: SqlError, statement?: Statement<unknown>) => StoreError
  }): RunUnit =>
  (call, statements) => {
    const { pool, repeated, retry, sql, storeError } = options
    type Results = UnitResults<typeof statements>

    const told = (failure: UnitFailure): StoreError => {
      switch (failure._tag) {
        case "Begin":
          return storeError({ ...call, kind: "read" }, failure.error)
        case "Statement":
          return storeError(call, failure.error, statements[failure.index]).during(call.operation, "not-applied")
        case "Commit":
          return commitFailure(storeError(call, failure.error)).during(call.operation)
        case "Torn":
          return storeError(call, failure.error).during(call.operation, "unknown")
      }
    }

    /** What the server has forgotten is sent anew, and so is what a unit before it kept from beginning, for that reason. */
    const mayGoAnew = ({ error: { reason }, _tag }: UnitFailure): boolean =>
      isStale(reason.cause) || (_tag === "Begin" && isInFailedTransaction(reason.cause))

    const send = (caller: Fiber.Fiber<unknown, unknown>, prepare: boolean): Effect.Effect<Results, StoreError> =>
      Effect.flatMap(
        Effect.mapError(
          Effect.suspend(() => {
            const compiled = statements.map((statement) => statement.compile())
            for (const [text] of compiled) {
              const refused = refusedInTransaction(text)
              if (refused !== undefined) return Effect.fail(refused)
            }
            const text = compiled.map(([text]) => text).join("; ")
            // Those that may share a connection do: see `keyed`.
            const kind = statements.every((statement) => borrowOf(statement) === pool.shared) ? "units" : "exclusive"
            return pool.unit(sendUnit(caller, compiled, prepare), { kind, text, operation: call.operation })
          }),
          (error) => error.during(call.operation)
        ),
        Outcome.match({
          onSuccess: (results) => Effect.succeed(resultsOf<typeof statements>(results)),
          onFailure: (failure) => (prepare && mayGoAnew(failure) ? send(caller, false) : Effect.fail(told(failure)))
        })
      )

    return Effect.withFiber((fiber) => {
      const alone = Context.getOrUndefined(fiber.context, sql.transactionService) === undefined
      const outermost = (unit: Effect.Effect<Results, StoreError>) =>
        repeated(retry(unit, { idempotent: call.kind === "read" || call.idempotent === true }))
      if (alone && fiber.getRef(CurrentTenant) === undefined) return outermost(send(fiber, true))
      const inside = Effect.forEach(statements, (statement) =>
        // Its COMMIT was not sent.
        Effect.mapError(statement.raw, (error) =>
          storeError(call, error, statement).during(call.operation, "not-applied")
        )
      )
      const nested = Effect.mapBoth(sql.withTransaction(inside), {
        // What our connections give for a raw statement.
        onSuccess: (results) => resultsOf<typeof statements>(results as ReadonlyArray<Result>),
        onFailure: (error) => (isStoreError(error) ? error : storeError(call, error))
      })
      return alone ? outermost(nested) : nested
    })
  }
