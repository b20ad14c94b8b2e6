import type { SqlError } from "effect/sql/SqlError"
import { type Endpoint, unavailable } from "../../core/StartUp.ts"
import {
  AuthenticationFailed,
  type ConnectionLost,
  InvalidData,
  type Reason,
  StoreError,
  Unclassified
} from "../../core/StoreError.ts"
import { errnoOf } from "./Errno.ts"
import { present } from "./present.ts"
import { safeCause } from "./SafeCause.ts"
import { isServerError } from "./ServerError.ts"
import { reasonOf } from "./SqlStateReason.ts"

/** The failure to open a connection, with start-up parameters or without. */
export const connectFailure = (endpoint: Endpoint, error: SqlError, withParameters: boolean): StoreError => {
  const { cause } = error.reason
  const found = isServerError(cause) ? reasonOf(cause, endpoint, 0, Number.POSITIVE_INFINITY) : undefined
  return new StoreError({
    store: "postgresql",
    operation: "connect",
    outcome: "not-applied",
    reason: connectReason(endpoint, error, found, withParameters),
    cause: safeCause(error)
  })
}

const said = ({ code, detail }: ConnectionLost) => ({ ...present("code", code), ...present("detail", detail) })

/**
 * Whether a pooler refuses the parameters that it was sent.
 *
 * PgBouncer has 08P01 for all that it refuses (its server is down, it has too many clients), so that only its words, which it
 * has in one language, tell this from what passes.
 */
const refusesParameters = ({ code, detail = "" }: ConnectionLost): boolean =>
  code === "08P01" && detail.includes("startup parameter")

const connectReason = (
  endpoint: Endpoint,
  { reason: { _tag, cause } }: SqlError,
  found: Reason | undefined,
  withParameters: boolean
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
  if (found._tag === "ConnectionLost" && withParameters && refusesParameters(found)) {
    return new InvalidData({
      ...said(found),
      subject: "configuration",
      problems: [
        {
          field: "pooler",
          problem: "must be transaction: what answers at this URL takes no start-up parameters, as PgBouncer does"
        }
      ]
    })
  }
  if (found._tag === "ConnectionLost") return unavailable(endpoint, said(found))
  if (found._tag === "InvalidStatement" && found.code === "3D000") {
    return new InvalidData({
      code: found.code,
      subject: "configuration",
      problems: [{ field: "url", problem: "names a database that does not exist" }]
    })
  }
  // A login has no rows and no arguments that its refusal could repeat.
  if (found._tag === "Unclassified" && cause instanceof Error) {
    return new Unclassified({ ...present("code", found.code), detail: cause.message })
  }
  return found
}
