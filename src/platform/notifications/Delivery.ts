import * as DateTime from "effect/DateTime"
import * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import type * as Duration from "effect/Duration"
import { durationBetween } from "../../core/DurationInput.ts"
import { cursor, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import { stateMachine } from "../../core/StateMachine.ts"
import { textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { LeaseToken, type Pauses, type WorkStates, workItemFields } from "../../postgres/repository/WorkItem.ts"
import { UserId } from "../users/Users.ts"
import { OutsideChannel } from "./Channel.ts"
import { NotificationId, Priority } from "./Notification.ts"

/** A delivery's id: a UUIDv7 in lower case. */
export const DeliveryId = TimeOrderedId.pipe(Schema.brand("DeliveryId"))
export type DeliveryId = typeof DeliveryId.Type

/**
 * `queued` to be taken; `sending` at a worker's; `dead` after its last try, or one that no other can mend, until somebody queues
 * it again. What is being sent cannot be canceled: it may be out already. Where its notification was withdrawn meanwhile, it is
 * canceled when its worker fails, or is heard of no more.
 */
const transitions = {
  queued: ["sending", "canceled", "expired"],
  sending: ["queued", "delivered", "dead", "canceled", "expired"],
  delivered: [],
  dead: ["queued"],
  canceled: [],
  expired: []
} as const
export const deliveryStates = stateMachine("delivery", transitions)

/** The same without what only its worker does: a failed try goes back to the queue. */
export const commandedStates = stateMachine("delivery", { ...transitions, sending: ["delivered", "dead", "expired"] })

export const DeliveryState = Schema.Literals(["queued", "sending", "delivered", "dead", "canceled", "expired"])
export type DeliveryState = typeof DeliveryState.Type

/** How workers share deliveries. */
export const deliveryWork: WorkStates<DeliveryState> = { waiting: "queued", running: "sending", dead: "dead" }

/** The pauses between tries, each drawn between half of it and all of it. */
export const deliveryPauses: Pauses = { first: "30 seconds", longest: "1 hour" }

/** How often a delivery is tried where nothing is said: about 15 minutes, if the pauses are drawn long. */
export const defaultMaxAttempts = 6

/** A message to an outside channel. Times of work are the server's. */
export const Delivery = Schema.Struct({
  id: DeliveryId,
  notificationId: NotificationId,
  userId: UserId,
  channel: OutsideChannel,
  priority: Priority,
  /** Where it goes: the user's address when the notification was made. */
  address: Schema.String,
  subject: Schema.String,
  body: Schema.String,
  state: DeliveryState,
  attempts: workItemFields.attempts,
  maxAttempts: workItemFields.maxAttempts,
  availableAt: workItemFields.availableAt,
  /** From then on it is not sent. */
  expiresAt: Schema.NullOr(Schema.DateTimeUtc),
  leaseUntil: workItemFields.leaseUntil,
  /** Who took it last. */
  worker: Schema.NullOr(Schema.String),
  /** What the last failed try said. */
  lastError: workItemFields.lastError,
  /** What the provider calls it. */
  providerReference: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtc,
  /** When it was delivered, died, was canceled or expired. */
  finishedAt: Schema.NullOr(Schema.DateTimeUtc)
})
export type Delivery = typeof Delivery.Type

/** The order in which deliveries are taken. */
export const byTurn: Order.Order<Pick<Delivery, "availableAt" | "id">> = Order.combine(
  Order.mapInput(DateTime.Order, ({ availableAt }) => availableAt),
  Order.mapInput(Order.String, ({ id }) => id)
)

/** A delivery that was taken, and all that its worker needs. */
export interface ClaimedDelivery {
  readonly delivery: Delivery
  /** Shows that the delivery is one's own: `delivered`, `failed` and `renewLease` ask for it. */
  readonly token: LeaseToken
  readonly category: string
  readonly template: string
  /** The notification's data. */
  readonly data: Schema.JsonObject
}

const Lease = durationBetween("1 milli", "1 day")

/** Which deliveries are taken, and for how long. */
export const DeliveryClaim = Schema.Struct({
  channels: Schema.optional(
    Schema.Array(OutsideChannel).check(Schema.isMinLength(1, { expected: "at least one channel" }))
  ),
  priority: Schema.optional(Priority),
  limit: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })),
  lease: Lease,
  worker: textOf(1, 200)
})
export interface ClaimDeliveriesOptions {
  /** Deliveries of these channels; of every channel where nothing is said. */
  readonly channels?: ReadonlyArray<OutsideChannel> | undefined
  /** Of this priority only: a worker for what is urgent passes the backlog of the rest. */
  readonly priority?: Priority | undefined
  /** 1 to 1000. */
  readonly limit: number
  /** 1 millisecond to 1 day. */
  readonly lease: Duration.Input
  /** Says to people who has the delivery. */
  readonly worker: string
}

