import * as Redacted from "effect/Redacted"
import { Raised, type Reason, Unclassified } from "../../core/StoreError.ts"
import type { ServerFields } from "./ServerError.ts"

/** What reports an error that PL/pgSQL's RAISE made, whatever its code is. */
const raiseStatement = "exec_stmt_raise"

/**
 * The classes of what the server itself refuses; any other is a user's, and so are those that functions are given for it (38,
 * P0).
 *
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const serverClasses: ReadonlySet<string> = new Set(
  (
    "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 39 3B 3D 3F " +
    "40 42 44 53 54 55 57 58 72 F0 HV XX"
  ).split(" ")
)

/** An error that is in no table of ours: one of the user's own, or of the server's. */
export const unlisted = ({ code, message, routine }: Error & ServerFields): Reason => {
  const told = { code, text: Redacted.make(message) }
  return routine === raiseStatement || !serverClasses.has(code.slice(0, 2)) ? new Raised(told) : new Unclassified(told)
}
