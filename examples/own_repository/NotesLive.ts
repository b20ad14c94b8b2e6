import { defaultPageSize, explainMiss, makeIdsOf, pageOf } from "@ai-core/database/core"
import {
  keyset,
  makeContained,
  onConstraint,
  PostgresClient,
  rowReader,
  Timestamp,
  Transaction
} from "@ai-core/database/postgres"
import { DateTime, Effect, Layer, Option } from "effect"
import { Note, noteCursor, NoteId, NoteNotFound, Notes, TitleTaken } from "./Notes.ts"
import { NotesInput } from "./NotesInput.ts"

const rows = rowReader(Note.mapFields((fields) => ({ ...fields, createdAt: Timestamp })))

const make = Effect.gen(function* () {
  const client = yield* PostgresClient.PostgresClient
  const { keyed, query, sql } = client
  const contained = makeContained(client, yield* Transaction)
  const nextId = makeIdsOf(NoteId)
  const columns = sql`id, title, body, version, created_at as "createdAt"`

  const create: Notes["Service"]["create"] = Effect.fnUntraced(function* (given) {
    const operation = "Notes.create"
    const { body, title } = yield* NotesInput.create(given)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const inserted = yield* contained(
      query(
        { operation, kind: "write" },
        keyed`insert into notebook.notes (id, title, body, created_at)
          values (${yield* nextId}, ${title}, ${body}, ${now}) returning ${columns}`
      )
    ).pipe(Effect.mapError(onConstraint({ notes_title_key: () => new TitleTaken({ title }) })))
    return yield* rows.one(operation, inserted)
  })

  const findById: Notes["Service"]["findById"] = Effect.fnUntraced(function* (given) {
    const operation = "Notes.findById"
    const { id } = yield* NotesInput.findById(given)
    const found = yield* query(
      { operation, kind: "read" },
      keyed`select ${columns} from notebook.notes where id = ${id}::uuid`
    )
    return yield* rows.option(operation, found)
  })

  const edit: Notes["Service"]["edit"] = Effect.fnUntraced(function* (givenId, givenVersion, givenBody) {
    const operation = "Notes.edit"
    const { body, expectedVersion, id } = yield* NotesInput.edit(givenId, givenVersion, givenBody)
    const edited = yield* query(
      { operation, kind: "write" },
      keyed`update notebook.notes set body = ${body}, version = version + 1
        where id = ${id}::uuid and version = ${expectedVersion}::int returning ${columns}`
    )
    if (edited.length === 0) {
      const stored = yield* findById(id)
      const version = Option.getOrUndefined(stored)?.version
      yield* explainMiss(id, expectedVersion, version, () => new NoteNotFound({ id }))
    }
    return yield* rows.one(operation, edited)
  })

  const list: Notes["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const operation = "Notes.list"
    const { after, limit = defaultPageSize } = yield* NotesInput.list(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "ascending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}`, sql`${after.id}::uuid`]
    )
    const found = yield* query(
      { operation, kind: "read" },
      sql`select ${columns} from notebook.notes where ${page.behind} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* rows.all(operation, found), limit, noteCursor.after)
  })

  return Notes.of({ create, findById, edit, list })
})

/** `Notes` on PostgreSQL: a server, or the embedded engine. */
export const layer: Layer.Layer<Notes, never, PostgresClient.PostgresClient | Transaction> = Layer.effect(Notes, make)
