import type { LeaseToken } from "@ai-core/database"
import { Contract } from "@ai-core/database/testing"
import { DateTime, type Duration, Effect, Option, Stream } from "effect"
import assert from "node:assert/strict"
import { NoteId, Notes } from "./Notes.ts"
import { ReminderId, Reminders } from "./Reminders.ts"

const noted = Effect.gen(function* () {
  const notes = yield* Notes
  return yield* notes.create({ title: yield* Contract.unique("note"), body: "" })
})

/** A reminder of a new note; one that is not due is nobody's work. */
const added = Effect.fnUntraced(function* (dueIn: Duration.Input = 0) {
  const reminders = yield* Reminders
  const { id } = yield* noted
  return yield* reminders.add(id, DateTime.addDuration(yield* DateTime.now, dueIn))
})

/** Takes what is due, until this one is among it. */
const claimed = Effect.fnUntraced(function* (id: ReminderId, lease: Duration.Input = "1 minute") {
  const reminders = yield* Reminders
  const taken = yield* reminders.claim({ limit: 1000, lease })
  return Option.fromUndefinedOr(taken.find(({ reminder }) => reminder.id === id))
})

const state = Effect.fnUntraced(function* (noteId: NoteId) {
  const reminders = yield* Reminders
  return (yield* reminders.ofNote(noteId)).items.map((reminder) => reminder.state)
})

const nobody = "01900000-0000-7000-8000-000000000000"

/** What every implementation of `Reminders` does. Cases share a store: each makes reminders of its own. */
export const RemindersContract: Contract.Contract<Notes | Reminders> = Contract.make<Notes | Reminders>("Reminders", {
  "a note has one reminder under way, and another one after that": Effect.gen(function* () {
    const reminders = yield* Reminders
    const first = yield* added("1 day")
    assert.equal(first.state, "waiting")
    const refused = yield* Effect.flip(reminders.add(first.noteId, first.dueAt))
    assert.equal(refused._tag, "AlreadyReminded")
    yield* reminders.cancel(first.id)
    const second = yield* reminders.add(first.noteId, first.dueAt)
    assert.deepEqual((yield* reminders.ofNote(first.noteId)).items, [second, { ...first, state: "canceled" }])
    const unknown = yield* Effect.flip(reminders.add(NoteId.make(nobody), first.dueAt))
    assert.equal(unknown._tag, "NoteNotFound")
  }),
  "what is due is one worker's until the lease ends; then another one's, and never the first one's again": Effect.gen(
    function* () {
      const reminders = yield* Reminders
      const reminder = yield* added()
      const later = yield* added("1 day")
      const first = Option.getOrThrow(yield* claimed(reminder.id, "1 second"))
      assert.deepEqual(first.reminder, { ...reminder, state: "sending", attempts: 1 })
      assert.deepEqual(yield* claimed(reminder.id), Option.none())
      yield* Contract.passTime("1500 millis")
      const second = Option.getOrThrow(yield* claimed(reminder.id))
      assert.equal(second.reminder.attempts, 2)
      assert.equal((yield* Effect.flip(reminders.sent(reminder.id, first.token)))._tag, "ReminderLost")
      assert.equal((yield* reminders.sent(reminder.id, second.token)).state, "sent")
      assert.equal((yield* Effect.flip(reminders.sent(reminder.id, second.token)))._tag, "ReminderLost")
      assert.deepEqual(yield* state(later.noteId), ["waiting"])
    }
  ),
  "a failed try waits for its pause, and the third is the last": Effect.gen(function* () {
    const reminders = yield* Reminders
    const { id } = yield* added()
    const fail = Effect.fnUntraced(function* (pause: Duration.Input) {
      const { token } = Option.getOrThrow(yield* claimed(id))
      return yield* reminders.failed(id, token, "no network", pause)
    })
    const once = yield* fail("1 second")
    assert.deepEqual([once.state, once.attempts, once.lastError], ["waiting", 1, "no network"])
    assert.deepEqual(yield* claimed(id), Option.none())
    yield* Contract.passTime("1500 millis")
    assert.equal((yield* fail(0)).state, "waiting")
    assert.equal((yield* fail(0)).state, "dead")
    assert.deepEqual(yield* claimed(id), Option.none())
  }),
  "one whose last lease ended without a word is dead": Effect.gen(function* () {
    const { id, noteId } = yield* added()
    for (const attempts of [1, 2, 3]) {
      const { reminder } = Option.getOrThrow(yield* claimed(id, "100 millis"))
      assert.equal(reminder.attempts, attempts)
      yield* Contract.passTime("300 millis")
    }
    assert.deepEqual(yield* claimed(id), Option.none())
    assert.deepEqual(yield* state(noteId), ["dead"])
  }),
  "only what waits or is dead is canceled": Effect.gen(function* () {
    const reminders = yield* Reminders
    const { id } = yield* added()
    const { token } = Option.getOrThrow(yield* claimed(id))
    const refused = yield* Effect.flip(reminders.cancel(id))
    assert.ok(refused._tag === "IllegalTransition", refused._tag)
    assert.deepEqual([refused.from, refused.to, refused.allowed], ["sending", "canceled", []])
    assert.equal((yield* reminders.failed(id, token, "no network", "1 day")).state, "waiting")
    assert.equal((yield* reminders.cancel(id)).state, "canceled")
    assert.equal((yield* Effect.flip(reminders.cancel(ReminderId.make(nobody))))._tag, "ReminderNotFound")
  }),
  "a note's pages and its stream hold its reminders, newest first, and another note's cursor is refused": Effect.gen(
    function* () {
      const reminders = yield* Reminders
      const { id: noteId } = yield* noted
      const dueAt = DateTime.addDuration(yield* DateTime.now, "1 day")
      const ids = yield* Effect.forEach([1, 2, 3], () =>
        Effect.flatMap(reminders.add(noteId, dueAt), ({ id }) => Effect.as(reminders.cancel(id), id))
      )
      const first = yield* reminders.ofNote(noteId, { limit: 2 })
      const after = Option.getOrThrow(first.next)
      const rest = yield* reminders.ofNote(noteId, { limit: 2, after })
      assert.deepEqual(
        [...first.items, ...rest.items].map(({ id }) => id),
        ids.toReversed()
      )
      const streamed = yield* Stream.runCollect(reminders.streamOfNote(noteId))
      assert.deepEqual(
        streamed.map(({ id }) => id),
        ids.toReversed()
      )
      const other = yield* noted
      const refused = yield* Effect.flip(reminders.ofNote(other.id, { after }))
      assert.ok(refused.reason._tag === "InvalidData")
      assert.deepEqual(
        refused.reason.problems.map(({ field }) => field),
        ["after"]
      )
    }
  ),
  "wrong input is refused by name, a token that is none too": Effect.gen(function* () {
    const reminders = yield* Reminders
    const wrong = (effect: Effect.Effect<unknown, { readonly _tag: string }>) =>
      Effect.map(Effect.flip(effect), (error) => ("reason" in error ? JSON.stringify(error.reason) : error._tag))
    const claim = yield* wrong(reminders.claim({ limit: 0, lease: 0 }))
    assert.match(claim, /"limit".*"lease"/)
    const { id } = yield* added("1 day")
    // What a program that has its token from elsewhere may give.
    const token = "worker-1" as LeaseToken
    assert.match(yield* wrong(reminders.sent(id, token)), /"token"/)
  })
})
