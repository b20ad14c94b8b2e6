/** One statement of a script. */
export interface ScriptStatement {
  readonly text: string
  /** Index of its first character in the script. */
  readonly offset: number
}

const wordStart = /[A-Za-z_\u0080-\uFFFF]/
const word = /[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_$\u0080-\uFFFF]*/y
const dollarQuote = /\$(?:[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_\u0080-\uFFFF]*)?\$/y

const matchAt = (pattern: RegExp, text: string, at: number): string | undefined => {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

const endOfQuoted = (text: string, from: number, quote: string, escapes: boolean): number => {
  for (let i = from; i < text.length; i++) {
    if (escapes && text[i] === "\\") i++
    else if (text[i] === quote) {
      if (text[i + 1] !== quote) return i + 1
      i++
    }
  }
  return text.length
}

const endOfBlockComment = (text: string, from: number): number => {
  let depth = 1
  for (let i = from; i < text.length; i++) {
    if (text.startsWith("/*", i)) {
      depth++
      i++
    } else if (text.startsWith("*/", i)) {
      depth--
      i++
      if (depth === 0) return i + 1
    }
  }
  return text.length
}

const endOf = (text: string, end: string, from: number): number => {
  const found = text.indexOf(end, from)
  return found === -1 ? text.length : found + end.length
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
  let parentheses = 0
  // Depth of BEGIN ATOMIC bodies and the CASEs in them, each of which an END ends.
  let blocks = 0
  let before = ""
  let i = 0

  const finish = (end: number) => {
    if (start !== undefined) statements.push({ text: script.slice(start, end).trimEnd(), offset: start })
    start = undefined
    parentheses = 0
    blocks = 0
    before = ""
  }

  while (i < script.length) {
    const char = script[i] ?? ""
    if (script.startsWith("--", i)) {
      i = endOf(script, "\n", i)
      continue
    }
    if (script.startsWith("/*", i)) {
      i = endOfBlockComment(script, i + 2)
      continue
    }
    if (/\s/.test(char)) {
      i++
      continue
    }
    if (char === ";" && parentheses === 0 && blocks === 0) {
      finish(i)
      i++
      continue
    }
    start ??= i
    if (char === "'") i = endOfQuoted(script, i + 1, "'", false)
    else if (char === '"') i = endOfQuoted(script, i + 1, '"', false)
    else if (wordStart.test(char)) {
      const found = matchAt(word, script, i) ?? char
      i += found.length
      const lower = found.toLowerCase()
      // E'…' is the one kind of string in which a backslash escapes.
      if (lower === "e" && script[i] === "'") i = endOfQuoted(script, i + 1, "'", true)
      else if (lower === "atomic" && before === "begin") blocks++
      else if (lower === "case" && blocks > 0) blocks++
      else if (lower === "end" && blocks > 0) blocks--
      before = lower
      continue
    } else if (char === "$") {
      const tag = matchAt(dollarQuote, script, i)
      i = tag === undefined ? i + 1 : endOf(script, tag, i + tag.length)
    } else {
      if (char === "(") parentheses++
      else if (char === ")") parentheses = Math.max(0, parentheses - 1)
      // A number runs on through letters, so that the tag of $1$ or 1$a$ is never one.
      i = /\d/.test(char) ? i + (/^\d[\w$]*/.exec(script.slice(i, i + 64))?.[0].length ?? 1) : i + 1
    }
    before = ""
  }
  finish(script.length)
  return statements
}
