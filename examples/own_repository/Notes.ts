import {
  cursor,
  MomentFromMillis,
  Name,
  type Page,
  PageSize,
  textOf,
  TimeOrderedId,
  Version,
  type VersionConflict
} from "@ai-core/database/core"
import type { StoreError } from "@ai-core/database"
import { Context, type Effect, type Option, Schema } from "effect"

export const NoteId = TimeOrderedId.pipe(Schema.brand("NoteId"))
export type NoteId = typeof NoteId.Type

export const Note = Schema.Struct({
  id: NoteId,
  title: Schema.String,
  body: Schema.String,
  version: Version,
  createdAt: Schema.DateTimeUtc
})
export type Note = typeof Note.Type

export const NewNote = Schema.Struct({ title: Name, body: textOf(0, 10_000) })
export type NewNote = typeof NewNote.Type

/** Continues a list of notes. */
export const NoteCursor = Schema.String.pipe(Schema.brand("NoteCursor"))
export type NoteCursor = typeof NoteCursor.Type

export const noteCursor = cursor("notes", NoteCursor, Schema.Struct({ createdAt: MomentFromMillis, id: NoteId }))

/** Which notes a page lists. */
export const NoteList = Schema.Struct({
  limit: Schema.optional(PageSize),
  after: Schema.optional(noteCursor.key)
})
/** Written out, because a caller gives the cursor's text where the schema's type has what it decodes to. */
export interface NoteListOptions {
  readonly limit?: number | undefined
  readonly after?: NoteCursor | undefined
}

export class TitleTaken extends Schema.TaggedError<TitleTaken>("notebook/TitleTaken")("TitleTaken", {
  title: Schema.String
}) {}

export class NoteNotFound extends Schema.TaggedError<NoteNotFound>("notebook/NoteNotFound")("NoteNotFound", {
  id: NoteId
}) {}

/** The notes of a notebook. Every method may fail with `StoreError`; all take part in the `Transaction` around them. */
export class Notes extends Context.Service<
  Notes,
  {
    readonly create: (note: NewNote) => Effect.Effect<Note, TitleTaken | StoreError>
    /** Those asked for together are sought by one statement. */
    readonly findById: (id: NoteId) => Effect.Effect<Option.Option<Note>, StoreError>
    /** Changes the text of a note that is still at the version its editor read. */
    readonly edit: (
      id: NoteId,
      expectedVersion: number,
      body: string
    ) => Effect.Effect<Note, NoteNotFound | VersionConflict | StoreError>
    /** Lists notes page by page, oldest first. */
    readonly list: (options?: NoteListOptions) => Effect.Effect<Page<Note, NoteCursor>, StoreError>
  }
>()("notebook/Notes") {}
