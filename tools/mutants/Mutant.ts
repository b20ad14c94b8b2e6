/** Tests that must turn red. */
export interface Proof {
  /** Test file, from the root of the repository. */
  readonly file: string
  /** Text in the title of their suite: `memory`. */
  readonly suite?: string | undefined
  /** Text in their names; every test of the suite by default. */
  readonly test?: string | undefined
}

/** One deliberate defect, and the tests that must notice it. */
export interface Mutant {
  /** What a user would lose: `TTL ignored`. */
  readonly name: string
  /** File of the defect, from the root of the repository. */
  readonly file: string
  /** Text that stands there exactly once. */
  readonly find: string
  readonly replace: string
  /** Each of these must turn red. */
  readonly red: ReadonlyArray<Proof>
  /** Why nothing notices it, where that is accepted; it is listed in docs/testing.md. */
  readonly survives?: string | undefined
}

/** A test by its file and its name. */
export const at =
  (file: string, suite?: string) =>
  (test: string): Proof => ({ file, suite, test })

/** How the title of every test of a proof looks. */
export const titleOf = ({ suite = "", test = "" }: Proof): RegExp =>
  new RegExp([suite, test].map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*"))
