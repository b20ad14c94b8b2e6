import { JsonReporter, type TestCase, type TestModule, type Vitest } from "vitest/node"
import { displayName } from "../../src/core/Store.ts"
import type { Implementation } from "../contracts/runContract.ts"
import { stores } from "./find.ts"

const implementations: ReadonlyArray<Implementation> = ["memory", "embedded", "live"]

/** A table with aligned columns, its first row the heads. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd())
    .join("\n")
}

const cellOf = (tests: ReadonlyArray<TestCase>): string => {
  const count = (state: string) => tests.filter((test) => test.result().state === state).length
  if (tests.length === 0) return "-"
  if (count("skipped") === tests.length) return "skipped"
  return [
    `${count("passed")} passed`,
    ...(count("failed") === 0 ? [] : [`${count("failed")} FAILED`]),
    ...(count("skipped") === 0 ? [] : [`${count("skipped")} skipped`])
  ].join(", ")
}

const contractTable = (tests: ReadonlyArray<TestCase>): string | undefined => {
  const ofContracts = tests.filter((test) => test.meta().contract !== undefined)
  const capabilities = [...new Set(ofContracts.map((test) => test.meta().contract!.capability))].sort()
  if (capabilities.length === 0) return undefined
  const cell = (capability: string, implementation: Implementation) =>
    cellOf(
      ofContracts.filter((test) => {
        const contract = test.meta().contract!
        return contract.capability === capability && contract.implementation === implementation
      })
    )
  const rows = capabilities.map((capability) =>
    [capability].concat(implementations.map((implementation) => cell(capability, implementation)))
  )
  return table([["contract", ...implementations], ...rows])
}

/**
 * Writes the JSON report, and ends the run with what it rests on: which stores had a server and how it was found, which had
 * none and how to get one, and every contract with the number of its tests on each implementation.
 */
export class SummaryReporter extends JsonReporter {
  private vitest: Vitest | undefined

  override onInit(vitest: Vitest): void {
    this.vitest = vitest
    super.onInit(vitest)
  }

  override async onTestRunEnd(modules: ReadonlyArray<TestModule>): Promise<void> {
    await super.onTestRunEnd(modules)
    const servers = this.vitest?.getRootProject().getProvidedContext().servers
    if (servers === undefined) return
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const skipped = tests.filter((test) => test.result().state === "skipped").length
    const parts = [
      table([
        ["store", "server", "found by, or how to get it"],
        ...stores.map((store) => {
          const found = servers[store]
          return found._tag === "Found"
            ? [displayName[store], "there", found.how]
            : [displayName[store], "none", `${found.why}; ${found.fix}`]
        })
      ]),
      contractTable(tests),
      skipped === 0 ? undefined : `  ${skipped} skipped`
    ]
    this.vitest?.logger.log(`\n${parts.filter((part) => part !== undefined).join("\n\n")}\n`)
  }
}
