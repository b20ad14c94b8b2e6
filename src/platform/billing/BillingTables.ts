import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { Version } from "../../core/Version.ts"
import { NullableSafeInteger, NullableTimestamp, SafeInteger, Timestamp } from "../../postgres/repository/Row.ts"
import { UserId } from "../users/Users.ts"
import { CreditMovement } from "./Credit.ts"
import { InvoiceId, InvoiceState } from "./Invoices.ts"
import { Payment, PaymentState, Refund, RefundState } from "./Payments.ts"
import { BillingInterval, Plan, PlanId, PriceId } from "./Plans.ts"
import { Subscription, SubscriptionId } from "./Subscriptions.ts"
import { type Condition, table } from "../tables/Tables.ts"
import { UsageRecord } from "./Usage.ts"

const Time = NullableTimestamp
const Text = Schema.NullOr(Schema.String)

const made = { createdAt: Timestamp, updatedAt: Timestamp }

export const plans = table(
  "plans",
  Plan.mapFields((fields) => ({ ...fields, ...made, archivedAt: Time })),
  ["id"],
  { unique: { plans_slug_key: ({ slug }) => slug } }
)
export type PlanRow = Parameters<typeof plans.key>[0]

export const prices = table(
  "prices",
  Schema.Struct({
    id: PriceId,
    planId: PlanId,
    currency: Schema.String,
    amount: SafeInteger,
    billingInterval: BillingInterval,
    metric: Text,
    unitAmount: NullableSafeInteger,
    unitSize: NullableSafeInteger,
    includedQuantity: NullableSafeInteger,
    archivedAt: Time,
    createdAt: Timestamp
  }),
  ["id"],
  { references: { prices_plan_id_fkey: { to: "plans", key: ({ planId }) => planId, onRemoval: "restrict" } } }
)
export type PriceRow = Parameters<typeof prices.key>[0]

export const subscriptions = table(
  "subscriptions",
  Subscription.mapFields((fields) => ({
    ...Struct.omit(fields, ["next"]),
    ...made,
    quantity: SafeInteger,
    nextPlanId: Schema.NullOr(PlanId),
    nextPriceId: Schema.NullOr(PriceId),
    nextQuantity: NullableSafeInteger,
    startedAt: Timestamp,
    trialEnd: Time,
    billingAnchor: Timestamp,
    currentPeriodStart: Timestamp,
    currentPeriodEnd: Timestamp,
    pausedAt: Time,
    canceledAt: Time
  })),
  ["id"],
  {
    unique: {
      subscriptions_user_id_plan_id_key: ({ planId, state, userId }) =>
        state === "canceled" ? undefined : `${userId}/${planId}`
    },
    references: {
      subscriptions_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "restrict" },
      subscriptions_price_id_plan_id_fkey: { to: "prices", key: ({ priceId }) => priceId, onRemoval: "restrict" },
      subscriptions_next_price_id_next_plan_id_fkey: {
        to: "prices",
        key: ({ nextPriceId }) => nextPriceId ?? undefined,
        onRemoval: "restrict"
      }
    }
  }
)
export type SubscriptionRow = Parameters<typeof subscriptions.key>[0]

/** It is renewed when its period is over, or ends then: a paused one, too, where it was to be canceled. */
export const renewable: Condition<SubscriptionRow> = {
  sql: "(state in ('trialing', 'active', 'past_due') or state = 'paused' and cancel_at_period_end)",
  holds: ({ cancelAtPeriodEnd, state }) => (state === "paused" ? cancelAtPeriodEnd : state !== "canceled")
}

/** It has its plan. */
export const live: Condition<SubscriptionRow> = {
  sql: "state <> 'canceled'",
  holds: ({ state }) => state !== "canceled"
}

