import { type Endpoint, unavailable } from "../../core/StartUp.ts"
import {
  AuthenticationFailed,
  Cancelled,
  Conflict,
  ConnectionLost,
  ConstraintViolated,
  Forbidden,
  InvalidData,
  InvalidStatement,
  LimitExceeded,
  NotPrimary,
  Overloaded,
  type Reason,
  ResourceExhausted,
  Timeout
} from "../../core/StoreError.ts"
import { present } from "./present.ts"
import { isStale, type ServerFields } from "./ServerError.ts"
import { unlisted } from "./UnlistedState.ts"
import { valueProblem } from "./ValueProblem.ts"

const constraintKinds: Record<string, typeof ConstraintViolated.Type.kind> = {
  // Since PostgreSQL 18, of a key that says RESTRICT: https://www.postgresql.org/docs/18/release-18.html
  "23001": "foreign-key",
  "23502": "not-null",
  "23503": "foreign-key",
  "23505": "unique",
  "23514": "check",
  "23P01": "exclusion"
}

const staleDetail = (code: string): string =>
  code === "26000" ? "the server has forgotten it" : "the columns of a table have changed since"

/** The reason for a SQLSTATE; messages are left out where they may carry values. */
export const reasonOf = (
  fields: Error & ServerFields,
  endpoint: Endpoint,
  elapsedMillis: number,
  limitMillis: number
): Reason => {
  const { code } = fields
  const said = { code }
  const told = { code, detail: fields.message }
  if (isStale(fields)) return new Conflict({ ...said, stale: true, detail: staleDetail(code) })
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
    case "25P03":
      return new ConnectionLost({
        ...said,
        detail: "the transaction was idle for longer than the server allows (idle_in_transaction_session_timeout)"
      })
    case "25P04":
      return new ConnectionLost({
        ...said,
        detail: "the transaction took longer than the server allows (transaction_timeout)"
      })
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
    case "0A000":
    case "25001":
    case "2BP01":
    case "3D000":
    case "3F000":
      return new InvalidStatement(told)
    case "58P01":
      // The server's own text repeats the path, which may be a value.
      return new InvalidStatement({ ...said, detail: "there is no such file on the server" })
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
      return unlisted(fields)
  }
}
