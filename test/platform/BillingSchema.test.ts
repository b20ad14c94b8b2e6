import { describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import type * as Statement from "effect/sql/Statement"
import * as assert from "node:assert/strict"
import { StoreError } from "../../src/core/StoreError.ts"
import { Billing } from "../../src/platform/billing/Billing.ts"
import * as BillingLive from "../../src/platform/billing/BillingLive.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type { Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import * as Client from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import {
  aDraft,
  anInvoice,
  aPayment,
  aPrice,
  aSubscription,
  aUser,
  credited,
  eur,
  line
} from "../../src/testing/contracts/billing/support.ts"
import { sharedEngine } from "../postgres/sharedEngine.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"

type Needs = Billing | Users | Transaction | PostgresClient

const repositories = Layer.mergeAll(BillingLive.layer, UsersLive.layer).pipe(
  Layer.provideMerge(TransactionLive.layer),
  Layer.provide(PlatformMigrations.layerPostgres)
)

type Sql = PostgresClient["Service"]["sql"]

/** Fails unless the rule of this name refuses the statements, which are one transaction. */
const refuses = (rule: string, statements: (sql: Sql) => ReadonlyArray<Statement.Statement<unknown>>) =>
  Effect.gen(function* () {
    const { query, sql } = yield* PostgresClient
    const { run } = yield* Transaction
    const error = yield* Effect.flip(
      run(Effect.forEach(statements(sql), (statement) => query({ operation: "raw", kind: "write" }, statement)))
    )
    assert.ok(error instanceof StoreError && error.reason._tag === "ConstraintViolated", String(error))
    assert.equal(error.reason.constraint, rule)
  })

/** Foreign keys whose columns do not lead an index. */
const notIndexed = Effect.flatMap(
  PostgresClient,
  ({ sql }) => sql<{ readonly name: string }>`
    select k.conname as name from pg_constraint as k
    where k.contype = 'f' and k.connamespace = 'ai_core'::regnamespace and not exists (
      select from pg_index as i where i.indrelid = k.conrelid
        and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)`
)

