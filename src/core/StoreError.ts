import * as Schema from "effect/Schema"
import { hostAndPort } from "./HostAndPort.ts"
import { displayName, Store } from "./Store.ts"

/**
 * What is known of the effect of a failed call: the store did nothing, or nobody can tell.
 *
 * An `unknown` outcome is repeated only where repeating is harmless.
 */
export const Outcome = Schema.Literals(["not-applied", "unknown"])
export type Outcome = typeof Outcome.Type

/**
 * How a failure may be retried.
 *
 * - `backoff`: the same call, after a pause
 * - `slowly`: the same call, after a long pause, because the store lacks room
 * - `reconnect`: the same call on a new connection, because the server changed its role
 * - `transaction`: the whole transaction from its start
 * - `idempotent`: only a call that is harmless when it runs twice
 * - `never`: the same call would fail again
 */
export type RetryAdvice = "backoff" | "slowly" | "reconnect" | "transaction" | "idempotent" | "never"

/** One wrong field of an input, or of a row or document that was read. */
export const FieldProblem = Schema.Struct({
  /** Path of the field, `items[2].price`; empty for the value itself. */
  field: Schema.String,
  /** What is wrong and what was expected; never the value. */
  problem: Schema.String
})
export type FieldProblem = typeof FieldProblem.Type

/** Who holds a connection while others wait for one. */
export const ConnectionHolder = Schema.Struct({
  operation: Schema.String,
  /** Milliseconds since it was lent. */
  heldMillis: Schema.Number,
  /** Id of the fiber that asked for it, as logs show it. */
  fiber: Schema.optionalKey(Schema.Number),
  /** What it sent last, without values. */
  statement: Schema.optionalKey(Schema.String)
})
export type ConnectionHolder = typeof ConnectionHolder.Type

const said = {
  /** The store's own code: a SQLSTATE, a ClickHouse or MongoDB error number, the first word of a Redis error, an errno. */
  code: Schema.optionalKey(Schema.String),
  /** What the store said, without values. */
  detail: Schema.optionalKey(Schema.String)
}

/** What the store said where that may repeat values: hidden, unless a report is asked for values. */
const text = Schema.optionalKey(Schema.Redacted(Schema.String))

/** The store could not be reached, or is not ready to be asked. */
export class Unavailable extends Schema.TaggedError<Unavailable>("@ai-core/database/Unavailable")("Unavailable", {
  ...said,
  host: Schema.String,
  port: Schema.optionalKey(Schema.Number)
}) {}

/**
 * Why every connection was in use.
 *
 * - `leaked`: some have been held for longer than the leak detection threshold and may never come back
 * - `slow`: at least half have been held for longer than the slow query threshold, not counting leases and migrations
 * - `unreachable`: there were fewer than allowed, because no more can be opened
 * - `saturated`: none of these: they come and go, and there are more callers than they can serve
 */
export const PoolDiagnosis = Schema.Literals(["leaked", "slow", "unreachable", "saturated"])
export type PoolDiagnosis = typeof PoolDiagnosis.Type

/** Everything there may be at once was in use for as long as the caller was willing to wait. */
export class PoolExhausted extends Schema.TaggedError<PoolExhausted>("@ai-core/database/PoolExhausted")(
  "PoolExhausted",
  {
    /** What there are only so many of; connections where it is not said. */
    of: Schema.optionalKey(Schema.Literals(["connections", "commands"])),
    /** How many there may be at once. */
    limit: Schema.Number,
    /** How many there were, where that is fewer. */
    open: Schema.optionalKey(Schema.Number),
    /** Callers waiting when this one gave up, itself included. */
    waiting: Schema.Number,
    /** Milliseconds this caller waited. */
    waitedMillis: Schema.Number,
    diagnosis: Schema.optionalKey(PoolDiagnosis),
    /** What speaks for the diagnosis. */
    detail: Schema.optionalKey(Schema.String),
    /** One for each connection: who has held it longest. */
    holders: Schema.optionalKey(Schema.Array(ConnectionHolder))
  }
) {}

/** The server refuses new work until some of its present work ends. */
export class Overloaded extends Schema.TaggedError<Overloaded>("@ai-core/database/Overloaded")("Overloaded", said) {}

/** The store does not accept these credentials. */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>(
  "@ai-core/database/AuthenticationFailed"
)("AuthenticationFailed", said) {}

/** The user is known and lacks the privilege. */
export class Forbidden extends Schema.TaggedError<Forbidden>("@ai-core/database/Forbidden")("Forbidden", said) {}

/** The connection ended between the request and its answer. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>("@ai-core/database/ConnectionLost")(
  "ConnectionLost",
  said
) {}

/** No answer came before the deadline. */
export class Timeout extends Schema.TaggedError<Timeout>("@ai-core/database/Timeout")("Timeout", {
  ...said,
  /** Milliseconds the caller waited. */
  afterMillis: Schema.Number
}) {}

