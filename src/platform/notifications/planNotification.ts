import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { requestHash } from "../../core/Idempotency.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { storedJson } from "../../core/StorableJson.ts"
import type { UserId } from "../users/Users.ts"
import { Channel, OutsideChannel, sorted } from "./Channel.ts"
import { defaultMaxAttempts, type Delivery, DeliveryId } from "./Delivery.ts"
import {
  type Notification,
  NotificationId,
  type Notified,
  type NotifyRequest,
  type Priority,
  RepeatedRequest,
  type SkipReason
} from "./Notification.ts"
import type { NotificationAddress, NotificationCategory } from "./NotificationPreferences.ts"
import {
  bestTemplate,
  defaultLocale,
  type NotificationTemplate,
  renderTemplate,
  TemplateUnknown,
  type TemplateVariableMissing
} from "./NotificationTemplate.ts"
import { type QuietHours, quietUntil } from "./quietHours.ts"

/** A request with all that is drawn before it is looked at. */
export interface PreparedRequest {
  readonly request: NotifyRequest
  /** Of what is asked for, where it has a key. */
  readonly hash: string | null
  readonly id: NotificationId
  readonly deliveryIds: Readonly<Record<OutsideChannel, DeliveryId>>
  readonly createdAt: DateTime.Utc
}

/** Makes what prepares requests. */
export const makePrepare = () => {
  const nextId = makeIdsOf(NotificationId)
  const nextDeliveryId = makeIdsOf(DeliveryId)
  const hashOf = requestHash(RepeatedRequest)
  return Effect.fnUntraced(function* (request: NotifyRequest) {
    const { key, userId: _, ...asked } = request
    const defaults = { variables: {}, data: {}, priority: "normal", maxAttempts: defaultMaxAttempts } as const
    const prepared: PreparedRequest = {
      request,
      hash: key === undefined ? null : yield* hashOf({ ...defaults, ...asked }),
      id: yield* nextId,
      deliveryIds: {
        email: yield* nextDeliveryId,
        sms: yield* nextDeliveryId,
        push: yield* nextDeliveryId,
        webhook: yield* nextDeliveryId
      },
      createdAt: yield* DateTime.now
    }
    return prepared
  })
}

/** What is known of a user who is told something. */
export interface Recipient {
  readonly userId: UserId
  /** The account's e-mail. */
  readonly email: string
  readonly category: Pick<NotificationCategory, "channels" | "mandatory">
  /** The channels that the user chose for the category. */
  readonly chosen: ReadonlyArray<Channel> | null
  readonly locale: string | null
  readonly quietHours: QuietHours | null
  /** The verified ones. */
  readonly addresses: ReadonlyArray<Pick<NotificationAddress, "channel" | "address">>
}

/** The channels that are on: those that the user chose, or the category's own, and the mandatory ones. */
export const channelsOn = (
  { channels, mandatory }: Recipient["category"],
  chosen: ReadonlyArray<Channel> | null
): ReadonlyArray<Channel> => sorted(Channel, [...(chosen ?? channels), ...mandatory])

/** When something may be sent on a channel: at this time, or at the end of the quiet hours that it falls into. */
export const sendableFrom = (
  channel: OutsideChannel,
  priority: Priority,
  quietHours: QuietHours | null,
  at: DateTime.Utc
): DateTime.Utc =>
  quietHours === null || priority === "urgent" || !quietHours.channels.includes(channel)
    ? at
    : Option.getOrElse(quietUntil(quietHours, at), () => at)

const addressOf = (channel: OutsideChannel, { addresses, email }: Recipient): string | undefined =>
  addresses.find((known) => known.channel === channel)?.address ?? (channel === "email" ? email : undefined)

/**
 * What is stored of a request: the notification, and a delivery for each outside channel that is on, has a text and an address.
 *
 * `now` is the time of those who send. Fails with `TemplateUnknown` where the key has no template at all, and with
 * `TemplateVariableMissing`.
 */
export const planNotification = (
  { createdAt, deliveryIds, id, request }: PreparedRequest,
  recipient: Recipient,
  templates: ReadonlyArray<NotificationTemplate>,
  now: DateTime.Utc
): Result.Result<Notified, TemplateUnknown | TemplateVariableMissing> =>
  Result.gen(function* () {
    const { priority = "normal", variables = {} } = request
    if (templates.length === 0) return yield* Result.fail(new TemplateUnknown({ key: request.template, channel: null }))
    const on = channelsOn(recipient.category, recipient.chosen)
    const locale = request.locale ?? recipient.locale ?? defaultLocale
    const scheduledFor = request.scheduledFor ?? null
    const expiresAt = request.expiresAt ?? null
    const due = DateTime.max(now, scheduledFor ?? now)
    const skipped: Record<string, SkipReason> = {}

    /** The text for a channel, unless the channel is left out. */
    const textFor = (channel: Channel) => {
      if (!on.includes(channel)) {
        skipped[channel] = "off"
        return Result.succeed(undefined)
      }
      const template = bestTemplate(templates, channel, locale)
      if (template !== undefined) return renderTemplate(template, variables)
      skipped[channel] = "no-template"
      return Result.succeed(undefined)
    }

    const inApp = yield* textFor("in-app")
    const deliveries: Array<Delivery> = []
    for (const channel of OutsideChannel.literals) {
      const text = yield* textFor(channel)
      if (text === undefined) continue
      const address = addressOf(channel, recipient)
      if (address === undefined) {
        skipped[channel] = "no-address"
        continue
      }
      deliveries.push({
        id: deliveryIds[channel],
        notificationId: id,
        userId: request.userId,
        channel,
        priority,
        address,
        subject: text.subject,
        body: text.body,
        state: "queued",
        attempts: 0,
        maxAttempts: request.maxAttempts ?? defaultMaxAttempts,
        availableAt: sendableFrom(channel, priority, recipient.quietHours, due),
        expiresAt,
        leaseUntil: null,
        worker: null,
        lastError: null,
        providerReference: null,
        createdAt,
        finishedAt: null
      })
    }
    const notification: Notification = {
      id,
      userId: request.userId,
      category: request.category,
      template: request.template,
      priority,
      inApp: inApp !== undefined,
      subject: inApp?.subject ?? null,
      body: inApp?.body ?? null,
      data: storedJson(request.data ?? {}),
      skipped,
      idempotencyKey: request.key ?? null,
      createdAt,
      scheduledFor,
      visibleAt: DateTime.max(createdAt, scheduledFor ?? createdAt),
      expiresAt,
      readAt: null,
      archivedAt: null,
      deletedAt: null
    }
    return { notification, deliveries }
  })
