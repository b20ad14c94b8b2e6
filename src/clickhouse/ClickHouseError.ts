import * as Redacted from "effect/Redacted"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import {
  AuthenticationFailed,
  Backpressure,
  Cancelled,
  ConnectionLost,
  ConstraintViolated,
  type FailedStatement,
  Forbidden,
  InvalidData,
  InvalidStatement,
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

/** What failed: enough to say what is known of its effect. */
export interface Attempt {
  readonly endpoint: Endpoint
  readonly operation: string
  /** A read, sent under `readonly=2`, applies nothing whatever becomes of its answer. */
  readonly access: "read" | "write"
  readonly query: string
  readonly params: Readonly<Record<string, unknown>> | undefined
  /** Milliseconds since it began. */
  readonly elapsed: () => number
  /** Why the server may be gone, where whoever runs it knows. */
  readonly outage: () => string | undefined
}

/** An exception as ClickHouse's HTTP interface tells it. */
export interface ServerException {
  readonly code: number
  /** The text of the answer; holds values. */
  readonly text: string
}

type Kind =
  | "AuthenticationFailed"
  | "Backpressure"
  | "Cancelled"
  | "ConnectionLost"
  | "ConstraintViolated"
  | "Forbidden"
  | "InvalidData"
  | "InvalidStatement"
  | "LimitExceeded"
  | "NotPrimary"
  | "Overloaded"
  | "ResourceExhausted"
  | "Timeout"
  | "Unavailable"

/** Error numbers by what they mean for the caller; names as `errorCodeToName` of ClickHouse 26.7 gives them. */
const codesOf: Record<Kind, ReadonlyArray<number>> = {
  // UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED
  AuthenticationFailed: [192, 193, 194, 516],
  // READONLY, DATABASE_ACCESS_DENIED, SETTING_CONSTRAINT_VIOLATION, ACCESS_STORAGE_READONLY, ACCESS_DENIED,
  // ACCESS_STORAGE_FOR_INSERTION_NOT_FOUND
  Forbidden: [164, 291, 452, 495, 497, 514],
  // QUOTA_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION
  Overloaded: [201, 202, 203],
  // TIMEOUT_EXCEEDED, TOO_SLOW
  Timeout: [159, 160],
  // SOCKET_TIMEOUT, NETWORK_ERROR (between servers), UNKNOWN_STATUS_OF_INSERT
  ConnectionLost: [209, 210, 319],
  // TOO_FEW_LIVE_REPLICAS, KEEPER_EXCEPTION
  Unavailable: [285, 999],
  // TABLE_IS_READ_ONLY
  NotPrimary: [242],
  // TOO_MANY_PARTS, TOO_MANY_MUTATIONS
  Backpressure: [252, 692],
  // CANNOT_ALLOCATE_MEMORY, MEMORY_LIMIT_EXCEEDED, NOT_ENOUGH_SPACE
  ResourceExhausted: [173, 241, 243],
  // QUERY_WAS_CANCELLED, QUERY_WAS_CANCELLED_BY_CLIENT
  Cancelled: [394, 735],
  // VIOLATED_CONSTRAINT
  ConstraintViolated: [469],
  // TOO_MANY_ROWS, SET_SIZE_LIMIT_EXCEEDED, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES
  LimitExceeded: [158, 191, 307, 396],
  // UNEXPECTED_END_OF_FILE, CANNOT_PARSE_*, ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ALL_DATA, ARGUMENT_OUT_OF_BOUND,
  // CANNOT_CONVERT_TYPE, INCORRECT_DATA, TOO_LARGE_STRING_SIZE, CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN, DECIMAL_OVERFLOW,
  // BAD_QUERY_PARAMETER
  InvalidData: [3, 6, 26, 27, 32, 33, 38, 41, 69, 70, 72, 117, 131, 349, 376, 407, 441, 457],
  // NOT_FOUND_COLUMN_IN_BLOCK, NO_SUCH_COLUMN_IN_TABLE, NUMBER_OF_COLUMNS_DOESNT_MATCH, BAD_ARGUMENTS,
  // NUMBER_OF_ARGUMENTS_DOESNT_MATCH, ILLEGAL_TYPE_OF_ARGUMENT, ILLEGAL_COLUMN, UNKNOWN_FUNCTION, UNKNOWN_IDENTIFIER,
  // NOT_IMPLEMENTED, UNKNOWN_TYPE, TYPE_MISMATCH, TABLE_ALREADY_EXISTS, UNKNOWN_TABLE, SYNTAX_ERROR, UNKNOWN_FORMAT,
  // UNKNOWN_DATABASE, DATABASE_ALREADY_EXISTS, UNKNOWN_SETTING, ILLEGAL_DIVISION, MULTIPLE_EXPRESSIONS_FOR_ALIAS,
  // ILLEGAL_AGGREGATION, NOT_AN_AGGREGATE, SUPPORT_IS_DISABLED, AMBIGUOUS_COLUMN_NAME, NO_COMMON_TYPE,
  // BAD_TTL_EXPRESSION, UNKNOWN_QUERY_PARAMETER
  InvalidStatement: [
    10, 16, 20, 36, 42, 43, 44, 46, 47, 48, 50, 53, 57, 60, 62, 73, 81, 82, 115, 153, 179, 184, 215, 344, 352, 386, 450,
    456
  ]
}

/** READONLY */
const readOnly = 164

const kindOf: ReadonlyMap<number, Kind> = new Map(
  Object.entries(codesOf).flatMap(([kind, codes]) => codes.map((code): [number, Kind] => [code, kind as Kind]))
)

/** Refused before anything was written; every other failure of a write may have come after a part of it. */
const refusedUnwritten: ReadonlySet<Kind> = new Set<Kind>([
  "AuthenticationFailed",
  "Backpressure",
  "Forbidden",
  "InvalidStatement",
  "NotPrimary",
  "Overloaded"
])

/** Codes whose first sentence names a table, column or function of the statement, and no value. */
const namesOnly: ReadonlySet<number> = new Set([16, 46, 47, 57, 60, 62, 81, 82, 115, 456])

const symbolIn = (text: string): string | undefined =>
  /\(([A-Z][A-Z0-9_]{2,})\)(?: \(version [^)]*\))?\s*$/.exec(text)?.[1]

