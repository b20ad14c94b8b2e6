import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { type IdempotencyConflict, IdempotencyKey } from "../../core/Idempotency.ts"
import type { Page } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { textOf } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { type Currency, type CurrencyMismatch, Money, type MoneyOverflow } from "../Money.ts"
import { UserId, type UserNotFound } from "../users/Users.ts"
import { moneyFrom, wholeFrom } from "../Checks.ts"
import { type AmountExceedsDue, InvoiceId, type InvoiceNotFound, type InvoiceNotOpen } from "./Invoices.ts"
import type { ListOptions, StreamOptions } from "../Lists.ts"

export const CreditMovementId = TimeOrderedId.pipe(Schema.brand("CreditMovementId"))
export type CreditMovementId = typeof CreditMovementId.Type

/** One movement of a user's credit. */
export const CreditMovement = Schema.Struct({
  id: CreditMovementId,
  userId: UserId,
  /** 1 for the first one of the user in the currency, then one more each. */
  sequence: Schema.Int,
  /** Above zero what is granted, below zero what is taken. */
  amount: Money,
  balanceAfter: Money,
  /** The invoice that it was applied to, or given back from. */
  invoiceId: Schema.NullOr(InvoiceId),
  description: Schema.String,
  idempotencyKey: IdempotencyKey,
  createdAt: Schema.DateTimeUtc
})
export type CreditMovement = typeof CreditMovement.Type

export const NewCredit = Schema.Struct({
  userId: UserId,
  amount: moneyFrom(1),
  description: textOf(1, 500),
  /** Names this movement among all of them. */
  idempotencyKey: IdempotencyKey
})
export type NewCredit = typeof NewCredit.Type

export const NewCreditUse = Schema.Struct({
  invoiceId: InvoiceId,
  /** In the invoice's currency; as much as there is and as the invoice takes, where nothing is said. */
  amount: Schema.optional(moneyFrom(1)),
  /** Names this movement among all of them. */
  idempotencyKey: IdempotencyKey
})
export type NewCreditUse = typeof NewCreditUse.Type

export const CreditCursor = Schema.String.pipe(Schema.brand("CreditCursor"))
export type CreditCursor = typeof CreditCursor.Type

/** What a cursor of movements holds. */
export const CreditPlace = Schema.Struct({
  order: Schema.Literals(["oldest-first", "newest-first"]),
  sequence: wholeFrom(1)
})

/** Whose movements, of which currency. */
export interface CreditFilter {
  readonly userId: UserId
  readonly currency: Currency
}

/** There is less credit than was to be taken. */
export class InsufficientCredit extends Schema.TaggedError<InsufficientCredit>("@ai-core/database/InsufficientCredit")(
  "InsufficientCredit",
  { userId: UserId, available: Money }
) {
  override get message(): string {
    return `the user ${this.userId} has ${this.available.amount} of credit`
  }
}

/**
 * Credit of users, each currency for itself: a ledger that is only ever added to.
 *
 * A balance never is below zero, however many movements come at once. Every movement is made once per key: sent again, also at
 * once, it gives back the first one; `IdempotencyConflict` says that the key made another movement.
 */
export interface Credit {
  /** Nothing is zero: also for a user who does not exist. */
  readonly balance: (userId: UserId, currency: Currency) => Effect.Effect<Money, StoreError>
  /** Adds to a user's credit; `MoneyOverflow` where the balance would be beyond 2^53 - 1. */
  readonly grant: (
    credit: NewCredit
  ) => Effect.Effect<CreditMovement, UserNotFound | MoneyOverflow | IdempotencyConflict | StoreError>
  /** Takes from a user's credit what is there. */
  readonly deduct: (
    credit: NewCredit
  ) => Effect.Effect<CreditMovement, UserNotFound | InsufficientCredit | IdempotencyConflict | StoreError>
  /**
   * Pays an open (or uncollectible) invoice with its user's credit, wholly or in part; it is `paid` once nothing is due.
   *
   * Payments under way keep their part of the invoice (`AmountExceedsDue`).
   */
  readonly apply: (
    use: NewCreditUse
  ) => Effect.Effect<
    CreditMovement,
    | InvoiceNotFound
    | InvoiceNotOpen
    | CurrencyMismatch
    | AmountExceedsDue
    | InsufficientCredit
    | IdempotencyConflict
    | StoreError
  >
  /** In the order in which they moved the balance. */
  readonly list: (
    options: CreditFilter & ListOptions<CreditCursor>
  ) => Effect.Effect<Page<CreditMovement, CreditCursor>, StoreError>
  /** Streams the movements of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options: CreditFilter & StreamOptions) => Stream.Stream<CreditMovement, StoreError>
}
