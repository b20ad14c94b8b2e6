import * as Formatter from "effect/Formatter"
import * as Redacted from "effect/Redacted"
import { displayName } from "./Store.ts"
import {
  type ConnectionHolder,
  type FailedStatement,
  type PoolDiagnosis,
  problemOf,
  type Reason,
  type RetryAdvice,
  type StoreError
} from "./StoreError.ts"

/** How a report is rendered. */
export interface ReportOptions {
  /** ANSI colours; off by default. */
  readonly color?: boolean | undefined
  /** Show argument values, and what the store said of them; off by default, because they may be anybody's data. */
  readonly values?: boolean | undefined
}

const paint = (color: boolean) => {
  const with_ = (code: string) => (s: string) => (color ? `\u001b[${code}m${s}\u001b[0m` : s)
  return { title: with_("1"), label: with_("2"), problem: with_("31"), hint: with_("36"), mark: with_("1;31") }
}

const retrySentence: Record<RetryAdvice, string> = {
  backoff: "yes, after a pause",
  slowly: "yes, after a long pause",
  reconnect: "yes, on a new connection",
  transaction: "yes, the whole transaction",
  idempotent: "only if running it twice is harmless",
  never: "no"
}

const exhaustionHint: Record<PoolDiagnosis, string> = {
  leaked: "Let the holders below give their connections back: end their transactions, close their scopes.",
  slow: "See what the holders below wait for: a lock, a slow statement, other work inside a transaction.",
  unreachable: "See why no more connections can be opened: the server's limit, its health, the network.",
  saturated: "Raise the pool's maximum, shorten what holds its connections, or let callers wait longer."
}

const hintOf = (error: StoreError): string => {
  const { reason } = error
  const store = displayName[error.store]
  switch (reason._tag) {
    case "Unavailable":
      if (reason.code !== undefined && /^ERR_TLS_|CERT|SIGNATURE|ISSUER/.test(reason.code)) {
        return "The server's certificate was not accepted: check the host name and the root certificate."
      }
      return `Is ${store} running, and reachable from here at that address?`
    case "PoolExhausted":
      return exhaustionHint[reason.diagnosis ?? "saturated"]
    case "Overloaded":
      return "Lower the number of clients or connections, or raise the server's limit."
    case "AuthenticationFailed":
      return "Check the user and password in the connection URL."
    case "Forbidden":
      return "Grant the privilege to this user, or connect as one that has it."
    case "ConnectionLost":
      return error.outcome === "unknown"
        ? "The write may have been applied: read it back before sending it again."
        : "Send it again, or the transaction around it; the client connects anew by itself."
    case "Timeout":
      return error.outcome === "unknown"
        ? "The write may have been applied: read it back before sending it again, or allow it more time."
        : "Allow it more time, or see what the server is busy with."
    case "CommitUnknown":
      return "The transaction may have been committed: read it back before running it again."
    case "Conflict":
      return "Run the whole transaction again."
    case "NotPrimary":
      return "Connect to the primary, or wait for the failover to end."
    case "Backpressure":
      return "Send fewer and larger batches."
    case "ResourceExhausted":
      return "Free or add memory or disk on the server."
    case "ConstraintViolated":
      return "Change the value, or the row that it collides with."
    case "InvalidStatement":
      return "Correct the statement. Is a table missing? Then run the migrations."
    case "InvalidData":
      if (reason.subject === "input" || reason.subject === "configuration") {
        return reason.problems.every(({ field }) => field !== "")
          ? "Correct the fields named above; nothing was sent."
          : "Correct the value that was refused; nothing was changed."
      }
      return "What is stored does not fit the schema: migrate it, or widen the schema."
    case "LimitExceeded":
      return "Send less at once."
    case "LeaseLost":
      return "Stop this work: somebody else has it now."
    case "Cancelled":
      return "Somebody ended it on the server; ask why before sending it again."
    case "Raised":
      return "Handle it by its code; what it says may repeat values: read its text, or have the report show values."
    case "Unclassified":
      return reason.text === undefined
        ? "See the cause."
        : "What the server said may repeat values: read its text, or have the report show values."
  }
}

const detailOf = (reason: Reason, values: boolean): string | undefined => {
  const text = values && "text" in reason && reason.text !== undefined ? Redacted.value(reason.text) : undefined
  const detail = text ?? ("detail" in reason ? reason.detail : undefined)
  const code = "code" in reason ? reason.code : undefined
  if (detail === undefined) return code === undefined ? undefined : `code ${code}`
  return code === undefined ? detail : `${detail} (code ${code})`
}

const nameOf = (reason: Reason): string =>
  reason._tag === "PoolExhausted" && reason.diagnosis !== undefined
    ? `${reason._tag} (${reason.diagnosis})`
    : reason._tag

const wrapped = (label: string, text: string): ReadonlyArray<string> =>
  text.split("\n").map((line, i) => `  ${(i === 0 ? label : "").padEnd(9)}${line}`)

const statementLines = (statement: FailedStatement, mark: (s: string) => string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let start = 0
  for (const line of statement.text.split("\n")) {
    lines.push(`    ${line}`)
    const at = statement.position === undefined ? -1 : statement.position - start
    if (at >= 0 && at <= line.length) lines.push(`    ${line.slice(0, at).replace(/[^\t]/g, " ")}${mark("^")}`)
    start += line.length + 1
  }
  return lines
}

const argumentLines = (statement: FailedStatement, values: boolean): ReadonlyArray<string> =>
  (statement.arguments ?? []).map(({ type, value }, i) => {
    const shown = values && value !== undefined ? ` ${Formatter.format(Redacted.value(value))}` : ""
    return `    $${i + 1} ${type}${shown}`
  })

const holderLine = ({ fiber, heldMillis, operation, statement }: ConnectionHolder): string =>
  `${operation} for ${Math.round(heldMillis)} ms${fiber === undefined ? "" : `, fiber #${fiber}`}${
    statement === undefined ? "" : `: ${statement}`
  }`

/**
 * Renders a failed call for people: what failed, why, where in the statement, and what to do.
 *
 * Argument types are shown and their values are not, unless `values` asks for them.
 */
export const render = (error: StoreError, options: ReportOptions = {}): string => {
  const { hint, label, mark, problem, title } = paint(options.color === true)
  const detail = detailOf(error.reason, options.values === true)
  const lines: Array<string> = [
    title(`${displayName[error.store]} · ${error.operation} failed: ${nameOf(error.reason)}`),
    "",
    ...wrapped("Problem", problemOf(error.reason)).map((line) => problem(line)),
    ...(detail === undefined ? [] : wrapped("Detail", detail)),
    ...wrapped("Hint", hintOf(error)).map((line) => hint(line))
  ]
  if (error.reason._tag === "PoolExhausted" && error.reason.holders !== undefined) {
    lines.push("", label("  Held by"))
    for (const holder of error.reason.holders) {
      lines.push(`    ${holderLine(holder)}`)
    }
  }
  if (error.statement !== undefined) {
    lines.push("", label("  Statement"), ...statementLines(error.statement, mark))
    const shown = argumentLines(error.statement, options.values === true)
    if (shown.length > 0) lines.push("", label("  Arguments"), ...shown)
  }
  lines.push(
    "",
    `  ${label("Outcome".padEnd(9))}${error.outcome === "unknown" ? "unknown: it may have been applied" : "not applied"}`,
    `  ${label("Retry".padEnd(9))}${retrySentence[error.retry]}`
  )
  return lines.join("\n")
}
