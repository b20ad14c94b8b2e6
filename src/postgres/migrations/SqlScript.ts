import { sqlTokens } from "./SqlTokens.ts"

/** One statement of a script. */
export interface ScriptStatement {
  readonly text: string
  /** Index of its first character in the script. */
  readonly offset: number
}

/**
 * Splits a script at the semicolons that end its statements, by PostgreSQL's lexical rules.
 *
 * Semicolons inside strings, quoted identifiers, comments, `$$` bodies, parentheses and `BEGIN ATOMIC … END` bodies end
 * nothing. Our client speaks the extended protocol, which takes one statement at a time.
 */
export const splitScript = (script: string): ReadonlyArray<ScriptStatement> => {
  const statements: Array<ScriptStatement> = []
  let start: number | undefined
  let end = 0
  let parentheses = 0
  // Depth of BEGIN ATOMIC bodies and the CASEs in them, each of which an END ends.
  let blocks = 0
  let before = ""

  const finish = () => {
    if (start !== undefined) statements.push({ text: script.slice(start, end).trimEnd(), offset: start })
    start = undefined
    parentheses = 0
    blocks = 0
    before = ""
  }

  for (const token of sqlTokens(script)) {
    if (token.kind === "comment") {
      end = token.end
      continue
    }
    const text = token.kind === "word" || token.kind === "symbol" ? script.slice(token.start, token.end) : ""
    if (text === ";" && parentheses === 0 && blocks === 0) {
      finish()
      continue
    }
    start ??= token.start
    end = token.end
    const lower = token.kind === "word" ? text.toLowerCase() : ""
    if (lower === "atomic" && before === "begin") blocks++
    else if (lower === "case" && blocks > 0) blocks++
    else if (lower === "end" && blocks > 0) blocks--
    else if (text === "(") parentheses++
    else if (text === ")") parentheses = Math.max(0, parentheses - 1)
    before = lower
  }
  finish()
  return statements
}