export const subscriptionPlans = table(
  "subscription_plans",
  Schema.Struct({ userId: UserId, planId: PlanId, subscriptionId: SubscriptionId }),
  ["userId", "planId"],
  {
    references: {
      subscription_plans_plan_id_fkey: { to: "plans", key: ({ planId }) => planId, onRemoval: "restrict" },
      subscription_plans_subscription_id_user_id_fkey: {
        to: "subscriptions",
        key: ({ subscriptionId }) => subscriptionId,
        onRemoval: "restrict"
      }
    }
  }
)

export const subscriptionTerms = table(
  "subscription_terms",
  Schema.Struct({
    subscriptionId: SubscriptionId,
    position: SafeInteger,
    priceId: PriceId,
    quantity: SafeInteger,
    billingAnchor: Timestamp,
    since: Timestamp,
    until: Time
  }),
  ["subscriptionId", "position"],
  {
    unique: {
      subscription_terms_subscription_id_key: ({ subscriptionId, until }) =>
        until === null ? subscriptionId : undefined
    },
    references: {
      subscription_terms_subscription_id_fkey: {
        to: "subscriptions",
        key: ({ subscriptionId }) => subscriptionId,
        onRemoval: "restrict"
      },
      subscription_terms_price_id_fkey: { to: "prices", key: ({ priceId }) => priceId, onRemoval: "restrict" }
    }
  }
)
export type SubscriptionTermRow = Parameters<typeof subscriptionTerms.key>[0]

export const usageRecords = table(
  "usage_records",
  UsageRecord.mapFields((fields) => ({
    ...fields,
    quantity: SafeInteger,
    usedAt: Timestamp,
    createdAt: Timestamp
  })),
  ["id"],
  {
    unique: {
      usage_records_subscription_id_idempotency_key_key: ({ idempotencyKey, subscriptionId }) =>
        `${subscriptionId}/${idempotencyKey}`
    },
    references: {
      usage_records_subscription_id_fkey: {
        to: "subscriptions",
        key: ({ subscriptionId }) => subscriptionId,
        onRemoval: "restrict"
      }
    }
  }
)
export type UsageRow = Parameters<typeof usageRecords.key>[0]

export const invoiceSeries = table(
  "invoice_series",
  Schema.Struct({ series: Schema.String, lastNumber: SafeInteger }),
  ["series"]
)

export const invoices = table(
  "invoices",
  Schema.Struct({
    id: InvoiceId,
    userId: UserId,
    subscriptionId: Schema.NullOr(SubscriptionId),
    periodStart: Time,
    periodEnd: Time,
    currency: Schema.String,
    state: InvoiceState,
    number: Text,
    subtotal: SafeInteger,
    discount: SafeInteger,
    tax: SafeInteger,
    total: SafeInteger,
    amountPending: SafeInteger,
    amountPaid: SafeInteger,
    creditApplied: SafeInteger,
    dueAt: Time,
    finalizedAt: Time,
    paidAt: Time,
    voidedAt: Time,
    version: Version,
    ...made
  }),
  ["id"],
  {
    unique: {
      invoices_number_key: ({ number }) => number ?? undefined,
      invoices_subscription_id_period_start_key: ({ periodStart, state, subscriptionId }) =>
        state === "void" || subscriptionId === null ? undefined : `${subscriptionId}/${periodStart?.epochMilliseconds}`
    },
    references: {
      invoices_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "restrict" },
      invoices_subscription_id_user_id_fkey: {
        to: "subscriptions",
        key: ({ subscriptionId }) => subscriptionId ?? undefined,
        onRemoval: "restrict"
      }
    }
  }
)
export type InvoiceRow = Parameters<typeof invoices.key>[0]

/** It counts as the invoice of its period. */
export const standing: Condition<InvoiceRow> = { sql: "state <> 'void'", holds: ({ state }) => state !== "void" }

/** It waits for money. */
export const open: Condition<InvoiceRow> = { sql: "state = 'open'", holds: ({ state }) => state === "open" }

