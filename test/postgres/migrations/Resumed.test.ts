import * as assert from "node:assert/strict"
import { describe, it } from "vitest"
import { resumed } from "../../../src/postgres/migrations/Resumed.ts"

const statements: Record<ReturnType<typeof resumed>, ReadonlyArray<string>> = {
  again: [
    "set search_path to app",
    "SET /* for all */ SESSION\n  statement_timeout = '5min'",
    "set role owner",
    "set session characteristics as transaction isolation level serializable",
    "reset role",
    "RESET ALL",
    "discard plans",
    "select pg_catalog.set_config('search_path', '', false)",
    "SELECT set_config('search_path', 'app (old)', false)",
    "prepare one as select 1",
    "deallocate one",
    "listen news",
    "unlisten *",
    "load 'auto_explain'"
  ],
  gone: [
    "create temp table ids as select 1",
    "CREATE TEMPORARY TABLE -- for now\n ids (n int)",
    "create temp view v as select 1",
    "declare c cursor with hold for select 1"
  ],
  kept: [
    "create table a (n int)",
    "create temp table ids (n int) on commit drop",
    "set local search_path = app",
    "insert into a values ('set role')",
    "select set_config('search_path', (select path from paths), false)",
    "select set_config('search_path', 'app', false) from fill()"
  ]
}

describe("what is done of a script that goes on in another session", () => {
  for (const [becomes, texts] of Object.entries(statements)) {
    it(`is ${becomes}`, () => {
      for (const text of texts) assert.equal(resumed(text), becomes, text)
    })
  }
})