/** COMMIT was sent and its answer never came. */
export class CommitUnknown extends Schema.TaggedError<CommitUnknown>("@ai-core/database/CommitUnknown")(
  "CommitUnknown",
  {
    ...said,
    /** By which the store can be asked what became of it, where the store has told it. */
    transactionId: Schema.optionalKey(Schema.String)
  }
) {}

/** Another transaction won: serialization failure, deadlock, write conflict, or a migration behind a prepared statement. */
export class Conflict extends Schema.TaggedError<Conflict>("@ai-core/database/Conflict")("Conflict", {
  ...said,
  /** A statement was prepared for columns that a table no longer has, or the server has forgotten it. */
  stale: Schema.optionalKey(Schema.Literal(true)),
  /** How often the whole transaction was tried, where that was more than once. */
  attempts: Schema.optionalKey(Schema.Number)
}) {}

/** The server accepts no writes: a replica, a read-only table, a failover under way. */
export class NotPrimary extends Schema.TaggedError<NotPrimary>("@ai-core/database/NotPrimary")("NotPrimary", said) {}

/** The store asks for a slower stream of writes (ClickHouse: too many parts). */
export class Backpressure extends Schema.TaggedError<Backpressure>("@ai-core/database/Backpressure")(
  "Backpressure",
  said
) {}

/** The server is out of memory or disk. */
export class ResourceExhausted extends Schema.TaggedError<ResourceExhausted>("@ai-core/database/ResourceExhausted")(
  "ResourceExhausted",
  said
) {}

/** A rule that the store keeps refused the write. */
export class ConstraintViolated extends Schema.TaggedError<ConstraintViolated>("@ai-core/database/ConstraintViolated")(
  "ConstraintViolated",
  {
    ...said,
    kind: Schema.Literals(["unique", "foreign-key", "check", "not-null", "exclusion", "validator"]),
    /** Name of the constraint, index or validator, where the store tells it. */
    constraint: Schema.optionalKey(Schema.String),
    /** Table or collection. */
    table: Schema.optionalKey(Schema.String),
    column: Schema.optionalKey(Schema.String)
  }
) {}

/** The store does not understand the statement, or it names something that is not there. */
export class InvalidStatement extends Schema.TaggedError<InvalidStatement>("@ai-core/database/InvalidStatement")(
  "InvalidStatement",
  said
) {}

/** A value given to a call, or read from a store, is not of its schema. */
export class InvalidData extends Schema.TaggedError<InvalidData>("@ai-core/database/InvalidData")("InvalidData", {
  ...said,
  /** What was looked at: `input`, `row 3`, `document 66f0…`. */
  subject: Schema.String,
  problems: Schema.Array(FieldProblem)
}) {}

/** The request is larger than the store or this library allows. */
export class LimitExceeded extends Schema.TaggedError<LimitExceeded>("@ai-core/database/LimitExceeded")(
  "LimitExceeded",
  said
) {}

/** The lock or lease went to somebody else meanwhile. */
export class LeaseLost extends Schema.TaggedError<LeaseLost>("@ai-core/database/LeaseLost")("LeaseLost", said) {}

/** Somebody asked the server to end the call: an administrator, a shutdown. */
export class Cancelled extends Schema.TaggedError<Cancelled>("@ai-core/database/Cancelled")("Cancelled", said) {}

/** A function or trigger of the database raised an error of its own, which is told by its code. */
export class Raised extends Schema.TaggedError<Raised>("@ai-core/database/Raised")("Raised", { ...said, text }) {}

/** The server said something that no table of ours knows. */
export class Unclassified extends Schema.TaggedError<Unclassified>("@ai-core/database/Unclassified")("Unclassified", {
  ...said,
  text
}) {}

export const Reason = Schema.Union([
  Unavailable,
  PoolExhausted,
  Overloaded,
  AuthenticationFailed,
  Forbidden,
  ConnectionLost,
  Timeout,
  CommitUnknown,
  Conflict,
  NotPrimary,
  Backpressure,
  ResourceExhausted,
  ConstraintViolated,
  InvalidStatement,
  InvalidData,
  LimitExceeded,
  LeaseLost,
  Cancelled,
  Raised,
  Unclassified
])
export type Reason = typeof Reason.Type

/** How each reason may be retried. */
export const retryAdvice: Record<Reason["_tag"], RetryAdvice> = {
  Unavailable: "backoff",
  PoolExhausted: "backoff",
  Overloaded: "backoff",
  AuthenticationFailed: "never",
  Forbidden: "never",
  ConnectionLost: "idempotent",
  Timeout: "idempotent",
  CommitUnknown: "idempotent",
  Conflict: "transaction",
  NotPrimary: "reconnect",
  Backpressure: "slowly",
  ResourceExhausted: "slowly",
  ConstraintViolated: "never",
  InvalidStatement: "never",
  InvalidData: "never",
  LimitExceeded: "never",
  LeaseLost: "never",
  Cancelled: "never",
  Raised: "never",
  Unclassified: "never"
}

