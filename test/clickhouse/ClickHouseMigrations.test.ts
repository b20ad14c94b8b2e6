import * as assert from "node:assert/strict"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schema } from "effect"
import { ClickHouseClient } from "../../src/clickhouse/ClickHouseClient.ts"
import * as ClickHouseEmbedded from "../../src/clickhouse/ClickHouseEmbedded.ts"
import * as ClickHouseMigrations from "../../src/clickhouse/ClickHouseMigrations.ts"
import type { LeaseStore } from "../../src/core/Lease.ts"
import { mayRunTwice, statementsOf } from "../../src/clickhouse/SqlScript.ts"
import * as Migrations from "../../src/migrations/Migrations.ts"
import * as AnalyticsMigrations from "../../src/platform/analytics/AnalyticsMigrations.ts"
import { connect, embeddedServer } from "./fixtures.ts"

describe("SqlScript", () => {
  it("splits at semicolons that end a statement, and drops comments", () => {
    assert.deepEqual(
      statementsOf(`-- one; two
CREATE TABLE a (x String DEFAULT ';''\\';') -- not; this
; /* nor; this */ SELECT "a;b", \`c;d\`;;
`),
      [`CREATE TABLE a (x String DEFAULT ';''\\';')`, `SELECT "a;b", \`c;d\``]
    )
  })

  it("knows which statements are harmless twice", () => {
    for (const yes of [
      "CREATE TABLE IF NOT EXISTS a (x UInt8) ENGINE = Memory",
      "create materialized view if not exists v TO t AS SELECT 1",
      "DROP TABLE IF EXISTS a",
      "ALTER TABLE a ADD COLUMN IF NOT EXISTS y UInt8",
      "ALTER TABLE v MODIFY QUERY SELECT 2"
    ]) {
      assert.equal(mayRunTwice(yes), true, yes)
    }
    for (const no of [
      "CREATE TABLE a (x UInt8) ENGINE = Memory",
      "CREATE TABLE a (x String DEFAULT 'IF NOT EXISTS') ENGINE = Memory",
      "DROP TABLE a",
      "ALTER TABLE a ADD COLUMN y UInt8",
      "INSERT INTO a VALUES (1)",
      "CREATE OR REPLACE VIEW v AS SELECT 1"
    ]) {
      assert.equal(mayRunTwice(no), false, no)
    }
  })
})

const folderOf = (files: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "migrations-"))
      for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text)
      return folder
    }),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )

const canEmbed = Effect.runSync(ClickHouseEmbedded.available)

