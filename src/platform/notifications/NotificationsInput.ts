import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { cursorAgrees } from "../../core/KeysetPage.ts"
import { Slug, StorableText } from "../../core/Text.ts"
import { Version } from "../../core/Version.ts"
import { type ListPage, streamList } from "../StreamPages.ts"
import { UserId } from "../users/Users.ts"
import { OutsideChannel } from "./Channel.ts"
import {
  DeliveryClaim,
  DeliveryFailure,
  DeliveryFilter,
  DeliveryId,
  DeliveryLease,
  DeliveryList,
  DeliverySuccess
} from "./Delivery.ts"
import {
  InboxList,
  NotificationId,
  NotificationIds,
  NotificationPurge,
  NotifyManyRequest,
  NotifyRequest,
  ReadAll
} from "./Notification.ts"
import { NewAddress, NewCategory, PreferenceChoice, SettingsChanges } from "./NotificationPreferences.ts"
import { NewTemplate, TemplateChanges, TemplateId, TemplateList, TemplatePreview } from "./NotificationTemplate.ts"

const subject = (method: string) =>
  ({ store: "postgresql", operation: `Notifications.${method}`, subject: "input" }) as const

const userOnly = decodeInput(Schema.Struct({ userId: UserId }))
const templateOnly = decodeInput(Schema.Struct({ id: TemplateId }))
const notificationOnly = decodeInput(Schema.Struct({ id: NotificationId }))
const notificationsOnly = decodeInput(Schema.Struct({ ids: Schema.Array(NotificationId) }))
const deliveryOnly = decodeInput(Schema.Struct({ id: DeliveryId }))

const newTemplate = decodeInput(NewTemplate)
const updateTemplate = decodeInput(
  Schema.Struct({ id: TemplateId, expectedVersion: Version, changes: TemplateChanges })
)
const deleteTemplate = decodeInput(Schema.Struct({ id: TemplateId, expectedVersion: Version }))
const listTemplates = decodeInput(TemplateList)
const preview = decodeInput(TemplatePreview)

const category = decodeInput(NewCategory)
const preference = decodeInput(PreferenceChoice)
const preferenceOnly = decodeInput(Schema.Struct({ userId: UserId, category: Slug }))
const settings = decodeInput(Schema.Struct({ userId: UserId, changes: SettingsChanges }))
const address = decodeInput(NewAddress)
const verify = decodeInput(Schema.Struct({ userId: UserId, channel: OutsideChannel, address: StorableText }))
const addressOnly = decodeInput(Schema.Struct({ userId: UserId, channel: OutsideChannel }))

const notify = decodeInput(NotifyRequest)
const notifyMany = decodeInput(NotifyManyRequest)
const list = decodeInput(Schema.Struct({ userId: UserId, options: InboxList }).check(cursorAgrees("userId")))
const some = decodeInput(Schema.Struct({ userId: UserId, ids: NotificationIds }))
const all = decodeInput(Schema.Struct({ userId: UserId, options: ReadAll }))
const purge = decodeInput(NotificationPurge)

const claim = decodeInput(DeliveryClaim)
const lease = decodeInput(DeliveryLease)
const success = decodeInput(DeliverySuccess)
const failure = decodeInput(DeliveryFailure)
const listDeliveries = decodeInput(DeliveryList)
const countDeliveries = decodeInput(DeliveryFilter)

/** The checks of what callers give to `Notifications`: one for every implementation, so that all refuse the same. */
export const NotificationsInput = {
  user: (method: string, userId: unknown) => userOnly(subject(method), { userId }),
  template: (method: string, id: unknown) => templateOnly(subject(method), { id }),
  notification: (method: string, id: unknown) => notificationOnly(subject(method), { id }),
  delivery: (method: string, id: unknown) => deliveryOnly(subject(method), { id }),

  createTemplate: (template: unknown) => newTemplate(subject("createTemplate"), template),
  updateTemplate: (id: unknown, expectedVersion: unknown, changes: unknown) =>
    updateTemplate(subject("updateTemplate"), { id, expectedVersion, changes }),
  deleteTemplate: (id: unknown, expectedVersion: unknown) =>
    deleteTemplate(subject("deleteTemplate"), { id, expectedVersion }),
  listTemplates: (options: unknown) => listTemplates(subject("listTemplates"), options ?? {}),
  render: (options: unknown) => preview(subject("render"), options),

  setCategory: (given: unknown) => category(subject("setCategory"), given),
  setPreference: (userId: unknown, category: unknown, channels: unknown) =>
    preference(subject("setPreference"), { userId, category, channels }),
  resetPreference: (userId: unknown, category: unknown) =>
    preferenceOnly(subject("resetPreference"), { userId, category }),
  changeSettings: (userId: unknown, changes: unknown) => settings(subject("changeSettings"), { userId, changes }),
  setAddress: (given: unknown) => address(subject("setAddress"), given),
  verifyAddress: (userId: unknown, channel: unknown, address: unknown) =>
    verify(subject("verifyAddress"), { userId, channel, address }),
  removeAddress: (userId: unknown, channel: unknown) => addressOnly(subject("removeAddress"), { userId, channel }),

  notify: (request: unknown) => notify(subject("notify"), request),
  notifyMany: (request: unknown) => notifyMany(subject("notifyMany"), request),
  findMany: (ids: unknown) => notificationsOnly(subject("findMany"), { ids }),
  list: (userId: unknown, options: unknown) => list(subject("list"), { userId, options: options ?? {} }),
  some: (method: string, userId: unknown, ids: unknown) => some(subject(method), { userId, ids }),
  markAllRead: (userId: unknown, options: unknown) => all(subject("markAllRead"), { userId, options: options ?? {} }),
  purge: (options: unknown) => purge(subject("purge"), options),

  claimDeliveries: (options: unknown) => claim(subject("claimDeliveries"), options),
  renewLease: (id: unknown, token: unknown, given: unknown) =>
    lease(subject("renewLease"), { id, token, lease: given }),
  delivered: (id: unknown, token: unknown, providerReference: unknown) =>
    success(subject("delivered"), { id, token, providerReference }),
  failed: (id: unknown, token: unknown, error: unknown, options: unknown) =>
    failure(subject("failed"), { id, token, error, options: options ?? {} }),
  listDeliveries: (options: unknown) => listDeliveries(subject("listDeliveries"), options ?? {}),
  countDeliveries: (filter: unknown) => countDeliveries(subject("countDeliveries"), filter ?? {})
}

/** Streams an implementation's own list, which checks the filter. */
export const streamOf = <A, Cursor>(
  method: string,
  pageSize: unknown,
  list: ListPage<A, Cursor>,
  called?: "options.pageSize"
) => streamList(subject(method).operation, pageSize, list, called)
