/** How a schema differs from the one that was expected; both lists are empty where it does not. */
export interface SchemaDrift {
  /** Objects that were expected and are not there, a line for each. */
  readonly missing: ReadonlyArray<string>
  /** Objects that are there and were not expected. */
  readonly unexpected: ReadonlyArray<string>
}

/** Compares two schemas, each a line for each object. */
export const driftOf = (expected: ReadonlyArray<string>, found: ReadonlyArray<string>): SchemaDrift => {
  const before = new Set(expected)
  const after = new Set(found)
  return {
    missing: expected.filter((line) => !after.has(line)),
    unexpected: found.filter((line) => !before.has(line))
  }
}

export const isDrift = ({ missing, unexpected }: SchemaDrift): boolean => missing.length > 0 || unexpected.length > 0
