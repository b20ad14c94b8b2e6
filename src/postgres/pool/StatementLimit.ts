import * as Context from "effect/Context"

/**
 * Longest time, in milliseconds, of each statement of a connection that is leased in this Context; undefined, as by default,
 * where the client's `statementTimeout` says.
 *
 * It is what the client waits: who leases the connection sets its session's `statement_timeout` too.
 */
export const StatementLimit: Context.Reference<number | undefined> = Context.Reference<number | undefined>(
  "@ai-core/database/postgres/pool/StatementLimit",
  { defaultValue: () => undefined }
)
