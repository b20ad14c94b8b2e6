import { sessionStatement } from "../statements/SessionStatement.ts"
import { oneLineOf } from "../statements/StatementSummary.ts"

/** What undoes a setting, or all of what is set; it would be missed where the setting itself is made again. */
const clears = /^(?:reset|discard|deallocate|unlisten)\b/
/** As pg_dump sets the search path; calls inside of it may do more than set. */
const setsByFunction = /^select (?:pg_catalog\.)?set_config ?\([^()]*\)$/
/** It had rows, or a place among them. */
const holdsRows = /^(?:create|declare)\b/

/**
 * What becomes of a statement that is done, where its script goes on in another session.
 *
 * - `again`: it set something in the session, or cleared it, and does so again
 * - `gone`: it made what ended with the session, rows included
 * - `kept`: nothing is to be done, as for nearly all
 *
 * What a DO block or a function sets inside cannot be told by the text.
 */
export const resumed = (text: string): "again" | "gone" | "kept" => {
  const line = oneLineOf(text).toLowerCase()
  if (clears.test(line) || setsByFunction.test(line)) return "again"
  if (sessionStatement(text)?.effect !== "lasts") return "kept"
  return holdsRows.test(line) ? "gone" : "again"
}
