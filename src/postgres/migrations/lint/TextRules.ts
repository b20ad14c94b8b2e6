import { type Rule, rule } from "./Rule.ts"

/** Rules about how a script is written. */
export const textRules = {
  "syntax-error": rule("error", "PostgreSQL's grammar does not accept this", "Correct the statement."),
  "identifier-too-long": rule(
    "warning",
    "PostgreSQL cuts names after 63 bytes without saying so",
    "Choose a shorter name."
  ),
  "lint-ignore-invalid": rule(
    "error",
    "A lint-ignore names no rule, or gives no reason",
    "Write `-- lint-ignore RULE: why it is safe here` above the statement."
  )
} satisfies Record<string, Rule>
