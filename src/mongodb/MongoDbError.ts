import {
  MongoAPIError,
  MongoBulkWriteError,
  MongoError,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
  MongoWriteConcernError
} from "mongodb"
import type { PoolStats } from "../core/Pool.ts"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import {
  AuthenticationFailed,
  Cancelled,
  CommitUnknown,
  Conflict,
  ConnectionLost,
  ConstraintViolated,
  Forbidden,
  InvalidStatement,
  LimitExceeded,
  NotPrimary,
  type Outcome,
  Overloaded,
  PoolExhausted,
  type Reason,
  ResourceExhausted,
  StoreError,
  Timeout,
  Unclassified
} from "../core/StoreError.ts"

/** A read, a write of one document, or a write of several, of which some may be done when it fails. */
export type CallKind = "read" | "write" | "writes"

/** What is known of a call besides its error. */
export interface FailedCall {
  readonly operation: string
  readonly kind: CallKind
  readonly endpoint: Endpoint
  /** Whether the command may have left this process. */
  readonly sent: boolean
  readonly waitedMillis: number
  readonly stats: PoolStats
}

interface Said {
  readonly code?: string
  readonly detail?: string
}

const duplicateKey = new Set([11000, 11001, 12582])
const timedOut = new Set([50, 202, 262])
const notPrimary = new Set([91, 189, 10058, 10107, 11600, 11602, 13435, 13436])
const connectionLost = new Set([6, 7, 89, 9001])
const conflict = new Set([112, 244, 246, 251])
const exhausted = new Set([146, 292, 14031, 16819, 16820, 16945])
const tooLarge = new Set([10334, 17280, 17419, 17420, 17421])
const cancelled = new Set([237, 11601])
/** Codes below the numbered assertions (10000 and up) by which a server says that the request is wrong. */
const invalid = new Set([
  2, 4, 5, 9, 14, 15, 16, 17, 19, 20, 22, 26, 28, 31, 40, 47, 48, 52, 53, 54, 55, 56, 57, 59, 61, 66, 67, 68, 70, 72,
  73, 74, 85, 86, 93, 96, 100, 101, 115, 124, 159, 160, 163, 165, 166, 167, 168, 171, 173, 179, 197, 207, 221, 223, 224,
  238, 241, 254, 263, 272, 287, 303, 323, 350, 351, 352
])

const record = (u: unknown): Record<string, unknown> =>
  typeof u === "object" && u !== null ? (u as Record<string, unknown>) : {}

const said = (error: MongoServerError, detail?: string): Said => {
  const code = error.code === undefined ? {} : { code: String(error.code) }
  // The server's own sentence may repeat values; the name of its code does not.
  const told = detail ?? (typeof error.codeName === "string" && error.codeName !== "" ? error.codeName : undefined)
  return told === undefined ? code : { ...code, detail: told }
}

/** Index and collection of a duplicate key. The reply has no field for the index's name, only its sentence. */
const duplicate = (error: MongoServerError): ConstraintViolated => {
  const first = error instanceof MongoBulkWriteError ? firstWriteError(error) : undefined
  const response = { ...record(error.errorResponse), ...record(first?.["err"]), ...record(first) }
  const message = String(response["errmsg"] ?? error.message)
  const fields = Object.keys(record(response["keyPattern"] ?? error["keyPattern"]))
  const named = /\bindex: (\S+)/.exec(message)?.[1]
  const collection = /\bcollection: [^.\s]+\.(\S+)/.exec(message)?.[1]
  const constraint = named ?? (fields.length === 0 ? undefined : fields.map((field) => `${field}_1`).join("_"))
  return new ConstraintViolated({
    kind: "unique",
    code: String(error.code),
    ...(fields.length === 0 ? {} : { column: fields.join(", "), detail: `key: ${fields.join(", ")}` }),
    ...(constraint === undefined ? {} : { constraint }),
    ...(collection === undefined ? {} : { table: collection })
  })
}

const firstWriteError = (error: MongoBulkWriteError): Record<string, unknown> | undefined => {
  const all: ReadonlyArray<unknown> = Array.isArray(error.writeErrors) ? error.writeErrors : [error.writeErrors]
  return all[0] === undefined ? undefined : record(all[0])
}

const fromServer = (error: MongoServerError, call: FailedCall): Reason => {
  const code = Number(error.code ?? 0)
  // Labels say what a code means in its circumstances, so they come first.
  if (error.hasErrorLabel("UnknownTransactionCommitResult")) return new CommitUnknown(said(error))
  if (error.hasErrorLabel("TransientTransactionError")) return new Conflict(said(error))
  if (error.hasErrorLabel("SystemOverloadedError")) return new Overloaded(said(error))
  if (duplicateKey.has(code)) return duplicate(error)
  if (code === 121) return new ConstraintViolated({ ...said(error), kind: "validator" })
  if (timedOut.has(code)) return new Timeout({ ...said(error), afterMillis: call.waitedMillis })
  if (error instanceof MongoWriteConcernError && code === 64) {
    return new Timeout({ ...said(error), afterMillis: call.waitedMillis })
  }
  if (code === 18 || code === 8000) return new AuthenticationFailed(said(error))
  if (code === 13) return new Forbidden(said(error))
  if (notPrimary.has(code)) return new NotPrimary(said(error))
  if (connectionLost.has(code) || code === 43) return new ConnectionLost(said(error))
  if (conflict.has(code)) return new Conflict(said(error))
  if (exhausted.has(code)) return new ResourceExhausted(said(error))
  if (tooLarge.has(code)) return new LimitExceeded(said(error))
  if (cancelled.has(code)) return new Cancelled(said(error))
  if (invalid.has(code) || code >= 10_000) return new InvalidStatement(said(error))
  return new Unclassified(said(error))
}