/** One argument of a statement, as a report may show it. */
export const StatementArgument = Schema.Struct({
  type: Schema.String,
  /** Kept only where the caller of the report asks for values. */
  value: Schema.optionalKey(Schema.Redacted(Schema.Unknown))
})
export type StatementArgument = typeof StatementArgument.Type

/** The statement that failed, and where. */
export const FailedStatement = Schema.Struct({
  text: Schema.String,
  /** Index of the character that broke it, from 0, where the store tells it. */
  position: Schema.optionalKey(Schema.Number),
  arguments: Schema.optionalKey(Schema.Array(StatementArgument))
})
export type FailedStatement = typeof FailedStatement.Type

/**
 * A call to a store failed.
 *
 * `reason` says why, so that `Effect.catchReason("StoreError", "PoolExhausted", …)` handles one cause and leaves the others;
 * `outcome` says whether the store may have applied the call. Its text for people is made by `StoreErrorReport.render`.
 */
export class StoreError extends Schema.TaggedError<StoreError>("@ai-core/database/StoreError")("StoreError", {
  store: Store,
  /** The capability's method, or the client's: `Users.create`. */
  operation: Schema.String,
  reason: Reason,
  outcome: Outcome,
  statement: Schema.optionalKey(FailedStatement),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    const detail = "detail" in this.reason && this.reason.detail !== undefined ? `: ${this.reason.detail}` : ""
    return `${displayName[this.store]} ${this.operation}: ${problemOf(this.reason)}${detail} (${this.outcome})`
  }

  /** How this failure may be retried; see {@link RetryAdvice}. */
  get retry(): RetryAdvice {
    return retryAdvice[this.reason._tag]
  }

  /** The same failure, told by the method that the caller knows, and with what that method knows of its outcome. */
  during(operation: string, outcome: Outcome = this.outcome): StoreError {
    return new StoreError({
      store: this.store,
      operation,
      reason: this.reason,
      outcome,
      ...(this.statement === undefined ? {} : { statement: this.statement }),
      ...(this.cause === undefined ? {} : { cause: this.cause })
    })
  }

  /** Whether the same call may be sent again; `idempotent` says that running it twice is harmless. */
  isRetryable(options?: { readonly idempotent?: boolean | undefined }): boolean {
    switch (this.retry) {
      case "never":
      case "transaction":
        return false
      default:
        return this.outcome === "not-applied" || options?.idempotent === true
    }
  }
}

export const isStoreError = (u: unknown): u is StoreError => u instanceof StoreError

/** One sentence that says what went wrong; holds no values. */
export const problemOf = (reason: Reason): string => {
  switch (reason._tag) {
    case "Unavailable":
      return `${hostAndPort(reason)} cannot be reached`
    case "PoolExhausted":
      return `all ${reason.open ?? reason.limit} ${reason.of ?? "connections"} were in use for ${Math.round(reason.waitedMillis)} ms, ${reason.waiting} waiting`
    case "Overloaded":
      return "the server refuses new work"
    case "AuthenticationFailed":
      return "the server does not accept these credentials"
    case "Forbidden":
      return "the user lacks a privilege"
    case "ConnectionLost":
      return "the connection ended before the answer came"
    case "Timeout":
      return `no answer within ${Math.round(reason.afterMillis)} ms`
    case "CommitUnknown":
      return "the connection ended after COMMIT was sent and before its answer came"
    case "Conflict":
      return `${reason.stale === true ? "a prepared statement no longer holds" : "another transaction got there first"}${reason.attempts === undefined ? "" : `, ${reason.attempts} times`}`
    case "NotPrimary":
      return "the server takes no writes"
    case "Backpressure":
      return "the store asks for slower writes"
    case "ResourceExhausted":
      return "the server is out of memory or disk"
    case "ConstraintViolated":
      return `${reason.kind} rule${reason.constraint === undefined ? "" : ` ${reason.constraint}`}${
        reason.table === undefined ? "" : ` of ${reason.table}`
      } refused the write`
    case "InvalidStatement":
      return "the statement is not valid"
    case "InvalidData":
      return `${reason.subject}: ${reason.problems
        .map(({ field, problem }) => (field === "" ? problem : `${field} ${problem}`))
        .join("; ")}`
    case "LimitExceeded":
      return "the request is too large"
    case "LeaseLost":
      return "the lease went to somebody else"
    case "Cancelled":
      return "the call was cancelled on the server"
    case "Raised":
      return "a function or trigger raised an error"
    case "Unclassified":
      return `the server answered with an unknown error${reason.code === undefined ? "" : ` ${reason.code}`}`
  }
}
