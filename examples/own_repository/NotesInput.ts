import { decodeInput, textOf, Version } from "@ai-core/database/core"
import { Schema } from "effect"
import { NewNote, NoteId, NoteList } from "./Notes.ts"

const at = (method: string) => ({ store: "postgresql", operation: `Notes.${method}`, subject: "input" }) as const

const create = decodeInput(NewNote)
const findById = decodeInput(Schema.Struct({ id: NoteId }))
const edit = decodeInput(Schema.Struct({ id: NoteId, expectedVersion: Version, body: textOf(0, 10_000) }))
const list = decodeInput(NoteList)

/** The checks of what callers give: one for every implementation, so that all refuse the same. */
export const NotesInput = {
  create: (note: unknown) => create(at("create"), note),
  findById: (id: unknown) => findById(at("findById"), { id }),
  edit: (id: unknown, expectedVersion: unknown, body: unknown) => edit(at("edit"), { id, expectedVersion, body }),
  list: (options: unknown) => list(at("list"), options ?? {})
}
