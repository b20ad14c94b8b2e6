import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
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

  it.effect("a way down that holds no statement is none", () =>
    Effect.gen(function* () {
      const of = (down: string) => parseMigration("1_a.sql", `-- migrate:up\nselect 1;\n-- migrate:down${down}`)
      for (const nothing of ["", "\n\n", "\n-- to be written\n", "\n/* ; */ ;"]) {
        assert.equal((yield* of(nothing)).down, undefined)
      }
      assert.notEqual((yield* of("\nselect 1")).down, undefined)
      assert.match(
        yield* problem("1_a.sql", "-- migrate:up\nselect 1;\n-- migrate:down transaktion:false"),
        /transaction:false/
      )
    })
  )

  it.effect("a mark that is written otherwise is refused, where what undoes would be applied", () =>
    Effect.gen(function* () {
      for (const mark of [
        "-- migrate:Down",
        "-- MIGRATE:DOWN",
        " -- migrate:down",
        "-- migrate: down",
        "-- migrate :down",
        "-- migrate:downs",
        "-- migrate:dwon",
        "--\tmigrate:down-transaction:false"
      ]) {
        assert.match(
          yield* problem("1_a.sql", text.replace("-- migrate:down", mark)),
          /^has in line 6 `.*`, which is no mark: write `-- migrate:up` or `-- migrate:down` at the start of the line$/
        )
      }
      yield* parseMigration("1_a.sql", text.replace("-- about it", "-- to migrate: up to a minute\n-- migrates: all"))
    })
  )

  it.effect("comments of either kind may stand before the first mark", () =>
    Effect.gen(function* () {
      const { up } = yield* parseMigration("1_a.sql", `/* about\n   it */\n-- and\n${text}`)
      assert.equal(up._tag === "Script" && up.line, 6)
      assert.match(yield* problem("1_a.sql", `/* about\n${text}`), /before the line/)
    })
  )

  it.effect("a byte order mark is no part of it, except of its checksum", () =>
    Effect.gen(function* () {
      const plain = yield* parseMigration("1_a.sql", "-- migrate:up\nselect 1;")
      const marked = yield* parseMigration("1_a.sql", "\ufeff-- migrate:up\nselect 1;")
      assert.deepEqual({ ...marked, checksum: "" }, { ...plain, checksum: "" })
      assert.notEqual(marked.checksum, plain.checksum)
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
      for (const nothing of ["", "-- later", "/* later /* much */ ; */", ";\n;", "-- later\r"]) {
        assert.match(yield* problem("1_a.sql", `-- migrate:up\n${nothing}\n-- migrate:down\nselect 1`), /no statement/)
      }
      assert.match(yield* problem("1_a.sql", ""), /lacks the line/)
      assert.match(yield* problem("0_a.sql", text), /version from 1/)
      assert.match(yield* problem(`${"9".repeat(19)}_a.sql`, text), /1 to 18 digits/)
      for (const name of [
        "1_ä.sql",
        "1_a b.sql",
        "1_.sql",
        "1_a.b.sql",
        "1a.sql",
        "-1_a.sql",
        "1_a\n.sql",
        "1_a.SQL"
      ]) {
        assert.match(yield* problem(name, text), /letters, digits/)
      }
      assert.match(yield* problem("1_a.sql", `${text}select '\0';`), /line 8 .*NUL/)
    })
  )
})

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "ai-core-migrations-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)
const write = (path: string, file: string, content: string | Uint8Array = text) =>
  Effect.promise(() => writeFile(join(path, file), content))

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
      const { message, reason } = yield* Effect.flip(readFolder(path))
      assert.equal(reason._tag, "FileInvalid")
      assert.equal(message, "2_a.sql has the version of 02_b.sql: give it another one")
      yield* Effect.promise(() => rm(join(path, "02_b.sql")))
      // A file system may tell them apart by nothing else.
      yield* write(path, "2_A.sql")
      assert.match((yield* Effect.flip(readFolder(path))).message, /^2_a\.sql has the version of 2_A\.sql/)
    })
  )

  it.effect(
    "a file that is not UTF-8 is refused, whatever its bytes are taken for; one that is keeps each character",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const sql = "-- migrate:up\ninsert into a values ('café 😀 \ufffd');\n"
        yield* write(path, "1_a.sql", sql)
        const [read] = yield* readFolder(path)
        assert.equal(read?.up._tag === "Script" && read.up.text, sql.slice("-- migrate:up".length))
        yield* write(path, "2_bom.sql", `\ufeff${sql}`)
        const [, marked] = yield* readFolder(path)
        assert.equal(marked?.checksum, createHash("sha256").update(`\ufeff${sql}`).digest("hex"))
        yield* write(path, "2_bom.sql", `\ufeff${sql}`.replaceAll("\n", "\r\n"))
        assert.deepEqual((yield* readFolder(path))[1], marked)
        for (const bytes of [
          Buffer.from("-- migrate:up\nselect 'caf\xe9';\n", "latin1"),
          Buffer.from("\ufeff-- migrate:up\nselect 1;\n", "utf16le"),
          Buffer.from([...Buffer.from("-- migrate:up\nselect '"), 0xc3])
        ]) {
          yield* write(path, "3_b.sql", bytes)
          const error = yield* Effect.flip(readFolder(path))
          assert.equal(error.message, "3_b.sql is not UTF-8: save it as UTF-8")
        }
      })
  )

  it.effect("what looks like a migration and would be passed over is refused by its name", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const messageOf = Effect.map(Effect.flip(readFolder(path)), ({ message, reason }) => {
        assert.equal(reason._tag, "FileInvalid")
        return message
      })
      yield* write(path, "1_a.SQL")
      assert.match(yield* messageOf, /^1_a\.SQL must be named/)
      yield* Effect.promise(() => rm(join(path, "1_a.SQL")))
      yield* Effect.promise(() => mkdir(join(path, "1_a.sql")))
      assert.match(yield* messageOf, /^1_a\.sql is a folder: /)
      yield* Effect.promise(() => rm(join(path, "1_a.sql"), { recursive: true }))
      yield* Effect.promise(() => symlink(join(path, "nowhere"), join(path, "1_a.sql")))
      assert.match(yield* messageOf, /^1_a\.sql cannot be read \(ENOENT\)/)
    })
  )

  it.effect("files in subfolders are not read; where there are no others, that is told", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* Effect.promise(() => mkdir(join(path, "2025", "01"), { recursive: true }))
      assert.deepEqual(yield* readFolder(path), [])
      yield* write(path, "2025/01/1_a.sql")
      const { message, reason } = yield* Effect.flip(readFolder(path))
      assert.equal(reason._tag, "FileInvalid")
      assert.match(message, /1_a\.sql is in a subfolder.*: /)
      yield* write(path, "2_b.sql")
      assert.deepEqual(
        (yield* readFolder(path)).map(({ version }) => version),
        [2n]
      )
    })
  )

  it.effect("a folder that is not there is told", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "missing")
      const { message, reason } = yield* Effect.flip(readFolder(path))
      assert.ok(reason._tag === "FolderUnreadable")
      assert.equal(reason.folder, path)
      assert.match(message, /missing cannot be read: ENOENT/)
    })
  )
})
