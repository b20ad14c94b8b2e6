import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { sessionStatement } from "../../../src/postgres/statements/SessionStatement.ts"

describe("what a statement does to its session", () => {
  const effects: ReadonlyArray<readonly [effect: string | undefined, texts: ReadonlyArray<string>]> = [
    [
      "begins",
      [
        "BEGIN",
        "begin isolation level serializable, read only",
        "start\n\ttransaction",
        "COMMIT AND CHAIN",
        "rollback work and chain",
        "  \n-- why\n/* a /* nested */ comment */ ; BEGIN"
      ]
    ],
    [
      "ends",
      [
        "commit",
        "END TRANSACTION",
        "rollback",
        "ROLLBACK /* all */ WORK",
        "abort",
        "prepare transaction 'x'",
        "commit and no chain",
        "-- why\r\nCOMMIT;"
      ]
    ],
    ["savepoint", ["SAVEPOINT a", "release savepoint a", "release a", "rollback to a", "rollback work to savepoint a"]],
    [
      "lasts",
      [
        "SET search_path TO x",
        "set session characteristics as transaction read only",
        "set role nobody",
        "SET SESSION AUTHORIZATION x",
        "set transaction_isolation = serializable",
        "listen jobs",
        "prepare p as select 1",
        'declare "a b" binary cursor with hold for select 1',
        "load 'auto_explain'",
        "create temp table t (n int)",
        "CREATE LOCAL TEMPORARY TABLE t AS SELECT 'on commit drop'",
        "create /* x */ temp sequence s",
        "create or replace temp view v as select 1",
        'create temp table "on commit drop" (n int)',
        "create table pg_temp.t (n int)",
        "CREATE TABLE IF NOT EXISTS pg_temp . t AS SELECT 1",
        "create or replace function pg_temp.f() returns int language sql as 'select 1'",
        "create sequence pg_temp.s"
      ]
    ],
    [
      undefined,
      [
        "",
        "  -- nothing",
        "/* BEGIN",
        "/* a /* b */ COMMIT */ select 1",
        "select 1",
        "update t set n = 1",
        "settle",
        "beginning",
        "set local search_path to x",
        "SET TRANSACTION READ ONLY",
        "set constraints all deferred",
        "commit prepared 'x'",
        "rollback prepared 'x'",
        "declare c cursor for select 1",
        'declare c cursor for select 1 as "cursor with hold"',
        'create table t ("temp" int)',
        "create table pg_temp.t (n int) on commit drop",
        "create index on pg_temp.t (n)",
        "create table pg_temperature (n int)",
        "create table t (like pg_temp.u)",
        "create temp table t (n int) on commit drop",
        "create table temp (n int)",
        "create function f() returns int language sql begin atomic select 1; end",
        "reset all",
        "discard all",
        "unlisten *",
        "deallocate all",
        "do $$ begin commit; end $$"
      ]
    ]
  ]
  for (const [effect, texts] of effects) {
    it(`${effect ?? "nothing"}: ${texts.length} statements`, () => {
      for (const text of texts) assert.equal(sessionStatement(text)?.effect, effect, text)
    })
  }
})
