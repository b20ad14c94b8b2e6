import { oneLineOf } from "./StatementSummary.ts"

/**
 * What a statement does to its session beyond itself.
 *
 * - `begins`: a transaction is open after it
 * - `ends`: none is
 * - `savepoint`: it makes or ends a part of the transaction that is open
 * - `lasts`: what it sets or makes is there until the session ends
 */
export interface SessionStatement {
  readonly effect: "begins" | "ends" | "savepoint" | "lasts"
  /** What to use instead where the session is not the caller's own. */
  readonly instead: string
}

const ownSession = "sql.reserve for a session of one's own"
const transaction = `Transaction.run, client.unit, or ${ownSession}`
const begins: SessionStatement = { effect: "begins", instead: transaction }
const ends: SessionStatement = { effect: "ends", instead: transaction }
const savepoint: SessionStatement = { effect: "savepoint", instead: "a Transaction.run inside another one" }
const lasts = (instead: string): SessionStatement => ({ effect: "lasts", instead: `${instead}, or ${ownSession}` })

const temporary = lasts("ON COMMIT DROP for a table inside Transaction.run")
const setting = lasts("SET LOCAL inside Transaction.run, ALTER ROLE … SET for every session")

/** The first pattern that a statement matches says what it does; what matches none does nothing that lasts. */
const known: ReadonlyArray<readonly [pattern: RegExp, found: SessionStatement | undefined]> = [
  [/^(?:begin|start transaction)\b/, begins],
  // They end a transaction that no session has.
  [/^(?:commit|rollback) prepared\b/, undefined],
  [/^(?:commit|end|rollback|abort)(?: work| transaction)? and chain\b/, begins],
  [/^rollback (?:work |transaction )?to\b/, savepoint],
  [/^(?:savepoint|release)\b/, savepoint],
  [/^(?:commit|end|rollback|abort|prepare transaction)\b/, ends],
  [/^set (?:local|transaction|constraints)\b/, undefined],
  [/^set\b/, setting],
  [/^listen\b/, lasts("PostgresClient.listen")],
  [/^prepare\b/, lasts("the statement itself, which the client prepares")],
  [/^declare .*\bcursor with hold\b/, lasts("the statement's stream")],
  [/^load\b/, lasts("session_preload_libraries of the server")],
  [/^create .*\bon commit drop\b/, undefined],
  [/^create (?:or replace )?(?:(?:global|local) )?temp(?:orary)?\b/, temporary],
  [
    /^create (?:or replace )?(?:table|view|sequence|function|procedure|type|domain)(?: if not exists)? pg_temp ?\./,
    temporary
  ]
]

/** The words that a statement of the list above begins with: all others are told apart by this alone. */
const beginning =
  /(?:abort|begin|commit|create|declare|end|listen|load|prepare|release|rollback|savepoint|set|start)\b/iy

/** Their names may be any words. */
const quotedIdentifier = /"(?:[^"]|"")*"/g

const space = /[\s;]*/y

const endOfComment = (text: string, from: number): number => {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    if (text.startsWith("/*", at)) depth++
    else if (text.startsWith("*/", at)) depth--
    else continue
    at++
    if (depth === 0) return at + 1
  }
  return text.length
}

const endOfLine = (text: string, from: number): number => {
  const end = text.indexOf("\n", from)
  return end < 0 ? text.length : end
}

/** Where the first word is, behind white space, comments and empty statements. */
const firstWord = (text: string): number => {
  let at = 0
  while (true) {
    space.lastIndex = at
    space.test(text)
    at = space.lastIndex
    if (text.startsWith("/*", at)) at = endOfComment(text, at)
    else if (text.startsWith("--", at)) at = endOfLine(text, at)
    else return at
  }
}

/**
 * Tells of a statement what it does to its session beyond itself; nothing for those that do nothing, which is nearly all.
 *
 * What only clears (RESET, DISCARD, UNLISTEN, DEALLOCATE) does nothing: who gets the session next misses nothing by it. What a
 * function, a procedure or a DO block does inside, and `set_config`, cannot be told by the text; `select … into temp` is not
 * looked for, because that would read every select to its end.
 */
export const sessionStatement = (text: string): SessionStatement | undefined => {
  const at = firstWord(text)
  beginning.lastIndex = at
  if (!beginning.test(text)) return undefined
  const line = oneLineOf(text.slice(at)).replace(quotedIdentifier, '"…"').toLowerCase()
  return known.find(([pattern]) => pattern.test(line))?.[1]
}
