import { Effect } from "effect"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import type { Migration } from "../core/MigrationDriver.ts"
import { FileInvalid, FolderUnreadable, MigrationError } from "./MigrationError.ts"

const fileName = /^(\d{1,18})_([A-Za-z0-9_-]+)\.sql$/
const upMark = /^--[ \t]*migrate:up[ \t]*$/m
const downMark = /^--[ \t]*migrate:down[ \t]*$/m
const notComment = /^(?!\s*--)(?=.*\S).*$/m

const refuse = (file: string, problem: string) => new MigrationError({ reason: new FileInvalid({ file, problem }) })

/**
 * Reads the text of one migration.
 *
 * A file is named `VERSION_name.sql`. The line `-- migrate:up` begins what is applied, and `-- migrate:down`, which may be
 * left out, what undoes it; before the first there are only comments.
 */
export const parseMigration = (file: string, bytes: string): Effect.Effect<Migration, MigrationError> =>
  Effect.gen(function* () {
    const [, version, name] = fileName.exec(file) ?? []
    if (version === undefined || name === undefined) {
      return yield* refuse(file, "must be named VERSION_name.sql, such as 20241215000001_initial.sql")
    }
    const text = bytes.replaceAll("\r\n", "\n")
    const up = upMark.exec(text)
    if (up === null) return yield* refuse(file, "lacks the line `-- migrate:up`")
    if (notComment.test(text.slice(0, up.index))) {
      return yield* refuse(file, "has a statement before the line `-- migrate:up`")
    }
    const body = text.slice(up.index + up[0].length)
    const down = downMark.exec(body)
    if (upMark.test(body)) return yield* refuse(file, "has the line `-- migrate:up` twice")
    const upText = down === null ? body : body.slice(0, down.index)
    if (!notComment.test(upText)) return yield* refuse(file, "has no statement after `-- migrate:up`")
    return {
      version: BigInt(version),
      name,
      checksum: createHash("sha256").update(text).digest("hex"),
      up: upText,
      down: down === null ? undefined : body.slice(down.index + down[0].length)
    }
  })

const reading = <A>(folder: string, read: () => Promise<A>): Effect.Effect<A, MigrationError> =>
  Effect.tryPromise({
    try: read,
    catch: (cause) => new MigrationError({ reason: new FolderUnreadable({ folder, cause }) })
  })

/**
 * Reads the migrations of a folder in order of their versions; other files than `*.sql` are left alone.
 *
 * Fails with `MigrationError`: `FolderUnreadable`, or `FileInvalid` naming the file.
 */
export const readFolder = (folder: string): Effect.Effect<ReadonlyArray<Migration>, MigrationError> =>
  Effect.gen(function* () {
    const files = (yield* reading(folder, () => readdir(folder))).filter((file) => file.endsWith(".sql"))
    const migrations = yield* Effect.forEach(files, (file) =>
      Effect.flatMap(
        reading(folder, () => readFile(join(folder, file), "utf8")),
        (text) => Effect.map(parseMigration(file, text), (migration) => ({ file, migration }))
      )
    )
    const sorted = migrations.sort((a, b) => (a.migration.version < b.migration.version ? -1 : 1))
    for (const [i, { file, migration }] of sorted.entries()) {
      const before = sorted[i - 1]
      if (before?.migration.version === migration.version) {
        return yield* refuse(file, `has the version of ${before.file}`)
      }
    }
    return sorted.map(({ migration }) => migration)
  })
