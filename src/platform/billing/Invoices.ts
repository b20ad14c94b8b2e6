import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import { type IllegalTransition, stateMachine } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import { Currency, MinorUnits, Money, type MoneyOverflow } from "../Money.ts"
import { UserId, type UserNotFound } from "../users/Users.ts"
import { RecentMoment, wholeFrom } from "../Checks.ts"
import { type ListOptions, type PageOptions, type StreamOptions } from "../Lists.ts"
import { PriceId, type PriceNotFound } from "./Plans.ts"
import { type PeriodNotBegun, type PeriodNotOver, SubscriptionId, type SubscriptionNotFound } from "./Subscriptions.ts"
import type { BillingPeriod, PeriodInvoiced, PeriodMismatch } from "./Usage.ts"

export const InvoiceId = TimeOrderedId.pipe(Schema.brand("InvoiceId"))
export type InvoiceId = typeof InvoiceId.Type

/** The states of an invoice, and which lead to which. */
export const invoiceStates = stateMachine("invoice", {
  draft: ["open", "paid", "void"],
  open: ["paid", "void", "uncollectible"],
  paid: [],
  void: [],
  uncollectible: ["paid", "void"]
})
export const InvoiceState = invoiceStates.schema
export type InvoiceState = typeof InvoiceState.Type

