import * as Effect from "effect/Effect"
import * as Order from "effect/Order"
import * as Predicate from "effect/Predicate"
import { createHash } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { basename, join } from "node:path"
import type { Migration, ScriptStep } from "../core/MigrationDriver.ts"
import { FileInvalid, FolderUnreadable, MigrationError } from "./MigrationError.ts"

const fileName = /^(\d{1,18})_([A-Za-z0-9_-]+)\.sql$/
const migrationName = /^[A-Za-z0-9_-]+$/
/** What is meant for a mark, and what is one. */
const likeMark = /^[ \t]*--[ \t]*migrate(?:[ \t]*:[ \t]*(?:up|down)(?![a-z])|:\w).*$/gim
const mark = /^--[ \t]*migrate:(?:up|down)(?![\w:-])/
/** Also where it would be passed over because its name ends otherwise. */
const anySql = /\.sql$/i
const byteOrderMark = "\ufeff"

/** The greatest version that a history holds. */
export const mostVersion = 2n ** 63n - 1n

const upMark = /^--[ \t]*migrate:up(?![\w:-])(.*)$/m
const downMark = /^--[ \t]*migrate:down(?![\w:-])(.*)$/m

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

const blank = /(?:[\s;]+|--[^\n\r]*)*/y
const commentMark = /\/\*|\*\//g

/** Behind a comment that begins here, and those in it; undefined where it has no end. */
const endOfComment = (text: string, from: number): number | undefined => {
  let depth = 0
  commentMark.lastIndex = from
  for (let mark = commentMark.exec(text); mark !== null; mark = commentMark.exec(text)) {
    depth += mark[0] === "/*" ? 1 : -1
    if (depth === 0) return commentMark.lastIndex
  }
  return undefined
}

/** Whether there is more than white space, comments and semicolons. */
const holdsStatement = (text: string): boolean => {
  let at = 0
  while (true) {
    blank.lastIndex = at
    blank.test(text)
    at = blank.lastIndex
    const end = text.startsWith("/*", at) ? endOfComment(text, at) : undefined
    if (end === undefined) return at < text.length
    at = end
  }
}

const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** SHA-256 in hexadecimal. */
export const checksumOf = (text: string): string => createHash("sha256").update(text).digest("hex")

/**
 * Reads the text of one migration.
 *
 * A file is named `VERSION_name.sql`. The line `-- migrate:up` begins what is applied, and `-- migrate:down`, which may be
 * left out or hold no statement, what undoes it; before the first there are only comments. A part is one transaction together
 * with its row of the history, unless its line ends in `transaction:false`. A byte order mark counts in the checksum alone.
 * Fails with `MigrationError` (`FileInvalid`).
 */
export const parseMigration = (file: string, content: string): Effect.Effect<Migration, MigrationError> =>
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
    const whole = content.replaceAll("\r\n", "\n")
    const checksum = checksumOf(whole)
    const text = whole.startsWith(byteOrderMark) ? whole.slice(1) : whole
    const nul = text.indexOf("\0")
    if (nul >= 0) return yield* refuse(file, `holds in line ${lineAt(text, nul)} the character NUL: take it out`)
    const up = upMark.exec(text)
    if (up === null) return yield* refuse(file, "lacks the line `-- migrate:up`")
    if (holdsStatement(text.slice(0, up.index))) {
      return yield* refuse(file, "has a statement before the line `-- migrate:up`")
    }
    const almost = [...text.matchAll(likeMark)].find(([line]) => !mark.test(line))
    if (almost !== undefined) {
      return yield* refuse(
        file,
        `has in line ${lineAt(text, almost.index)} \`${almost[0].trim()}\`, which is no mark: write \`-- migrate:up\` or \`-- migrate:down\` at the start of the line`
      )
    }
    const upAt = up.index + up[0].length
    const body = text.slice(upAt)
    const down = downMark.exec(body)
    if (upMark.test(body)) return yield* refuse(file, "has the line `-- migrate:up` twice")
    const upText = down === null ? body : body.slice(0, down.index)
    if (!holdsStatement(upText)) return yield* refuse(file, "has no statement after `-- migrate:up`")

    const step = (found: RegExpExecArray, at: number, part: string): Effect.Effect<ScriptStep, MigrationError> => {
      const transaction = transactionOf(found[1] ?? "")
      return transaction === undefined
        ? refuse(file, `says \`${found[0].trim()}\`; behind a mark there may be \`transaction:false\` and nothing else`)
        : Effect.succeed({ _tag: "Script", text: part, line: lineAt(text, at), transaction })
    }
    if (down === null) {
      const only = yield* step(up, upAt, upText)
      return { version: BigInt(version), name, checksum, up: only, down: undefined }
    }
    const downAt = down.index + down[0].length
    const downText = body.slice(downAt)
    if (downMark.test(downText)) return yield* refuse(file, "has the line `-- migrate:down` twice")
    const ways = { up: yield* step(up, upAt, upText), down: yield* step(down, upAt + downAt, downText) }
    return {
      version: BigInt(version),
      name,
      checksum,
      up: ways.up,
      // It would say that something is undone that is not.
      down: holdsStatement(downText) ? ways.down : undefined
    }
  })

