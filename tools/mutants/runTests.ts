import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type Proof, titleOf } from "./Mutant.ts"

/** What came of the tests of one proof. */
export type Colour = "red" | "green" | "skipped" | "broken"

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<{ readonly fullName: string; readonly status: string }>
  }>
}

const colourIn = (report: Report, proof: Proof): Colour => {
  const title = titleOf(proof)
  const states = new Set(
    report.testResults
      .filter(({ name }) => name.endsWith(`/${proof.file}`))
      .flatMap(({ assertionResults }) => assertionResults)
      .filter(({ fullName }) => title.test(fullName))
      .map(({ status }) => status)
  )
  if (states.has("failed")) return "red"
  if (states.has("passed")) return "green"
  return states.has("skipped") || states.has("pending") ? "skipped" : "broken"
}

/** Runs the tests of the proofs, and no others, in a copy of the repository. */
export const runTests = async (
  copy: string,
  proofs: ReadonlyArray<Proof>,
  options: { readonly env: NodeJS.ProcessEnv; readonly testTimeout: number; readonly timeout: number }
): Promise<(proof: Proof) => Colour> => {
  const report = join(copy, "mutant-report.json")
  rmSync(report, { force: true })
  const child = spawn(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--reporter=json",
      `--outputFile=${report}`,
      `--testTimeout=${options.testTimeout}`,
      // What a defect leaves running in one file must not colour the tests of another.
      "--isolate",
      // Where one proof is asked for, its first red test tells all.
      ...(proofs.length === 1 ? ["--bail=1"] : []),
      "-t",
      [...new Set(proofs.map((proof) => titleOf(proof).source))].join("|"),
      ...new Set(proofs.map(({ file }) => file))
    ],
    { cwd: copy, stdio: "ignore", env: options.env }
  )
  const tooLong = setTimeout(() => child.kill("SIGKILL"), options.timeout)
  // What a defect keeps from ending must not hold up the rest: the report is all that is wanted.
  let sinceReport = 0
  const told = setInterval(() => {
    if (existsSync(report) && ++sinceReport === 10) child.kill("SIGKILL")
  }, 500)
  await once(child, "exit")
  clearTimeout(tooLong)
  clearInterval(told)
  if (!existsSync(report)) return () => "broken"
  const read: Report = JSON.parse(readFileSync(report, "utf8"))
  return (proof) => colourIn(read, proof)
}
