import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Order from "effect/Order"
import { pageOfSorted } from "../../core/KeysetPage.ts"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import { PostgresMemory } from "../../postgres/PostgresMemory.ts"
import { type AuditEntry, auditCursor, AuditLog, type AuditPlace } from "./AuditLog.ts"
import { AuditLogInput, makeEntries, streamBy } from "./AuditLogInput.ts"

const auditTable = memoryTable<AuditEntry>({ name: "audit_log", key: ({ id }) => id })

const newestFirst: Order.Order<AuditPlace> = Order.flip(
  Order.combine(
    Order.mapInput(DateTime.Order, ({ occurredAt }: AuditPlace) => occurredAt),
    Order.mapInput(Order.String, ({ id }: AuditPlace) => id)
  )
)

const make = Effect.gen(function* () {
  const { read, register, write } = yield* PostgresMemory
  yield* register(auditTable)
  const entryOf = makeEntries()

  const insert = (operation: string, entries: ReadonlyArray<AuditEntry>) =>
    write(operation, (db) => db.insertAll(auditTable, entries))

  const append: AuditLog["Service"]["append"] = Effect.fnUntraced(function* (given) {
    const entry = yield* entryOf(yield* AuditLogInput.append(given))
    yield* insert("AuditLog.append", [entry])
    return entry
  })

  const appendMany: AuditLog["Service"]["appendMany"] = Effect.fnUntraced(function* (given) {
    const entries = yield* Effect.forEach(yield* AuditLogInput.appendMany(given), entryOf)
    yield* insert("AuditLog.appendMany", entries)
    return entries
  })

  const list: AuditLog["Service"]["list"] = Effect.fnUntraced(function* (given) {
    const { after, equal, limit, range } = yield* AuditLogInput.list(given)
    const sorted = yield* read("AuditLog.list", (db) => db.sorted(auditTable, newestFirst))
    const chosen = sorted.filter(
      (entry) =>
        (equal.actorId === undefined || entry.actorId === equal.actorId) &&
        (equal.action === undefined || entry.action === equal.action) &&
        (equal.subjectKind === undefined || entry.subjectKind === equal.subjectKind) &&
        (equal.subjectId === undefined || entry.subjectId === equal.subjectId) &&
        (range === undefined ||
          (entry.occurredAt.epochMilliseconds >= range.fromMillis &&
            entry.occurredAt.epochMilliseconds < range.toMillis))
    )
    return pageOfSorted(chosen, newestFirst, after, limit, auditCursor.after)
  })

  return AuditLog.of({ append, appendMany, list, stream: streamBy(list) })
})

/** `AuditLog` in memory, under the transactions of all memory repositories. */
export const layer: Layer.Layer<AuditLog, never, PostgresMemory> = Layer.effect(AuditLog, make)
