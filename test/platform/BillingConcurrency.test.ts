import { it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Exit, Layer, Option, Redacted } from "effect"
import * as assert from "node:assert/strict"
import type { IdempotencyKey } from "../../src/core/Idempotency.ts"
import { Billing } from "../../src/platform/billing/Billing.ts"
import * as BillingLive from "../../src/platform/billing/BillingLive.ts"
import type { NewPayment, PaymentId } from "../../src/platform/billing/Payments.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import { Users } from "../../src/platform/users/Users.ts"
import * as UsersLive from "../../src/platform/users/UsersLive.ts"
import * as PostgresClient from "../../src/postgres/PostgresClient.ts"
import { Transaction } from "../../src/postgres/Transaction.ts"
import * as TransactionLive from "../../src/postgres/TransactionLive.ts"
import { unique } from "../../src/testing/Contract.ts"
import {
  aDraft,
  again,
  anInvoice,
  aPayment,
  aPrice,
  aSubscription,
  aUser,
  credited,
  eur,
  keyOf,
  line,
  payment,
  time,
  times,
  tokens,
  usage as used
} from "../../src/testing/contracts/billing/support.ts"
import { later } from "../../src/testing/contracts/users.ts"
import { untilLocked } from "../postgres/activity.ts"
import { describeLive, freshPostgres } from "../servers/index.ts"
import { healthy, tally } from "./manyCallers.ts"

/** Runs an effect many times at once. */
const race = <R>(count: number, run: (i: number) => Effect.Effect<unknown, unknown, R>) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) => Effect.exit(run(i)),
    { concurrency: count }
  )

const on = (options: { readonly maxConnections: number }) =>
  Layer.mergeAll(BillingLive.layer, UsersLive.layer).pipe(
    Layer.provideMerge(TransactionLive.layer),
    Layer.provide(PlatformMigrations.layerPostgres),
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(freshPostgres, (url) =>
          PostgresClient.layer({ url: Redacted.make(url), minConnections: 0, ...options })
        )
      )
    )
  )

/** How many things of different ids were given back. */
const distinct = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>): number =>
  new Set(
    exits.flatMap((exit) =>
      Exit.isSuccess(exit) && typeof exit.value === "object" && exit.value !== null && "id" in exit.value
        ? [exit.value.id]
        : []
    )
  ).size

/** What is stored adds up, over all rows, as the database itself counts. */
const addsUp = Effect.gen(function* () {
  const { sql } = yield* PostgresClient.PostgresClient
  const wrong = yield* sql`
    select 'invoice' as what, i.id::text as id from ai_core.invoices as i where
      i.subtotal <> (select coalesce(sum(l.amount), 0) from ai_core.invoice_lines as l where l.invoice_id = i.id)
      or i.amount_paid <> (select coalesce(sum(p.amount), 0) from ai_core.payments as p
        where p.invoice_id = i.id and p.state = 'succeeded')
      or i.amount_pending <> (select coalesce(sum(p.amount), 0) from ai_core.payments as p
        where p.invoice_id = i.id and p.state = 'pending')
      or i.credit_applied <> (select coalesce(-sum(m.amount), 0) from ai_core.credit_movements as m
        where m.invoice_id = i.id)
    union all
    select 'payment', p.id::text from ai_core.payments as p where
      p.amount_refunded <> (select coalesce(sum(r.amount), 0) from ai_core.refunds as r
        where r.payment_id = p.id and r.state <> 'failed')
    union all
    select 'credit', b.user_id::text from ai_core.credit_balances as b where
      (b.balance, b.movements) <> (select coalesce(sum(m.amount), 0), count(*)
        from ai_core.credit_movements as m where m.user_id = b.user_id and m.currency = b.currency)`
  assert.deepEqual(wrong, [])
  yield* healthy
})

const start = time("2024-01-01T00:00:00Z")
const january = { start, end: time("2024-02-01T00:00:00Z") }

