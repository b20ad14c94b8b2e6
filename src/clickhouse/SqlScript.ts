/** Strings, quoted names and comments, in which a semicolon ends nothing. */
const opaque = /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*|\/\*[\s\S]*?\*\/|;/g

/** The statements of a script, without their comments and semicolons: ClickHouse takes one statement a request. */
export const statementsOf = (script: string): ReadonlyArray<string> => {
  const statements: Array<string> = []
  let statement = ""
  let from = 0
  for (const { 0: token, index } of script.matchAll(opaque)) {
    statement += script.slice(from, index)
    from = index + token.length
    if (token === ";") {
      statements.push(statement)
      statement = ""
    } else if (!token.startsWith("--") && !token.startsWith("/*")) {
      statement += token
    } else {
      // A comment separates words, and leaves the lines as they were.
      statement += token.startsWith("--") ? "" : " "
    }
  }
  statements.push(statement + script.slice(from))
  return statements.map((text) => text.trim()).filter((text) => text !== "")
}

const harmlessTwice: ReadonlyArray<RegExp> = [
  /^CREATE\s[^(]*\bIF\s+NOT\s+EXISTS\b/i,
  /^CREATE\s+OR\s+REPLACE\s+(?:FUNCTION|DICTIONARY)\b/i,
  /^DROP\s[^(]*\bIF\s+EXISTS\b/i,
  /^ALTER\s+TABLE\s[\s\S]*\b(?:ADD\s+(?:COLUMN|INDEX|CONSTRAINT|PROJECTION)\s+IF\s+NOT\s+EXISTS|DROP\s+(?:COLUMN|INDEX|CONSTRAINT|PROJECTION)\s+IF\s+EXISTS|(?:MODIFY|COMMENT)\s+COLUMN|MODIFY\s+(?:QUERY|SETTING|TTL|COMMENT)|MATERIALIZE\s)/i
]

/** Whether a statement may run twice: a run that broke off between a statement and its journal entry repeats it. */
export const mayRunTwice = (statement: string): boolean => harmlessTwice.some((form) => form.test(statement))