describe.skipIf(!canEmbed)("ClickHouseMigrations", () => {
  layer(Layer.provideMerge(Layer.effect(ClickHouseClient, connect()), embeddedServer), {
    excludeTestServices: true
  })((it) => {
    it.effect("options that are none are refused by name", () =>
      Effect.gen(function* () {
        for (const [field, value] of [
          ["lockTimeout", "abc"],
          ["lockLifetime", 0],
          ["journal", ""],
          ["lockTimout", "1 second"]
        ] as const) {
          const made = ClickHouseMigrations.make({ [field]: value } as never)
          const { outcome, reason } = yield* Effect.flip(made)
          assert.ok(reason._tag === "InvalidData" && outcome === "not-applied")
          assert.deepEqual(
            reason.problems.map((problem) => problem.field),
            [field]
          )
        }
      })
    )

    const tables = Effect.flatMap(ClickHouseClient, (client) =>
      Effect.map(
        client.query("test", {
          query: "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name",
          schema: Schema.Struct({ name: Schema.String })
        }),
        (rows) => rows.map(({ name }) => name)
      )
    )

    it.effect("applies the platform's migrations once", () =>
      Effect.gen(function* () {
        const first = yield* AnalyticsMigrations.clickhouse
        assert.deepEqual(
          first.applied.map(({ name, version }) => [version, name]),
          [[20241215000001n, "workflow_events"]]
        )
        const second = yield* AnalyticsMigrations.clickhouse
        assert.deepEqual([second.applied.length, second.alreadyApplied], [0, 1])
        const found = yield* tables
        assert.ok(found.includes("workflow_events") && !found.includes("platform_migrations_lock"))
      })
    )

    it.effect("of many programs that start at once, one migrates", () =>
      Effect.gen(function* () {
        const folder = yield* folderOf({
          "1_a.sql": "-- migrate:up\nCREATE TABLE IF NOT EXISTS at_once (x UInt8) ENGINE = Memory"
        })
        const driver = yield* ClickHouseMigrations.make({ journal: "at_once_journal" })
        const other = yield* ClickHouseMigrations.make({ journal: "at_once_journal" })
        const reports = yield* Effect.forEach(
          [driver, other, driver, other],
          (driver) => Migrations.make(driver, { folder }).run,
          {
            concurrency: "unbounded"
          }
        )
        assert.deepEqual(reports.map(({ applied }) => applied.length).sort(), [0, 0, 0, 1])
        assert.equal((yield* tables).includes("at_once_journal_lock"), false)
      })
    )

    it.effect("a run that broke off continues after its last statement", () =>
      Effect.gen(function* () {
        const script = (second: string) =>
          `-- migrate:up\nCREATE TABLE IF NOT EXISTS part_one (x UInt8) ENGINE = Memory;\n${second}`
        const driver = yield* ClickHouseMigrations.make({ journal: "parts_journal" })
        const text = script(
          "CREATE TABLE IF NOT EXISTS part_two (x UInt8) ENGINE = MergeTree ORDER BY missing_for_now();"
        )
        const folder = yield* folderOf({ "1_a.sql": text })
        const error = yield* Effect.flip(Migrations.make(driver, { folder }).run)
        assert.ok(error._tag === "MigrationError" && error.reason._tag === "StatementFailed")
        assert.equal(error.reason.failure.reason._tag, "InvalidStatement")
        const found = yield* tables
        assert.ok(found.includes("part_one") && !found.includes("part_two"))
        const client = yield* ClickHouseClient
        yield* client.command("test", { query: "DROP TABLE part_one" })
        yield* client.command("test", { query: "CREATE FUNCTION missing_for_now AS () -> tuple()" })
        const report = yield* Migrations.make(driver, { folder }).run
        assert.equal(report.applied.length, 1)
        // The first statement is in the journal, so it did not run again.
        assert.deepEqual(
          (yield* tables).filter((name) => name.startsWith("part_")),
          ["part_two"]
        )
      })
    )

    it.effect("a statement that may not run twice is refused before any of its migration runs", () =>
      Effect.gen(function* () {
        const driver = yield* ClickHouseMigrations.make({ journal: "strict_journal" })
        const folder = yield* folderOf({
          "1_a.sql":
            "-- migrate:up\nCREATE TABLE IF NOT EXISTS strict_a (x UInt8) ENGINE = Memory;\nCREATE TABLE strict_b (x UInt8) ENGINE = Memory;"
        })
        const error = yield* Effect.flip(Migrations.make(driver, { folder }).run)
        assert.ok(error._tag === "MigrationError" && error.reason._tag === "StatementFailed")
        assert.match(error.reason.failure.statement?.text ?? "", /^CREATE TABLE strict_b/)
        assert.equal((yield* tables).includes("strict_a"), false)
      })
    )

    it.effect("plans without writing, undoes, repairs and takes over; versions are 64 bits wide", () =>
      Effect.gen(function* () {
        const client = yield* ClickHouseClient
        const make = (name: string) => `CREATE TABLE IF NOT EXISTS ${name} (x UInt8) ENGINE = Memory`
        const text = (name: string) => `-- migrate:up\n${make(name)};\n-- migrate:down\nDROP TABLE IF EXISTS ${name}`
        const folder = yield* folderOf({ "1_a.sql": text("whole_a"), "20991231235959_b.sql": text("whole_b") })
        const driver = yield* ClickHouseMigrations.make({ journal: "whole_journal" })
        const migrations = Migrations.make(driver, { folder })
        assert.equal((yield* migrations.plan).pending.length, 2)
        assert.equal((yield* tables).includes("whole_journal"), false)

        yield* client.command("test", { query: make("whole_a") })
        assert.deepEqual(yield* migrations.baseline(1n), [1n])
        assert.deepEqual(
          (yield* migrations.run).applied.map(({ version }) => version),
          [20991231235959n]
        )
        const states = Effect.map(migrations.status, (rows) => rows.map(({ state, version }) => [version, state]))
        assert.deepEqual(yield* states, [
          [1n, "baseline"],
          [20991231235959n, "applied"]
        ])

        fs.writeFileSync(path.join(folder, "20991231235959_b.sql"), `-- Edited\n${text("whole_b")}`)
        assert.deepEqual(
          (yield* migrations.verify).problems.map(({ _tag }) => _tag),
          ["ChecksumChanged"]
        )
        assert.deepEqual((yield* migrations.repair()).realigned, [20991231235959n])
        assert.equal((yield* migrations.verify).ok, true)

        assert.deepEqual(
          (yield* migrations.down()).map(({ version }) => version),
          [20991231235959n]
        )
        assert.equal((yield* tables).includes("whole_b"), false)
        // The same migration again, which the server must not take for the first one's repetition.
        assert.equal((yield* migrations.run).applied.length, 1)
        assert.deepEqual((yield* states)[1], [20991231235959n, "applied"])
        yield* migrations.redo()
        assert.deepEqual((yield* states)[1], [20991231235959n, "applied"])

        fs.rmSync(path.join(folder, "20991231235959_b.sql"))
        assert.deepEqual((yield* migrations.repair({ forgetFuture: true })).forgotten, [20991231235959n])
        assert.deepEqual(yield* states, [[1n, "baseline"]])
      })
    )

    it.effect("leases of another store take the place of its own lock", () =>
      Effect.gen(function* () {
        const events: Array<string> = []
        const store: LeaseStore = {
          store: "postgresql",
          take: (name, owner) =>
            Effect.sync(() => {
              events.push(`take ${name}`)
              return Option.some({ name, owner, token: 1n })
            }),
          renew: () => Effect.succeed(true),
          release: () => Effect.sync(() => void events.push("release"))
        }
        const folder = yield* folderOf({
          "1_a.sql": "-- migrate:up\nCREATE TABLE IF NOT EXISTS leased_a (x UInt8) ENGINE = Memory"
        })
        const driver = yield* ClickHouseMigrations.make({ journal: "leased", lease: { store, name: "clickhouse" } })
        yield* Migrations.make(driver, {
          folder,
          onProgress: ({ _tag }) => Effect.sync(() => void events.push(_tag))
        }).run
        assert.deepEqual(events, ["take clickhouse", "Started", "StatementDone", "Finished", "release"])
      })
    )

    it.effect("a lock that somebody holds is waited for, and an old one taken over", () =>
      Effect.gen(function* () {
        const client = yield* ClickHouseClient
        const folder = yield* folderOf({
          "1_a.sql": "-- migrate:up\nCREATE TABLE IF NOT EXISTS locked_a (x UInt8) ENGINE = Memory"
        })
        yield* client.command("test", { query: "CREATE TABLE held_lock (x UInt8) ENGINE = Memory COMMENT 'somebody'" })
        const patient = yield* ClickHouseMigrations.make({ journal: "held", lockTimeout: "300 millis" })
        const error = yield* Effect.flip(Migrations.make(patient, { folder }).run)
        assert.ok(error._tag === "StoreError" && error.reason._tag === "Conflict")
        assert.ok((yield* tables).includes("held_lock"))
        yield* Effect.sleep("1100 millis")
        const bold = yield* ClickHouseMigrations.make({ journal: "held", lockLifetime: "500 millis" })
        assert.equal((yield* Migrations.make(bold, { folder }).run).applied.length, 1)
        assert.equal((yield* tables).includes("held_lock"), false)
      })
    )
  })
})
