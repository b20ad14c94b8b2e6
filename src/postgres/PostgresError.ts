import { EncodeError } from "@effect/sql-pg/PgProtocol"
import * as Redacted from "effect/Redacted"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type { Endpoint } from "../core/StartUp.ts"
import { unavailable } from "../core/StartUp.ts"
import type { StoreCall } from "../core/StoreCall.ts"
import {
  AuthenticationFailed,
  Cancelled,
  CommitUnknown,
  Conflict,
  ConnectionLost,
  ConstraintViolated,
  type FailedStatement,
  Forbidden,
  InvalidData,
  InvalidStatement,
  isStoreError,
  LimitExceeded,
  NotPrimary,
  type Outcome,
  Overloaded,
  type Reason,
  ResourceExhausted,
  StoreError,
  Timeout,
  Unclassified
} from "../core/StoreError.ts"
import { parameterProblem } from "./statements/ParameterProblem.ts"

/** Why the pool destroyed a connection: its statement had outlived every deadline. */
export class StatementExpired extends Error {
  readonly afterMillis: number
  constructor(afterMillis: number) {
    super(`no answer within ${Math.round(afterMillis)} ms`)
    this.afterMillis = afterMillis
  }
}

/** The fields of PostgreSQL's ErrorResponse that we read; the client puts them on the cause. */
interface ServerFields {
  readonly code: string
  readonly position?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
}

/** Whether the server itself refused, so that it knows what became of the statement. */
export const isServerError = (cause: unknown): cause is Error & ServerFields =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" && /^[0-9A-Z]{5}$/.test(cause.code)

/** Whether the server knows a prepared statement no more, or its columns have changed; the driver has forgotten it too by now. */
export const isStale = (cause: unknown): boolean =>
  isServerError(cause) && (cause.code === "26000" || cause.code === "0A000")

/** Whether what was to end a transaction was refused before it began, so that the transaction is open still. */
export const leavesOpen = (cause: unknown): boolean =>
  isStale(cause) || (isServerError(cause) && cause.code === "57014")

/** Whether a transaction that is open, and in which something has failed, refused it. */
export const isInFailedTransaction = (cause: unknown): boolean => isServerError(cause) && cause.code === "25P02"

/** Whether the server takes no writes in this session: then neither will it later, when it takes them in new ones. */
export const isReadOnlySession = (error: unknown): boolean => {
  const cause = isSqlError(error) ? error.reason.cause : error
  return isServerError(cause) && cause.code === "25006"
}

const errnoOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined

const constraintKinds: Record<string, typeof ConstraintViolated.Type.kind> = {
  // Since PostgreSQL 18, of a key that says RESTRICT: https://www.postgresql.org/docs/18/release-18.html
  "23001": "foreign-key",
  "23502": "not-null",
  "23503": "foreign-key",
  "23505": "unique",
  "23514": "check",
  "23P01": "exclusion"
}

const present = <K extends string>(key: K, value: string | undefined): { readonly [_ in K]?: string } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [_ in K]?: string })

/** The reason for a SQLSTATE; messages are left out where they may carry values. */
const reasonOf = (
  fields: Error & ServerFields,
  endpoint: Endpoint,
  elapsedMillis: number,
  limitMillis: number
): Reason => {
  const { code } = fields
  const said = { code }
  const told = { code, detail: fields.message }
  const kind = constraintKinds[code]
  if (kind !== undefined) {
    return new ConstraintViolated({
      ...said,
      kind,
      ...present("constraint", fields.constraint),
      ...present("table", fields.table),
      ...present("column", fields.column)
    })
  }
  switch (code) {
    case "40001":
    case "40P01":
    case "55P03":
      return new Conflict(told)
    case "25P02":
      return new InvalidStatement({
        ...said,
        detail: "an earlier statement of this transaction failed, so it can only be rolled back"
      })
    case "57014":
      return elapsedMillis >= limitMillis
        ? new Timeout({ ...said, afterMillis: elapsedMillis })
        : new Cancelled({ ...said, detail: "the server ended the statement on request" })
    case "57P01":
    case "57P02":
    case "57P04":
    case "57P05":
      return new ConnectionLost(told)
    case "57P03":
      return unavailable(endpoint, told)
    case "53300":
      return new Overloaded(told)
    case "53100":
    case "53200":
    case "53000":
      return new ResourceExhausted(told)
    case "25006":
      return new NotPrimary(told)
    case "42501":
      return new Forbidden(told)
    case "3D000":
    case "3F000":
    case "0A000":
      return new InvalidStatement(told)
    case "53400":
    case "54000":
    case "54001":
    case "54011":
    case "54023":
      return new LimitExceeded(told)
  }
  switch (code.slice(0, 2)) {
    case "08":
      return new ConnectionLost(told)
    case "22":
      return new InvalidData({
        ...said,
        subject: "input",
        problems: [{ field: fields.column ?? "", problem: valueProblem(code) }]
      })
    case "23":
      return new ConstraintViolated({ ...said, kind: "check", ...present("constraint", fields.constraint) })
    case "28":
      return new AuthenticationFailed(told)
    case "42":
      return new InvalidStatement(told)
    default:
      return new Unclassified(said)
  }
}

