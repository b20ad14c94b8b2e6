import { Effect } from "effect"
import { AuditEntryId, AuditLog, auditCursor } from "../../../src/platform/audit/AuditLog.ts"
import { UserId } from "../../../src/platform/users/Users.ts"
import { unique } from "../../../src/testing/Contract.ts"
import type { Attempts } from "./Attempt.ts"
import { json, nothing, time } from "./samples.ts"

const actorId = UserId.make(nothing)
const entry = Effect.map(unique("subject"), (subjectId) => ({
  actorId,
  action: "thing.do",
  subjectKind: "thing",
  subjectId,
  detail: json
}))
const stored = (text: string) =>
  Effect.flatMap(AuditLog, (log) => log.list({ subjectKind: "thing", subjectId: text, limit: 1 }))

const filter = { actorId, action: "nothing.do", subjectKind: "thing", subjectId: "2" }
// As wide as a range may be: JavaScript reads a date out of many a text, and each is in it.
const ranges = [
  { _tag: "Last", duration: "1 hour" },
  { _tag: "Between", from: "1900-01-01T00:00:00Z", to: "2299-12-31T00:00:00Z" }
] as const
const after = auditCursor.after({ occurredAt: time, id: AuditEntryId.make(nothing) })

export const auditLog: Attempts<AuditLog["Service"], AuditLog> = {
  append: {
    parameters: [""],
    samples: [Effect.map(entry, (entry) => [entry])],
    keeps: ({ subjectId }) => stored(subjectId)
  },
  appendMany: {
    parameters: ["entries"],
    samples: [Effect.map(Effect.all([entry, entry]), (entries) => [entries])],
    keeps: (entries) => Effect.forEach(entries, ({ subjectId }) => stored(subjectId))
  },
  list: {
    parameters: [""],
    samples: ranges.map((during) => Effect.succeed([{ ...filter, during, limit: 1, after }] as const))
  },
  stream: {
    parameters: [""],
    samples: ranges.map((during) => Effect.succeed([{ ...filter, during }] as const))
  }
}
