import { sqlTokens } from "./SqlTokens.ts"

/**
 * A statement on one line, its words in lower case and a blank between any two tokens, without comments and the values of its
 * strings: what it says may be told by a pattern, whatever else is written in it.
 */
export const normalText = (statement: string): string => {
  const parts: Array<string> = []
  for (const { end, kind, start } of sqlTokens(statement)) {
    if (kind === "comment") continue
    const text = statement.slice(start, end)
    parts.push(kind === "string" ? "'…'" : kind === "word" ? text.toLowerCase() : text)
  }
  return parts.join(" ")
}
