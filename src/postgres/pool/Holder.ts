import * as Context from "effect/Context"

/** Who keeps a connection for longer than a statement or a transaction. */
export interface Holder {
  /** What it is told as where others wait in vain. */
  readonly operation: string
  /** It is meant to keep the connection for as long as it takes, and is never called a leak. */
  readonly lasting?: boolean | undefined
  /**
   * Longest time of each of its statements, in milliseconds; the client's `statementTimeout` where nothing is said.
   *
   * It is what the client waits: the holder sets its session's `statement_timeout` too.
   */
  readonly statementMillis?: number | undefined
}

/** Who asks for a connection of his own, where he says so. */
export const CurrentHolder = Context.Reference<Holder | undefined>("@ai-core/database/postgres/Holder", {
  defaultValue: () => undefined
})
