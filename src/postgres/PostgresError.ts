import { EncodeError } from "@effect/sql-pg/PgProtocol"
import type { SqlError } from "effect/sql/SqlError"
import type { Endpoint } from "../core/StartUp.ts"
import type { StoreCall } from "../core/StoreCall.ts"
import {
  CommitUnknown,
  ConnectionLost,
  InvalidData,
  isStoreError,
  LimitExceeded,
  type Outcome,
  type Reason,
  StoreError,
  Timeout,
  Unclassified
} from "../core/StoreError.ts"
import { errnoOf } from "./failures/Errno.ts"
import { statementOf } from "./failures/FailedStatement.ts"
import { present } from "./failures/present.ts"
import { safeCause } from "./failures/SafeCause.ts"
import { endsSession, isServerError, type ServerFields } from "./failures/ServerError.ts"
import { reasonOf } from "./failures/SqlStateReason.ts"
import { parameterProblem } from "./statements/ParameterProblem.ts"

/** Where a statement failed, after how long, and how long it might have taken. */
interface FailedAt {
  readonly endpoint: Endpoint
  readonly elapsedMillis: number
  readonly statementMillis: number
}

/** Why the pool destroyed a connection: its statement had outlived every deadline. */
export class StatementExpired extends Error {
  readonly afterMillis: number
  constructor(afterMillis: number) {
    super(`no answer within ${Math.round(afterMillis)} ms`)
    this.afterMillis = afterMillis
  }
}

/** The reason of what a server answered that let us in. */
const answerReason = (fields: Error & ServerFields, at: FailedAt): Reason => {
  const reason = reasonOf(fields, at.endpoint, at.elapsedMillis, at.statementMillis)
  return reason._tag === "Unclassified" && endsSession(fields)
    ? new ConnectionLost({ code: fields.code, detail: fields.message })
    : reason
}

/** Whether the session ended because nothing was sent to it for too long (idle_…_timeout): what was sent then was not read. */
const endsIdle = (code: string | undefined): boolean => code === "25P03" || code === "57P05"

const outcomeOf = (reason: Reason, kind: StoreCall["kind"]): Outcome => {
  switch (reason._tag) {
    case "ConnectionLost":
      return kind === "read" || endsIdle(reason.code) ? "not-applied" : "unknown"
    case "CommitUnknown":
    case "Unclassified":
      return kind === "read" ? "not-applied" : "unknown"
    case "Timeout":
      // With a code the server itself stopped the statement and undid it.
      return kind === "read" || reason.code !== undefined ? "not-applied" : "unknown"
    default:
      return "not-applied"
  }
}

/** The reason where the driver found values that it cannot send: then it has sent nothing at all. */
const unsent = (error: SqlError, values: ReadonlyArray<unknown>): Reason | undefined => {
  const { _tag, cause } = error.reason
  if (_tag !== "UnknownError") return undefined
  if (cause instanceof EncodeError) {
    return new LimitExceeded({ detail: `a statement takes at most 32,767 values, and this one has ${values.length}` })
  }
  const problems = values.flatMap((value, i) => {
    const problem = parameterProblem(value)
    return problem === undefined ? [] : [{ field: `$${i + 1}`, problem }]
  })
  return problems.length === 0 ? undefined : new InvalidData({ subject: "input", problems })
}

/**
 * Turns what Effect's client failed with into a `StoreError`, by SQLSTATE or errno.
 *
 * The statement goes into the report: its text, a mark where the server tells the place, and the types of its arguments.
 */
export const fromSqlError = (
  error: SqlError,
  call: StoreCall,
  at: FailedAt,
  statement?: readonly [text: string, values: ReadonlyArray<unknown>]
): StoreError => {
  const { cause } = error.reason
  // The pool's own failure, on its way through Effect's client.
  if (isStoreError(cause)) return cause.during(call.operation, call.kind === "read" ? "not-applied" : cause.outcome)
  const reason: Reason = isServerError(cause)
    ? answerReason(cause, at)
    : cause instanceof StatementExpired
      ? new Timeout({ afterMillis: cause.afterMillis })
      : error.reason._tag === "ConnectionError"
        ? new ConnectionLost(present("code", errnoOf(cause)))
        : (unsent(error, statement?.[1] ?? []) ?? new Unclassified({}))
  return new StoreError({
    store: "postgresql",
    operation: call.operation,
    outcome: isServerError(cause) && !endsSession(cause) ? "not-applied" : outcomeOf(reason, call.kind),
    reason,
    ...(statement === undefined ? {} : { statement: statementOf(cause, statement[0], statement[1]) }),
    cause: safeCause(error)
  })
}

/** COMMIT was sent and failed: its effect is known only where the server answered. */
export const commitFailure = (error: StoreError, transactionId?: string): StoreError =>
  error.outcome === "unknown" && (error.reason._tag === "ConnectionLost" || error.reason._tag === "Timeout")
    ? new StoreError({
        store: "postgresql",
        operation: "Transaction.commit",
        outcome: "unknown",
        reason: new CommitUnknown({
          ...("code" in error.reason ? present("code", error.reason.code) : {}),
          ...present("transactionId", transactionId)
        }),
        ...(error.cause === undefined ? {} : { cause: error.cause })
      })
    : error
