/**
 * The smallest part of a script.
 *
 * - `word`: a key word, or a name without quotes
 * - `name`: a quoted one
 * - `string`: in any of its forms, `$$` bodies too
 * - `number`: also a parameter
 * - `symbol`: one character of what is left
 */
export interface SqlToken {
  readonly kind: "comment" | "word" | "name" | "string" | "number" | "symbol"
  readonly start: number
  /** Index behind its last character. */
  readonly end: number
  /** Whether it has its end: a quote, or that of a comment. */
  readonly whole: boolean
}

const space = /[ \t\n\r\f\v]+/y
const spaces = new Set(" \t\n\r\f\v")
const word = /[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_$\u0080-\uFFFF]*/y
/** It runs on through letters, so that the tag of $1$ or 1$a$ is never one. */
const number = /\$?\d[\w$]*/y
const dollarQuote = /\$(?:[A-Za-z_\u0080-\uFFFF][A-Za-z0-9_\u0080-\uFFFF]*)?\$/y
const lineEnd = /[\n\r]/g

const endOfMatch = (pattern: RegExp, text: string, at: number): number => {
  pattern.lastIndex = at
  return pattern.test(text) ? pattern.lastIndex : at
}

/** Where the line ends, before its break. */
const endOfLine = (text: string, at: number): number => {
  lineEnd.lastIndex = at
  return lineEnd.exec(text)?.index ?? text.length
}

/** Behind the closing quote; undefined where there is none. */
const endOfQuoted = (text: string, from: number, quote: string, escapes: boolean): number | undefined => {
  for (let i = from; i < text.length; i++) {
    if (escapes && text[i] === "\\") i++
    else if (text[i] === quote) {
      if (text[i + 1] !== quote) return i + 1
      i++
    }
  }
  return undefined
}

const endOfBlockComment = (text: string, from: number): number | undefined => {
  let depth = 0
  for (let i = from; i < text.length; i++) {
    if (text.startsWith("/*", i)) depth++
    else if (text.startsWith("*/", i)) depth--
    else continue
    i++
    if (depth === 0) return i + 1
  }
  return undefined
}

/** Where a string goes on behind a line break, past the quote with which it does; undefined where it does not. */
const continuation = (text: string, from: number): number | undefined => {
  let broken = false
  for (let i = from; i < text.length;) {
    const char = text[i] ?? ""
    if (spaces.has(char)) {
      broken ||= char === "\n" || char === "\r"
      i++
    } else if (text.startsWith("--", i)) i = endOfLine(text, i)
    else return broken && char === "'" ? i + 1 : undefined
  }
  return undefined
}

/** A string in which a backslash escapes; the parts that follow it on lines of their own are of the same kind. */
const endOfEscaped = (text: string, from: number): number | undefined => {
  for (let i = from; ;) {
    const end = endOfQuoted(text, i, "'", true)
    const next = end === undefined ? undefined : continuation(text, end)
    if (next === undefined) return end
    i = next
  }
}

const endOfDollarQuoted = (text: string, tag: string, from: number): number | undefined => {
  const end = text.indexOf(tag, from)
  return end === -1 ? undefined : end + tag.length
}

/**
 * Reads a script by PostgreSQL's lexical rules, where `standard_conforming_strings` is on; space is left out.
 *
 * What has no end goes to the end of the script.
 */
export function* sqlTokens(text: string): Generator<SqlToken> {
  for (let i = 0; i < text.length;) {
    const start = endOfMatch(space, text, i)
    if (start === text.length) return
    const token = (kind: SqlToken["kind"], end: number | undefined): SqlToken => ({
      kind,
      start,
      end: end ?? text.length,
      whole: end !== undefined
    })
    const next = (): SqlToken => {
      if (text.startsWith("--", start)) return token("comment", endOfLine(text, start))
      if (text.startsWith("/*", start)) return token("comment", endOfBlockComment(text, start))
      const char = text[start] ?? ""
      if (char === "'") return token("string", endOfQuoted(text, start + 1, "'", false))
      if (char === '"') return token("name", endOfQuoted(text, start + 1, '"', false))
      if ((char === "E" || char === "e") && text[start + 1] === "'") {
        return token("string", endOfEscaped(text, start + 2))
      }
      const endOfWord = endOfMatch(word, text, start)
      if (endOfWord > start) return token("word", endOfWord)
      const endOfNumber = endOfMatch(number, text, start)
      if (endOfNumber > start) return token("number", endOfNumber)
      const endOfTag = endOfMatch(dollarQuote, text, start)
      if (endOfTag > start) {
        return token("string", endOfDollarQuoted(text, text.slice(start, endOfTag), endOfTag))
      }
      return token("symbol", start + 1)
    }
    const found = next()
    yield found
    i = found.end
  }
}
