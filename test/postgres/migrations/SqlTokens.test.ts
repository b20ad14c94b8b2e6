import { describe, it } from "@effect/vitest"
import * as assert from "node:assert/strict"
import { sqlTokens } from "../../../src/postgres/migrations/SqlTokens.ts"

const kinds = (script: string): ReadonlyArray<string> =>
  [...sqlTokens(script)].map(({ end, kind, start }) => `${kind} ${script.slice(start, end)}`)
const broken = (script: string): ReadonlyArray<string> =>
  [...sqlTokens(script)].flatMap(({ end, kind, start, whole }) =>
    whole ? [] : [`${kind} ${script.slice(start, end)}`]
  )

describe("sqlTokens", () => {
  it("tells words, names, strings, numbers, symbols and comments apart", () => {
    assert.deepEqual(kinds(`Select "a""b", 'c''d' || $1, 1e5 -- x\n/* y */;`), [
      "word Select",
      `name "a""b"`,
      "symbol ,",
      "string 'c''d'",
      "symbol |",
      "symbol |",
      "number $1",
      "symbol ,",
      "number 1e5",
      "comment -- x",
      "comment /* y */",
      "symbol ;"
    ])
  })

  it("a comment ends where the server ends it: at a line feed or a carriage return", () => {
    assert.deepEqual(kinds("-- a\rselect\r\n-- b\r\n1"), ["comment -- a", "word select", "comment -- b", "number 1"])
  })

  it("nested comments end with the outermost", () => {
    assert.deepEqual(kinds("/* a /* b */ c */ 1"), ["comment /* a /* b */ c */", "number 1"])
  })

  it("a string with escapes goes on behind a line break as one", () => {
    for (const string of [
      String.raw`E'a\'b'`,
      `E'a'\n'\\'b; '`,
      `e'a' -- said; here\n  -- and 'here'\r\n '\\'; b'`,
      "N'a'",
      "$x$ a $ $y$ ' $x$"
    ]) {
      assert.deepEqual(kinds(`${string};`).slice(-2), [`string ${string.replace(/^N/, "")}`, "symbol ;"], string)
    }
    // On one line they are two, and the second has no escapes.
    assert.deepEqual(kinds(String.raw`E'a' '\';`), ["string E'a'", String.raw`string '\'`, "symbol ;"])
  })

  it("only what the server takes for space is space", () => {
    assert.deepEqual(kinds("a\u00a0$$;\t\f\v\u3000b"), ["word a\u00a0$$", "symbol ;", "word \u3000b"])
  })

  it("tells what has no end", () => {
    assert.deepEqual(broken("select 1 /* a /* b */"), ["comment /* a /* b */"])
    assert.deepEqual(broken("select 'a''"), ["string 'a''"])
    assert.deepEqual(broken(String.raw`select E'a\'`), [String.raw`string E'a\'`])
    assert.deepEqual(broken('select "a'), ['name "a'])
    assert.deepEqual(broken("select $a$ $$"), ["string $a$ $$"])
    assert.deepEqual(broken("select $a$ $a$, 'b', /* c */ \"d\" -- e"), [])
  })
})
