import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Statement from "effect/sql/Statement"
import assert from "node:assert/strict"
import { makeCompiler } from "../../../src/postgres/statements/StatementCompiler.ts"

describe("the compiler of statements", () => {
  const sql = Statement.make(Effect.never, makeCompiler(), [], undefined)
  const statements: Record<string, Statement.Fragment> = {
    "text alone": sql`select 1`,
    "values, in order": sql`select ${1}, ${null}, ${"x"} from t where id = ${[1, 2]}`,
    "a fragment inside": sql`select ${sql`a, ${2}`} from t where b = ${3}`,
    "text with values of its own": sql.unsafe("select $1, $2", [1, 2]),
    "a literal": sql`select ${sql.literal("now()")}, ${1}`,
    "an identifier": sql`select ${sql('a"b')} where c = ${1}`,
    "a list": sql`select 1 where ${sql.in("id", [1, 2])} and b = ${3}`,
    "an empty list": sql`select 1 where ${sql.in("id", [])}`,
    "a row to insert": sql`insert into t ${sql.insert({ a: 1, b: "x" }).returning("*")}`,
    "no values at all": sql``
  }
  for (const [name, statement] of Object.entries(statements)) {
    it(`gives what Effect's gives: ${name}`, () => {
      assert.deepEqual(makeCompiler().compile(statement, false), PgClient.makeCompiler().compile(statement, false))
      assert.deepEqual(
        makeCompiler().withoutTransform.compile(statement, true),
        PgClient.makeCompiler().compile(statement, true)
      )
    })
  }
})
