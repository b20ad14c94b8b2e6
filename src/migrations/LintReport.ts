import type { LintFinding } from "../core/LintFinding.ts"

/** Renders findings for people: what is dangerous, where, and the safe way. */
export const renderLint = (
  findings: ReadonlyArray<LintFinding>,
  options: { readonly color?: boolean } = {}
): string => {
  const with_ = (code: string) => (s: string) => (options.color === true ? `\u001b[${code}m${s}\u001b[0m` : s)
  const title = with_("1")
  const paint = { error: with_("31"), warning: with_("33") }
  const hintColor = with_("36")
  if (findings.length === 0) return "Nothing dangerous was found."
  const reports = findings.map(({ column, hint, line, name, problem, rule, severity, source, version }) =>
    [
      title(`${version}_${name}.sql:${line}:${column} · ${severity}: ${rule}`),
      "",
      `  ${"Problem".padEnd(9)}${paint[severity](problem)}`,
      `  ${"Hint".padEnd(9)}${hintColor(hint)}`,
      "",
      `    ${source}`,
      `    ${[...source]
        .slice(0, column - 1)
        .join("")
        .replace(/[^\t]/g, " ")}${paint[severity]("^")}`
    ].join("\n")
  )
  const errors = findings.filter(({ severity }) => severity === "error").length
  const counted = (n: number, word: string) => `${n} ${word}${n === 1 ? "" : "s"}`
  return [...reports, `${counted(errors, "error")}, ${counted(findings.length - errors, "warning")}`].join("\n\n")
}