/** What is owed, and what of it has come. */
export const Invoice = Schema.Struct({
  id: InvoiceId,
  userId: UserId,
  /** The subscription and its period, where it is for one. */
  subscriptionId: Schema.NullOr(SubscriptionId),
  period: Schema.NullOr(Schema.Struct({ start: Schema.DateTimeUtc, end: Schema.DateTimeUtc })),
  state: InvoiceState,
  /** Given when it is finalised: `INV-000042`. */
  number: Schema.NullOr(Schema.String),
  /** Sum of its lines. */
  subtotal: Money,
  discount: Money,
  tax: Money,
  /** Subtotal less discount, with tax. */
  total: Money,
  /** Payments under way. */
  amountPending: Money,
  /** Payments that succeeded; what was refunded of them stays in. */
  amountPaid: Money,
  creditApplied: Money,
  /** What is missing: the total less what is paid and credited. Payments under way are in it. */
  amountDue: Money,
  dueAt: Schema.NullOr(Schema.DateTimeUtc),
  finalizedAt: Schema.NullOr(Schema.DateTimeUtc),
  paidAt: Schema.NullOr(Schema.DateTimeUtc),
  voidedAt: Schema.NullOr(Schema.DateTimeUtc),
  /** 1 when made, one more with every change. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Invoice = typeof Invoice.Type

/** What is charged. */
export const InvoiceLine = Schema.Struct({
  /** 1 for the first. */
  position: Schema.Int,
  /** The price that it comes from, where there is one. */
  priceId: Schema.NullOr(PriceId),
  description: Schema.String,
  quantity: Schema.Int,
  unitAmount: Money,
  /** Quantity times unit amount. */
  amount: Money
})
export type InvoiceLine = typeof InvoiceLine.Type

export const NewInvoiceLine = Schema.Struct({
  priceId: Schema.optional(PriceId),
  description: textOf(1, 500),
  quantity: wholeFrom(1),
  /** Minor units of the invoice's currency; below zero for what is given back. */
  unitAmount: MinorUnits
})
export type NewInvoiceLine = typeof NewInvoiceLine.Type

const lines = Schema.Array(NewInvoiceLine).check(Schema.isMaxLength(500, { expected: "at most 500 lines" }))

export const NewInvoice = Schema.Struct({
  userId: UserId,
  currency: Currency,
  lines,
  /** Minor units; 0 where nothing is said. At most the sum of the lines. */
  discount: Schema.optional(wholeFrom(0)),
  /** Minor units; 0 where nothing is said. */
  tax: Schema.optional(wholeFrom(0))
})
export type NewInvoice = typeof NewInvoice.Type

/** What is changed of a draft: at least one field; `lines` takes the place of all lines. */
export const InvoiceChanges = Schema.Struct({
  lines: Schema.optionalKey(lines),
  discount: Schema.optionalKey(wholeFrom(0)),
  tax: Schema.optionalKey(wholeFrom(0))
}).check(Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" }))
export type InvoiceChanges = typeof InvoiceChanges.Type

/** Names a row of invoice numbers: 1 to 20 of A to Z, 0 to 9 and `-`, no `-` first. */
export const InvoiceSeries = Schema.String.check(
  Schema.isPattern(/^[A-Z0-9][A-Z0-9-]{0,19}$/, {
    expected: "1 to 20 upper-case letters, digits and -, no - first"
  })
)

export const InvoiceFinalizing = Schema.Struct({
  /** When it is to be paid; at once where nothing is said. */
  dueAt: Schema.optional(RecentMoment),
  /** `INV` where nothing is said. */
  series: Schema.optional(InvoiceSeries)
})
export type InvoiceFinalizing = typeof InvoiceFinalizing.Type

export const InvoiceCursor = Schema.String.pipe(Schema.brand("InvoiceCursor"))
export type InvoiceCursor = typeof InvoiceCursor.Type

/** Continues a list of overdue invoices. */
export const InvoiceDueCursor = Schema.String.pipe(Schema.brand("InvoiceDueCursor"))
export type InvoiceDueCursor = typeof InvoiceDueCursor.Type

export interface InvoiceFilter {
  readonly userId?: UserId | undefined
  readonly subscriptionId?: SubscriptionId | undefined
  readonly state?: InvoiceState | undefined
}

export class InvoiceNotFound extends Schema.TaggedError<InvoiceNotFound>("@ai-core/database/InvoiceNotFound")(
  "InvoiceNotFound",
  { id: InvoiceId }
) {
  override get message(): string {
    return `there is no invoice ${this.id}`
  }
}

/** The invoice is finalised, or void: its lines and sums are frozen. */
export class InvoiceNotDraft extends Schema.TaggedError<InvoiceNotDraft>("@ai-core/database/InvoiceNotDraft")(
  "InvoiceNotDraft",
  { id: InvoiceId, state: InvoiceState }
) {
  override get message(): string {
    return `the invoice ${this.id} is no draft: it is ${this.state}`
  }
}

/** The invoice takes no money: it is a draft, void, or paid. */
export class InvoiceNotOpen extends Schema.TaggedError<InvoiceNotOpen>("@ai-core/database/InvoiceNotOpen")(
  "InvoiceNotOpen",
  { id: InvoiceId, state: InvoiceState }
) {
  override get message(): string {
    return `the invoice ${this.id} takes no money: it is ${this.state}`
  }
}

/** Money came, or is under way, for the invoice, so it cannot be void. */
export class InvoiceHasPayments extends Schema.TaggedError<InvoiceHasPayments>("@ai-core/database/InvoiceHasPayments")(
  "InvoiceHasPayments",
  { id: InvoiceId, pending: Money, paid: Money }
) {
  override get message(): string {
    return `the invoice ${this.id} has payments`
  }
}

/** The lines of an invoice come to less than zero, or to less than its discount. */
export class NegativeInvoice extends Schema.TaggedError<NegativeInvoice>("@ai-core/database/NegativeInvoice")(
  "NegativeInvoice",
  { subtotal: Money, discount: Money }
) {
  override get message(): string {
    return "the lines of the invoice come to less than zero, or to less than the discount"
  }
}

/** A payment, or credit, is more than what the invoice still takes. */
export class AmountExceedsDue extends Schema.TaggedError<AmountExceedsDue>("@ai-core/database/AmountExceedsDue")(
  "AmountExceedsDue",
  {
    invoiceId: InvoiceId,
    /** What is due, less the payments under way. */
    payable: Money,
    amount: Money
  }
) {
  override get message(): string {
    return `${this.amount.amount} is more than the ${this.payable.amount} that invoice ${this.invoiceId} still takes`
  }
}

/** What is owed. */
export interface Invoices {
  /** Stores a draft with its lines. Not idempotent: a draft that was made twice is voided. */
  readonly create: (
    invoice: NewInvoice
  ) => Effect.Effect<Invoice, UserNotFound | PriceNotFound | NegativeInvoice | MoneyOverflow | StoreError>
  /**
   * Makes the draft of a period of a subscription, exactly once: sent again, also at once, it gives back the first one.
   *
   * It charges the price that held when the period began, by the quantity that held then, whatever the subscription was changed
   * to since, and what was used of that price's metric in the period, which must then be over (`PeriodNotOver`); a period in the
   * trial costs nothing. Nothing is prorated: a period is charged whole, also where the subscription was canceled or paused in
   * it. Usage of an invoiced period is refused from then on.
   *
   * The period is one of the subscription's own, `currentPeriodStart` to `currentPeriodEnd` of its time, else `PeriodMismatch`
   * names the field that does not fit and the nearest period that is one. It has begun, by the Clock, else `PeriodNotBegun`.
   * Fails with `PeriodInvoiced` where a period that overlaps was invoiced. A void invoice does not count.
   *
   * Inside a transaction it needs `read committed`, else `InvalidData` names `isolation`: a stricter snapshot would not show
   * the usage that others have recorded since.
   */
  readonly invoiceSubscription: (
    subscriptionId: SubscriptionId,
    period: BillingPeriod
  ) => Effect.Effect<
    Invoice,
    SubscriptionNotFound | PeriodNotBegun | PeriodNotOver | PeriodInvoiced | PeriodMismatch | MoneyOverflow | StoreError
  >
  /** Finds an invoice by id; concurrent calls go together. */
  readonly find: (id: InvoiceId) => Effect.Effect<Option.Option<Invoice>, StoreError>
  /** Finds invoices by id, each in the place of its id; none where there is no such invoice. */
  readonly findMany: (ids: ReadonlyArray<InvoiceId>) => Effect.Effect<ReadonlyArray<Option.Option<Invoice>>, StoreError>
  readonly findByNumber: (number: string) => Effect.Effect<Option.Option<Invoice>, StoreError>
  /** The lines in their order; none where there is no such invoice. */
  readonly lines: (id: InvoiceId) => Effect.Effect<ReadonlyArray<InvoiceLine>, StoreError>
  /** Changes a draft that still is at the version that the caller read. */
  readonly update: (
    id: InvoiceId,
    expectedVersion: number,
    changes: InvoiceChanges
  ) => Effect.Effect<
    Invoice,
    InvoiceNotFound | VersionConflict | InvoiceNotDraft | PriceNotFound | NegativeInvoice | MoneyOverflow | StoreError
  >
  /**
   * Gives a draft its number and freezes it: to `open`, or to `paid` where its total is zero.
   *
   * Numbers of a series follow each other without a gap, from 1 on, in the order in which their transactions commit: who
   * finalises holds the series until then, so keep such transactions short.
   */
  readonly finalize: (
    id: InvoiceId,
    options?: InvoiceFinalizing
  ) => Effect.Effect<Invoice, InvoiceNotFound | IllegalTransition | StoreError>
  /**
   * To `void`: nothing is owed, and its period may be invoiced again. Credit that was applied is given back.
   *
   * Fails with `InvoiceHasPayments` where a payment has succeeded, refunded or not, or is under way.
   */
  readonly void: (
    id: InvoiceId
  ) => Effect.Effect<Invoice, InvoiceNotFound | IllegalTransition | InvoiceHasPayments | MoneyOverflow | StoreError>
  /** To `uncollectible`: nobody expects the money, but what comes is taken. */
  readonly markUncollectible: (
    id: InvoiceId
  ) => Effect.Effect<Invoice, InvoiceNotFound | IllegalTransition | StoreError>
  /** Lists invoices page by page, by the time they were made; one that exists throughout is listed exactly once. */
  readonly list: (
    options?: InvoiceFilter & ListOptions<InvoiceCursor>
  ) => Effect.Effect<Page<Invoice, InvoiceCursor>, StoreError>
  /** Streams the invoices of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: InvoiceFilter & StreamOptions) => Stream.Stream<Invoice, StoreError>
  /** Open invoices that were due before a time (now, where nothing is said), the longest overdue first. */
  readonly overdue: (
    options?: { readonly at?: DateTime.Utc | undefined } & PageOptions<InvoiceDueCursor>
  ) => Effect.Effect<Page<Invoice, InvoiceDueCursor>, StoreError>
}
