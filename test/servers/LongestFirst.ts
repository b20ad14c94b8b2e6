import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Files that are short to write and long to run: a contract is one line, and hundreds of tests. */
const long = /\/test\/(contracts|docs|examples|platform\/Injection|servers)\b/

/**
 * Runs the long files first, so that the workers end together.
 *
 * Where nothing is known of an earlier run, vitest takes a large file for a long one; it is right about the others.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification) => long.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}
