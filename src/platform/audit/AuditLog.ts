import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { cursor, type Page, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Slug, StorableText, textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { StorableJsonObject } from "../../core/StorableJson.ts"
import type { TimeRange } from "../TimeRange.ts"
import { UserId } from "../users/Users.ts"

export const AuditEntryId = TimeOrderedId.pipe(Schema.brand("AuditEntryId"))
export type AuditEntryId = typeof AuditEntryId.Type

/** Somebody did something to something. */
export const AuditEntry = Schema.Struct({
  id: AuditEntryId,
  occurredAt: Schema.DateTimeUtc,
  /** The user who did it; null where the platform did it by itself. */
  actorId: Schema.NullOr(UserId),
  /** What was done, as the program names it: `user.password-reset`. */
  action: Schema.String,
  /** What it was done to: `user`, and its id. */
  subjectKind: Schema.String,
  subjectId: Schema.String,
  /** What else is worth knowing; no secrets, because nobody can take them out again. */
  detail: Schema.Record(Schema.String, Schema.Json)
})
export type AuditEntry = typeof AuditEntry.Type

/** What an entry is made of. */
export const NewAuditEntry = Schema.Struct({
  actorId: Schema.optional(Schema.NullOr(UserId)),
  action: Slug,
  subjectKind: Slug,
  subjectId: textOf(1, 200),
  detail: Schema.optional(StorableJsonObject)
})
export interface NewAuditEntry {
  readonly actorId?: UserId | null | undefined
  readonly action: string
  readonly subjectKind: string
  readonly subjectId: string
  readonly detail?: Schema.JsonObject | undefined
}

/** Continues a list of entries. */
export const AuditCursor = Schema.String.pipe(Schema.brand("AuditCursor"))
export type AuditCursor = typeof AuditCursor.Type

export const auditCursor = cursor(
  "audit-entries",
  AuditCursor,
  Schema.Struct({ occurredAt: MomentFromMillis, id: AuditEntryId })
)

/** Which entries are meant: those that meet every condition that is given. */
export interface AuditFilter {
  readonly actorId?: UserId | undefined
  readonly action?: string | undefined
  readonly subjectKind?: string | undefined
  /** Asked for with its kind: ids of two kinds may be alike, and subjects are found by both. */
  readonly subjectId?: string | undefined
  readonly during?: TimeRange | undefined
}
export interface AuditListOptions extends AuditFilter {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  readonly after?: AuditCursor | undefined
}
export const AuditList = Schema.Struct({
  actorId: Schema.optional(UserId),
  action: Schema.optional(StorableText),
  subjectKind: Schema.optional(StorableText),
  subjectId: Schema.optional(StorableText),
  during: Schema.optional(Schema.Unknown),
  limit: Schema.optional(PageSize),
  after: Schema.optional(auditCursor.key)
}).check(
  Schema.makeFilter(({ subjectId, subjectKind }: { readonly subjectId?: unknown; readonly subjectKind?: unknown }) =>
    subjectId === undefined || subjectKind !== undefined
      ? undefined
      : { path: ["subjectKind"], issue: "Expected the kind of the subject, beside its id" }
  )
)

/** The place of an entry in the list. */
export type AuditPlace = { readonly occurredAt: DateTime.Utc; readonly id: AuditEntryId }

/**
 * What happened, told once and never changed.
 *
 * An entry is appended in the `Transaction` around it, so that it is there exactly if what it tells of is. PostgreSQL refuses to
 * change or remove entries, whoever asks; the role that an application runs under need not even be allowed to ask (see the guide
 * to tenants and least privilege). Every method may fail with `StoreError`.
 *
 * @example
 * ```ts
 * yield* transaction.run(Effect.gen(function* () {
 *   yield* users.delete(bob.id)
 *   yield* audit.append({ actorId: alice.id, action: "user.delete", subjectKind: "user", subjectId: bob.id })
 * }))
 * ```
 */
export class AuditLog extends Context.Service<
  AuditLog,
  {
    readonly append: (entry: NewAuditEntry) => Effect.Effect<AuditEntry, StoreError>
    /** Appends several entries at once: all or none. */
    readonly appendMany: (entries: ReadonlyArray<NewAuditEntry>) => Effect.Effect<ReadonlyArray<AuditEntry>, StoreError>
    /** Lists entries page by page, newest first. `InvalidData` names `subjectKind` where a `subjectId` comes without it. */
    readonly list: (options?: AuditListOptions) => Effect.Effect<Page<AuditEntry, AuditCursor>, StoreError>
    /** Streams entries, newest first, with the memory of one page and without holding a connection. */
    readonly stream: (filter?: AuditFilter) => Stream.Stream<AuditEntry, StoreError>
  }
>()("@ai-core/database/platform/AuditLog") {}
