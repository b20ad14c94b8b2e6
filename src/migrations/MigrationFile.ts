import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import type { Migration, ScriptStep } from "../core/MigrationDriver.ts"
import { FileInvalid, FolderUnreadable, MigrationError } from "./MigrationError.ts"

const fileName = /^(\d{1,18})_([A-Za-z0-9_-]+)\.sql$/
const migrationName = /^[A-Za-z0-9_-]+$/
const mostVersion = 2n ** 63n - 1n
const upMark = /^--[ \t]*migrate:up(?![\w:-])(.*)$/m
const downMark = /^--[ \t]*migrate:down(?![\w:-])(.*)$/m
const notComment = /^(?!\s*--)(?=.*\S).*$/m

const refuse = (file: string, problem: string) => new MigrationError({ reason: new FileInvalid({ file, problem }) })

/** Why a value is no version; undefined where it is one. `down({ to: 0n })` undoes all, so that none may be 0. */
export const versionProblem = (version: unknown): string | undefined =>
  typeof version === "bigint" && version > 0n && version <= mostVersion
    ? undefined
    : "must have a version from 1 to 2^63 - 1, by custom the time of writing, such as 20241215000001"

/** Why a value is no name; undefined where it is one. */
export const nameProblem = (name: unknown): string | undefined =>
  typeof name === "string" && migrationName.test(name)
    ? undefined
    : "must have a name of letters, digits, `_` and `-`, such as initial_users"

/** Reads what stands behind a mark; undefined where it is nothing that we know. */
const transactionOf = (options: string): boolean | undefined => {
  switch (options.trim()) {
    case "":
    case "transaction:true":
      return true
    case "transaction:false":
      return false
    default:
      return undefined
  }
}

const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** SHA-256 in hexadecimal. */
export const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex")

/**
 * Reads the text of one migration.
 *
 * A file is named `VERSION_name.sql`. The line `-- migrate:up` begins what is applied, and `-- migrate:down`, which may be
 * left out, what undoes it; before the first there are only comments. A part is one transaction together with its row of the
 * history, unless its line ends in `transaction:false`. Fails with `MigrationError` (`FileInvalid`).
 */
export const parseMigration = (file: string, bytes: string): Effect.Effect<Migration, MigrationError> =>
  Effect.gen(function* () {
    const [, version, name] = fileName.exec(file) ?? []
    if (version === undefined || name === undefined) {
      return yield* refuse(
        file,
        "must be named VERSION_name.sql, such as 20241215000001_initial.sql: a version of 1 to 18 digits, and a name of letters, digits, `_` and `-`"
      )
    }
    const unversioned = versionProblem(BigInt(version))
    if (unversioned !== undefined) return yield* refuse(file, unversioned)
    const text = bytes.replaceAll("\r\n", "\n")
    const up = upMark.exec(text)
    if (up === null) return yield* refuse(file, "lacks the line `-- migrate:up`")
    if (notComment.test(text.slice(0, up.index))) {
      return yield* refuse(file, "has a statement before the line `-- migrate:up`")
    }
    const upAt = up.index + up[0].length
    const body = text.slice(upAt)
    const down = downMark.exec(body)
    if (upMark.test(body)) return yield* refuse(file, "has the line `-- migrate:up` twice")
    const upText = down === null ? body : body.slice(0, down.index)
    if (!notComment.test(upText)) return yield* refuse(file, "has no statement after `-- migrate:up`")

    const step = (mark: RegExpExecArray, at: number, part: string): Effect.Effect<ScriptStep, MigrationError> => {
      const transaction = transactionOf(mark[1] ?? "")
      return transaction === undefined
        ? refuse(file, `says \`${mark[0].trim()}\`; behind a mark there may be \`transaction:false\` and nothing else`)
        : Effect.succeed({ _tag: "Script", text: part, line: lineAt(text, at), transaction })
    }
    if (down === null) {
      const only = yield* step(up, upAt, upText)
      return { version: BigInt(version), name, checksum: checksumOf(text), up: only, down: undefined }
    }
    const downAt = down.index + down[0].length
    const downText = body.slice(downAt)
    if (downMark.test(downText)) return yield* refuse(file, "has the line `-- migrate:down` twice")
    return {
      version: BigInt(version),
      name,
      checksum: checksumOf(text),
      up: yield* step(up, upAt, upText),
      down: yield* step(down, upAt + downAt, downText)
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
