import { defaultPageSize, expectVersion, makeIdsOf, pageOf, Version } from "@ai-core/database/core"
import {
  keyset,
  makeContained,
  makeLookup,
  onConstraint,
  PostgresClient,
  rowReader,
  Timestamp,
  Transaction,
  writeOrExplain
} from "@ai-core/database/postgres"
import { DateTime, Effect, Layer, Schema } from "effect"
import { Note, noteCursor, NoteId, NoteNotFound, Notes, TitleTaken } from "./Notes.ts"
import { NotesInput } from "./NotesInput.ts"

const rows = rowReader(Note.mapFields((fields) => ({ ...fields, createdAt: Timestamp })))
const versionRows = rowReader(Schema.Struct({ version: Version }))

const make = Effect.gen(function* () {
  const client = yield* PostgresClient.PostgresClient
  const { keyed, query, sql } = client
  const transaction = yield* Transaction
  const contained = makeContained(client, transaction)
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

  const byId = makeLookup(client, {
    operation: "Notes.findById",
    select: (ids: ReadonlyArray<NoteId>) =>
      keyed<{ readonly id: NoteId }>`select ${columns} from notebook.notes where id = any(${ids}::uuid[])`,
    selectOne: (id) => keyed<{ readonly id: NoteId }>`select ${columns} from notebook.notes where id = ${id}::uuid`,
    key: ({ id }) => id,
    rows
  })

  const findById: Notes["Service"]["findById"] = (given) =>
    Effect.flatMap(NotesInput.findById(given), ({ id }) => byId.find(id))

  const edit: Notes["Service"]["edit"] = Effect.fnUntraced(function* (givenId, givenVersion, givenBody) {
    const operation = "Notes.edit"
    const { body, expectedVersion, id } = yield* NotesInput.edit(givenId, givenVersion, givenBody)
    const write = query(
      { operation, kind: "write" },
      keyed`update notebook.notes set body = ${body}, version = version + 1
        where id = ${id}::uuid and version = ${expectedVersion}::int returning ${columns}`
    )
    const explain = Effect.gen(function* () {
      const found = yield* query(
        { operation, kind: "write" },
        keyed`select version from notebook.notes where id = ${id}::uuid for update`
      )
      const stored = yield* versionRows.option(operation, found)
      yield* Effect.fromResult(expectVersion(id, expectedVersion, stored, () => new NoteNotFound({ id })))
    })
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (edited) => rows.option(operation, edited)),
      explain
    )
  })

  const list: Notes["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "Notes.list", kind: "read" } as const
    const { after, limit = defaultPageSize } = yield* NotesInput.list(given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "ascending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}`, sql`${after.id}::uuid`]
    )
    const found = yield* query(
      call,
      sql`select ${columns} from notebook.notes where ${page.behind} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* rows.all(call, found), limit, noteCursor.after)
  })

  return Notes.of({ create, findById, edit, list })
})

/** `Notes` on PostgreSQL: a server, or the embedded engine. */
export const layer: Layer.Layer<Notes, never, PostgresClient.PostgresClient | Transaction> = Layer.effect(Notes, make)
