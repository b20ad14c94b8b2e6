/**
 * Plants each defect of a list in a copy of the source and runs the tests that must notice it.
 *
 * `node tools/mutants/run.ts fakes` (defects in the in-memory fakes), `node tools/mutants/run.ts handling` (each handling of a
 * fault taken out); a further argument runs only the mutants whose name has it. Ends with 1 where one goes unnoticed.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Mutant } from "./Mutant.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const [list = "", filter = ""] = process.argv.slice(2)
if (list !== "fakes" && list !== "handling") {
  console.error("usage: node tools/mutants/run.ts fakes|handling [part of a name]")
  process.exit(64)
}
const { mutants }: { readonly mutants: ReadonlyArray<Mutant> } = await import(`./${list}.ts`)
const chosen = mutants.filter(({ name }) => name.includes(filter))

const copy = mkdtempSync(join(tmpdir(), "mutants-"))
process.on("exit", () => rmSync(copy, { recursive: true, force: true }))
for (const part of execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "")) {
  cpSync(join(root, part), join(copy, part))
}
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))

/** Runs tests in the copy: how many passed and failed, or nothing where they could not be run. */
const runTests = (tests: ReadonlyArray<string>, only?: string): { passed: number; failed: number } => {
  const report = join(copy, "mutant-report.json")
  rmSync(report, { force: true })
  spawnSync(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--reporter=json",
      `--outputFile=${report}`,
      ...tests,
      ...(only === undefined ? [] : ["-t", only])
    ],
    { cwd: copy, stdio: "ignore", timeout: 300_000 }
  )
  try {
    const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(report, "utf8"))
    return { passed: numPassedTests, failed: numFailedTests }
  } catch {
    return { passed: 0, failed: 0 }
  }
}

type Result = "noticed" | "unnoticed" | "broken"

const run = (mutant: Mutant): Result => {
  const file = join(copy, mutant.file)
  const source = readFileSync(file, "utf8")
  if (source.split(mutant.find).length !== 2) return "broken"
  writeFileSync(
    file,
    source.replace(mutant.find, () => mutant.replace)
  )
  const { failed, passed } = runTests(mutant.tests, mutant.only)
  writeFileSync(file, source)
  return failed > 0 ? "noticed" : passed > 0 ? "unnoticed" : "broken"
}

const sound = runTests([...new Set(chosen.flatMap(({ tests }) => tests))])
if (sound.failed > 0 || sound.passed === 0) {
  console.error(`without any defect ${sound.failed} tests fail and ${sound.passed} pass: nothing can be said`)
  process.exit(1)
}

let wrong = 0
for (const mutant of chosen) {
  const result = run(mutant)
  const fine = result === (mutant.survives === undefined ? "noticed" : "unnoticed")
  if (!fine) wrong++
  console.log(`${fine ? "ok  " : "FAIL"} ${result.padEnd(9)} ${mutant.name}`)
}
console.log(`${chosen.length - wrong} of ${chosen.length} as expected`)
process.exit(wrong === 0 ? 0 : 1)
