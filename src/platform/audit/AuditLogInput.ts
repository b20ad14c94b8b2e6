import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { defaultPageSize, streamPages } from "../../core/KeysetPage.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { storedJson } from "../../core/StorableJson.ts"
import * as TimeRange from "../TimeRange.ts"
import { type AuditEntry, AuditEntryId, type AuditFilter, AuditList, type AuditLog, NewAuditEntry } from "./AuditLog.ts"

const subject = (method: string) =>
  ({ store: "postgresql", operation: `AuditLog.${method}`, subject: "input" }) as const

const mostAtOnce = 1000

const entry = decodeInput(NewAuditEntry)
const entries = decodeInput(
  Schema.Struct({ entries: Schema.Array(NewAuditEntry).check(Schema.isMaxLength(mostAtOnce)) })
)
const list = decodeInput(AuditList)

/** The checks of what callers give to `AuditLog`: one for every implementation, so that all refuse the same. */
export const AuditLogInput = {
  append: (given: unknown) => entry(subject("append"), given),
  appendMany: (given: unknown) =>
    Effect.map(entries(subject("appendMany"), { entries: given }), ({ entries }) => entries),
  list: (given: unknown) =>
    Effect.gen(function* () {
      const { after, during, limit = defaultPageSize, ...equal } = yield* list(subject("list"), given ?? {})
      const range = during === undefined ? undefined : yield* TimeRange.resolve(subject("list"), during, "during")
      return { after, range, limit, equal }
    })
}

/** Makes the entry that is stored: with an id, and the time at which it was told. */
export const makeEntries = () => {
  const nextId = makeIdsOf(AuditEntryId)
  return ({ action, actorId = null, detail = {}, subjectId, subjectKind }: NewAuditEntry): Effect.Effect<AuditEntry> =>
    Effect.gen(function* () {
      const occurredAt = yield* DateTime.now
      return { id: yield* nextId, occurredAt, actorId, action, subjectKind, subjectId, detail: storedJson(detail) }
    })
}

/** Entries of one page of a stream. */
const streamPageSize = 500

/** Makes `AuditLog.stream` of an implementation's own `list`. */
export const streamBy =
  (list: AuditLog["Service"]["list"]): AuditLog["Service"]["stream"] =>
  (filter: AuditFilter = {}) =>
    streamPages(list({ ...filter, limit: streamPageSize }), (after) =>
      list({ ...filter, limit: streamPageSize, after })
    )