const codeOf = (cause: unknown): string => String(Predicate.hasProperty(cause, "code") ? cause.code : cause)

const listed = (folder: string, recursive: boolean): Effect.Effect<ReadonlyArray<string>, MigrationError> =>
  Effect.map(
    Effect.tryPromise({
      try: () => readdir(folder, { recursive }),
      catch: (cause) => new MigrationError({ reason: new FolderUnreadable({ folder, cause }) })
    }),
    (files) => files.toSorted()
  )

/** The mark of its order is kept, since the checksum is that of the file. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const readText = (folder: string, file: string): Effect.Effect<string, MigrationError> =>
  Effect.tryPromise({
    try: () => readFile(join(folder, file)),
    catch: (cause) => {
      const code = codeOf(cause)
      return refuse(
        file,
        code === "EISDIR" ? "is a folder: give it another name" : `cannot be read (${code}): see to it, or take it away`
      )
    }
  }).pipe(
    Effect.flatMap((bytes) =>
      Effect.try({
        try: () => utf8.decode(bytes),
        catch: (cause) =>
          codeOf(cause) === "ERR_ENCODING_INVALID_ENCODED_DATA"
            ? refuse(file, "is not UTF-8: save it as UTF-8")
            : refuse(file, `is too large, with ${bytes.length} bytes: make several of it`)
      })
    )
  )

/**
 * Reads the migrations of a folder in order of their versions; other files than `*.sql`, and subfolders, are left alone.
 *
 * Fails with `MigrationError`: `FolderUnreadable`, or `FileInvalid` naming the file: it is no migration, is not UTF-8, has the
 * version of another one, or is in a subfolder while the folder itself holds none.
 */
export const readFolder = (folder: string): Effect.Effect<ReadonlyArray<Migration>, MigrationError> =>
  Effect.gen(function* () {
    const files = (yield* listed(folder, false)).filter((file) => anySql.test(file))
    if (files.length === 0) {
      const below = (yield* listed(folder, true)).find((file) => fileName.test(basename(file)))
      if (below !== undefined) {
        return yield* refuse(
          below,
          "is in a subfolder, and the folder itself holds no migration: name the subfolder, or move the file up"
        )
      }
    }
    const migrations = yield* Effect.forEach(files, (file) =>
      Effect.flatMap(readText(folder, file), (text) =>
        Effect.map(parseMigration(file, text), (migration) => ({ file, migration }))
      )
    )
    const sorted = migrations.sort((a, b) => Order.BigInt(a.migration.version, b.migration.version))
    for (const [i, { file, migration }] of sorted.entries()) {
      const before = sorted[i - 1]
      if (before?.migration.version === migration.version) {
        return yield* refuse(file, `has the version of ${before.file}: give it another one`)
      }
    }
    return sorted.map(({ migration }) => migration)
  })
