import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseMigration, readFolder } from "../../src/migrations/MigrationFile.ts"

const text = "-- about it\n\n-- migrate:up\ncreate table a ();\n\n-- migrate:down\ndrop table a;\n"

const problem = (file: string, bytes: string) =>
  Effect.map(Effect.flip(parseMigration(file, bytes)), ({ reason }) => {
    assert.ok(reason._tag === "FileInvalid")
    assert.equal(reason.file, file)
    return reason.problem
  })

describe("parseMigration", () => {
  it.effect("reads version, name and both directions", () =>
    Effect.gen(function* () {
      const migration = yield* parseMigration("20241215000001_initial_users.sql", text)
      assert.equal(migration.version, 20241215000001n)
      assert.equal(migration.name, "initial_users")
      assert.deepEqual(migration.up, { _tag: "Script", text: "\ncreate table a ();\n\n", line: 3, transaction: true })
      assert.deepEqual(migration.down, { _tag: "Script", text: "\ndrop table a;\n", line: 6, transaction: true })
    })
  )

  it.effect("versions are 64 bits wide", () =>
    Effect.gen(function* () {
      assert.equal((yield* parseMigration("20991231235959_far.sql", text)).version, 20991231235959n)
      assert.equal((yield* parseMigration("999999999999999999_last.sql", text)).version, 999999999999999999n)
    })
  )

  it.effect("the way down may be left out", () =>
    Effect.gen(function* () {
      assert.equal((yield* parseMigration("1_a.sql", "-- migrate:up\nselect 1")).down, undefined)
    })
  )

  it.effect("a part may do without a transaction", () =>
    Effect.gen(function* () {
      const { down, up } = yield* parseMigration(
        "1_a.sql",
        "-- migrate:up transaction:false\nvacuum a;\n-- migrate:down transaction:true\nselect 1;"
      )
      assert.deepEqual([up.transaction, down?.transaction], [false, true])
    })
  )

  it.effect("the checksum ignores how lines end and nothing else", () =>
    Effect.gen(function* () {
      const { checksum } = yield* parseMigration("1_a.sql", text)
      assert.match(checksum, /^[0-9a-f]{64}$/)
      assert.equal((yield* parseMigration("1_a.sql", text.replaceAll("\n", "\r\n"))).checksum, checksum)
      assert.notEqual((yield* parseMigration("1_a.sql", text.replace("about", "About"))).checksum, checksum)
      assert.notEqual((yield* parseMigration("1_a.sql", `${text} `)).checksum, checksum)
    })
  )

  it.effect("a file that is no migration is named, with what is wrong", () =>
    Effect.gen(function* () {
      assert.match(yield* problem("initial.sql", text), /must be named VERSION_name\.sql/)
      assert.match(yield* problem("1_a.sql", "create table a ();"), /lacks the line/)
      assert.match(yield* problem("1_a.sql", `drop table b;\n${text}`), /before the line/)
      assert.match(yield* problem("1_a.sql", `${text}${text}`), /twice/)
      assert.match(yield* problem("1_a.sql", `${text}-- migrate:down\n`), /migrate:down` twice/)
      assert.match(yield* problem("1_a.sql", text.replace(":up", ":up transaktion:false")), /transaction:false/)
      assert.match(yield* problem("1_a.sql", text.replace(":up", ":upper")), /lacks the line/)
      assert.match(yield* problem("1_a.sql", "-- migrate:up\n-- later\n-- migrate:down\nselect 1"), /no statement/)
    })
  )
})

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "ai-core-migrations-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)
const write = (path: string, file: string, content = text) => Effect.promise(() => writeFile(join(path, file), content))

describe("readFolder", () => {
  it.effect("sorts by version as a number and leaves other files alone", () =>
    Effect.gen(function* () {
      const path = yield* folder
      for (const file of ["10_c.sql", "9_b.sql", "2_a.sql", "README.md"]) yield* write(path, file)
      const migrations = yield* readFolder(path)
      assert.deepEqual(
        migrations.map(({ version }) => version),
        [2n, 9n, 10n]
      )
    })
  )

  it.effect("one version twice is refused", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* write(path, "2_a.sql")
      yield* write(path, "02_b.sql")
      const { reason } = yield* Effect.flip(readFolder(path))
      assert.equal(reason._tag, "FileInvalid")
    })
  )

  it.effect("a folder that is not there is told", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "missing")
      const { reason } = yield* Effect.flip(readFolder(path))
      assert.ok(reason._tag === "FolderUnreadable")
      assert.equal(reason.folder, path)
    })
  )
})
