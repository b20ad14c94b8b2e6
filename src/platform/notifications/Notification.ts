import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import type * as DateTime from "effect/DateTime"
import { IdempotencyKey } from "../../core/Idempotency.ts"
import { cursor, PageSize } from "../../core/KeysetPage.ts"
import { Moment, MomentFromMillis } from "../../core/Moment.ts"
import { Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { StorableJsonObject } from "../../core/StorableJson.ts"
import { RecentMoment } from "../Checks.ts"
import { UserId } from "../users/Users.ts"
import type { Delivery } from "./Delivery.ts"
import { Locale, Variables } from "./NotificationTemplate.ts"

/** A notification's id: a UUIDv7 in lower case. */
export const NotificationId = TimeOrderedId.pipe(Schema.brand("NotificationId"))
export type NotificationId = typeof NotificationId.Type

/** `urgent` passes quiet hours. */
export const Priority = Schema.Literals(["low", "normal", "urgent"])
export type Priority = typeof Priority.Type

/** Why nothing goes to a channel: it is off, the template has no text for it, or there is no (verified) address. */
export const SkipReason = Schema.Literals(["off", "no-template", "no-address"])
export type SkipReason = typeof SkipReason.Type

/** What a user was told. */
export const Notification = Schema.Struct({
  id: NotificationId,
  userId: UserId,
  category: Schema.String,
  template: Schema.String,
  priority: Priority,
  /** It is shown in the inbox. */
  inApp: Schema.Boolean,
  /** What the inbox shows; `null` where it shows nothing. */
  subject: Schema.NullOr(Schema.String),
  body: Schema.NullOr(Schema.String),
  /** What the application needs to act on it. */
  data: Schema.JsonObject,
  /** The channels that were left out, and why. */
  skipped: Schema.Record(Schema.String, SkipReason),
  idempotencyKey: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtc,
  scheduledFor: Schema.NullOr(Schema.DateTimeUtc),
  /** Its place in the inbox: when it was made, or is due. */
  visibleAt: Schema.DateTimeUtc,
  /** From then on it is not shown, and not sent. */
  expiresAt: Schema.NullOr(Schema.DateTimeUtc),
  readAt: Schema.NullOr(Schema.DateTimeUtc),
  archivedAt: Schema.NullOr(Schema.DateTimeUtc),
  deletedAt: Schema.NullOr(Schema.DateTimeUtc)
})
export type Notification = typeof Notification.Type

const told = {
  category: Slug,
  template: Slug,
  variables: Schema.optionalKey(Variables),
  data: Schema.optionalKey(StorableJsonObject),
  priority: Schema.optionalKey(Priority),
  locale: Schema.optionalKey(Locale),
  key: Schema.optionalKey(IdempotencyKey),
  scheduledFor: Schema.optionalKey(RecentMoment),
  expiresAt: Schema.optionalKey(RecentMoment),
  maxAttempts: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 })))
}

const expiresLater = Schema.makeFilter(
  ({
    expiresAt,
    scheduledFor
  }: {
    readonly expiresAt?: DateTime.Utc | undefined
    readonly scheduledFor?: DateTime.Utc | undefined
  }) =>
    expiresAt !== undefined &&
    scheduledFor !== undefined &&
    expiresAt.epochMilliseconds <= scheduledFor.epochMilliseconds
      ? { path: ["expiresAt"], issue: "Expected a time after scheduledFor" }
      : undefined
)

/** What is told to whom. */
export const NotifyRequest = Schema.Struct({ userId: UserId, ...told }).check(expiresLater)
export type NotifyRequest = typeof NotifyRequest.Type

/** What makes a request the same as another one of its key and user. */
export const RepeatedRequest = Schema.Struct(Struct.omit(told, ["key"]))

