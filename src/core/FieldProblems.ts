import type * as SchemaIssue from "effect/SchemaIssue"
import * as Issue from "effect/SchemaIssue"
import type { FieldProblem } from "./StoreError.ts"

const standard = Issue.makeFormatterStandardSchemaV1()

const fieldOf = (path: ReadonlyArray<unknown>): string =>
  path.reduce<string>(
    (field, segment) =>
      typeof segment === "number" || /^\d+$/.test(String(segment))
        ? `${field}[${String(segment)}]`
        : field === ""
          ? String(segment)
          : `${field}.${String(segment)}`,
    ""
  )

const problemOf = (message: string): string => {
  if (message === "Missing key") return "is missing"
  if (message === "Expected no excess property") return "is not a known field"
  return message.startsWith("Expected ") ? `must be ${message.slice("Expected ".length)}` : message
}

/**
 * Turns what a Schema found wrong into one problem per field.
 *
 * Values stay out: the issues must come from a decoding without `reportInput`.
 */
export const fieldProblems = (issue: SchemaIssue.Issue): ReadonlyArray<FieldProblem> => {
  const seen = new Map<string, FieldProblem>()
  for (const { message, path = [] } of standard(issue).issues) {
    const problem = {
      field: fieldOf(path.map((p) => (typeof p === "object" ? p.key : p))),
      problem: problemOf(message)
    }
    seen.set(`${problem.field} ${problem.problem}`, problem)
  }
  return [...seen.values()]
}
