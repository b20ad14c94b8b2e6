import { describe, it } from "@effect/vitest"
import * as assert from "node:assert/strict"
import { concurrentStatement } from "../../../src/postgres/migrations/ConcurrentStatement.ts"

describe("concurrentStatement", () => {
  it("finds the index and its table, however they are written", () => {
    const index = (name: string, table: string) => ({ _tag: "CreateIndex", name, table })
    assert.deepEqual(concurrentStatement("create index concurrently i on app.t (a)"), index("i", "app . t"))
    assert.deepEqual(
      concurrentStatement('CREATE UNIQUE /* x */ INDEX -- y\n CONCURRENTLY IF NOT EXISTS "A ""b" ON ONLY "T"(a)'),
      index('"A ""b"', '"T"')
    )
    assert.deepEqual(concurrentStatement("create index concurrently größe on t using gin (a)"), index("größe", "t"))
    assert.deepEqual(concurrentStatement('drop index concurrently if exists app."I" cascade'), {
      _tag: "DropIndex",
      name: 'app . "I"'
    })
  })

  it("tells an index without a name", () => {
    for (const text of ["create index concurrently on t (a)", "create unique index concurrently ON only t(a)"]) {
      assert.deepEqual(concurrentStatement(text), { _tag: "CreateUnnamedIndex" }, text)
    }
  })

  it("knows what else works beside others", () => {
    for (const text of [
      "reindex index concurrently app.i",
      "REINDEX (VERBOSE, CONCURRENTLY) TABLE t",
      "reindex (verbose) schema concurrently app",
      "refresh materialized view concurrently v",
      'alter table if exists app.t detach partition "P" concurrently',
      'create index concurrently U&"i" on t (a)'
    ]) {
      assert.equal(concurrentStatement(text)?._tag, "Other", text)
    }
  })

  it("is not misled by what a statement merely says", () => {
    for (const text of [
      "insert into t values ('jobs that run concurrently')",
      "create table concurrently (a int)",
      "create index i on t (a) -- concurrently",
      "create index /* concurrently */ on t (a)",
      'create index "index concurrently" on t (a)',
      "alter table t add column concurrently int",
      "drop table concurrently",
      "reindex table t",
      "select 1 as concurrently"
    ]) {
      assert.equal(concurrentStatement(text), undefined, text)
    }
  })
})
