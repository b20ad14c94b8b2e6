import { LeaseToken, type StoreError } from "@ai-core/database"
import { defaultPageSize, type IllegalTransition, makeIdsOf, pageOfSorted, streamPages } from "@ai-core/database/core"
import { memoryClaims, memoryTable, onConstraint, PostgresMemory, type WorkItem } from "@ai-core/database/postgres"
import { DateTime, Effect, Layer, Option, Order, Result } from "effect"
import { type NoteId, NoteNotFound } from "./Notes.ts"
import {
  AlreadyReminded,
  type Reminder,
  reminderCursor,
  ReminderId,
  ReminderLost,
  ReminderNotFound,
  Reminders,
  type ReminderState,
  reminderStates,
  reminderWork
} from "./Reminders.ts"
import { RemindersInput } from "./RemindersInput.ts"

/** A row, as the table keeps it. */
interface Row extends WorkItem.WorkItem<ReminderState> {
  readonly id: ReminderId
  readonly noteId: NoteId
  readonly createdAt: DateTime.Utc
}

const reminders = memoryTable<Row>({
  name: "reminders",
  key: ({ id }) => id,
  unique: {
    // Undefined leaves the row out, as the condition of the index does.
    reminders_open_note_key: ({ noteId, state }) => (state === "waiting" || state === "sending" ? noteId : undefined)
  },
  references: { reminders_note_fkey: { to: "notes", key: ({ noteId }) => noteId, onRemoval: "cascade" } }
})

const claims = memoryClaims({ table: reminders, states: reminderWork })

const reminderOf = ({ attempts, availableAt, createdAt, id, lastError, noteId, state }: Row): Reminder => ({
  id,
  noteId,
  state,
  attempts,
  dueAt: availableAt,
  lastError,
  createdAt
})

type Place = Pick<Reminder, "createdAt" | "id">
const newestFirst: Order.Order<Place> = Order.flip(
  Order.combine(
    Order.mapInput(DateTime.Order, ({ createdAt }: Place) => createdAt),
    Order.mapInput(Order.String, ({ id }: Place) => id)
  )
)

const make = Effect.gen(function* () {
  const { read, register, write } = yield* PostgresMemory.PostgresMemory
  yield* register(reminders)
  const nextId = makeIdsOf(ReminderId)
  const nextToken = makeIdsOf(LeaseToken)

  const add: Reminders["Service"]["add"] = Effect.fnUntraced(function* (givenNote, givenDueAt) {
    const { dueAt, noteId } = yield* RemindersInput.add(givenNote, givenDueAt)
    const row: Row = {
      id: yield* nextId,
      noteId,
      createdAt: yield* DateTime.now,
      state: "waiting",
      attempts: 0,
      maxAttempts: 3,
      availableAt: dueAt,
      leaseToken: null,
      leaseUntil: null,
      lastError: null
    }
    return yield* Effect.mapError(
      write("Reminders.add", (db) => Result.map(db.insert(reminders, row), () => reminderOf(row))),
      onConstraint({
        reminders_note_fkey: () => new NoteNotFound({ id: noteId }),
        reminders_open_note_key: () => new AlreadyReminded({ noteId })
      })
    )
  })

  const ofNote: Reminders["Service"]["ofNote"] = Effect.fnUntraced(function* (givenNote, given) {
    const { after, limit = defaultPageSize, noteId } = yield* RemindersInput.ofNote(givenNote, given)
    const found = yield* read("Reminders.ofNote", (db) => db.rows(reminders, (row) => row.noteId === noteId))
    return pageOfSorted(found.map(reminderOf).sort(newestFirst), newestFirst, after, limit, reminderCursor.after)
  })

  const streamOfNote: Reminders["Service"]["streamOfNote"] = (noteId) =>
    streamPages(ofNote(noteId), (after) => ofNote(noteId, { after }))

  const claim: Reminders["Service"]["claim"] = Effect.fnUntraced(function* (given) {
    const { lease, limit } = yield* RemindersInput.claim(given)
    const token = yield* nextToken
    const now = yield* DateTime.now
    const taken = yield* write("Reminders.claim", (db) =>
      Result.andThen(claims.bury(db, { now }), () => claims.take(db, { limit, lease, token, now }))
    )
    return taken.map((row) => ({ reminder: reminderOf(row), token }))
  })

  /** Changes a reminder that the holder of this token has still. */
  const finish = Effect.fnUntraced(function* (
    operation: string,
    id: ReminderId,
    token: LeaseToken,
    change: (row: Row, now: DateTime.Utc) => Row
  ) {
    const now = yield* DateTime.now
    return yield* write<Reminder, ReminderLost | StoreError>(operation, (db) =>
      Result.gen(function* () {
        const held = Option.filter(db.get(reminders, id), claims.heldBy(token, now))
        const row = yield* Result.fromOption(held, () => new ReminderLost({ id }))
        const changed = change(row, now)
        yield* db.replace(reminders, changed)
        return reminderOf(changed)
      })
    )
  })

  const sent: Reminders["Service"]["sent"] = Effect.fnUntraced(function* (givenId, givenToken) {
    const { id, token } = yield* RemindersInput.sent(givenId, givenToken)
    return yield* finish("Reminders.sent", id, token, (row) => ({ ...row, ...claims.released, state: "sent" }))
  })

  const failed: Reminders["Service"]["failed"] = Effect.fnUntraced(function* (...given) {
    const { error, id, pause, token } = yield* RemindersInput.failed(...given)
    return yield* finish("Reminders.failed", id, token, (row, now) => claims.failed(row, error, pause, now))
  })

  const cancel: Reminders["Service"]["cancel"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* RemindersInput.cancel(given)
    return yield* write<Reminder, ReminderNotFound | IllegalTransition | StoreError>("Reminders.cancel", (db) =>
      Result.gen(function* () {
        const row = yield* Result.fromOption(db.get(reminders, id), () => new ReminderNotFound({ id }))
        const canceled = { ...row, state: yield* reminderStates.go(id, row.state, "canceled") }
        yield* db.replace(reminders, canceled)
        return reminderOf(canceled)
      })
    )
  })

  return Reminders.of({ add, ofNote, streamOfNote, claim, sent, failed, cancel })
})

/** `Reminders` in memory; their notes are those of `NotesMemory` over the same `PostgresMemory`. */
export const layer: Layer.Layer<Reminders, never, PostgresMemory.PostgresMemory> = Layer.effect(Reminders, make)
