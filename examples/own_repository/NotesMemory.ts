import {
  defaultPageSize,
  expectVersion,
  makeIdsOf,
  pageOfSorted,
  type StoreError,
  type VersionConflict
} from "@ai-core/database/core"
import { memoryTable, onConstraint, PostgresMemory } from "@ai-core/database/postgres"
import { DateTime, Effect, Layer, Order, Result } from "effect"
import { type Note, noteCursor, NoteId, NoteNotFound, Notes, TitleTaken } from "./Notes.ts"
import { NotesInput } from "./NotesInput.ts"

/** The rules of the table, under the names that the migration gives them. */
const notes = memoryTable<Note>({
  name: "notes",
  key: (note) => note.id,
  unique: { notes_title_key: (note) => note.title }
})

type Place = Pick<Note, "createdAt" | "id">
const oldestFirst: Order.Order<Place> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
  Order.mapInput(Order.String, ({ id }: Place) => id)
)

const make = Effect.gen(function* () {
  const { read, register, write } = yield* PostgresMemory.PostgresMemory
  yield* register(notes)
  const nextId = makeIdsOf(NoteId)

  const create: Notes["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const { body, title } = yield* NotesInput.create(given)
    const note: Note = { id: yield* nextId, title, body, version: 1, createdAt: yield* DateTime.now }
    return yield* Effect.mapError(
      write("Notes.create", (db) => Result.map(db.insert(notes, note), () => note)),
      onConstraint({ notes_title_key: () => new TitleTaken({ title }) })
    )
  })

  const findById: Notes["Service"]["findById"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* NotesInput.findById(given)
    return yield* read("Notes.findById", (db) => db.get(notes, id))
  })

  const edit: Notes["Service"]["edit"] = Effect.fnUntraced(function* (givenId, givenVersion, givenBody) {
    const { body, expectedVersion, id } = yield* NotesInput.edit(givenId, givenVersion, givenBody)
    return yield* write<Note, NoteNotFound | VersionConflict | StoreError>("Notes.edit", (db) =>
      Result.gen(function* () {
        const note = yield* expectVersion(id, expectedVersion, db.get(notes, id), () => new NoteNotFound({ id }))
        const edited = { ...note, body, version: note.version + 1 }
        yield* db.replace(notes, edited)
        return edited
      })
    )
  })

  const list: Notes["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const { after, limit = defaultPageSize } = yield* NotesInput.list(given)
    const sorted = yield* read("Notes.list", (db) => db.sorted(notes, oldestFirst))
    return pageOfSorted(sorted, oldestFirst, after, limit, noteCursor.after)
  })

  return Notes.of({ create, findById, edit, list })
})

/** `Notes` in memory, under the transactions of all memory repositories. */
export const layer: Layer.Layer<Notes, never, PostgresMemory.PostgresMemory> = Layer.effect(Notes, make)
