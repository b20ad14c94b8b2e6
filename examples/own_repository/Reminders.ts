import { type IllegalTransition, LeaseToken, type StoreError } from "@ai-core/database"
import {
  cursor,
  cursorAgrees,
  durationBetween,
  MomentFromMillis,
  type Page,
  PageSize,
  stateMachine,
  textOf,
  TimeOrderedId
} from "@ai-core/database/core"
import type { WorkItem } from "@ai-core/database/postgres"
import { Context, type DateTime, type Duration, type Effect, Schema, type Stream } from "effect"
import { NoteId, type NoteNotFound } from "./Notes.ts"

export const ReminderId = TimeOrderedId.pipe(Schema.brand("ReminderId"))
export type ReminderId = typeof ReminderId.Type

/** Where a program may move a reminder; what workers do to it, claims see to. */
export const reminderStates = stateMachine("reminder", {
  waiting: ["canceled"],
  sending: [],
  sent: [],
  dead: ["canceled"],
  canceled: []
})
export const ReminderState = reminderStates.schema
export type ReminderState = typeof ReminderState.Type

/** How workers share reminders. */
export const reminderWork: WorkItem.WorkStates<ReminderState> = { waiting: "waiting", running: "sending", dead: "dead" }

export const Reminder = Schema.Struct({
  id: ReminderId,
  noteId: NoteId,
  state: ReminderState,
  /** Times that somebody has begun to send it. */
  attempts: Schema.Int,
  /** Not sent before. */
  dueAt: Schema.DateTimeUtc,
  lastError: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtc
})
export type Reminder = typeof Reminder.Type

/** Continues the list of one note's reminders. */
export const ReminderCursor = Schema.String.pipe(Schema.brand("ReminderCursor"))
export type ReminderCursor = typeof ReminderCursor.Type

export const reminderCursor = cursor(
  "reminders",
  ReminderCursor,
  Schema.Struct({ noteId: NoteId, createdAt: MomentFromMillis, id: ReminderId })
)

/** Which reminders a page lists: those of the note that the cursor came from, too. */
export const ReminderList = Schema.Struct({
  noteId: NoteId,
  limit: Schema.optional(PageSize),
  after: Schema.optional(reminderCursor.key)
}).check(cursorAgrees("noteId"))
export interface ReminderListOptions {
  readonly limit?: number | undefined
  readonly after?: ReminderCursor | undefined
}

export const ReminderClaim = Schema.Struct({ limit: PageSize, lease: durationBetween("1 milli", "1 day") })
export interface ReminderClaimOptions {
  /** 1 to 1000. */
  readonly limit: number
  /** 1 millisecond to 1 day. */
  readonly lease: Duration.Input
}

/** A try that failed. */
export const ReminderFailure = Schema.Struct({
  id: ReminderId,
  token: LeaseToken,
  error: textOf(1, 1000),
  pause: durationBetween(0, "7 days")
})

/** A reminder that was taken, and what shows that it is one's own. */
export interface ClaimedReminder {
  readonly reminder: Reminder
  readonly token: LeaseToken
}

export class AlreadyReminded extends Schema.TaggedError<AlreadyReminded>("notebook/AlreadyReminded")(
  "AlreadyReminded",
  { noteId: NoteId }
) {}

export class ReminderNotFound extends Schema.TaggedError<ReminderNotFound>("notebook/ReminderNotFound")(
  "ReminderNotFound",
  { id: ReminderId }
) {}

/** The lease has ended, and somebody else may have the reminder. */
export class ReminderLost extends Schema.TaggedError<ReminderLost>("notebook/ReminderLost")("ReminderLost", {
  id: ReminderId
}) {}

/** Reminders of notes, as work. Every method may fail with `StoreError`. */
export class Reminders extends Context.Service<
  Reminders,
  {
    /** A note has one reminder that waits or is being sent. */
    readonly add: (
      noteId: NoteId,
      dueAt: DateTime.Utc
    ) => Effect.Effect<Reminder, NoteNotFound | AlreadyReminded | StoreError>
    /** Lists a note's reminders page by page, newest first. */
    readonly ofNote: (
      noteId: NoteId,
      options?: ReminderListOptions
    ) => Effect.Effect<Page<Reminder, ReminderCursor>, StoreError>
    readonly streamOfNote: (noteId: NoteId) => Stream.Stream<Reminder, StoreError>
    /** Takes what is due, longest due first; nobody else gets it before the lease ends. */
    readonly claim: (options: ReminderClaimOptions) => Effect.Effect<ReadonlyArray<ClaimedReminder>, StoreError>
    readonly sent: (id: ReminderId, token: LeaseToken) => Effect.Effect<Reminder, ReminderLost | StoreError>
    /** Says that sending failed: it waits for so long, or is dead where this was its last try. */
    readonly failed: (
      id: ReminderId,
      token: LeaseToken,
      error: string,
      pause: Duration.Input
    ) => Effect.Effect<Reminder, ReminderLost | StoreError>
    readonly cancel: (id: ReminderId) => Effect.Effect<Reminder, ReminderNotFound | IllegalTransition | StoreError>
  }
>()("notebook/Reminders") {}
