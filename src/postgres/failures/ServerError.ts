import { isSqlError } from "effect/sql/SqlError"

/** The fields of PostgreSQL's ErrorResponse that we read; the client puts them on the cause. */
export interface ServerFields {
  readonly code: string
  /** Which every ErrorResponse has; an errno, which may have five letters too (EPIPE), has none. */
  readonly severity: string
  /** The same in English, which servers since 9.6 tell. */
  readonly severityUnlocalized?: string
  /** The server's own function that reported it. */
  readonly routine?: string
  readonly position?: string
  readonly schema?: string
  readonly table?: string
  readonly column?: string
  readonly constraint?: string
}

/** Whether the server itself refused, so that it knows what became of the statement. */
export const isServerError = (cause: unknown): cause is Error & ServerFields =>
  cause instanceof Error &&
  "severity" in cause &&
  typeof cause.severity === "string" &&
  "code" in cause &&
  typeof cause.code === "string"

/** Whether the session ended with it (FATAL, PANIC), and not its statement alone (ERROR), which then was undone. */
export const endsSession = ({ severity, severityUnlocalized = severity }: ServerFields): boolean =>
  severityUnlocalized !== "ERROR"

/** Whether the server knows a prepared statement no more, or its columns have changed; the driver has forgotten it too by now. */
export const isStale = (cause: unknown): boolean =>
  isServerError(cause) &&
  // 0A000 is also of all that the server cannot do.
  (cause.code === "26000" || (cause.code === "0A000" && cause.routine === "RevalidateCachedQuery"))

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
