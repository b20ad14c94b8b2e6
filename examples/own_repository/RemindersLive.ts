import { LeaseToken } from "@ai-core/database"
import { defaultPageSize, makeIdsOf, pageOf, streamPages } from "@ai-core/database/core"
import {
  keyset,
  makeClaims,
  makeContained,
  onConstraint,
  PostgresClient,
  rowReader,
  Timestamp,
  Transaction,
  writeOrExplain
} from "@ai-core/database/postgres"
import { Array, DateTime, Effect, Layer, Option, Order, Schema } from "effect"
import { NoteNotFound } from "./Notes.ts"
import {
  AlreadyReminded,
  Reminder,
  reminderCursor,
  ReminderId,
  ReminderLost,
  ReminderNotFound,
  Reminders,
  ReminderState,
  reminderStates,
  reminderWork
} from "./Reminders.ts"
import { RemindersInput } from "./RemindersInput.ts"

const rows = rowReader(Reminder.mapFields((fields) => ({ ...fields, dueAt: Timestamp, createdAt: Timestamp })))
const stateRows = rowReader(Schema.Struct({ state: ReminderState }))

const longestDueFirst: Order.Order<Reminder> = Order.combine(
  Order.mapInput(DateTime.Order, ({ dueAt }: Reminder) => dueAt),
  Order.mapInput(Order.String, ({ id }: Reminder) => id)
)

const make = Effect.gen(function* () {
  const client = yield* PostgresClient.PostgresClient
  const { keyed, query, sql } = client
  const transaction = yield* Transaction
  const contained = makeContained(client, transaction)
  const nextId = makeIdsOf(ReminderId)
  const nextToken = makeIdsOf(LeaseToken)
  const claims = makeClaims(sql, { table: "notebook.reminders", states: reminderWork })
  // Of `w`, because claims give what is written of it.
  const columns = sql`w.id, w.note_id as "noteId", w.state, w.attempts, w.available_at as "dueAt",
    w.last_error as "lastError", w.created_at as "createdAt"`

  const add: Reminders["Service"]["add"] = Effect.fnUntraced(function* (givenNote, givenDueAt) {
    const operation = "Reminders.add"
    const { dueAt, noteId } = yield* RemindersInput.add(givenNote, givenDueAt)
    const now = DateTime.toDateUtc(yield* DateTime.now)
    const added = yield* contained(
      query(
        { operation, kind: "write" },
        keyed`insert into notebook.reminders as w (id, note_id, available_at, created_at)
          values (${yield* nextId}, ${noteId}, ${DateTime.toDateUtc(dueAt)}, ${now}) returning ${columns}`
      )
    ).pipe(
      Effect.mapError(
        onConstraint({
          reminders_note_fkey: () => new NoteNotFound({ id: noteId }),
          reminders_open_note_key: () => new AlreadyReminded({ noteId })
        })
      )
    )
    return yield* rows.one(operation, added)
  })

  const ofNote: Reminders["Service"]["ofNote"] = Effect.fnUntraced(function* (givenNote, given) {
    const call = { operation: "Reminders.ofNote", kind: "read" } as const
    const { after, limit = defaultPageSize, noteId } = yield* RemindersInput.ofNote(givenNote, given)
    const page = keyset(
      sql,
      ["created_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.createdAt)}`, sql`${after.id}::uuid`]
    )
    const found = yield* query(
      call,
      sql`select ${columns} from notebook.reminders as w
        where w.note_id = ${noteId}::uuid and ${page.behind} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* rows.all(call, found), limit, reminderCursor.after)
  })

  const streamOfNote: Reminders["Service"]["streamOfNote"] = (noteId) =>
    streamPages(ofNote(noteId), (after) => ofNote(noteId, { after }))

  const claim: Reminders["Service"]["claim"] = Effect.fnUntraced(function* (given) {
    const operation = "Reminders.claim"
    const { lease, limit } = yield* RemindersInput.claim(given)
    const token = yield* nextToken
    yield* query({ operation, kind: "write" }, claims.bury(sql`w.id`))
    const taken = yield* query({ operation, kind: "write" }, claims.take({ limit, lease, token, returning: columns }))
    const reminders = Array.sort(yield* rows.all(operation, taken), longestDueFirst)
    return reminders.map((reminder) => ({ reminder, token }))
  })

  const sent: Reminders["Service"]["sent"] = Effect.fnUntraced(function* (givenId, givenToken) {
    const operation = "Reminders.sent"
    const { id, token } = yield* RemindersInput.sent(givenId, givenToken)
    const done = yield* query(
      { operation, kind: "write" },
      keyed`update notebook.reminders as w set state = 'sent', ${claims.released}
        where ${claims.heldBy(id, token)} returning ${columns}`
    )
    const reminder = yield* rows.option(operation, done)
    return yield* Option.isSome(reminder) ? Effect.succeed(reminder.value) : Effect.fail(new ReminderLost({ id }))
  })

  const failed: Reminders["Service"]["failed"] = Effect.fnUntraced(function* (...given) {
    const operation = "Reminders.failed"
    const { error, id, pause, token } = yield* RemindersInput.failed(...given)
    const tried = yield* query(
      { operation, kind: "write" },
      keyed`update notebook.reminders as w set ${claims.failed(error, pause)}
        where ${claims.heldBy(id, token)} returning ${columns}`
    )
    const reminder = yield* rows.option(operation, tried)
    return yield* Option.isSome(reminder) ? Effect.succeed(reminder.value) : Effect.fail(new ReminderLost({ id }))
  })

  const cancel: Reminders["Service"]["cancel"] = Effect.fnUntraced(function* (given) {
    const operation = "Reminders.cancel"
    const { id } = yield* RemindersInput.cancel(given)
    const write = query(
      { operation, kind: "write" },
      keyed`update notebook.reminders as w set state = 'canceled'
        where w.id = ${id}::uuid and w.state = any(${reminderStates.before("canceled")}::text[]) returning ${columns}`
    )
    const explain = Effect.gen(function* () {
      const found = yield* query(
        { operation, kind: "write" },
        keyed`select state from notebook.reminders where id = ${id}::uuid for update`
      )
      const stored = yield* stateRows.option(operation, found)
      if (Option.isNone(stored)) return yield* new ReminderNotFound({ id })
      return yield* Effect.fromResult(reminderStates.go(id, stored.value.state, "canceled"))
    })
    return yield* writeOrExplain(
      operation,
      transaction,
      Effect.flatMap(write, (canceled) => rows.option(operation, canceled)),
      explain
    )
  })

  return Reminders.of({ add, ofNote, streamOfNote, claim, sent, failed, cancel })
})

/** `Reminders` on PostgreSQL: a server, or the embedded engine. */
export const layer: Layer.Layer<Reminders, never, PostgresClient.PostgresClient | Transaction> = Layer.effect(
  Reminders,
  make
)
