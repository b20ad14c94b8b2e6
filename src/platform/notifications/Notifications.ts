import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type * as Duration from "effect/Duration"
import type { IdempotencyConflict } from "../../core/Idempotency.ts"
import type { Page } from "../../core/KeysetPage.ts"
import type { IllegalTransition } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { VersionConflict } from "../../core/Version.ts"
import type { LeaseToken } from "../../postgres/repository/WorkItem.ts"
import type { StreamPages } from "../StreamPages.ts"
import type { UserId, UserNotFound } from "../users/Users.ts"
import type { Channel, OutsideChannel } from "./Channel.ts"
import type {
  ClaimDeliveriesOptions,
  ClaimedDelivery,
  Delivery,
  DeliveryCounts,
  DeliveryCursor,
  DeliveryFailureOptions,
  DeliveryFilter,
  DeliveryId,
  DeliveryLeaseLost,
  DeliveryListOptions,
  DeliveryNotFound,
  NotificationWithdrawn
} from "./Delivery.ts"
import type {
  InboxFilter,
  InboxListOptions,
  NewNotification,
  NewNotifications,
  Notification,
  NotificationCursor,
  NotificationId,
  NotificationNotFound,
  Notified,
  ReadAllOptions
} from "./Notification.ts"
import type {
  AddressNotFound,
  CategoryNotFound,
  NewAddress,
  NewCategory,
  NotificationAddress,
  NotificationCategory,
  NotificationPreference,
  NotificationSettings,
  SettingsChanges
} from "./NotificationPreferences.ts"
import type {
  NewTemplate,
  NotificationTemplate,
  Rendered,
  TemplateChanges,
  TemplateCursor,
  TemplateExists,
  TemplateFilter,
  TemplateId,
  TemplateListOptions,
  TemplateNotFound,
  TemplatePreview,
  TemplateUnknown,
  TemplateVariableMissing
} from "./NotificationTemplate.ts"

/**
 * What users are told: an inbox in the application, and messages that are sent outside (e-mail, SMS, push, webhooks).
 *
 * Texts come from templates by key, channel and language; what a user wants to get where, and when, are the preferences,
 * settings and addresses. `notify` decides all of it once: which channels, which text, which address, when it may be sent. What
 * is changed later counts for what is told later.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent. All of
 * them take part in the `Transaction` around them, and a domain error leaves that transaction usable. Lists and streams begin
 * with the newest; what exists throughout is listed exactly once, whatever is added or removed between the pages.
 *
 * Deliveries are sent at least once: a worker that outlives its lease may have sent what another one sends again, but only the
 * holder of the lease can finish a delivery. Hand its id to providers that know idempotency keys.
 *
 * @example
 * ```ts
 * const notifications = yield* Notifications
 * yield* notifications.setCategory({ slug: "billing", channels: ["in-app", "email"] })
 * yield* notifications.createTemplate({ key: "invoice.paid", channel: "in-app", locale: "en", body: "Paid: {{number}}" })
 * yield* notifications.notify({
 *   userId,
 *   category: "billing",
 *   template: "invoice.paid",
 *   variables: { number: "2024-17" },
 *   key: "invoice.paid/2024-17"
 * })
 * // at a worker's:
 * const claimed = yield* notifications.claimDeliveries({ channels: ["email"], limit: 10, lease: "1 minute", worker: "mail-1" })
 * for (const { delivery, token } of claimed) {
 *   yield* Effect.matchEffect(send(delivery), {
 *     onFailure: (error) => notifications.failed(delivery.id, token, error.message),
 *     onSuccess: (reference) => notifications.delivered(delivery.id, token, reference)
 *   })
 * }
 * ```
 */
