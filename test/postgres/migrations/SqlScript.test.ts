import { describe, it } from "@effect/vitest"
import * as assert from "node:assert/strict"
import { splitScript } from "../../../src/postgres/migrations/SqlScript.ts"

const texts = (script: string): ReadonlyArray<string> => splitScript(script).map(({ text }) => text)

describe("splitScript", () => {
  it("splits at semicolons and drops what holds no statement", () => {
    assert.deepEqual(texts(" select 1;;\n-- only a comment\n; select 2 -- end;\n;/* ; */ select 3"), [
      "select 1",
      "select 2 -- end;",
      "select 3"
    ])
    assert.deepEqual(texts("  -- nothing;\n/* here; */ ;"), [])
  })

  it("leaves semicolons in strings and identifiers alone", () => {
    for (const statement of [
      "select ';'",
      "select 'it''s; so'",
      String.raw`select E'a\';b', 'c\'`,
      `select ";""; " from "a;b"`,
      "select U&'d;'",
      "select $$a;b$$",
      "select $f$a;$$;b$f$",
      "select $é1$;$é1$",
      "select a$b$c; ".trim().replace(";", "")
    ]) {
      assert.deepEqual(texts(`${statement}; select 2`), [statement, "select 2"], statement)
    }
  })

  it("takes a dollar in a name, a parameter or after a number for what it is", () => {
    assert.deepEqual(texts("select a$b$ from t; select $1; select $1$ ; x"), [
      "select a$b$ from t",
      "select $1",
      "select $1$",
      "x"
    ])
  })

  it("knows nested comments, and comments inside statements", () => {
    assert.deepEqual(texts("select /* a /* ; */ ; */ 1; select 2 -- ' ;\n + 3; x"), [
      "select /* a /* ; */ ; */ 1",
      "select 2 -- ' ;\n + 3",
      "x"
    ])
  })

  it("keeps the bodies of functions, rules and procedures whole", () => {
    const plpgsql = "create function f() returns void language plpgsql as $$ begin perform 1; perform 2; end $$"
    const atomic = `create procedure p() begin atomic
      insert into t values (case when true then 1 else 2 end);
      select 1;
    end`
    const rule = "create rule r as on insert to t do (delete from a; delete from b)"
    assert.deepEqual(texts([plpgsql, atomic, rule, "begin", "select case when true then 1 end"].join(";\n")), [
      plpgsql,
      atomic,
      rule,
      "begin",
      "select case when true then 1 end"
    ])
  })

  it("ends an unfinished string or body with the script", () => {
    assert.deepEqual(texts("select 1; select 'a; b"), ["select 1", "select 'a; b"])
    assert.deepEqual(texts("select $x$ a; b"), ["select $x$ a; b"])
  })

  it("tells where each statement begins", () => {
    const script = "select 1;\n  select 2"
    for (const { offset, text } of splitScript(script)) assert.ok(script.startsWith(text, offset))
  })
})