const errnoOf = (error: unknown): string | undefined => {
  for (let e: unknown = error, depth = 0; e !== undefined && e !== null && depth < 5; depth++) {
    const { cause, code } = record(e)
    if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return code
    e = cause
  }
  return undefined
}

const errno = (error: unknown): { readonly code?: string } => {
  const code = errnoOf(error)
  return code === undefined ? {} : { code }
}

/** The line broke: what was sent may be lost with it, what was not found no server. */
const broken = (error: unknown, call: FailedCall): Reason =>
  call.sent ? new ConnectionLost(errno(error)) : unavailable(call.endpoint, errno(error))

/** What a failed network call or check-out says; the driver's class says in which phase it was. */
const networkReason = (error: MongoNetworkError, call: FailedCall): Reason => {
  if (error instanceof MongoNetworkTimeoutError) return new Timeout({ afterMillis: call.waitedMillis })
  return broken(error, call)
}

/**
 * A write of many wraps whatever fails in an error of the server's class: what the server did not say is told by the fields
 * that the wrapped error left behind.
 */
const wrappedReason = (error: MongoBulkWriteError, call: FailedCall): Reason | undefined => {
  if (typeof error.code === "number") return undefined
  return errnoOf(error) !== undefined || "beforeHandshake" in error ? broken(error, call) : undefined
}

const reasonOf = (error: unknown, call: FailedCall): Reason => {
  if (error instanceof MongoBulkWriteError) {
    const reason = wrappedReason(error, call)
    if (reason !== undefined) return reason
  }
  if (error instanceof MongoServerSelectionError) return unavailable(call.endpoint)
  if (error instanceof MongoNetworkError) return networkReason(error, call)
  if (error instanceof MongoServerError) return fromServer(error, call)
  if (error instanceof MongoError) {
    switch (error.name) {
      case "MongoServerClosedError":
      case "MongoTopologyClosedError":
      case "MongoClientClosedError":
      case "MongoNotConnectedError":
      case "MongoPoolClosedError":
        return unavailable(call.endpoint, { detail: "this client is shut down" })
      case "MongoMissingCredentialsError":
        return new AuthenticationFailed({})
    }
    if (error instanceof MongoAPIError) return new InvalidStatement({ detail: error.name })
  }
  // A socket that breaks while the driver writes to it fails with Node's own error, which the driver passes on unlabelled.
  if (errnoOf(error) !== undefined) return broken(error, call)
  // What BSON cannot carry fails before anything is sent.
  const name = record(error)["name"]
  if (name === "BSONError" || name === "BSONRuntimeError")
    return new InvalidStatement({ detail: "BSON cannot hold it" })
  return new Unclassified({})
}

/** Every connection was busy for as long as this call was willing to wait. */
export const poolExhausted = ({ stats, waitedMillis }: FailedCall): PoolExhausted =>
  new PoolExhausted({ limit: stats.max, waiting: stats.waiting, waitedMillis })

/** Reasons for which a server refuses a write of several documents before the first of them. */
const refusedWhole = new Set<Reason["_tag"]>([
  "Unavailable",
  "AuthenticationFailed",
  "Forbidden",
  "NotPrimary",
  "Overloaded"
])

const outcomeOf = (error: unknown, reason: Reason, call: FailedCall): Outcome => {
  if (call.kind === "read" || !call.sent || reason._tag === "Unavailable") return "not-applied"
  switch (reason._tag) {
    case "ConnectionLost":
    case "Timeout":
    case "CommitUnknown":
    case "Cancelled":
      return error instanceof MongoError && error.hasErrorLabel("NoWritesPerformed") ? "not-applied" : "unknown"
  }
  // The primary has applied it; only how far it has spread is not known.
  if (error instanceof MongoWriteConcernError) return "unknown"
  // Of several documents, those before the one that failed may be written.
  if (error instanceof MongoBulkWriteError) return error.insertedCount === 0 ? "not-applied" : "unknown"
  return call.kind === "writes" && !refusedWhole.has(reason._tag) ? "unknown" : "not-applied"
}

/** Turns the driver's failure into a StoreError: by label, then by code, never by prose, and without values. */
export const toStoreError = (error: unknown, call: FailedCall): StoreError => {
  const reason = reasonOf(error, call)
  // The error of a refused write repeats the values of the document.
  const tellsValues = reason._tag === "ConstraintViolated"
  return new StoreError({
    store: "mongodb",
    operation: call.operation,
    reason,
    outcome: outcomeOf(error, reason, call),
    ...(tellsValues ? {} : { cause: error })
  })
}