describeLive("postgresql", "Billing on a server, many callers at once", () => {
  it.layer(on({ maxConnections: 8 }), { excludeTestServices: true, timeout: "1 minute" })("pool of 8", (it) => {
    it.effect("one payment sent 30 times is made once", () =>
      Effect.gen(function* () {
        const { payments } = yield* Billing
        const invoice = yield* anInvoice(100)
        const given = yield* payment(invoice, 60, { state: "succeeded" })
        const exits = yield* race(30, () => payments.create(given))
        assert.deepEqual(tally(exits), { won: 30 })
        assert.equal(distinct(exits), 1)
        assert.deepEqual((yield* again(invoice)).amountPaid, eur(60))
        yield* addsUp
      })
    )

    it.effect("one key for payments of many invoices makes one of them", () =>
      Effect.gen(function* () {
        const { payments } = yield* Billing
        const key = yield* keyOf("shared")
        const invoices = yield* times(12, () => anInvoice(100))
        const exits = yield* race(12, (i) =>
          Effect.flatMap(payment(invoices[i]!, 100, { idempotencyKey: key }), payments.create)
        )
        assert.deepEqual(tally(exits), { won: 1, IdempotencyConflict: 11 })
        yield* addsUp
      })
    )

    it.effect("30 payments of a third of an invoice: three are taken", () =>
      Effect.gen(function* () {
        const { payments } = yield* Billing
        const invoice = yield* anInvoice(100)
        const exits = yield* race(30, (i) =>
          Effect.flatMap(payment(invoice, 33, { state: i % 2 === 0 ? "pending" : "succeeded" }), payments.create)
        )
        assert.deepEqual(tally(exits), { won: 3, AmountExceedsDue: 27 })
        yield* addsUp
      })
    )

    it.effect("one provider's reference is of one payment", () =>
      Effect.gen(function* () {
        const { payments } = yield* Billing
        const providerReference = yield* unique("pi")
        const invoices = yield* times(10, () => anInvoice(100))
        const made = yield* Effect.forEach(invoices, (invoice) => Effect.flatMap(payment(invoice, 1), payments.create))
        const exits = yield* race(20, (i) =>
          i < 10
            ? payments.succeed(made[i]!.id, { providerReference })
            : Effect.flatMap(payment(invoices[i - 10]!, 2, { providerReference }), payments.create)
        )
        assert.deepEqual(tally(exits), { won: 1, ProviderReferenceTaken: 19 })
        yield* addsUp
      })
    )

    it.effect("a payment that is settled by 20 webhooks at once counts once, and has come in the end", () =>
      Effect.gen(function* () {
        const { payments } = yield* Billing
        const invoice = yield* anInvoice(100)
        const { id } = yield* payments.create(yield* payment(invoice, 100))
        const exits = yield* race(20, (i) => (i % 2 === 0 ? payments.succeed(id) : payments.fail(id, "declined")))
        const { IllegalTransition = 0, won = 0 } = tally(exits)
        assert.equal(won + IllegalTransition, 20)
        assert.ok(won >= 10)
        const { amountPaid, state } = yield* again(invoice)
        assert.deepEqual([amountPaid, state], [eur(100), "paid"])
        yield* addsUp
      })
    )

    it.effect("30 refunds of a third of a payment: three are taken; one sent 20 times is one", () =>
      Effect.gen(function* () {
        const { refunds } = yield* Billing
        const refund = (paymentId: typeof first.id, amount: number, key: IdempotencyKey) =>
          refunds.create({ paymentId, amount: eur(amount), reason: "Asked", idempotencyKey: key })
        const first = yield* aPayment(100)
        const exits = yield* race(30, () => Effect.flatMap(keyOf("refund"), (key) => refund(first.id, 33, key)))
        assert.deepEqual(tally(exits), { won: 3, RefundExceedsPayment: 27 })
        const second = yield* aPayment(100)
        const key = yield* keyOf("refund")
        const same = yield* race(20, () => refund(second.id, 60, key))
        assert.deepEqual(tally(same), { won: 20 })
        assert.equal(distinct(same), 1)
        yield* addsUp
      })
    )

    it.effect("a webhook that comes again while its payment is refunded waits for no one who waits for it", () =>
      Effect.gen(function* () {
        const { payments, refunds } = yield* Billing
        const { run } = yield* Transaction
        const { sql } = yield* PostgresClient.PostgresClient
        const refund = (paymentId: PaymentId) =>
          Effect.flatMap(keyOf("refund"), (idempotencyKey) =>
            refunds.create({ paymentId, amount: eur(10), reason: "Asked", idempotencyKey })
          )
        const webhooks = [
          ["won", (id: PaymentId) => Effect.asVoid(payments.succeed(id))],
          ["IllegalTransition", (id: PaymentId) => Effect.asVoid(payments.fail(id, "late"))]
        ] as const
        for (const [outcome, webhook] of webhooks) {
          for (const act of ["asked for", "failed"] as const) {
            const { id } = yield* aPayment(100)
            const made = yield* refund(id)
            const done = yield* Deferred.make<void>()
            const told = yield* Deferred.make<void>()
            const refunding = Effect.gen(function* () {
              yield* act === "failed" ? refunds.fail(made.id, "closed") : refund(id)
              yield* Deferred.succeed(done, undefined)
              yield* Effect.race(Deferred.await(told), untilLocked(sql))
            })
            const again = Deferred.await(done).pipe(
              Effect.andThen(run(webhook(id), { retry: false })),
              Effect.ensuring(Deferred.succeed(told, undefined))
            )
            // A deadlock would be run again, and told by nothing but the second that it takes to be found.
            const exits = yield* Effect.all([Effect.exit(run(refunding, { retry: false })), Effect.exit(again)], {
              concurrency: 2
            })
            assert.deepEqual(
              exits.map((exit) => tally([exit])),
              [{ won: 1 }, { [outcome]: 1 }]
            )
          }
        }
        yield* addsUp
      })
    )

    it.effect("one key for refunds of many payments makes one of them", () =>
      Effect.gen(function* () {
        const { refunds } = yield* Billing
        const key = yield* keyOf("shared")
        const payments = yield* times(12, () => aPayment(100))
        const exits = yield* race(12, (i) =>
          refunds.create({ paymentId: payments[i]!.id, amount: eur(10), reason: "Asked", idempotencyKey: key })
        )
        assert.deepEqual(tally(exits), { won: 1, IdempotencyConflict: 11 })
        yield* addsUp
      })
    )

    it.effect("refunds that come and go at once leave the sum right", () =>
      Effect.gen(function* () {
        const { payments, refunds } = yield* Billing
        const { id } = yield* aPayment(1000)
        yield* race(40, (i) =>
          Effect.gen(function* () {
            const idempotencyKey = yield* keyOf("refund")
            const made = yield* refunds.create({ paymentId: id, amount: eur(25), reason: "Asked", idempotencyKey })
            return yield* i % 2 === 0 ? refunds.succeed(made.id) : refunds.fail(made.id, "closed")
          })
        )
        assert.deepEqual(Option.getOrThrow(yield* payments.find(id)).amountRefunded, eur(500))
        yield* addsUp
      })
    )

    it.effect("credit of 100 pays 10 of 40 who want 10", () =>
      Effect.gen(function* () {
        const { credit } = yield* Billing
        const { id: userId } = yield* aUser
        yield* credited(userId, 100)
        const exits = yield* race(40, () =>
          Effect.flatMap(keyOf("use"), (idempotencyKey) =>
            credit.deduct({ userId, amount: eur(10), description: "Used", idempotencyKey })
          )
        )
        assert.deepEqual(tally(exits), { won: 10, InsufficientCredit: 30 })
        assert.deepEqual(yield* credit.balance(userId, "EUR"), eur(0))
        yield* addsUp
      })
    )

    it.effect("the first movements of an account, all at once, follow each other", () =>
      Effect.gen(function* () {
        const { credit } = yield* Billing
        const { id: userId } = yield* aUser
        const exits = yield* race(25, () => credited(userId, 4))
        assert.deepEqual(tally(exits), { won: 25 })
        const { items } = yield* credit.list({ userId, currency: "EUR" })
        assert.deepEqual(
          items.map(({ balanceAfter, sequence }) => [sequence, balanceAfter.amount]),
          items.map((_, i) => [i + 1, 4 * (i + 1)])
        )
        yield* addsUp
      })
    )

    it.effect("one movement sent 30 times, by two users too, moves once", () =>
      Effect.gen(function* () {
        const { credit } = yield* Billing
        const [one, two] = [yield* aUser, yield* aUser]
        const given = { amount: eur(7), description: "Gift", idempotencyKey: yield* keyOf("gift") }
        const exits = yield* race(30, (i) => credit.grant({ ...given, userId: i % 2 === 0 ? one.id : two.id }))
        assert.deepEqual(tally(exits), { won: 15, IdempotencyConflict: 15 })
        assert.equal(distinct(exits), 1)
        const balances = [yield* credit.balance(one.id, "EUR"), yield* credit.balance(two.id, "EUR")]
        assert.deepEqual(balances.map(({ amount }) => amount).sort(), [0, 7])
        yield* addsUp
      })
    )

    it.effect("payments and credit for one invoice at once never come to more than it", () =>
      Effect.gen(function* () {
        const { credit, payments } = yield* Billing
        const invoice = yield* anInvoice(100)
        yield* credited(invoice.userId, 1000)
        const exits = yield* race(30, (i) =>
          i % 2 === 0
            ? Effect.flatMap(payment(invoice, 20, { state: "succeeded" }), payments.create)
            : Effect.flatMap(keyOf("use"), (idempotencyKey) =>
                credit.apply({ invoiceId: invoice.id, amount: eur(20), idempotencyKey })
              )
        )
        assert.equal(tally(exits).won, 5)
        const paid = yield* again(invoice)
        assert.equal(paid.state, "paid")
        assert.equal(paid.amountPaid.amount + paid.creditApplied.amount, 100)
        yield* addsUp
      })
    )

    it.effect("an invoice is paid or void, not both", () =>
      Effect.gen(function* () {
        const { invoices, payments } = yield* Billing
        const open = yield* times(12, () => anInvoice(10))
        yield* race(24, (i) => {
          const invoice = open[i % 12]!
          return i < 12
            ? Effect.flatMap(payment(invoice, 10, { state: "succeeded" }), payments.create)
            : invoices.void(invoice.id)
        })
        const after = yield* Effect.forEach(open, again)
        for (const { amountPaid, state } of after) assert.equal(state, amountPaid.amount === 10 ? "paid" : "void")
        yield* addsUp
      })
    )

    it.effect("numbers of a series have no gap, whoever fails meanwhile", () =>
      Effect.gen(function* () {
        const { invoices } = yield* Billing
        const transaction = yield* Transaction
        const series = "GAPLESS"
        const drafts = yield* times(40, () => aDraft(line(1)))
        const exits = yield* race(40, (i) =>
          transaction.run(
            Effect.gen(function* () {
              const { number } = yield* invoices.finalize(drafts[i]!.id, { series })
              yield* Effect.yieldNow
              if (i % 4 === 0) return yield* Effect.fail({ _tag: "Stop" as const })
              return number
            })
          )
        )
        assert.deepEqual(tally(exits), { won: 30, Stop: 10 })
        const numbers = exits.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value] : [])).toSorted()
        assert.deepEqual(
          numbers,
          numbers.map((_, i) => `GAPLESS-${String(i + 1).padStart(6, "0")}`)
        )
        yield* addsUp
      })
    )

    it.effect("a draft is finalised once, and no line comes in meanwhile", () =>
      Effect.gen(function* () {
        const { invoices } = yield* Billing
        const draft = yield* aDraft(line(100))
        const exits = yield* race(20, (i) =>
          i % 2 === 0 ? invoices.finalize(draft.id) : invoices.update(draft.id, 1, { lines: [line(100), line(i)] })
        )
        const { IllegalTransition = 0, InvoiceNotDraft = 0, VersionConflict = 0, won = 0 } = tally(exits)
        assert.equal(IllegalTransition, 9)
        assert.equal(won + InvoiceNotDraft + VersionConflict, 11)
        assert.ok(won === 1 || won === 2)
        yield* addsUp
      })
    )

    it.effect("of 20 who subscribe a user to a plan one wins", () =>
      Effect.gen(function* () {
        const { subscriptions } = yield* Billing
        const [user, price] = [yield* aUser, yield* aPrice()]
        const exits = yield* race(20, () => subscriptions.create({ userId: user.id, priceId: price.id }))
        assert.deepEqual(tally(exits), { won: 1, AlreadySubscribed: 19 })
        yield* healthy
      })
    )

    it.effect("of 20 who move subscriptions of a user to one plan one wins", () =>
      Effect.gen(function* () {
        const { subscriptions } = yield* Billing
        const [user, price] = [yield* aUser, yield* aPrice()]
        const made = yield* times(20, () => aSubscription({ userId: user.id }))
        const exits = yield* race(20, (i) => subscriptions.change(made[i]!.id, 1, { priceId: price.id }))
        assert.deepEqual(tally(exits), { won: 1, AlreadySubscribed: 19 })
        yield* healthy
      })
    )

    it.effect("of 20 who subscribe a user to a plan, or change to it, one wins", () =>
      Effect.gen(function* () {
        const { subscriptions } = yield* Billing
        for (let round = 0; round < 3; round++) {
          const [user, price] = [yield* aUser, yield* aPrice()]
          const made = yield* times(10, () => aSubscription({ userId: user.id }))
          const exits = yield* race(20, (i) =>
            i < 10
              ? subscriptions.change(made[i]!.id, 1, { priceId: price.id })
              : subscriptions.create({ userId: user.id, priceId: price.id })
          )
          assert.deepEqual(tally(exits), { won: 1, AlreadySubscribed: 19 })
          assert.ok(Option.isSome(yield* subscriptions.findLive(user.id, price.planId)))
        }
        yield* healthy
      })
    )

    it.effect("a plan that is let go of is taken once, by whoever comes first", () =>
      Effect.gen(function* () {
        const { subscriptions } = yield* Billing
        const [user, price] = [yield* aUser, yield* aPrice()]
        const ended = yield* aSubscription({ userId: user.id, priceId: price.id, startAt: start })
        const { sql } = yield* PostgresClient.PostgresClient
        yield* sql`update ai_core.subscriptions set cancel_at_period_end = true where id = ${ended.id}`
        const exits = yield* race(20, () => subscriptions.create({ userId: user.id, priceId: price.id }))
        assert.deepEqual(tally(exits), { won: 1, AlreadySubscribed: 19 })
        assert.equal(Option.getOrThrow(yield* subscriptions.find(ended.id)).state, "canceled")
        yield* healthy
      })
    )

    it.effect("a period is renewed once by 20 workers, and invoiced once by 20 more", () =>
      Effect.gen(function* () {
        const { invoices, subscriptions } = yield* Billing
        const { currentPeriodEnd, id } = yield* aSubscription({ startAt: start })
        const exits = yield* race(40, (i) =>
          i % 2 === 0 ? subscriptions.renew(id, currentPeriodEnd) : invoices.invoiceSubscription(id, january)
        )
        assert.deepEqual(tally(exits), { won: 21, PeriodConflict: 19 })
        const renewed = Option.getOrThrow(yield* subscriptions.find(id))
        assert.equal(DateTime.formatIso(renewed.currentPeriodEnd), "2024-03-01T00:00:00.000Z")
        assert.equal((yield* invoices.list({ subscriptionId: id })).items.length, 1)
        yield* addsUp
      })
    )

    it.effect("usage sent 20 times is recorded once", () =>
      Effect.gen(function* () {
        const { usage } = yield* Billing
        const { id: priceId } = yield* aPrice({ usage: tokens })
        const subscription = yield* aSubscription({ priceId, startAt: start })
        const given = yield* times(50, (i) => used(subscription, i + 1, start))
        const exits = yield* race(20, (i) => usage.recordAll(i % 2 === 0 ? given : given.toReversed()))
        assert.deepEqual(tally(exits), { won: 20 })
        assert.equal(yield* usage.total(subscription.id, "tokens", january), 1275)
        yield* healthy
      })
    )

    it.effect("usage is in the invoice of its period, or refused, but never lost", () =>
      Effect.gen(function* () {
        const { invoices, usage } = yield* Billing
        const price = yield* aPrice({ amount: eur(0), usage: { ...tokens, size: 1, included: 0, unitAmount: 1 } })
        for (let round = 0; round < 5; round++) {
          const subscription = yield* aSubscription({ priceId: price.id, startAt: start })
          const exits = yield* race(21, (i) =>
            i === 10
              ? invoices.invoiceSubscription(subscription.id, january)
              : Effect.flatMap(used(subscription, 1, start), usage.record)
          )
          const { PeriodInvoiced = 0, won = 0 } = tally(exits)
          assert.equal(won + PeriodInvoiced, 21)
          const { total } = yield* invoices.invoiceSubscription(subscription.id, january)
          assert.equal(total.amount, won - 1)
        }
        yield* addsUp
      })
    )

    for (const isolation of ["repeatable read", "serializable"] as const) {
      it.effect(`usage is not recorded into a period that was invoiced behind its snapshot (${isolation})`, () =>
        Effect.gen(function* () {
          const { invoices, subscriptions, usage } = yield* Billing
          const { run } = yield* Transaction
          const price = yield* aPrice({ amount: eur(0), usage: { ...tokens, size: 1, included: 0, unitAmount: 1 } })
          const subscription = yield* aSubscription({ priceId: price.id, startAt: start })
          const looked = yield* Deferred.make<void>()
          const invoiced = yield* Deferred.make<void>()
          const record = Effect.gen(function* () {
            yield* subscriptions.find(subscription.id)
            yield* Deferred.succeed(looked, undefined)
            yield* Deferred.await(invoiced)
            return yield* Effect.flatMap(used(subscription, 7, start), usage.record)
          })
          const invoice = Deferred.await(looked).pipe(
            Effect.andThen(invoices.invoiceSubscription(subscription.id, january)),
            Effect.tap(() => Deferred.succeed(invoiced, undefined))
          )
          const [recorded, { total }] = yield* Effect.all([Effect.exit(run(record, { isolation })), invoice], {
            concurrency: 2
          })
          assert.deepEqual([tally([recorded]), total], [{ PeriodInvoiced: 1 }, eur(0)])
          assert.equal(yield* usage.total(subscription.id, "tokens", january), 0)
          yield* healthy
        })
      )
    }

    it.effect("usage that is accepted while the price is changed is charged, whoever comes first", () =>
      Effect.gen(function* () {
        const { invoices, subscriptions, usage } = yield* Billing
        const metered = (metric: string) =>
          aPrice({ amount: eur(0), usage: { metric, unitAmount: 1, size: 1, included: 0 } })
        const [calls, images] = [yield* metered("calls"), yield* metered("images")]
        for (let round = 0; round < 5; round++) {
          const startAt = DateTime.subtract(yield* DateTime.now, { days: 3 })
          const subscription = yield* aSubscription({ priceId: calls.id, startAt })
          const { currentPeriodEnd: end, id } = subscription
          const exits = yield* race(24, (i) =>
            i === 12
              ? subscriptions.change(id, 1, { priceId: images.id })
              : Effect.flatMap(
                  used(subscription, 1, startAt, { metric: i % 2 === 1 ? "images" : "calls" }),
                  usage.record
                )
          )
          assert.deepEqual(tally(exits), { won: 12, MetricNotPriced: 12 })
          const first = yield* later("40 days")(invoices.invoiceSubscription(id, { start: startAt, end }))
          assert.equal(first.total.amount, 11)
          const [line] = yield* invoices.lines(first.id)
          assert.equal(line?.priceId, calls.id)
        }
        yield* healthy
      })
    )

    it.effect("of 20 changes of one version one is made, and its price holds from the next period on", () =>
      Effect.gen(function* () {
        const { invoices, subscriptions } = yield* Billing
        const { currentPeriodEnd, id } = yield* aSubscription()
        const made = yield* times(20, (i) => aPrice({ amount: eur(i + 1) }))
        const exits = yield* race(20, (i) => subscriptions.change(id, 1, { priceId: made[i]!.id }))
        assert.deepEqual(tally(exits), { won: 1, VersionConflict: 19 })
        const { currentPeriodEnd: end, priceId } = yield* later("32 days")(subscriptions.renew(id, currentPeriodEnd))
        const next = yield* later("32 days")(invoices.invoiceSubscription(id, { start: currentPeriodEnd, end }))
        assert.equal((yield* invoices.lines(next.id))[0]?.priceId, priceId)
        yield* healthy
      })
    )

    it.effect("a user is deleted, or subscribes, not both", () =>
      Effect.gen(function* () {
        const { subscriptions } = yield* Billing
        const users = yield* Users
        const price = yield* aPrice()
        const made = yield* times(10, () => aUser)
        const exits = yield* race(20, (i) => {
          const { id } = made[i % 10]!
          return i < 10 ? users.delete(id) : subscriptions.create({ userId: id, priceId: price.id })
        })
        const { UserInUse = 0, UserNotFound = 0, won } = tally(exits)
        assert.equal(won, 10)
        assert.equal(UserInUse + UserNotFound, 10)
        yield* healthy
      })
    )

    it.effect("a price is archived, or subscribed to before", () =>
      Effect.gen(function* () {
        const { plans, subscriptions } = yield* Billing
        const price = yield* aPrice()
        const made = yield* times(21, () => aUser)
        const exits = yield* race(21, (i) =>
          i === 10 ? plans.archivePrice(price.id) : subscriptions.create({ userId: made[i]!.id, priceId: price.id })
        )
        const { PriceNotOnSale = 0, won = 0 } = tally(exits)
        assert.equal(won + PriceNotOnSale, 21)
        yield* healthy
      })
    )

    it.effect("interrupted at random, nothing is made in part and no connection is lost", () =>
      Effect.gen(function* () {
        const { credit, payments } = yield* Billing
        const invoice = yield* anInvoice(100_000)
        yield* credited(invoice.userId, 100_000)
        const given = yield* times(60, (i) => payment(invoice, i + 1, { state: "succeeded" }))
        const send = (
          { amount, idempotencyKey, invoiceId, ...rest }: NewPayment,
          i: number
        ): Effect.Effect<void, unknown> =>
          i % 2 === 0
            ? Effect.asVoid(payments.create({ amount, idempotencyKey, invoiceId, ...rest }))
            : Effect.asVoid(credit.apply({ amount, idempotencyKey, invoiceId }))
        yield* Effect.forEach(given, (one, i) => Effect.timeoutOption(send(one, i), `${(i % 15) + 1} millis`), {
          concurrency: 12
        })
        yield* addsUp
        // Whoever got no answer sends the same again.
        yield* Effect.forEach(given, send, { concurrency: 4 })
        const after = yield* again(invoice)
        assert.equal(after.amountPaid.amount + after.creditApplied.amount, 1830)
        yield* addsUp
      })
    )
  })

  it.layer(on({ maxConnections: 1 }), { excludeTestServices: true, timeout: "1 minute" })("pool of 1", (it) => {
    it.effect("everything works on one connection, inside a transaction too", () =>
      Effect.gen(function* () {
        const { invoices, payments, subscriptions } = yield* Billing
        const transaction = yield* Transaction
        const subscription = yield* aSubscription({ startAt: start })
        const paid = yield* transaction.run(
          Effect.gen(function* () {
            yield* subscriptions.renew(subscription.id, subscription.currentPeriodEnd)
            const draft = yield* invoices.invoiceSubscription(subscription.id, january)
            const open = yield* invoices.finalize(draft.id)
            yield* payments.create(yield* payment(open, 2000, { state: "succeeded" }))
            return yield* again(open)
          })
        )
        assert.equal(paid.state, "paid")
        yield* addsUp
      })
    )
  })
})