export const invoiceLines = table(
  "invoice_lines",
  Schema.Struct({
    invoiceId: InvoiceId,
    position: Schema.Int,
    priceId: Schema.NullOr(PriceId),
    description: Schema.String,
    quantity: SafeInteger,
    unitAmount: SafeInteger,
    amount: SafeInteger
  }),
  ["invoiceId", "position"],
  {
    references: {
      invoice_lines_invoice_id_fkey: { to: "invoices", key: ({ invoiceId }) => invoiceId, onRemoval: "restrict" },
      invoice_lines_price_id_fkey: { to: "prices", key: ({ priceId }) => priceId ?? undefined, onRemoval: "restrict" }
    }
  }
)
export type InvoiceLineRow = Parameters<typeof invoiceLines.key>[0]

export const payments = table(
  "payments",
  Payment.mapFields((fields) => ({
    ...fields,
    ...made,
    currency: Schema.String,
    amount: SafeInteger,
    amountRefunded: SafeInteger,
    state: PaymentState,
    settledAt: Time,
    requestHash: Schema.String
  })),
  ["id"],
  {
    unique: {
      payments_idempotency_key_key: ({ idempotencyKey }) => idempotencyKey,
      payments_provider_provider_reference_key: ({ provider, providerReference }) =>
        providerReference === null ? undefined : `${provider}/${providerReference}`
    },
    references: {
      payments_invoice_id_currency_fkey: { to: "invoices", key: ({ invoiceId }) => invoiceId, onRemoval: "restrict" }
    }
  }
)
export type PaymentRow = Parameters<typeof payments.key>[0]

export const refunds = table(
  "refunds",
  Refund.mapFields((fields) => ({
    ...fields,
    ...made,
    currency: Schema.String,
    amount: SafeInteger,
    state: RefundState,
    settledAt: Time,
    requestHash: Schema.String
  })),
  ["id"],
  {
    unique: { refunds_idempotency_key_key: ({ idempotencyKey }) => idempotencyKey },
    references: {
      refunds_payment_id_currency_fkey: { to: "payments", key: ({ paymentId }) => paymentId, onRemoval: "restrict" }
    }
  }
)
export type RefundRow = Parameters<typeof refunds.key>[0]

export const creditBalances = table(
  "credit_balances",
  Schema.Struct({ userId: UserId, currency: Schema.String, balance: SafeInteger, movements: SafeInteger }),
  ["userId", "currency"],
  { references: { credit_balances_user_id_fkey: { to: "users", key: ({ userId }) => userId, onRemoval: "restrict" } } }
)

export const creditMovements = table(
  "credit_movements",
  CreditMovement.mapFields((fields) => ({
    ...fields,
    currency: Schema.String,
    sequence: SafeInteger,
    amount: SafeInteger,
    balanceAfter: SafeInteger,
    requestHash: Schema.String,
    createdAt: Timestamp
  })),
  ["id"],
  {
    unique: {
      credit_movements_user_id_currency_sequence_key: ({ currency, sequence, userId }) =>
        `${userId}/${currency}/${sequence}`,
      credit_movements_idempotency_key_key: ({ idempotencyKey }) => idempotencyKey
    },
    references: {
      credit_movements_user_id_currency_fkey: {
        to: "credit_balances",
        key: ({ currency, userId }) => `${userId}/${currency}`,
        onRemoval: "restrict"
      },
      credit_movements_invoice_id_currency_fkey: {
        to: "invoices",
        key: ({ invoiceId }) => invoiceId ?? undefined,
        onRemoval: "restrict"
      }
    }
  }
)
export type CreditMovementRow = Parameters<typeof creditMovements.key>[0]

/** All tables of billing. */
export const billingTables = [
  plans,
  prices,
  subscriptions,
  subscriptionPlans,
  subscriptionTerms,
  usageRecords,
  invoiceSeries,
  invoices,
  invoiceLines,
  payments,
  refunds,
  creditBalances,
  creditMovements
]
