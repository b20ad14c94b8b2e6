/** A dangerous statement of a migration. */
export interface LintFinding {
  /** Name of the rule, as `-- lint-ignore` takes it: `require-concurrent-index-creation`. */
  readonly rule: string
  /** An error may lock out writers or lose data; a warning will be regretted later. */
  readonly severity: "error" | "warning"
  readonly version: bigint
  readonly name: string
  /** Where in the migration's file, both from 1; columns count characters. */
  readonly line: number
  readonly column: number
  /** What happens. */
  readonly problem: string
  /** The safe way. */
  readonly hint: string
  /** The line of the file, for the report. */
  readonly source: string
}