/** What is told to many. */
export const NotifyManyRequest = Schema.Struct({
  ...told,
  recipients: Schema.Array(Schema.Struct({ userId: UserId, variables: Schema.optionalKey(Variables) })).check(
    Schema.isMinLength(1, { expected: "at least one recipient" }),
    Schema.isMaxLength(1000, { expected: "at most 1000 recipients" }),
    Schema.makeFilter(
      (recipients: ReadonlyArray<{ readonly userId: string }>) =>
        new Set(recipients.map(({ userId }) => userId)).size === recipients.length,
      { expected: "each recipient once" }
    )
  )
}).check(expiresLater)

interface Told {
  readonly category: string
  /** Key of the templates. */
  readonly template: string
  /** What the templates' placeholders stand for. */
  readonly variables?: Variables
  /** What the application needs to act on it; an empty object where nothing is said. */
  readonly data?: Schema.JsonObject
  /** `normal` where nothing is said. */
  readonly priority?: Priority
  /** The user's own where nothing is said, `en` where there is none. */
  readonly locale?: string
  /** Telling a user again with the same key tells nothing twice. */
  readonly key?: string
  /** Neither shown nor sent before; of the years 1970 to 2999, as `expiresAt`. */
  readonly scheduledFor?: DateTime.Utc
  /** Neither shown nor sent from then on. */
  readonly expiresAt?: DateTime.Utc
  /** How often a delivery is tried: 1 to 50, 6 where nothing is said. */
  readonly maxAttempts?: number
}
export interface NewNotification extends Told {
  readonly userId: UserId
}
export interface NewNotifications extends Told {
  /** 1 to 1000 users; their own variables come before those of all. */
  readonly recipients: ReadonlyArray<{ readonly userId: UserId; readonly variables?: Variables }>
}

/** What telling came to. */
export interface Notified {
  readonly notification: Notification
  /** One for each outside channel that is not skipped, in the order of the channels. */
  readonly deliveries: ReadonlyArray<Delivery>
}

/** Continues a list of an inbox. */
export const NotificationCursor = Schema.String.pipe(Schema.brand("NotificationCursor"))
export type NotificationCursor = typeof NotificationCursor.Type

export const notificationCursor = cursor(
  "notifications",
  NotificationCursor,
  Schema.Struct({ userId: UserId, visibleAt: MomentFromMillis, id: NotificationId })
)
export const notificationCursorAfter = ({ id, userId, visibleAt }: Notification): NotificationCursor =>
  notificationCursor.after({ userId, visibleAt, id })

/** Which notifications a page lists. */
export const InboxList = Schema.Struct({
  unread: Schema.optional(Schema.Boolean),
  archived: Schema.optional(Schema.Boolean),
  category: Schema.optional(Slug),
  limit: Schema.optional(PageSize),
  after: Schema.optional(notificationCursor.key)
})
export interface InboxFilter {
  /** Only those that are not read (or, `false`, that are). */
  readonly unread?: boolean | undefined
  /** Those that were put away in place of the others; no where nothing is said. */
  readonly archived?: boolean | undefined
  readonly category?: string | undefined
}
export interface InboxListOptions extends InboxFilter {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: NotificationCursor | undefined
}

/** Some notifications of an inbox. */
export const NotificationIds = Schema.Array(NotificationId).check(
  Schema.isMaxLength(1000, { expected: "at most 1000 ids" })
)

/** What is read at once. */
export const ReadAll = Schema.Struct({
  until: Schema.optional(Moment),
  category: Schema.optional(Slug)
})
export interface ReadAllOptions {
  /** Those up to this time, with it: what the reader has seen. Now where nothing is said. */
  readonly until?: DateTime.Utc | undefined
  readonly category?: string | undefined
}

/** Which notifications are removed for good. */
export const NotificationPurge = Schema.Struct({ before: Moment, limit: Schema.optional(PageSize) })

/** There is no notification with this id. */
export class NotificationNotFound extends Schema.TaggedError<NotificationNotFound>(
  "@ai-core/database/NotificationNotFound"
)("NotificationNotFound", { id: NotificationId }) {
  override get message(): string {
    return `there is no notification ${this.id}`
  }
}
