import { Schema } from "effect"
import { Store } from "../../src/core/Store.ts"

/** A server could not be found or started. */
export class ServerError extends Schema.TaggedError<ServerError>("ServerError")("ServerError", {
  store: Store,
  /** What happened, and the last lines that the server wrote. */
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.store}: ${this.problem}`
  }
}
