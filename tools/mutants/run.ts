/**
 * Plants each defect of a list in a copy of the source and runs the tests that must notice it.
 *
 * `node tools/mutants/run.ts fakes` (defects in the in-memory fakes; needs no server), `node tools/mutants/run.ts handling`
 * (each handling of a fault taken out; needs all four servers); a further argument runs only the mutants whose name has it.
 * Ends with 1 where one goes unnoticed, or where nothing can be said.
 */
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Exit, Scope } from "effect"
import { findServers, stores, urlVariable } from "../../test/servers/find.ts"
import type { Mutant, Proof } from "./Mutant.ts"
import { type Colour, runTests } from "./runTests.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const [list = "", filter = ""] = process.argv.slice(2)
if (list !== "fakes" && list !== "handling") {
  console.error("usage: node tools/mutants/run.ts fakes|handling [part of a name]")
  process.exit(64)
}
const { mutants }: { readonly mutants: ReadonlyArray<Mutant> } = await import(`./${list}.ts`)
const chosen = mutants.filter(({ name }) => name.includes(filter))
const startedAt = performance.now()

// The servers are found or started once, and every run of tests is given their URLs.
const scope = Effect.runSync(Scope.make())
const env: NodeJS.ProcessEnv = { ...process.env }
if (list === "fakes") Object.assign(env, { TEST_SERVERS: "none", TEST_REQUIRE: "" })
else {
  const found = await Effect.runPromise(Scope.provide(findServers, scope))
  for (const store of stores) {
    const server = found[store]
    if (server._tag === "Found") env[urlVariable(store)] = server.url
  }
}

// Two at once, each in a copy of its own: most of a run is waiting.
const copies = [0, 1].map(() => mkdtempSync(join(tmpdir(), "mutants-")))
process.on("exit", () => copies.forEach((copy) => rmSync(copy, { recursive: true, force: true })))
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1))
const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)))
for (const copy of copies) {
  for (const file of files) cpSync(join(root, file), join(copy, file))
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
}

type Result = "noticed" | "unnoticed" | "skipped" | "broken" | "stale"

interface Row {
  readonly mutant: Mutant
  readonly result: Result
  /** Those of its proofs that make it so. */
  readonly proofs: ReadonlyArray<Proof>
  readonly seconds: number
}

const plant = async (copy: string, mutant: Mutant): Promise<Omit<Row, "seconds">> => {
  const file = join(copy, mutant.file)
  const source = readFileSync(file, "utf8")
  if (source.split(mutant.find).length !== 2) return { mutant, result: "stale", proofs: [] }
  writeFileSync(
    file,
    source.replace(mutant.find, () => mutant.replace)
  )
  const colour = await runTests(copy, mutant.red, { env, testTimeout: 15_000, timeout: 120_000 })
  writeFileSync(file, source)
  const those = (wanted: Colour) => mutant.red.filter((proof) => colour(proof) === wanted)
  for (const result of ["broken", "skipped"] as const) {
    if (those(result).length > 0) return { mutant, result, proofs: those(result) }
  }
  const unnoticed = those("green")
  return { mutant, result: unnoticed.length === 0 ? "noticed" : "unnoticed", proofs: unnoticed }
}

const expected = ({ survives }: Mutant): Result => (survives === undefined ? "noticed" : "unnoticed")

/** What disturbs a test from outside must not decide: what is not as expected is looked at once more. */
const judge = async (copy: string, mutant: Mutant): Promise<Row> => {
  const began = performance.now()
  const first = await plant(copy, mutant)
  const row = first.result === expected(mutant) || first.result === "stale" ? first : await plant(copy, mutant)
  return { ...row, seconds: (performance.now() - began) / 1000 }
}

const nameOf = ({ file, suite, test }: Proof): string =>
  [file, suite, test].filter((part) => part !== undefined).join(" · ")

// ---- without any defect every proof is green

const proofs = [...new Map(chosen.flatMap(({ red }) => red).map((proof) => [nameOf(proof), proof])).values()]
const sound = { env, testTimeout: 60_000, timeout: 600_000 }
const colour = await runTests(copies[0]!, proofs, sound)
const doubtful = proofs.filter((proof) => colour(proof) !== "green")
const again = doubtful.length === 0 ? colour : await runTests(copies[0]!, doubtful, sound)
const unsound = doubtful.filter((proof) => again(proof) !== "green")
for (const proof of unsound) console.log(`without any defect ${again(proof)}: ${nameOf(proof)}`)
const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(0)
console.log(
  `${proofs.length - unsound.length} of ${proofs.length} proofs are green without any defect (${seconds()} s)`
)

// ---- and with each defect red

const waiting = chosen.filter(({ red }) => !red.some((proof) => unsound.includes(proof)))
const rows: Array<Row> = []
const busy = new Set<string>()
const filesOf = ({ red }: Mutant) => red.map(({ file }) => file)

/** The next one whose tests do not run already: some set fail points of their server. */
const next = (): Mutant | undefined => {
  const at = waiting.findIndex((mutant) => !filesOf(mutant).some((file) => busy.has(file)))
  return at === -1 ? undefined : waiting.splice(at, 1)[0]
}

const work = async (copy: string): Promise<void> => {
  while (waiting.length > 0) {
    const mutant = next()
    if (mutant === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 200))
      continue
    }
    filesOf(mutant).forEach((file) => busy.add(file))
    const row = await judge(copy, mutant)
    filesOf(mutant).forEach((file) => busy.delete(file))
    rows.push(row)
    const fine = row.result === expected(mutant)
    console.log(
      `${fine ? "ok  " : "FAIL"} ${row.result.padEnd(9)} ${row.seconds.toFixed(1).padStart(5)} s  ${mutant.name}`
    )
    if (!fine) for (const proof of row.proofs) console.log(`       ${row.result}: ${nameOf(proof)}`)
  }
}
await Promise.all(copies.map(work))
await Effect.runPromise(Scope.close(scope, Exit.void))

// ---- what it comes to

const about = (mutant: Mutant) => mutant.name.split(":")[0]!
const table = [...new Set(chosen.map(about))].map((subject) => {
  const own = rows.filter(({ mutant }) => about(mutant) === subject)
  const count = (result: Result) => own.filter((row) => row.result === result).length
  const accepted = own.filter(({ mutant, result }) => mutant.survives !== undefined && result === "unnoticed").length
  const planted = chosen.filter((mutant) => about(mutant) === subject).length
  return {
    about: subject,
    planted,
    noticed: count("noticed"),
    "survives, with a reason": accepted,
    "not as expected": planted - own.filter(({ mutant, result }) => result === expected(mutant)).length
  }
})
console.table(table)
const fine = rows.filter(({ mutant, result }) => result === expected(mutant)).length
console.log(`${fine} of ${chosen.length} as expected, in ${seconds()} s`)
process.exit(fine === chosen.length ? 0 : 1)
