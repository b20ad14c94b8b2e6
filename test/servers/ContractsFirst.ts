import { BaseSequencer, type TestSpecification } from "vitest/node"

/**
 * Runs the long files first, so that the workers end together.
 *
 * Where nothing is known of an earlier run, vitest takes a large file for a long one; but a contract is one line there, and
 * hundreds of tests.
 */
export class ContractsFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const { contracts = [], others = [] } = Object.groupBy(await super.sort(files), ({ moduleId }) =>
      moduleId.includes("/test/contracts/") ? "contracts" : "others"
    )
    return [...contracts, ...others]
  }
}
