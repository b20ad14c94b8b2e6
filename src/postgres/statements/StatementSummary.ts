/** Longest summary, in characters. */
const longest = 200

/** Comments, quoted identifiers, and text values in each of their forms, the last of which may have no end. */
const quoted =
  /(--[^\n]*|\/\*[^]*?\*\/)|("(?:[^"]|"")*")|\b[Ee]'(?:[^'\\]|\\[^]|'')*'?|'(?:[^']|'')*'?|(\$(?:[A-Za-z_]\w*)?\$)[^]*?(?:\3|$)/g

/** A statement on one line, without comments and text values. */
export const oneLineOf = (statement: string): string =>
  statement
    .replace(quoted, (_, comment?: string, identifier?: string) =>
      comment === undefined ? (identifier ?? "'…'") : " "
    )
    .replace(/\s+/g, " ")
    .trim()

/** A statement as a log may show it: on one line, without comments and text values, cut to 200 characters. */
export const summaryOf = (statement: string): string => {
  const line = oneLineOf(statement)
  return line.length <= longest ? line : `${line.slice(0, longest - 1)}…`
}
