import { it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"
import { renderLint } from "../../src/migrations/LintReport.ts"
import { readFolder } from "../../src/migrations/MigrationFile.ts"
import { rules } from "../../src/postgres/migrations/LintRules.ts"
import { lint } from "../../src/postgres/migrations/PostgresLint.ts"
import { compile } from "./compile.ts"

const root = new URL("../../", import.meta.url)
const guideOf = (name: string) => readFileSync(new URL(`docs/guides/${name}.md`, root), "utf8")
const blocksOf = (guide: string, language: string): ReadonlyArray<string> =>
  [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))].map(([, text]) => text!)
const guide = guideOf("safe-migrations")
const blocks = (language: string): ReadonlyArray<string> => blocksOf(guide, language)

const config = { extends: "../tsconfig.json", compilerOptions: { rootDir: ".." }, include: ["*.ts"] }
const runIn = (cwd: string, ...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, args, { cwd, encoding: "utf8", timeout: 120_000 })

/** A folder in the repository, so that its packages are found. */
const emptyFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(fileURLToPath(new URL(".readme-", root)))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** A folder with the guide's files in it. */
const folder = Effect.map(emptyFolder, (folder) => {
  mkdirSync(join(folder, "migrations"))
  for (const text of blocks("sql")) {
    const name = /^-- (\d+_\w+\.sql)\n/.exec(text)?.[1]
    assert.ok(name !== undefined, text)
    writeFileSync(join(folder, "migrations", name), text)
  }
  return folder
})

describe("the guide to safe migrations", () => {
  it("names every rule of the lint", () => {
    for (const rule of Object.keys(rules)) assert.ok(guide.includes(`\`${rule}\``), rule)
  })

  it.effect("shows files in which nothing dangerous is found", () =>
    Effect.gen(function* () {
      const migrations = yield* readFolder(join(yield* folder, "migrations"))
      assert.ok(migrations.length > 5)
      assert.equal(renderLint(yield* lint(migrations)), "Nothing dangerous was found.")
    })
  )

  it.live(
    "shows operations that compile, and run one after the other",
    () =>
      Effect.gen(function* () {
        const [imports, ...steps] = blocks("ts")
        const program = `${imports}
          import { NodeRuntime } from "@effect/platform-node"
          import { PostgresEmbedded } from "@ai-core/database/postgres"
          Effect.gen(function* () { ${steps.join("\n")} }).pipe(Effect.provide(PostgresEmbedded.layer()), NodeRuntime.runMain)\n`
        const cwd = yield* folder
        writeFileSync(join(cwd, "program.ts"), program)
        writeFileSync(join(cwd, "tsconfig.json"), JSON.stringify(config))
        const compiled = runIn(cwd, ...compile)
        assert.equal(compiled.status, 0, compiled.stdout)
        const ran = runIn(cwd, "--conditions=@ai-core/source", "program.ts")
        assert.equal(ran.status, 0, ran.stdout + ran.stderr)
        assert.match(ran.stdout, /10 applied, backed up to nowhere/)
      }),
    240_000
  )
})

const ofNotes = `
    import { expectVersion, makeIdsOf, Version } from "@ai-core/database/core"
    import { makeContained, makeLookup, onConstraint, type PostgresClient, rowReader, Timestamp, type Transaction, writeOrExplain } from "@ai-core/database/postgres"
    import { DateTime, Effect, Option, Schema } from "effect"
    import { Note, NoteId, NoteNotFound, type Notes, TitleTaken } from "./Notes.ts"
    import { NotesInput } from "./NotesInput.ts"
    declare const client: PostgresClient.PostgresClient["Service"]
    declare const transaction: Transaction["Service"]
    const { keyed, query, sql } = client
    const contained = makeContained(client, transaction)
    const nextId = makeIdsOf(NoteId)
    const columns = sql\`id\``

