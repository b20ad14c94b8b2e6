import type * as DateTime from "effect/DateTime"
import { memoryTable } from "../../postgres/memory/MemoryTable.ts"
import type { LeaseToken } from "../../postgres/repository/WorkItem.ts"
import type { UserId } from "../users/Users.ts"
import type { Channel } from "./Channel.ts"
import type { Delivery } from "./Delivery.ts"
import type { Notification } from "./Notification.ts"
import type { NotificationAddress, NotificationCategory, NotificationSettings } from "./NotificationPreferences.ts"
import type { NotificationTemplate } from "./NotificationTemplate.ts"

/** Templates in memory. */
export const templatesTable = memoryTable<NotificationTemplate>({
  name: "notification_templates",
  key: ({ id }) => id,
  unique: {
    notification_templates_key_channel_locale_key: ({ channel, key, locale }) => `${key}/${channel}/${locale}`
  }
})

/** Categories in memory. */
export const categoriesTable = memoryTable<NotificationCategory>({
  name: "notification_categories",
  key: ({ slug }) => slug
})

export const ofUser = (userId: string, what: string): string => `${userId}/${what}`

const user = <Row extends { readonly userId: UserId }>() => ({
  to: "users",
  key: ({ userId }: Row) => userId,
  onRemoval: "cascade" as const
})

/** What a user chose for a category. */
export interface StoredPreference {
  readonly userId: UserId
  readonly category: string
  readonly channels: ReadonlyArray<Channel>
}

/** Preferences in memory. */
export const preferencesTable = memoryTable<StoredPreference>({
  name: "notification_preferences",
  key: ({ category, userId }) => ofUser(userId, category),
  references: {
    notification_preferences_user_id_fkey: user(),
    notification_preferences_category_fkey: {
      to: "notification_categories",
      key: ({ category }) => category,
      onRemoval: "cascade"
    }
  }
})

export interface StoredSettings extends NotificationSettings {
  readonly userId: UserId
}

/** Settings in memory. */
export const settingsTable = memoryTable<StoredSettings>({
  name: "notification_settings",
  key: ({ userId }) => userId,
  references: { notification_settings_user_id_fkey: user() }
})

export interface StoredAddress extends NotificationAddress {
  readonly userId: UserId
}

/** Addresses in memory. */
export const addressesTable = memoryTable<StoredAddress>({
  name: "notification_addresses",
  key: ({ channel, userId }) => ofUser(userId, channel),
  references: { notification_addresses_user_id_fkey: user() }
})

/** A notification, and what tells a repeated request from another one. */
export interface StoredNotification extends Notification {
  readonly requestHash: string | null
}

/** Notifications in memory. */
export const notificationsTable = memoryTable<StoredNotification>({
  name: "notifications",
  key: ({ id }) => id,
  unique: {
    notifications_user_id_idempotency_key_key: ({ idempotencyKey, userId }) =>
      idempotencyKey === null ? undefined : ofUser(userId, idempotencyKey)
  },
  references: {
    notifications_user_id_fkey: user(),
    notifications_category_fkey: {
      to: "notification_categories",
      key: ({ category }) => category,
      onRemoval: "restrict"
    }
  }
})

/** A delivery, and what is not told of it. */
export interface StoredDelivery extends Delivery {
  readonly leaseToken: LeaseToken | null
  readonly finishedBy: LeaseToken | null
  /** When its notification was taken back: it is not tried again. */
  readonly withdrawnAt: DateTime.Utc | null
}

/** Deliveries in memory. */
export const deliveriesTable = memoryTable<StoredDelivery>({
  name: "notification_deliveries",
  key: ({ id }) => id,
  unique: {
    notification_deliveries_notification_id_channel_key: ({ channel, notificationId }) => `${notificationId}/${channel}`
  },
  references: {
    notification_deliveries_notification_id_fkey: {
      to: "notifications",
      key: ({ notificationId }) => notificationId,
      onRemoval: "cascade"
    }
  }
})

/** The inbox shows it: it is due, has not expired, and is not deleted. */
export const isShown =
  (userId: UserId, now: DateTime.Utc) =>
  (notification: Notification): boolean =>
    notification.userId === userId &&
    notification.inApp &&
    notification.deletedAt === null &&
    (notification.scheduledFor === null || notification.scheduledFor.epochMilliseconds <= now.epochMilliseconds) &&
    (notification.expiresAt === null || notification.expiresAt.epochMilliseconds > now.epochMilliseconds)