export const DeliveryLease = Schema.Struct({ id: DeliveryId, token: LeaseToken, lease: Lease })

const Reference = textOf(1, 500)

export const DeliverySuccess = Schema.Struct({
  id: DeliveryId,
  token: LeaseToken,
  providerReference: Schema.optional(Reference)
})

/** Why a try failed. */
export const DeliveryFailure = Schema.Struct({
  id: DeliveryId,
  token: LeaseToken,
  error: textOf(1, 10_000),
  options: Schema.Struct({
    permanent: Schema.optional(Schema.Boolean),
    retryAfter: Schema.optional(durationBetween(0, "7 days"))
  })
})
export interface DeliveryFailureOptions {
  /** Trying again cannot help: the delivery is dead at once. */
  readonly permanent?: boolean | undefined
  /** When it may be tried again, in place of its own pause: what a rate limit asked for. */
  readonly retryAfter?: Duration.Input | undefined
}

/** Continues a list of deliveries. */
export const DeliveryCursor = Schema.String.pipe(Schema.brand("DeliveryCursor"))
export type DeliveryCursor = typeof DeliveryCursor.Type

export const deliveryCursor = cursor(
  "notification-deliveries",
  DeliveryCursor,
  Schema.Struct({ createdAt: MomentFromMillis, id: DeliveryId })
)
export const deliveryCursorAfter = ({ createdAt, id }: Delivery): DeliveryCursor =>
  deliveryCursor.after({ createdAt, id })

const filter = {
  /** Those in one of these states. */
  states: Schema.optional(Schema.Array(DeliveryState).check(Schema.isMinLength(1, { expected: "at least one state" }))),
  channel: Schema.optional(OutsideChannel),
  userId: Schema.optional(UserId),
  notificationId: Schema.optional(NotificationId)
}

/** Which deliveries are counted. */
export const DeliveryFilter = Schema.Struct(filter)
export interface DeliveryFilter {
  readonly states?: ReadonlyArray<DeliveryState> | undefined
  readonly channel?: OutsideChannel | undefined
  readonly userId?: UserId | undefined
  readonly notificationId?: NotificationId | undefined
}

/** Which deliveries a page lists. */
export const DeliveryList = Schema.Struct({
  ...filter,
  limit: Schema.optional(PageSize),
  after: Schema.optional(deliveryCursor.key)
})
export interface DeliveryListOptions extends DeliveryFilter {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: DeliveryCursor | undefined
}

/** How many deliveries are in each state. */
export type DeliveryCounts = Readonly<Record<DeliveryState, number>>

/** There is no delivery with this id. */
export class DeliveryNotFound extends Schema.TaggedError<DeliveryNotFound>("@ai-core/database/DeliveryNotFound")(
  "DeliveryNotFound",
  { id: DeliveryId }
) {
  override get message(): string {
    return `there is no delivery ${this.id}`
  }
}

/** The delivery is not the caller's any more: its lease ended, somebody else has it, or it has ended. Nothing was changed. */
export class DeliveryLeaseLost extends Schema.TaggedError<DeliveryLeaseLost>("@ai-core/database/DeliveryLeaseLost")(
  "DeliveryLeaseLost",
  {
    id: DeliveryId,
    /** The state that the delivery is in now. */
    state: DeliveryState
  }
) {
  override get message(): string {
    return `the lease of delivery ${this.id} is lost; the delivery is ${this.state} now`
  }
}

/** The delivery's notification was withdrawn: it is not sent any more. Tell the user anew, by `notify`. */
export class NotificationWithdrawn extends Schema.TaggedError<NotificationWithdrawn>(
  "@ai-core/database/NotificationWithdrawn"
)("NotificationWithdrawn", { id: NotificationId, deliveryId: DeliveryId }) {
  override get message(): string {
    return `delivery ${this.deliveryId} is not queued again: notification ${this.id} was withdrawn; tell it anew by notify`
  }
}