const readNotes = `${ofNotes}
    const rows = rowReader(Note.mapFields((fields) => ({ ...fields, createdAt: Timestamp })))`

const ofReminders = `
    import { LeaseToken } from "@ai-core/database"
    import { makeIdsOf } from "@ai-core/database/core"
    import { keyset, makeClaims, type PostgresClient, rowReader, type Transaction, writeOrExplain } from "@ai-core/database/postgres"
    import { DateTime, Effect, Option, Schema } from "effect"
    import { Reminder, type ReminderId, ReminderLost, ReminderNotFound, type Reminders, ReminderState, reminderStates, reminderWork } from "./Reminders.ts"
    import { RemindersInput } from "./RemindersInput.ts"
    declare const client: PostgresClient.PostgresClient["Service"]
    declare const transaction: Transaction["Service"]
    declare const after: { readonly createdAt: DateTime.Utc; readonly id: ReminderId } | undefined
    const { keyed, query, sql } = client
    const rows = rowReader(Reminder)
    const stateRows = rowReader(Schema.Struct({ state: ReminderState }))
    const columns = sql\`id\``

const reminderRows = `
    import { LeaseToken, type StoreError } from "@ai-core/database"
    import { makeIdsOf } from "@ai-core/database/core"
    import { memoryClaims, type MemoryTable, memoryTable, type PostgresMemory, type WorkItem } from "@ai-core/database/postgres"
    import { DateTime, type Duration, Effect, Option, Result } from "effect"
    import type { NoteId } from "./Notes.ts"
    import { type Reminder, type ReminderId, ReminderLost, type Reminders, type ReminderState, reminderWork } from "./Reminders.ts"
    import { RemindersInput } from "./RemindersInput.ts"
    interface Row extends WorkItem.WorkItem<ReminderState> { readonly id: ReminderId; readonly noteId: NoteId }`

const remindersInMemory = `${reminderRows}
    declare const reminders: MemoryTable<Row>
    declare const reminderOf: (row: Row) => Reminder
    declare const write: PostgresMemory.PostgresMemory["Service"]["write"]
    const nextToken = makeIdsOf(LeaseToken)`

