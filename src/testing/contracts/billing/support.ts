import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as assert from "node:assert/strict"
import { IdempotencyKey } from "../../../core/Idempotency.ts"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { Invoice, NewInvoiceLine } from "../../../platform/billing/Invoices.ts"
import type { NewPayment, Payment } from "../../../platform/billing/Payments.ts"
import type { NewPrice, Plan, Price } from "../../../platform/billing/Plans.ts"
import type { NewSubscription, Subscription } from "../../../platform/billing/Subscriptions.ts"
import type { NewUsage } from "../../../platform/billing/Usage.ts"
import { make as money } from "../../../platform/Money.ts"
import type { User, Users } from "../../../platform/users/Users.ts"
import type { Transaction } from "../../../postgres/Transaction.ts"
import { passTime, unique } from "../../Contract.ts"
import { refuses as refusesAs, untyped } from "../../Expectations.ts"
import { later, someUser } from "../users.ts"

export { failsWith, failure, pages, untyped } from "../../Expectations.ts"

/** One case of the contract. */
export type Run = Effect.Effect<void, unknown, Billing | Users | Transaction>

export const eur = (amount: number) => money(amount, "EUR")

export const stop = { _tag: "Stop" } as const

/** An id that nothing has. */
export const nothing = (): never => untyped("01900000-0000-7000-8000-000000000000")

export const time = (iso: string): DateTime.Utc => DateTime.makeUnsafe(iso)

/** Values as JSON has them: times are compared as times. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

export const same = (actual: unknown, expected: unknown): void => assert.deepEqual(plain(actual), plain(expected))

/** Fails unless the effect is refused as invalid, naming exactly these fields. */
export const refuses = <A, E, R>(effect: Effect.Effect<A, E, R>, operation: string, fields: ReadonlyArray<string>) =>
  refusesAs(effect, `Billing.${operation}`, fields)

/** Clocks of tests begin in 1970, and these cases tell of 2024 as of the past. */
export const inOurTime = Effect.gen(function* () {
  const missing = DateTime.toEpochMillis(time("2025-06-01T00:00:00Z")) - DateTime.toEpochMillis(yield* DateTime.now)
  if (missing > 0) yield* passTime(missing)
})

/** Runs the effect at this time of the Clock. */
export const at =
  (moment: DateTime.Utc) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(DateTime.now, (now) => later(moment.epochMilliseconds - now.epochMilliseconds)(effect))

export const keyOf = (prefix: string): Effect.Effect<IdempotencyKey> =>
  Effect.map(unique(prefix), (key) => IdempotencyKey.make(key))

const slug = (prefix: string) => Effect.map(unique(prefix), (name) => name.toLowerCase())

export const aUser = someUser()

export const aPlan = (name = "Pro"): Effect.Effect<Plan, unknown, Billing> =>
  Effect.gen(function* () {
    const { plans } = yield* Billing
    return yield* plans.create({ slug: yield* slug("plan"), name })
  })

export const aSlug = slug("plan")

/** 20.00 EUR a month, where nothing is said. */
export const aPrice = (given: Partial<NewPrice> = {}): Effect.Effect<Price, unknown, Billing> =>
  Effect.gen(function* () {
    const { plans } = yield* Billing
    const planId = given.planId ?? (yield* aPlan()).id
    return yield* plans.addPrice({ amount: eur(2000), interval: "month", ...given, planId })
  })

/** 2 cents for each 1000 tokens beyond 500 for each one of the quantity. */
export const tokens = { metric: "tokens", unitAmount: 2, size: 1000, included: 500 } as const

export const aSubscription = (
  given: Partial<NewSubscription> = {}
): Effect.Effect<Subscription, unknown, Billing | Users> =>
  Effect.gen(function* () {
    const { subscriptions } = yield* Billing
    const userId = given.userId ?? (yield* aUser).id
    const priceId = given.priceId ?? (yield* aPrice()).id
    return yield* subscriptions.create({ ...given, userId, priceId })
  })

export const line = (unitAmount: number, quantity = 1, description = "Work"): NewInvoiceLine => ({
  description,
  quantity,
  unitAmount
})

export const aDraft = (...lines: ReadonlyArray<NewInvoiceLine>): Effect.Effect<Invoice, unknown, Billing | Users> =>
  Effect.gen(function* () {
    const { invoices } = yield* Billing
    const { id } = yield* aUser
    return yield* invoices.create({ userId: id, currency: "EUR", lines })
  })

/** An open invoice of so many cents. */
export const anInvoice = (total: number): Effect.Effect<Invoice, unknown, Billing | Users> =>
  Effect.gen(function* () {
    const { invoices } = yield* Billing
    const { id } = yield* aDraft(line(total))
    return yield* invoices.finalize(id)
  })

export const payment = (invoice: Invoice, amount: number, given: Partial<NewPayment> = {}): Effect.Effect<NewPayment> =>
  Effect.map(keyOf("payment"), (idempotencyKey) => ({
    invoiceId: invoice.id,
    amount: eur(amount),
    provider: "stripe",
    idempotencyKey,
    ...given
  }))

/** A payment of so many cents that has come. */
export const aPayment = (amount: number, invoice?: Invoice): Effect.Effect<Payment, unknown, Billing | Users> =>
  Effect.gen(function* () {
    const { payments } = yield* Billing
    const given = yield* payment(invoice ?? (yield* anInvoice(amount)), amount, { state: "succeeded" })
    return yield* payments.create(given)
  })

export const usage = (
  { id }: Subscription,
  quantity: number,
  usedAt: DateTime.Utc,
  given: Partial<NewUsage> = {}
): Effect.Effect<NewUsage> =>
  Effect.map(keyOf("usage"), (idempotencyKey) => ({
    subscriptionId: id,
    metric: "tokens",
    quantity,
    usedAt,
    idempotencyKey,
    ...given
  }))

/** Grants credit to a user. */
export const credited = (userId: User["id"], amount: number) =>
  Effect.gen(function* () {
    const { credit } = yield* Billing
    return yield* credit.grant({
      userId,
      amount: eur(amount),
      description: "Gift",
      idempotencyKey: yield* keyOf("gift")
    })
  })

/** The invoice as it is now. */
export const again = ({ id }: Pick<Invoice, "id">): Effect.Effect<Invoice, unknown, Billing> =>
  Effect.gen(function* () {
    const { invoices } = yield* Billing
    return Option.getOrThrow(yield* invoices.find(id))
  })

export const ids = (rows: ReadonlyArray<{ readonly id: string }>): ReadonlyArray<string> => rows.map(({ id }) => id)

export const times = <A, E, R>(count: number, make: (i: number) => Effect.Effect<A, E, R>) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    make
  )
