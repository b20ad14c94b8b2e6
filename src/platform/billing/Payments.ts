import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { type IdempotencyConflict, IdempotencyKey } from "../../core/Idempotency.ts"
import type { Page } from "../../core/KeysetPage.ts"
import { type IllegalTransition, stateMachine } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Slug, textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { type CurrencyMismatch, Money } from "../Money.ts"
import { moneyFrom } from "../Checks.ts"
import { type AmountExceedsDue, InvoiceId, type InvoiceNotFound, type InvoiceNotOpen } from "./Invoices.ts"
import type { ListOptions, StreamOptions } from "../Lists.ts"

export const PaymentId = TimeOrderedId.pipe(Schema.brand("PaymentId"))
export type PaymentId = typeof PaymentId.Type

export const RefundId = TimeOrderedId.pipe(Schema.brand("RefundId"))
export type RefundId = typeof RefundId.Type

/** The states of a payment, and which lead to which. */
export const paymentStates = stateMachine("payment", {
  pending: ["succeeded", "failed"],
  succeeded: [],
  // A provider may try a payment again that was declined.
  failed: ["succeeded"]
})
export const PaymentState = paymentStates.schema
export type PaymentState = typeof PaymentState.Type

/** The states of a refund, and which lead to which. */
export const refundStates = stateMachine("refund", { pending: ["succeeded", "failed"], succeeded: [], failed: [] })
export const RefundState = refundStates.schema
export type RefundState = typeof RefundState.Type

/** The provider's own name for a payment or refund. */
const Reference = textOf(1, 255)
const Explanation = textOf(1, 500)