/** What stands around an excerpt of the guide in its file, told by what the excerpt begins with. */
const surroundings: Readonly<Record<string, string>> = {
  "const rows": ofNotes,
  "const byId": readNotes,
  "const versionRows": readNotes,
  "const cancel": ofReminders,
  "const explain": `${ofReminders}
    import { expectVersion, Version } from "@ai-core/database/core"
    declare const operation: string, id: ReminderId, expectedVersion: number
    const heldRows = rowReader(Schema.Struct({ state: ReminderState, version: Version }))`,
  "const page": ofReminders,
  "const claims = makeClaims": ofReminders,
  "const claims = memoryClaims": remindersInMemory,
  "export const reminderWork": `
    import type { WorkItem } from "@ai-core/database/postgres"
    import type { ReminderState } from "./Reminders.ts"`,
  "const many": `${readNotes}
    import { makeBulkInsert } from "@ai-core/database/postgres"`,
  "const dueOf": `
    import { DateTime, Order } from "effect"
    type Place = { readonly dueOrder: DateTime.Utc | "infinity"; readonly id: string }
    interface Note { readonly dueAt: DateTime.Utc | null; readonly id: string }`,
  "const counts": `${ofNotes}
    import { type MemoryTable, type PostgresMemory, SafeInteger } from "@ai-core/database/postgres"
    import { Result } from "effect"
    declare const notes: MemoryTable<Note>
    declare const write: PostgresMemory.PostgresMemory["Service"]["write"]`,
  "const reminders": reminderRows,
  "export const ReminderList": `
    import { cursorAgrees, PageSize } from "@ai-core/database/core"
    import { Schema } from "effect"
    import { NoteId } from "./Notes.ts"
    import { reminderCursor } from "./Reminders.ts"`,
  "export const reminderStates": `
    import { stateMachine } from "@ai-core/database/core"`,
  "const stream": `
    import { streamPages } from "@ai-core/database/core"
    import type { NoteListOptions, Notes } from "./Notes.ts"
    declare const list: Notes["Service"]["list"]`,
  "const notes": `
    import { memoryTable, PostgresMemory } from "@ai-core/database/postgres"
    import { Effect, Result } from "effect"
    import type { Note } from "./Notes.ts"`,
  "const bookmarks": `
    import { memoryTable } from "@ai-core/database/postgres"
    import type { UserId } from "@ai-core/database"
    interface Bookmark { readonly id: string; readonly owner: UserId; readonly url: string; readonly title: string }`,
  "export const NotesContract": `
    import { Transaction } from "@ai-core/database"
    import { Contract } from "@ai-core/database/testing"
    import { Effect, Option } from "effect"
    import assert from "node:assert/strict"
    import { type Note, Notes } from "./Notes.ts"
    declare const created: Effect.Effect<Note, unknown, Notes>`,
  "const layer": `
    import { NodeRuntime } from "@effect/platform-node"
    import { PostgresEmbedded, TransactionLive } from "@ai-core/database/postgres"
    import { Effect, Layer } from "effect"
    import type { Notes } from "./Notes.ts"
    import * as NotesLive from "./NotesLive.ts"
    import * as NotesMigrations from "./NotesMigrations.ts"
    declare const program: Effect.Effect<void, unknown, Notes>`,
  "const stored = Layer.merge": `
    import { UsersMemory } from "@ai-core/database/platform/postgres/memory"
    import { PlatformMigrations, UsersLive } from "@ai-core/database/platform/postgres"
    import { PostgresMemory, TransactionLive, TransactionMemory } from "@ai-core/database/postgres"
    import { Layer } from "effect"
    import * as NotesLive from "./NotesLive.ts"
    import * as NotesMemory from "./NotesMemory.ts"
    import * as NotesMigrations from "./NotesMigrations.ts"`,
  NotesLive: `
    import { PlatformMigrations, PostgresRepositoriesLive } from "@ai-core/database/platform/postgres"
    import { PostgresEmbedded } from "@ai-core/database/postgres"
    import { Layer } from "effect"
    import * as NotesLive from "./NotesLive.ts"
    import * as NotesMigrations from "./NotesMigrations.ts"`
}

describe("the guide to a repository of one's own", () => {
  it.live(
    "shows code that compiles beside the finished files",
    () =>
      Effect.gen(function* () {
        const cwd = yield* emptyFolder
        cpSync(new URL("examples/own_repository", root), cwd, { recursive: true })
        const shown = blocksOf(guideOf("adding-a-repository"), "ts")
        assert.ok(shown.length > 8)
        shown.forEach((text, i) => {
          const around = Object.entries(surroundings).find(([start]) => new RegExp(`^${start}\\b`).test(text))
          assert.ok(
            around !== undefined || text.startsWith("import "),
            `nothing is known of what stands around ${text}`
          )
          // What a test of this repository imports, seen from this folder.
          const seen = text
            .replaceAll("../../examples/own_repository/", "./")
            .replaceAll(/"\.\.\/(contracts|postgres)\//g, '"../test/$1/')
          writeFileSync(join(cwd, `shown_${i}.ts`), `${around?.[1] ?? ""}\n${seen}`)
        })
        // An excerpt leaves much of what it declares to the rest of its file.
        const options = { ...config.compilerOptions, noUnusedLocals: false }
        // It declares what a run of the tests gives them.
        const include = [...config.include, "../test/servers/globalSetup.ts"]
        writeFileSync(join(cwd, "tsconfig.json"), JSON.stringify({ ...config, compilerOptions: options, include }))
        const compiled = runIn(cwd, ...compile)
        assert.equal(compiled.status, 0, compiled.stdout)
      }),
    240_000
  )
})
