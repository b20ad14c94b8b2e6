/** A repository of one's own, on the embedded engine: its table, beside the platform's, and what it does. */
import { NodeRuntime } from "@effect/platform-node"
import { Transaction } from "@ai-core/database"
import { PostgresEmbedded, TransactionLive } from "@ai-core/database/postgres"
import { Console, Effect, Layer, Option } from "effect"
import { Notes } from "./own_repository/Notes.ts"
import * as NotesLive from "./own_repository/NotesLive.ts"
import * as NotesMigrations from "./own_repository/NotesMigrations.ts"

const program = Effect.gen(function* () {
  const notes = yield* Notes
  const transaction = yield* Transaction

  const note = yield* notes.create({ title: "Shopping", body: "milk" })
  yield* Console.log(`created   ${note.title} at version ${note.version}`)

  const taken = yield* Effect.flip(notes.create({ title: "Shopping", body: "" }))
  yield* Console.log(`refused   ${taken._tag}`)

  const edited = yield* notes.edit(note.id, note.version, "milk, bread")
  const late = yield* Effect.flip(notes.edit(note.id, note.version, "nothing"))
  yield* Console.log(`edited    ${edited.body}, then ${late._tag}`)

  yield* transaction.run(
    Effect.forEach(["Monday", "Tuesday", "Wednesday"], (title) => notes.create({ title, body: "" }))
  )
  const page = yield* notes.list({ limit: 2 })
  yield* Console.log(
    `listed    ${page.items.map(({ title }) => title).join(", ")}, and more: ${Option.isSome(page.next)}`
  )
})

const layer = NotesLive.layer.pipe(
  Layer.provideMerge(TransactionLive.layer),
  Layer.provide(NotesMigrations.layer),
  Layer.provide(PostgresEmbedded.layer())
)

export const main = (): void => program.pipe(Effect.provide(layer), NodeRuntime.runMain)

if (import.meta.main) main()