/** What may be shown of an exception: its name, and of some the sentence that says which name is wrong. */
const detailOf = ({ code, text }: ServerException): string | undefined => {
  const symbol = symbolIn(text)
  if (code === 62) return /Syntax error: failed at position \d+ \([^)\n]{0,100}\)/.exec(text)?.[0] ?? symbol
  if (!namesOnly.has(code)) return symbol
  const sentence = /Exception: ([^\n]*?)(?:,? [Ii]n scope |: While |\. \([A-Z]|$)/.exec(text)?.[1]
  return sentence === undefined ? symbol : sentence.slice(0, 300)
}

/** The place of a syntax error: ClickHouse counts bytes from 1, a report characters from 0. */
const positionOf = ({ code, text }: ServerException, query: string): number | undefined => {
  const told = code === 62 ? /failed at position (\d+)/.exec(text)?.[1] : undefined
  if (told === undefined) return undefined
  const bytes = Buffer.from(query, "utf8")
  const at = Number(told) - 1
  return at > bytes.length ? undefined : bytes.subarray(0, at).toString("utf8").length
}

const typesIn = (query: string): ReadonlyMap<string, string> =>
  new Map([...query.matchAll(/\{\s*(\w+)\s*:\s*([^{}]+?)\s*\}/g)].map((m) => [m[1] ?? "", m[2] ?? ""]))

const statementOf = (attempt: Attempt, position?: number): FailedStatement => {
  const types = typesIn(attempt.query)
  const params = Object.entries(attempt.params ?? {})
  return {
    text: attempt.query,
    ...(position === undefined ? {} : { position }),
    ...(params.length === 0
      ? {}
      : {
          arguments: params.map(([name, value]) => ({
            type: `${name}: ${types.get(name) ?? "unused"}`,
            value: Redacted.make(value)
          }))
        })
  }
}

const fail = (
  attempt: Attempt,
  reason: Reason,
  outcome: Outcome,
  more: { readonly position?: number | undefined; readonly cause?: unknown } = {}
): StoreError =>
  new StoreError({
    store: "clickhouse",
    operation: attempt.operation,
    reason,
    outcome: attempt.access === "read" ? "not-applied" : outcome,
    statement: statementOf(attempt, more.position),
    ...(more.cause === undefined ? {} : { cause: more.cause })
  })

