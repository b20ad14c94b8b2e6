import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { describe, it } from "vitest"
import { mutants as fakes } from "../../tools/mutants/fakes.ts"
import { mutants as handling } from "../../tools/mutants/handling.ts"
import type { Mutant } from "../../tools/mutants/Mutant.ts"

const root = new URL("../../", import.meta.url)
const textOf = (file: string): string => readFileSync(new URL(file, root), "utf8")
const page = textOf("docs/testing.md")

/** The rows of the table whose first head this is. */
const table = (head: string): ReadonlyArray<ReadonlyArray<string>> => {
  const lines = page.split("\n")
  const from = lines.findIndex((line) => line.startsWith("|") && line.split("|")[1]?.trim() === head)
  assert.ok(from !== -1, `a table whose first head is ${head}`)
  const rest = lines.slice(from + 2)
  const to = rest.findIndex((line) => !line.startsWith("|"))
  return rest.slice(0, to === -1 ? undefined : to).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim())
  )
}

const faults = table("fault")

/** A contract's cases are run from test/contracts, under their own names. */
const runFrom = (file: string): string =>
  file.replace(/^src\/testing\/contracts\/(\w+)Contract\.ts$/, "test/contracts/$1.test.ts")

/** A contract of many cases has them in a folder of its own, beside it. */
const contractText = (name: string): string => {
  const folder = new URL(`src/testing/contracts/${name.toLowerCase()}/`, root)
  const parts = existsSync(folder) ? readdirSync(folder).map((part) => readFileSync(new URL(part, folder), "utf8")) : []
  return [textOf(`src/testing/contracts/${name}Contract.ts`), ...parts].join("\n")
}

const casesIn = (file: string): string =>
  textOf(file) +
  (file.startsWith("test/contracts/") ? contractText(file.slice("test/contracts/".length, -".test.ts".length)) : "")

describe("docs/testing.md", () => {
  it("names a test that is there for every fault", () => {
    for (const [, , file = "", test = ""] of faults) assert.ok(textOf(file).includes(`"${test}"`), `${file}: ${test}`)
  })

  it("has every fault on every store that it applies to", () => {
    const of = (word: string, store: string) =>
      faults.some(([fault = "", at]) => fault.includes(word) && (at === store || at === "all four"))
    for (const word of [
      "down at start",
      "up before the deadline",
      "killed in a call",
      "reset in a call",
      "silent at start",
      "silent in a call",
      "all connections taken",
      "interrupted in a call",
      "reply dropped",
      "closed while working",
      "SIGTERM"
    ]) {
      for (const store of ["PostgreSQL", "Redis", "MongoDB", "ClickHouse"])
        assert.ok(of(word, store), `${word}: ${store}`)
    }
  })

  it("names only tests that some planted defect turns red", () => {
    const red = handling.flatMap((mutant) => mutant.red)
    for (const [fault, store, file = "", name = ""] of faults) {
      assert.ok(
        red.some(({ file: of, test }) => of === runFrom(file) && test !== undefined && name.includes(test)),
        `${fault}, ${store}: ${name}`
      )
    }
  })

  it("lists the planted defects that survive, with the reason", () => {
    const surviving = [...fakes, ...handling].flatMap(({ name, survives }) =>
      survives === undefined ? [] : [[name, survives]]
    )
    assert.deepEqual(table("defect"), surviving)
  })
})

describe("planted defects", () => {
  const lists: ReadonlyArray<readonly [title: string, mutants: ReadonlyArray<Mutant>]> = [
    ["fakes", fakes],
    ["handling", handling]
  ]
  for (const [title, mutants] of lists) {
    it(`${title}: each fits the source as it is, has a name of its own, and tests that are there`, () => {
      assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length)
      for (const { file, find, name, red, replace } of mutants) {
        assert.equal(textOf(file).split(find).length, 2, `${name}: its text stands in ${file} once`)
        assert.notEqual(find, replace, name)
        assert.ok(red.length > 0, name)
        for (const proof of red) assert.ok(casesIn(proof.file).includes(proof.test ?? ""), `${name}: ${proof.test}`)
      }
    })
  }
})
