import type { SqlError } from "effect/sql/SqlError"
import { type Endpoint, unavailable } from "../../core/StartUp.ts"
import { AuthenticationFailed, InvalidData, type Reason, StoreError } from "../../core/StoreError.ts"
import { errnoOf } from "./Errno.ts"
import { safeCause } from "./SafeCause.ts"
import { isServerError } from "./ServerError.ts"
import { reasonOf } from "./SqlStateReason.ts"

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