const reasonOf = (attempt: Attempt, kind: Kind | undefined, exception: ServerException): Reason => {
  const detail = detailOf(exception)
  const said = { code: String(exception.code), ...(detail === undefined ? {} : { detail }) }
  switch (kind) {
    case "AuthenticationFailed":
      return new AuthenticationFailed(said)
    case "Backpressure":
      return new Backpressure(said)
    case "Cancelled":
      return new Cancelled(said)
    case "ConnectionLost":
      return new ConnectionLost(said)
    case "ConstraintViolated":
      return new ConstraintViolated({ ...said, kind: "check" })
    case "Forbidden":
      return exception.code === readOnly && attempt.access === "read"
        ? new InvalidStatement({
            ...said,
            detail:
              "reads are sent under readonly=2: use `command` to write, and a user who may change settings to read"
          })
        : new Forbidden(said)
    case "InvalidData":
      return new InvalidData({
        ...said,
        subject: attempt.access === "read" ? "statement" : "input",
        problems: [{ field: "", problem: "holds a value that the server cannot read" }]
      })
    case "InvalidStatement":
      return new InvalidStatement(said)
    case "LimitExceeded":
      return new LimitExceeded(said)
    case "NotPrimary":
      return new NotPrimary(said)
    case "Overloaded":
      return new Overloaded(said)
    case "ResourceExhausted":
      return new ResourceExhausted(said)
    case "Timeout":
      return new Timeout({ ...said, afterMillis: attempt.elapsed() })
    case "Unavailable":
      return unavailable(attempt.endpoint, said)
    case undefined:
      return new Unclassified(said)
  }
}

/** The exception that an answer carries: the number from the header where there is one, else from the text's fixed start. */
export const exceptionIn = (header: string | undefined, text: string): ServerException | undefined => {
  const code = header ?? /^Code: (\d+)\. DB::Exception/.exec(text)?.[1]
  return code === undefined ? undefined : { code: Number(code), text }
}

/**
 * What ClickHouse refused, as a `StoreError`: by its error number.
 *
 * The message stays out, because it repeats values; its name, and the place of a syntax error, are kept.
 */
export const fromException = (attempt: Attempt, exception: ServerException): StoreError => {
  const kind = kindOf.get(exception.code)
  return fail(
    attempt,
    reasonOf(attempt, kind, exception),
    kind !== undefined && refusedUnwritten.has(kind) ? "not-applied" : "unknown",
    { position: positionOf(exception, attempt.query) }
  )
}

/** An answer that is not ClickHouse's own: a proxy's or load balancer's, by its HTTP status. */
export const fromStatus = (attempt: Attempt, status: number): StoreError => {
  const said = { code: `HTTP ${status}`, detail: "answered by something in between, not by ClickHouse" }
  switch (status) {
    case 401:
      return fail(attempt, new AuthenticationFailed(said), "not-applied")
    case 403:
      return fail(attempt, new Forbidden(said), "not-applied")
    case 413:
      return fail(attempt, new LimitExceeded(said), "not-applied")
    case 429:
      return fail(attempt, new Overloaded(said), "not-applied")
    case 503:
      return fail(attempt, unavailable(attempt.endpoint, said), "not-applied")
    case 502:
      return fail(attempt, new ConnectionLost(said), "unknown")
    case 408:
    case 504:
      return fail(attempt, new Timeout({ ...said, afterMillis: attempt.elapsed() }), "unknown")
    default:
      return fail(attempt, new Unclassified(said), "unknown")
  }
}

/** An answer that began well and is not what was asked for. */
export const unreadable = (attempt: Attempt, detail: string): StoreError =>
  fail(attempt, new Unclassified({ detail }), "unknown")

const neverConnected: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "ERR_TLS_CERT_ALTNAME_INVALID"
])

const errnoOf = (cause: unknown): string | undefined => {
  if (typeof cause !== "object" || cause === null) return undefined
  if ("code" in cause && typeof cause.code === "string") return cause.code
  return "errors" in cause && Array.isArray(cause.errors) ? errnoOf(cause.errors[0]) : undefined
}

/** A request that ended without an answer, by its errno. */
export const fromTransport = (attempt: Attempt, cause: unknown): StoreError => {
  const code = errnoOf(cause)
  const outage = attempt.outage()
  const said = { ...(code === undefined ? {} : { code }), ...(outage === undefined ? {} : { detail: outage }) }
  return code !== undefined && neverConnected.has(code)
    ? fail(attempt, unavailable(attempt.endpoint, said), "not-applied", { cause })
    : fail(attempt, new ConnectionLost(said), "unknown", { cause })
}

/** The same failure, with the statement it belongs to. */
export const withStatement = (attempt: Attempt, error: StoreError): StoreError =>
  new StoreError({
    store: error.store,
    operation: error.operation,
    reason: error.reason,
    outcome: error.outcome,
    statement: statementOf(attempt),
    ...(error.cause === undefined ? {} : { cause: error.cause })
  })