const cases: Record<string, Effect.Effect<void, unknown, Needs>> = {
  "a price never changes": Effect.gen(function* () {
    const { id } = yield* aPrice()
    yield* refuses("prices_immutable_check", (sql) => [sql`update ai_core.prices set amount = 1 where id = ${id}`])
    yield* refuses("prices_immutable_check", (sql) => [
      sql`update ai_core.prices set currency = 'USD' where id = ${id}`
    ])
  }),
  "a line is quantity times unit amount": Effect.gen(function* () {
    const { id } = yield* aDraft(line(100, 3))
    yield* refuses("invoice_lines_amount_check", (sql) => [
      sql`update ai_core.invoice_lines set amount = 299 where invoice_id = ${id}`
    ])
  }),
  "a subtotal is the sum of the lines, when the transaction commits": Effect.gen(function* () {
    const { id } = yield* aDraft(line(100), line(50))
    const rule = "invoices_subtotal_sum_check"
    yield* refuses(rule, (sql) => [sql`update ai_core.invoices set subtotal = 149, total = 149 where id = ${id}`])
    yield* refuses(rule, (sql) => [
      sql`update ai_core.invoice_lines set quantity = 2, amount = 200 where invoice_id = ${id} and position = 1`
    ])
    yield* refuses(rule, (sql) => [sql`delete from ai_core.invoice_lines where invoice_id = ${id} and position = 2`])
    yield* refuses(rule, (sql) => [
      sql`insert into ai_core.invoice_lines (invoice_id, position, description, quantity, unit_amount, amount)
        values (${id}, 3, 'one', 1, 5, 5), (${id}, 4, 'two', 1, 5, 5)`
    ])
    const { run } = yield* Transaction
    const { sql } = yield* PostgresClient
    yield* run(
      Effect.all([
        sql`delete from ai_core.invoice_lines where invoice_id = ${id} and position = 2`,
        sql`update ai_core.invoices set subtotal = 100, total = 100 where id = ${id}`
      ])
    )
  }),
  "a total is subtotal less discount, with tax": Effect.gen(function* () {
    const { id } = yield* aDraft(line(100))
    for (const wrong of ["total = 99", "discount = 101, tax = 1, total = 0", "tax = -1, total = 99"]) {
      yield* refuses("invoices_total_check", (sql) => [
        sql`update ai_core.invoices set ${sql.literal(wrong)} where id = ${id}`
      ])
    }
  }),
  "a finalised invoice and its lines are frozen, and stay": Effect.gen(function* () {
    const { id } = yield* anInvoice(100)
    for (const change of [
      "tax = 1, total = 101",
      "number = 'X-1'",
      "currency = 'USD'",
      "due_at = due_at, finalized_at = now()"
    ]) {
      yield* refuses("invoices_frozen_check", (sql) => [
        sql`update ai_core.invoices set ${sql.literal(change)} where id = ${id}`
      ])
    }
    yield* refuses("invoice_lines_frozen_check", (sql) => [
      sql`update ai_core.invoice_lines set description = 'x' where invoice_id = ${id}`
    ])
    yield* refuses("invoice_lines_frozen_check", (sql) => [
      sql`delete from ai_core.invoice_lines where invoice_id = ${id}`
    ])
    yield* refuses("invoice_lines_frozen_check", (sql) => [
      sql`insert into ai_core.invoice_lines (invoice_id, position, description, quantity, unit_amount, amount)
        values (${id}, 2, 'x', 1, 0, 0)`
    ])
    yield* refuses("invoices_kept_check", (sql) => [sql`delete from ai_core.invoices where id = ${id}`])
  }),
  "a line stays in its invoice, frozen or not": Effect.gen(function* () {
    const frozen = yield* anInvoice(100)
    const [draft, other] = [yield* aDraft(line(100)), yield* aDraft(line(50))]
    const move = (from: string, to: string) => (sql: Sql) => [
      sql`update ai_core.invoices set subtotal = 0, total = 0 where id = ${from} and state = 'draft'`,
      sql`update ai_core.invoices set subtotal = subtotal + 100, total = total + 100 where id = ${to} and state = 'draft'`,
      sql`update ai_core.invoice_lines set invoice_id = ${to}, position = 9 where invoice_id = ${from} and position = 1`
    ]
    yield* refuses("invoice_lines_moved_check", move(frozen.id, draft.id))
    yield* refuses("invoice_lines_frozen_check", move(draft.id, frozen.id))
    yield* refuses("invoice_lines_moved_check", move(draft.id, other.id))
  }),
  "a paid invoice stays paid": Effect.gen(function* () {
    const { invoiceId } = yield* aPayment(100)
    yield* refuses("invoices_frozen_check", (sql) => [
      sql`update ai_core.invoices set state = 'uncollectible', paid_at = null where id = ${invoiceId}`
    ])
  }),
  "what is paid is what the payments come to, and no more than the total": Effect.gen(function* () {
    const { id } = yield* anInvoice(100)
    yield* refuses("invoices_amount_paid_sum_check", (sql) => [
      sql`update ai_core.invoices set amount_paid = 40 where id = ${id}`
    ])
    yield* refuses("invoices_amount_paid_sum_check", (sql) => [
      sql`update ai_core.invoices set amount_pending = 40 where id = ${id}`
    ])
    yield* refuses("invoices_credit_applied_sum_check", (sql) => [
      sql`update ai_core.invoices set credit_applied = 40 where id = ${id}`
    ])
    yield* refuses("invoices_paid_check", (sql) => [
      sql`update ai_core.invoices set amount_paid = 101 where id = ${id}`
    ])
    yield* refuses("invoices_paid_check", (sql) => [
      sql`update ai_core.invoices set state = 'paid', paid_at = now() where id = ${id}`
    ])
    const paid = yield* aPayment(50)
    yield* refuses("invoices_amount_paid_sum_check", (sql) => [
      sql`update ai_core.payments set state = 'failed', failure = 'x' where id = ${paid.id}`
    ])
    yield* refuses("payments_kept_check", (sql) => [sql`delete from ai_core.payments where id = ${paid.id}`])
  }),
  "a payment is in its invoice's currency": Effect.gen(function* () {
    const { id } = yield* anInvoice(100)
    yield* refuses("payments_invoice_id_currency_fkey", (sql) => [
      sql`insert into ai_core.payments
          (id, invoice_id, currency, amount, state, provider, idempotency_key, request_hash)
        values (${id}, ${id}, 'USD', 100, 'pending', 'x', ${id}, 'x')`
    ])
  }),
  "a payment stays in its invoice, and of its amount": Effect.gen(function* () {
    const [paid, other] = [yield* aPayment(100), yield* anInvoice(100)]
    const pay = (sql: Sql, invoice: string, amount: number) =>
      sql`update ai_core.invoices set amount_paid = ${amount}, state = case when ${amount} = total then 'paid' else 'open' end,
          paid_at = case when ${amount} = total then now() end where id = ${invoice} and state = 'open'`
    yield* refuses("payments_immutable_check", (sql) => [
      pay(sql, other.id, 100),
      sql`update ai_core.payments set invoice_id = ${other.id} where id = ${paid.id}`
    ])
    for (const change of ["amount = 99", "currency = 'USD'", "id = gen_random_uuid()"]) {
      yield* refuses("payments_immutable_check", (sql) => [
        sql`update ai_core.payments set ${sql.literal(change)} where id = ${paid.id}`
      ])
    }
  }),
  "a refund stays in its payment, and of its amount": Effect.gen(function* () {
    const { sql } = yield* PostgresClient
    const { run } = yield* Transaction
    const [paid, other] = [yield* aPayment(100), yield* aPayment(100)]
    yield* run(
      Effect.all([
        sql`insert into ai_core.refunds (id, payment_id, currency, amount, state, reason, idempotency_key, request_hash)
          values (${paid.id}, ${paid.id}, 'EUR', 10, 'pending', 'x', ${paid.id}, 'x')`,
        sql`update ai_core.payments set amount_refunded = 10 where id = ${paid.id}`
      ])
    )
    yield* refuses("refunds_immutable_check", (sql) => [
      sql`update ai_core.payments set amount_refunded = 0 where id = ${paid.id}`,
      sql`update ai_core.payments set amount_refunded = 10 where id = ${other.id}`,
      sql`update ai_core.refunds set payment_id = ${other.id} where id = ${paid.id}`
    ])
    yield* refuses("refunds_immutable_check", (sql) => [
      sql`update ai_core.payments set amount_refunded = 9 where id = ${paid.id}`,
      sql`update ai_core.refunds set amount = 9 where id = ${paid.id}`
    ])
    yield* refuses("refunds_immutable_check", (sql) => [
      sql`update ai_core.refunds set currency = 'USD' where id = ${paid.id}`
    ])
  }),
  "refunds are what the payment says of them, and no more than it": Effect.gen(function* () {
    const { id } = yield* aPayment(100)
    yield* refuses("payments_amount_refunded_check", (sql) => [
      sql`update ai_core.payments set amount_refunded = 101 where id = ${id}`
    ])
    yield* refuses("payments_amount_refunded_sum_check", (sql) => [
      sql`update ai_core.payments set amount_refunded = 10 where id = ${id}`
    ])
    const refund = (sql: Sql, currency: string) =>
      sql`insert into ai_core.refunds
          (id, payment_id, currency, amount, state, reason, idempotency_key, request_hash)
        values (${id}, ${id}, ${currency}, 1, 'pending', 'x', ${id}, 'x')`
    yield* refuses("payments_amount_refunded_sum_check", (sql) => [refund(sql, "EUR")])
    yield* refuses("refunds_payment_id_currency_fkey", (sql) => [refund(sql, "USD")])
  }),
  "credit is what its movements leave, never below zero, each beginning where the last ended": Effect.gen(function* () {
    const { id } = yield* aUser
    yield* credited(id, 100)
    yield* refuses("credit_balances_balance_sum_check", (sql) => [
      sql`update ai_core.credit_balances set balance = 99 where user_id = ${id}`
    ])
    yield* refuses("credit_balances_balance_check", (sql) => [
      sql`update ai_core.credit_balances set balance = -1 where user_id = ${id}`
    ])
    yield* refuses("credit_movements_kept_check", (sql) => [
      sql`update ai_core.credit_movements set amount = 1 where user_id = ${id}`
    ])
    yield* refuses("credit_movements_kept_check", (sql) => [
      sql`delete from ai_core.credit_movements where user_id = ${id}`
    ])
    const moved = (sql: Sql, sequence: number, amount: number, after: number) => [
      sql`insert into ai_core.credit_movements
          (id, user_id, currency, sequence, amount, balance_after, description, idempotency_key, request_hash)
        values (${id}, ${id}, 'EUR', ${sequence}, ${amount}, ${after}, 'x', ${id}, 'x')`,
      sql`update ai_core.credit_balances set balance = ${after}, movements = ${sequence} where user_id = ${id}`
    ]
    yield* refuses("credit_movements_balance_after_sum_check", (sql) => moved(sql, 2, 5, 106))
    yield* refuses("credit_movements_balance_after_sum_check", (sql) => moved(sql, 3, 5, 105))
    yield* refuses("credit_balances_balance_sum_check", (sql) => moved(sql, 2, 5, 105).slice(0, 1))
    const { sql } = yield* PostgresClient
    const { run } = yield* Transaction
    yield* run(Effect.all(moved(sql, 2, 5, 105)))
    const { credit } = yield* Billing
    assert.deepEqual(yield* credit.balance(id, "EUR"), eur(105))
  }),
  "a period that is invoiced, and a live subscription, are there once": Effect.gen(function* () {
    const { id, userId } = yield* aSubscription()
    const invoice = (sql: Sql, key: string) =>
      sql`insert into ai_core.invoices
          (id, user_id, subscription_id, period_start, period_end, currency, state, subtotal, discount, tax, total)
        values (${key}, ${userId}, ${id}, '2024-01-01', '2024-02-01', 'EUR', 'draft', 0, 0, 0, 0)`
    yield* refuses("invoices_subscription_id_period_start_key", (sql) => [invoice(sql, id), invoice(sql, userId)])
    yield* refuses("subscriptions_user_id_plan_id_key", (sql) => [
      sql`insert into ai_core.subscriptions (id, user_id, plan_id, price_id, quantity, state, started_at, billing_anchor,
          current_period_start, current_period_end)
        select ${userId}, user_id, plan_id, price_id, quantity, state, started_at, billing_anchor,
          current_period_start, current_period_end from ai_core.subscriptions where id = ${id}`
    ])
  }),
  "a term ends after it begins, and one of a subscription has no end": Effect.gen(function* () {
    const { id } = yield* aSubscription()
    yield* refuses("subscription_terms_until_check", (sql) => [
      sql`update ai_core.subscription_terms set until = since where subscription_id = ${id}`
    ])
    yield* refuses("subscription_terms_subscription_id_key", (sql) => [
      sql`insert into ai_core.subscription_terms (subscription_id, position, price_id, quantity, billing_anchor, since)
        select subscription_id, 2, price_id, quantity, billing_anchor, now() from ai_core.subscription_terms
        where subscription_id = ${id}`
    ])
    yield* refuses("subscriptions_next_check", (sql) => [
      sql`update ai_core.subscriptions set next_quantity = 2 where id = ${id}`
    ])
    yield* refuses("subscriptions_next_check", (sql) => [
      sql`update ai_core.subscriptions set next_plan_id = plan_id, next_price_id = price_id, next_quantity = 2,
        state = 'canceled', canceled_at = now() where id = ${id}`
    ])
    yield* refuses("subscription_plans_pkey", (sql) => [
      sql`insert into ai_core.subscription_plans (user_id, plan_id, subscription_id)
        select user_id, plan_id, subscription_id from ai_core.subscription_plans where subscription_id = ${id}`
    ])
    yield* refuses("subscriptions_paused_at_check", (sql) => [
      sql`update ai_core.subscriptions set state = 'paused' where id = ${id}`
    ])
  }),
  "an invoice for a subscription is its user's": Effect.gen(function* () {
    const [{ id }, other] = [yield* aSubscription(), yield* aUser]
    yield* refuses("invoices_subscription_id_user_id_fkey", (sql) => [
      sql`insert into ai_core.invoices
          (id, user_id, subscription_id, period_start, period_end, currency, state, subtotal, discount, tax, total)
        values (${id}, ${other.id}, ${id}, '2024-01-01', '2024-02-01', 'EUR', 'draft', 0, 0, 0, 0)`
    ])
  }),
  "every foreign key is indexed": Effect.map(notIndexed, (names) => assert.deepEqual(names, []))
}

const enforced = (title: string, layer: Layer.Layer<Needs, unknown>) =>
  it.layer(layer, { excludeTestServices: true, timeout: "1 minute" })(title, (it) => {
    for (const [name, run] of Object.entries(cases)) it.effect(name, () => run)
  })

describe("What the tables of billing refuse, whoever writes", () => {
  enforced("embedded", repositories.pipe(Layer.provideMerge(sharedEngine)))
})

const server = Layer.unwrap(
  Effect.map(freshPostgres, (url) => Client.layer({ url: Redacted.make(url), minConnections: 0, maxConnections: 4 }))
)

describeLive("postgresql", "What the tables of billing refuse on a server, whoever writes", () => {
  enforced("live", repositories.pipe(Layer.provideMerge(server)))
})
