import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { pageOf } from "../../core/KeysetPage.ts"
import { keyset } from "../../postgres/repository/Keyset.ts"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import { AuditEntry, auditCursor, AuditLog } from "./AuditLog.ts"
import { AuditLogInput, makeEntries, streamBy } from "./AuditLogInput.ts"

const entries = rowReader(AuditEntry.mapFields((fields) => ({ ...fields, occurredAt: Timestamp })))

const make = Effect.gen(function* () {
  const { keyed, query, sql } = yield* PostgresClient
  const entryOf = makeEntries()

  const insert = (operation: string, entries: ReadonlyArray<AuditEntry>) =>
    query(
      { operation, kind: "write" },
      keyed<object>`insert into ai_core.audit_log
          (id, occurred_at, actor_id, action, subject_kind, subject_id, detail)
        select id, "occurredAt", "actorId", action, "subjectKind", "subjectId", detail
        from json_to_recordset(${JSON.stringify(entries)}::json) as e (id uuid, "occurredAt" timestamptz, "actorId" uuid,
          action text, "subjectKind" text, "subjectId" text, detail jsonb)`
    )

  const append: AuditLog["Service"]["append"] = Effect.fnUntraced(function* (given) {
    const entry = yield* entryOf(yield* AuditLogInput.append(given))
    yield* insert("AuditLog.append", [entry])
    return entry
  })

  const appendMany: AuditLog["Service"]["appendMany"] = Effect.fnUntraced(function* (given) {
    const entries = yield* Effect.forEach(yield* AuditLogInput.appendMany(given), entryOf)
    if (entries.length > 0) yield* insert("AuditLog.appendMany", entries)
    return entries
  })

  const list: AuditLog["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const call = { operation: "AuditLog.list", kind: "read" } as const
    const { after, equal, limit, range } = yield* AuditLogInput.list(given)
    const page = keyset(
      sql,
      ["occurred_at", "id"],
      "descending",
      after && [sql`${DateTime.toDateUtc(after.occurredAt)}`, sql`${after.id}::uuid`]
    )
    const conditions = [
      page.behind,
      ...(equal.actorId === undefined ? [] : [sql`actor_id = ${equal.actorId}::uuid`]),
      ...(equal.action === undefined ? [] : [sql`action = ${equal.action}`]),
      ...(equal.subjectKind === undefined ? [] : [sql`subject_kind = ${equal.subjectKind}`]),
      ...(equal.subjectId === undefined ? [] : [sql`subject_id = ${equal.subjectId}`]),
      ...(range === undefined
        ? []
        : [sql`occurred_at >= ${new Date(range.fromMillis)} and occurred_at < ${new Date(range.toMillis)}`])
    ]
    const rows = yield* query(
      call,
      sql<object>`select id, occurred_at as "occurredAt", actor_id as "actorId", action,
          subject_kind as "subjectKind", subject_id as "subjectId", detail
        from ai_core.audit_log where ${sql.and(conditions)} order by ${page.order} limit ${limit + 1}`
    )
    return pageOf(yield* entries.all(call, rows), limit, auditCursor.after)
  })

  return AuditLog.of({ append, appendMany, list, stream: streamBy(list) })
})

/** `AuditLog` on PostgreSQL: a server, or the embedded engine. Its table comes from the platform's migrations. */
export const layer: Layer.Layer<AuditLog, never, PostgresClient> = Layer.effect(AuditLog, make)
