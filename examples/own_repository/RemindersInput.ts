import { LeaseToken } from "@ai-core/database"
import { decodeInput } from "@ai-core/database/core"
import { Schema } from "effect"
import { NoteId } from "./Notes.ts"
import { ReminderClaim, ReminderFailure, ReminderId, ReminderList } from "./Reminders.ts"

const at = (method: string) => ({ store: "postgresql", operation: `Reminders.${method}`, subject: "input" }) as const

const add = decodeInput(Schema.Struct({ noteId: NoteId, dueAt: Schema.DateTimeUtc }))
const ofNote = decodeInput(ReminderList)
const claim = decodeInput(ReminderClaim)
const sent = decodeInput(Schema.Struct({ id: ReminderId, token: LeaseToken }))
const failed = decodeInput(ReminderFailure)
const cancel = decodeInput(Schema.Struct({ id: ReminderId }))

/** The checks of what callers give: one for every implementation, so that all refuse the same. */
export const RemindersInput = {
  add: (noteId: unknown, dueAt: unknown) => add(at("add"), { noteId, dueAt }),
  ofNote: (noteId: unknown, options: object | undefined) => ofNote(at("ofNote"), { ...options, noteId }),
  claim: (options: unknown) => claim(at("claim"), options),
  sent: (id: unknown, token: unknown) => sent(at("sent"), { id, token }),
  failed: (id: unknown, token: unknown, error: unknown, pause: unknown) =>
    failed(at("failed"), { id, token, error, pause }),
  cancel: (id: unknown) => cancel(at("cancel"), { id })
}
