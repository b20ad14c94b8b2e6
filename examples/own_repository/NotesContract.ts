import { Transaction } from "@ai-core/database"
import { Contract, Expectations } from "@ai-core/database/testing"
import { Effect, Option } from "effect"
import assert from "node:assert/strict"
import { type NoteCursor, noteCursor, NoteId, Notes } from "./Notes.ts"

const created = Effect.gen(function* () {
  const notes = yield* Notes
  return yield* notes.create({ title: yield* Contract.unique("note"), body: "first" })
})

const nobody = NoteId.make("01900000-0000-7000-8000-000000000000")

/** What every implementation of `Notes` does. Cases share a store: each makes notes of its own. */
export const NotesContract: Contract.Contract<Notes | Transaction> = Contract.make<Notes | Transaction>("Notes", {
  "a note is found as it was made, at version 1": Effect.gen(function* () {
    const notes = yield* Notes
    const note = yield* created
    assert.equal(note.version, 1)
    assert.deepEqual(yield* notes.findById(note.id), Option.some(note))
    assert.deepEqual(yield* notes.findById(nobody), Option.none())
  }),
  "those asked for together are each given their own": Effect.gen(function* () {
    const notes = yield* Notes
    const made = yield* Effect.forEach([1, 2, 3], () => created)
    const ids = [...made.map(({ id }) => id), nobody]
    const found = yield* Effect.forEach(ids, (id) => notes.findById(id), { concurrency: "unbounded" })
    assert.deepEqual(found, [...made.map(Option.some), Option.none()])
  }),
  "a title is taken once, and the transaction around a refusal goes on": Effect.gen(function* () {
    const notes = yield* Notes
    const { run } = yield* Transaction
    const { title } = yield* created
    const other = yield* run(
      Effect.gen(function* () {
        const refused = yield* Effect.flip(notes.create({ title, body: "second" }))
        assert.equal(refused._tag, "TitleTaken")
        return yield* created
      })
    )
    assert.ok(Option.isSome(yield* notes.findById(other.id)))
  }),
  "of two who edit the same version one wins": Effect.gen(function* () {
    const notes = yield* Notes
    const note = yield* created
    const edited = yield* notes.edit(note.id, 1, "second")
    assert.deepEqual(edited, { ...note, body: "second", version: 2 })
    assert.equal((yield* Effect.flip(notes.edit(note.id, 1, "third")))._tag, "VersionConflict")
    assert.equal((yield* Effect.flip(notes.edit(nobody, 1, "third")))._tag, "NoteNotFound")
    assert.deepEqual(yield* notes.findById(note.id), Option.some(edited))
  }),
  "pages hold every note once, oldest first": Effect.gen(function* () {
    const notes = yield* Notes
    const mine = yield* Effect.forEach([1, 2, 3, 4, 5], () => created)
    const pages = yield* Expectations.pages((after: NoteCursor | undefined) => notes.list({ limit: 2, after }))
    const seen = pages.flat().map(({ id }) => id)
    const ids = mine.map(({ id }) => id)
    assert.deepEqual(
      seen.filter((id) => ids.some((own) => own === id)),
      ids
    )
    assert.equal(new Set(seen).size, seen.length)
  }),
  "a page begins behind its cursor": Effect.gen(function* () {
    const notes = yield* Notes
    const note = yield* created
    const later = yield* created
    assert.equal((yield* notes.list({ after: noteCursor.after(note), limit: 1 })).items[0]?.id, later.id)
  }),
  "wrong input is refused by name, and text that looks like SQL is text": Effect.gen(function* () {
    const notes = yield* Notes
    yield* Expectations.refuses(notes.create({ title: "", body: "\0" }), "Notes.create", ["title", "body"])
    yield* Expectations.refuses(notes.list({ limit: 0 }), "Notes.list", ["limit"])
    const title = `${yield* Contract.unique("note")}'); drop table notebook.notes; --`
    const note = yield* notes.create({ title, body: "" })
    assert.equal(note.title, title)
  }),
  "a failed transaction keeps nothing": Effect.gen(function* () {
    const notes = yield* Notes
    const { run } = yield* Transaction
    const title = yield* Contract.unique("note")
    yield* Effect.flip(run(Effect.andThen(notes.create({ title, body: "" }), Effect.fail("no" as const))))
    assert.equal((yield* notes.create({ title, body: "again" })).body, "again")
  })
})
