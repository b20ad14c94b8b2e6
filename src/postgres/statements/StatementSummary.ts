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

/** Quoted identifiers, and numbers: also those of other bases, and in powers of ten. */
const number = /("(?:[^"]|"")*")|(?<![\p{L}\w$])\.?\d[\w.]*(?:(?<=[Ee])[+-]\d+)?/gu

/** A statement as a log may show it: on one line, without comments and values, cut to 200 characters. */
export const summaryOf = (statement: string): string => {
  const line = oneLineOf(statement).replace(number, (_, identifier?: string) => identifier ?? "…")
  return line.length <= longest ? line : `${line.slice(0, longest - 1)}…`
}