/** Money that comes, or failed to come, for an invoice. */
export const Payment = Schema.Struct({
  id: PaymentId,
  invoiceId: InvoiceId,
  amount: Money,
  /** Refunds that succeeded or are pending. */
  amountRefunded: Money,
  state: PaymentState,
  provider: Schema.String,
  providerReference: Schema.NullOr(Schema.String),
  /** Why it failed. */
  failure: Schema.NullOr(Schema.String),
  idempotencyKey: IdempotencyKey,
  /** Since when it has succeeded or failed. */
  settledAt: Schema.NullOr(Schema.DateTimeUtc),
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Payment = typeof Payment.Type

export const NewPayment = Schema.Struct({
  invoiceId: InvoiceId,
  /** All that is due, or a part of it. */
  amount: moneyFrom(1),
  /** Who collects it: `stripe`, `bank-transfer`. */
  provider: Slug,
  /** Unique for a provider; may be told later, by `succeed`. */
  providerReference: Schema.optional(Reference),
  /** `succeeded` for money that is there; `pending` where nothing is said. */
  state: Schema.optional(Schema.Literals(["pending", "succeeded"])),
  /** Names this payment among all of them. */
  idempotencyKey: IdempotencyKey
})
export type NewPayment = typeof NewPayment.Type

/** Money that goes back. */
export const Refund = Schema.Struct({
  id: RefundId,
  paymentId: PaymentId,
  amount: Money,
  state: RefundState,
  reason: Schema.String,
  providerReference: Schema.NullOr(Schema.String),
  failure: Schema.NullOr(Schema.String),
  idempotencyKey: IdempotencyKey,
  settledAt: Schema.NullOr(Schema.DateTimeUtc),
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Refund = typeof Refund.Type

export const NewRefund = Schema.Struct({
  paymentId: PaymentId,
  amount: moneyFrom(1),
  reason: Explanation,
  /** Names this refund among all of them. */
  idempotencyKey: IdempotencyKey
})
export type NewRefund = typeof NewRefund.Type

/** What a provider says of a payment or refund that succeeded. */
export const PaymentSettlement = Schema.Struct({ providerReference: Schema.optional(Reference) })
export type PaymentSettlement = typeof PaymentSettlement.Type

/** Why something failed: 1 to 500 characters. */
export const Failure = Explanation

export const PaymentCursor = Schema.String.pipe(Schema.brand("PaymentCursor"))
export type PaymentCursor = typeof PaymentCursor.Type

export const RefundCursor = Schema.String.pipe(Schema.brand("RefundCursor"))
export type RefundCursor = typeof RefundCursor.Type

export interface PaymentFilter {
  readonly invoiceId?: InvoiceId | undefined
  readonly state?: PaymentState | undefined
}

export interface RefundFilter {
  readonly paymentId?: PaymentId | undefined
  readonly state?: RefundState | undefined
}

export class PaymentNotFound extends Schema.TaggedError<PaymentNotFound>("@ai-core/database/PaymentNotFound")(
  "PaymentNotFound",
  { id: PaymentId }
) {
  override get message(): string {
    return `there is no payment ${this.id}`
  }
}

/** Another payment has the provider's reference. */
export class ProviderReferenceTaken extends Schema.TaggedError<ProviderReferenceTaken>(
  "@ai-core/database/ProviderReferenceTaken"
)("ProviderReferenceTaken", { provider: Schema.String, providerReference: Schema.String }) {
  override get message(): string {
    return `another payment has the reference ${this.providerReference} of ${this.provider}`
  }
}

export class RefundNotFound extends Schema.TaggedError<RefundNotFound>("@ai-core/database/RefundNotFound")(
  "RefundNotFound",
  { id: RefundId }
) {
  override get message(): string {
    return `there is no refund ${this.id}`
  }
}

/** Only a payment that succeeded can be refunded. */
export class PaymentNotSucceeded extends Schema.TaggedError<PaymentNotSucceeded>(
  "@ai-core/database/PaymentNotSucceeded"
)("PaymentNotSucceeded", { id: PaymentId, state: PaymentState }) {
  override get message(): string {
    return `the payment ${this.id} is ${this.state}`
  }
}

/** A refund is more than what is left of the payment. */
export class RefundExceedsPayment extends Schema.TaggedError<RefundExceedsPayment>(
  "@ai-core/database/RefundExceedsPayment"
)("RefundExceedsPayment", { paymentId: PaymentId, refundable: Money, amount: Money }) {
  override get message(): string {
    return `${this.amount.amount} is more than the ${this.refundable.amount} that is left of payment ${this.paymentId}`
  }
}

/** Money that comes. */
export interface Payments {
  /**
   * Stores a payment for an open (or uncollectible) invoice, once per key: sent again, also at once, it gives back the first
   * one, in the state that it is in by then; a default that is spelled out is the same request.
   *
   * A pending payment reserves its amount, so that two payments at once never come to more than is due. Fails with
   * `IdempotencyConflict` where the key made another payment. What is to be done with money that no invoice takes, `succeed` says.
   */
  readonly create: (
    payment: NewPayment
  ) => Effect.Effect<
    Payment,
    | InvoiceNotFound
    | InvoiceNotOpen
    | CurrencyMismatch
    | AmountExceedsDue
    | ProviderReferenceTaken
    | IdempotencyConflict
    | StoreError
  >
  /**
   * To `succeeded`; the invoice is `paid` once nothing is due.
   *
   * One that failed may come after all, where its invoice takes the amount then: else `InvoiceNotOpen`, or `AmountExceedsDue`.
   * Money that no invoice takes (it is void, or was paid by somebody else) is given back at the provider, or kept for the user by
   * `credit.grant`, with the provider's reference in the key, so that it is granted once.
   *
   * Idempotent: a payment that succeeded before is given back as it is, whatever reference is told now.
   */
  readonly succeed: (
    id: PaymentId,
    settled?: PaymentSettlement
  ) => Effect.Effect<
    Payment,
    PaymentNotFound | IllegalTransition | InvoiceNotOpen | AmountExceedsDue | ProviderReferenceTaken | StoreError
  >
  /** To `failed`; its amount is due again. Idempotent: a payment that failed is given back. */
  readonly fail: (
    id: PaymentId,
    failure: string
  ) => Effect.Effect<Payment, PaymentNotFound | IllegalTransition | StoreError>
  /** Finds a payment by id; concurrent calls go together. */
  readonly find: (id: PaymentId) => Effect.Effect<Option.Option<Payment>, StoreError>
  /** Finds a payment as its provider names it: what a webhook asks for. */
  readonly findByReference: (
    provider: string,
    providerReference: string
  ) => Effect.Effect<Option.Option<Payment>, StoreError>
  /** Lists payments page by page, by the time they were made; one that exists throughout is listed exactly once. */
  readonly list: (
    options?: PaymentFilter & ListOptions<PaymentCursor>
  ) => Effect.Effect<Page<Payment, PaymentCursor>, StoreError>
  /** Streams the payments of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: PaymentFilter & StreamOptions) => Stream.Stream<Payment, StoreError>
}

/** Money that goes back. */
export interface Refunds {
  /**
   * Stores a pending refund, once per key: sent again, also at once, it gives back the first one, in the state that it is in by
   * then.
   *
   * Refunds that succeeded or are pending never come to more than the payment. The invoice stays paid. Fails with
   * `IdempotencyConflict` where the key made another refund.
   */
  readonly create: (
    refund: NewRefund
  ) => Effect.Effect<
    Refund,
    PaymentNotFound | PaymentNotSucceeded | CurrencyMismatch | RefundExceedsPayment | IdempotencyConflict | StoreError
  >
  /** To `succeeded`. Idempotent: a refund that succeeded is given back. */
  readonly succeed: (
    id: RefundId,
    settled?: PaymentSettlement
  ) => Effect.Effect<Refund, RefundNotFound | IllegalTransition | StoreError>
  /** To `failed`; its amount may be refunded again. Idempotent: a refund that failed is given back. */
  readonly fail: (
    id: RefundId,
    failure: string
  ) => Effect.Effect<Refund, RefundNotFound | IllegalTransition | StoreError>
  /** Finds a refund by id; concurrent calls go together. */
  readonly find: (id: RefundId) => Effect.Effect<Option.Option<Refund>, StoreError>
  /** Lists refunds page by page, by the time they were made; one that exists throughout is listed exactly once. */
  readonly list: (
    options?: RefundFilter & ListOptions<RefundCursor>
  ) => Effect.Effect<Page<Refund, RefundCursor>, StoreError>
  /** Streams the refunds of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: RefundFilter & StreamOptions) => Stream.Stream<Refund, StoreError>
}