/** The class 22 errors that users meet, without the value that PostgreSQL quotes in its own message. */
const valueProblem = (code: string): string => {
  switch (code) {
    case "22001":
      return "is longer than its column"
    case "22003":
      return "is outside the range of its type"
    case "22007":
    case "22008":
      return "is not a date or time that PostgreSQL knows"
    case "22012":
      return "divides by zero"
    case "22021":
      return "has characters that the database's encoding lacks"
    case "22P02":
    case "22P03":
      return "is not of the type that the statement expects"
    default:
      return `is not accepted by PostgreSQL (code ${code})`
  }
}

const typeOf = (value: unknown): string => {
  if (value === null || value === undefined) return "null"
  if (Array.isArray(value)) return value.length === 0 ? "array" : `${typeOf(value[0])}[]`
  if (value instanceof Date) return "timestamptz"
  if (value instanceof Uint8Array) return "bytea"
  switch (typeof value) {
    case "string":
      return "text"
    case "number":
      return Number.isInteger(value) ? "integer" : "double precision"
    case "bigint":
      return "bigint"
    case "boolean":
      return "boolean"
    default:
      return "object"
  }
}

/**
 * What may be kept of the driver's error: PostgreSQL's messages repeat values, its details whole rows, and what the driver could
 * not encode or decode it repeats too.
 */
const safeCause = (error: SqlError): unknown => {
  const { _tag, cause } = error.reason
  if (!isServerError(cause)) return _tag === "UnknownError" ? new Error(error.message) : error
  const { code, column, constraint, position, schema, table } = cause
  return Object.assign(new Error(`SQLSTATE ${code}`), { code, schema, table, column, constraint, position })
}

const statementOf = (cause: unknown, text: string, values: ReadonlyArray<unknown>): FailedStatement => ({
  text,
  ...(isServerError(cause) && cause.position !== undefined ? { position: Number(cause.position) - 1 } : {}),
  arguments: values.map((value) => ({ type: typeOf(value), value: Redacted.make(value) }))
})

const outcomeOf = (reason: Reason, kind: StoreCall["kind"]): Outcome => {
  switch (reason._tag) {
    case "ConnectionLost":
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

/** The failure to open a connection. */
export const connectFailure = (endpoint: Endpoint, error: SqlError): StoreError => {
  const { cause } = error.reason
  const found = isServerError(cause) ? reasonOf(cause, endpoint, 0, Number.POSITIVE_INFINITY) : undefined
  return new StoreError({
    store: "postgresql",
    operation: "connect",
    outcome: "not-applied",
    reason: connectReason(endpoint, error, found),
    cause: safeCause(error)
  })
}

const connectReason = (
  endpoint: Endpoint,
  { reason: { _tag, cause } }: SqlError,
  found: Reason | undefined
): Reason => {
  if (found === undefined) {
    if (_tag === "AuthenticationError") return new AuthenticationFailed({})
    const code = errnoOf(cause)
    // Without an errno it is the client that gave up, and says why: the server does not support TLS.
    return unavailable(endpoint, {
      code,
      detail: code === undefined && cause instanceof Error ? cause.message : undefined
    })
  }
  if (found._tag === "ConnectionLost" && found.code === "08P01") {
    return new InvalidData({
      code: found.code,
      subject: "configuration",
      problems: [
        {
          field: "pooler",
          problem: "must be transaction: what answers at this URL takes no start-up parameters, as PgBouncer does"
        }
      ]
    })
  }
  if (found._tag === "ConnectionLost") return unavailable(endpoint, { code: found.code })
  if (found._tag === "InvalidStatement" && found.code === "3D000") {
    return new InvalidData({
      code: found.code,
      subject: "configuration",
      problems: [{ field: "url", problem: "names a database that does not exist" }]
    })
  }
  return found
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
  at: { readonly endpoint: Endpoint; readonly elapsedMillis: number; readonly statementMillis: number },
  statement?: readonly [text: string, values: ReadonlyArray<unknown>]
): StoreError => {
  const { cause } = error.reason
  // The pool's own failure, on its way through Effect's client.
  if (isStoreError(cause)) return cause.during(call.operation, call.kind === "read" ? "not-applied" : cause.outcome)
  const reason: Reason = isServerError(cause)
    ? reasonOf(cause, at.endpoint, at.elapsedMillis, at.statementMillis)
    : cause instanceof StatementExpired
      ? new Timeout({ afterMillis: cause.afterMillis })
      : error.reason._tag === "ConnectionError"
        ? new ConnectionLost(present("code", errnoOf(cause)))
        : (unsent(error, statement?.[1] ?? []) ?? new Unclassified({}))
  return new StoreError({
    store: "postgresql",
    operation: call.operation,
    outcome: outcomeOf(reason, call.kind),
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