export class Notifications extends Context.Service<
  Notifications,
  {
    // ---- templates

    /** Stores a new template, at version 1. Not idempotent: after an unknown outcome, look for it. */
    readonly createTemplate: (template: NewTemplate) => Effect.Effect<NotificationTemplate, TemplateExists | StoreError>
    /** Finds a template by id; concurrent calls go together. */
    readonly findTemplate: (id: TemplateId) => Effect.Effect<Option.Option<NotificationTemplate>, StoreError>
    /** Edits a template that still is at the version that the caller read; of two such edits one wins. */
    readonly updateTemplate: (
      id: TemplateId,
      expectedVersion: number,
      changes: TemplateChanges
    ) => Effect.Effect<NotificationTemplate, TemplateNotFound | VersionConflict | StoreError>
    /** Removes a template that still is at the version that the caller read; what was rendered from it stays. */
    readonly deleteTemplate: (
      id: TemplateId,
      expectedVersion: number
    ) => Effect.Effect<void, TemplateNotFound | VersionConflict | StoreError>
    readonly listTemplates: (
      options?: TemplateListOptions
    ) => Effect.Effect<Page<NotificationTemplate, TemplateCursor>, StoreError>
    readonly streamTemplates: (
      options?: TemplateFilter & StreamPages
    ) => Stream.Stream<NotificationTemplate, StoreError>
    /**
     * Shows what a user would read: the template in the best language there is (`de-AT`, `de`, `en`), its placeholders filled.
     *
     * Fails with `TemplateUnknown`, and with `TemplateVariableMissing`, which names the variable.
     */
    readonly render: (
      preview: TemplatePreview
    ) => Effect.Effect<Rendered, TemplateUnknown | TemplateVariableMissing | StoreError>

    // ---- what users want

    /** Makes a category, or makes the one of this name what is given. Idempotent: programs may call it when they start. */
    readonly setCategory: (category: NewCategory) => Effect.Effect<NotificationCategory, StoreError>
    /** All categories, by their names. */
    readonly listCategories: Effect.Effect<ReadonlyArray<NotificationCategory>, StoreError>
    /** Says which channels a user wants a category on, in place of the category's own; none mutes it. Idempotent. */
    readonly setPreference: (
      userId: UserId,
      category: string,
      channels: ReadonlyArray<Channel>
    ) => Effect.Effect<NotificationPreference, UserNotFound | CategoryNotFound | StoreError>
    /** Goes back to the category's own channels. Idempotent. */
    readonly resetPreference: (userId: UserId, category: string) => Effect.Effect<void, StoreError>
    /** What a user gets of each category, by their names. */
    readonly preferencesOf: (userId: UserId) => Effect.Effect<ReadonlyArray<NotificationPreference>, StoreError>
    /** Changes a user's language or quiet hours. Idempotent. */
    readonly changeSettings: (
      userId: UserId,
      changes: SettingsChanges
    ) => Effect.Effect<NotificationSettings, UserNotFound | StoreError>
    /** A user's language and quiet hours; neither where the user has chosen nothing. */
    readonly settingsOf: (userId: UserId) => Effect.Effect<NotificationSettings, StoreError>
    /**
     * Says where a user is reached on a channel, in place of the address before. Idempotent.
     *
     * Nothing is sent to it before it is verified; the same address once more stays as verified as it was. Mail to a user
     * without a verified address goes to the account's e-mail.
     */
    readonly setAddress: (address: NewAddress) => Effect.Effect<NotificationAddress, UserNotFound | StoreError>
    /** The user proved to own this address. Fails with `AddressNotFound` where it is not the user's any more. Idempotent. */
    readonly verifyAddress: (
      userId: UserId,
      channel: OutsideChannel,
      address: string
    ) => Effect.Effect<NotificationAddress, AddressNotFound | StoreError>
    /** Takes an address away, if there is one. Idempotent. */
    readonly removeAddress: (userId: UserId, channel: OutsideChannel) => Effect.Effect<void, StoreError>
    /** A user's addresses, in the order of the channels. */
    readonly addressesOf: (userId: UserId) => Effect.Effect<ReadonlyArray<NotificationAddress>, StoreError>

    // ---- telling

    /**
     * Tells a user something: a notification in the inbox, and a delivery for each outside channel. An erased user is told
     * nothing (`UserNotFound`).
     *
     * A channel is used where it is on, the template has a text for it, and there is an address; the notification's `skipped`
     * says why the others are not. Deliveries that fall into quiet hours wait for their end, unless it is urgent.
     *
     * With a `key` it happens once for the user: again, however many ask at once, it gives what was made, as it is now, and
     * `IdempotencyConflict` says that the key was used to tell something else. Fails, the first of these first, with
     * `UserNotFound`, `CategoryNotFound`, `TemplateUnknown` (no template of this key at all) and `TemplateVariableMissing`.
     */
    readonly notify: (
      notification: NewNotification
    ) => Effect.Effect<
      Notified,
      UserNotFound | CategoryNotFound | TemplateUnknown | TemplateVariableMissing | IdempotencyConflict | StoreError
    >
    /**
     * Tells many users the same: all of them, or none where it fails; in their order, in a handful of statements.
     *
     * It fails as `notify` does. The key counts for each user by itself, so that a list may be told again with more.
     */
    readonly notifyMany: (
      notifications: NewNotifications
    ) => Effect.Effect<
      ReadonlyArray<Notified>,
      UserNotFound | CategoryNotFound | TemplateUnknown | TemplateVariableMissing | IdempotencyConflict | StoreError
    >
    /**
     * Takes a notification back: out of the inbox, its deliveries that no worker has canceled; gives its deliveries.
     *
     * What is `sending` may be out already, and is told as delivered where it is; it is not tried again, but canceled where its
     * worker fails, or is not heard of until its lease ends. Dead deliveries cannot be queued again. Idempotent.
     */
    readonly withdraw: (id: NotificationId) => Effect.Effect<ReadonlyArray<Delivery>, NotificationNotFound | StoreError>

    // ---- the inbox

    /** Finds a notification, shown in the inbox or not; none once it is deleted. Concurrent calls go together. */
    readonly find: (id: NotificationId) => Effect.Effect<Option.Option<Notification>, StoreError>
    /** Finds notifications by id, each in the place of its id; none where there is none, or it is deleted. */
    readonly findMany: (
      ids: ReadonlyArray<NotificationId>
    ) => Effect.Effect<ReadonlyArray<Option.Option<Notification>>, StoreError>
    /** What a user's inbox shows: what is due, has not expired, and is not deleted. */
    readonly list: (
      userId: UserId,
      options?: InboxListOptions
    ) => Effect.Effect<Page<Notification, NotificationCursor>, StoreError>
    readonly stream: (userId: UserId, options?: InboxFilter & StreamPages) => Stream.Stream<Notification, StoreError>
    /** How many notifications the inbox shows that are neither read nor archived. */
    readonly unreadCount: (userId: UserId) => Effect.Effect<number, StoreError>
    /** Marks some of the user's notifications as read; tells how many were not. Ids that are not the user's are passed over. */
    readonly markRead: (userId: UserId, ids: ReadonlyArray<NotificationId>) => Effect.Effect<number, StoreError>
    /** The contrary of `markRead`. */
    readonly markUnread: (userId: UserId, ids: ReadonlyArray<NotificationId>) => Effect.Effect<number, StoreError>
    /** Marks all that the inbox shows as read; tells how many were not. Idempotent. */
    readonly markAllRead: (userId: UserId, options?: ReadAllOptions) => Effect.Effect<number, StoreError>
    /** Puts some of the user's notifications away, read or not; tells how many were not. Idempotent. */
    readonly archive: (userId: UserId, ids: ReadonlyArray<NotificationId>) => Effect.Effect<number, StoreError>
    /** The contrary of `archive`. */
    readonly unarchive: (userId: UserId, ids: ReadonlyArray<NotificationId>) => Effect.Effect<number, StoreError>
    /**
     * Deletes the texts of some of the user's notifications; tells how many there were. Idempotent.
     *
     * Their keys stay used, and their deliveries go on; see `withdraw` and `purge`.
     */
    readonly delete: (userId: UserId, ids: ReadonlyArray<NotificationId>) => Effect.Effect<number, StoreError>
    /**
     * Removes up to `limit` (50 where nothing is said) notifications made before a time, the oldest first, with their
     * deliveries and keys, unless a delivery has not ended; tells how many.
     */
    readonly purge: (options: {
      readonly before: DateTime.Utc
      readonly limit?: number | undefined
    }) => Effect.Effect<number, StoreError>

    // ---- deliveries

    /**
     * Takes up to `limit` deliveries whose time has come, the oldest first, each by one worker at a time.
     *
     * One whose lease ended without a word is taken again, dead after its last try, canceled where its notification was
     * withdrawn; one that has expired is not sent; one that is
     * due in quiet hours waits for their end, unless it is urgent. Before a long backlog of those it may give less than there is,
     * and more the next time. Not idempotent: what an unknown outcome has taken is free again when the lease ends.
     */
    readonly claimDeliveries: (
      options: ClaimDeliveriesOptions
    ) => Effect.Effect<ReadonlyArray<ClaimedDelivery>, StoreError>
    /** Keeps a delivery for this long from now; gives the end of the lease. */
    readonly renewLease: (
      id: DeliveryId,
      token: LeaseToken,
      lease: Duration.Input
    ) => Effect.Effect<DateTime.Utc, DeliveryNotFound | DeliveryLeaseLost | StoreError>
    /** It is sent; `providerReference` is what the provider calls it. Idempotent with the same token. */
    readonly delivered: (
      id: DeliveryId,
      token: LeaseToken,
      providerReference?: string
    ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryLeaseLost | StoreError>
    /**
     * A try failed: it is queued again after a pause, or dead where it was the last or the failure is `permanent`.
     *
     * The pause is 30 seconds, doubled after each further try up to an hour, and drawn between half of it and all of it; a try
     * that would fall into quiet hours waits for their end. Where the notification was withdrawn meanwhile, the delivery is
     * canceled. Not idempotent, but once more it finds its lease lost.
     */
    readonly failed: (
      id: DeliveryId,
      token: LeaseToken,
      error: string,
      options?: DeliveryFailureOptions
    ) => Effect.Effect<Delivery, DeliveryNotFound | DeliveryLeaseLost | StoreError>
    /** Cancels a delivery that nobody has taken; `IllegalTransition` names the state that it is in. */
    readonly cancelDelivery: (
      id: DeliveryId
    ) => Effect.Effect<Delivery, DeliveryNotFound | IllegalTransition | StoreError>
    /**
     * Queues a dead delivery again, with all its tries, from now on or from the end of quiet hours; `IllegalTransition` names the
     * state that it is in, `NotificationWithdrawn` the notification that was taken back.
     */
    readonly requeueDelivery: (
      id: DeliveryId
    ) => Effect.Effect<Delivery, DeliveryNotFound | IllegalTransition | NotificationWithdrawn | StoreError>
    /** Finds a delivery by id; concurrent calls go together. */
    readonly findDelivery: (id: DeliveryId) => Effect.Effect<Option.Option<Delivery>, StoreError>
    readonly listDeliveries: (
      options?: DeliveryListOptions
    ) => Effect.Effect<Page<Delivery, DeliveryCursor>, StoreError>
    readonly streamDeliveries: (options?: DeliveryFilter & StreamPages) => Stream.Stream<Delivery, StoreError>
    readonly countDeliveries: (filter?: DeliveryFilter) => Effect.Effect<DeliveryCounts, StoreError>
  }
>()("@ai-core/database/platform/Notifications") {}
