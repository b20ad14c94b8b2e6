import type { Made } from "./Made.ts"

/** What a rule says: what happens, and the safe way. */
export interface Rule {
  readonly severity: "error" | "warning"
  readonly problem: string
  readonly hint: string
}

export const rule = (severity: Rule["severity"], problem: string, hint: string): Rule => ({ severity, problem, hint })

/** A rule that a statement breaks. */
export interface Warning<Name extends string> {
  readonly rule: Name
  /** Offset in the parsed text, in bytes; the statement's own by default. */
  readonly at?: number | undefined
}

/** What is known of the file around a statement. */
export interface Around {
  /** Whether the file's part is one transaction. */
  readonly transaction: boolean
  /** What the same part has made before: nobody uses it yet. */
  readonly made: Made
  /** Tables that the same part has given a constraint NOT VALID before. */
  readonly unvalidated: ReadonlySet<string>
  /** Whether the part changes the structure of tables that were there before. */
  readonly changesTables: boolean
}
