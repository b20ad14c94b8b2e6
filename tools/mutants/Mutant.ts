/** One deliberate defect, and the tests that must notice it. */
export interface Mutant {
  /** What a user would lose: `TTL ignored`. */
  readonly name: string
  /** File of the defect, from the root of the repository. */
  readonly file: string
  /** Text that stands there exactly once. */
  readonly find: string
  readonly replace: string
  /** Test files that must turn red, from the root of the repository. */
  readonly tests: ReadonlyArray<string>
  /** Runs only the tests whose names match; every test of the files by default. */
  readonly only?: string | undefined
  /** Why nothing notices it, where that is accepted; it is listed in docs/testing.md. */
  readonly survives?: string | undefined
}
