import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { IdempotencyKey, requestHash } from "../../core/Idempotency.ts"
import { cursor, defaultPageSize, pageOf, PageSize } from "../../core/KeysetPage.ts"
import { MomentFromMillis } from "../../core/Moment.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { textOf } from "../../core/Text.ts"
import { makeIds, TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { expectVersion, Version } from "../../core/Version.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import * as Money from "../Money.ts"
import { UserId, UserNotFound } from "../users/Users.ts"
import { RecentMoment } from "../Checks.ts"
import { invoiceLines, type InvoiceRow, invoices, invoiceSeries, open } from "./BillingTables.ts"
import { makeDrafts } from "./Drafts.ts"
import { changedInvoice, invoiceOf, lineOf } from "./InvoiceRows.ts"
import {
  InvoiceFinalizing,
  type Invoice,
  InvoiceChanges,
  InvoiceCursor,
  InvoiceDueCursor,
  InvoiceHasPayments,
  InvoiceId,
  InvoiceNotDraft,
  InvoiceNotFound,
  type Invoices,
  InvoiceState,
  invoiceStates,
  NewInvoice
} from "./Invoices.ts"
import { makeInvoiceSubscription } from "./invoiceSubscription.ts"
import { makeLedger } from "./Ledger.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import { SubscriptionId } from "./Subscriptions.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"

const cursors = timeCursor("invoices", InvoiceCursor)
const dueCursors = cursor(
  "overdue-invoices",
  InvoiceDueCursor,
  Schema.Struct({ dueAt: MomentFromMillis, id: TimeOrderedId })
)
const filters = {
  userId: Schema.optional(UserId),
  subscriptionId: Schema.optional(SubscriptionId),
  state: Schema.optional(InvoiceState)
}

const newInvoice = decodeInput(NewInvoice)
const idOnly = decodeInput(Schema.Struct({ id: InvoiceId }))
const numberOnly = decodeInput(Schema.Struct({ number: textOf(1, 100) }))
const changed = decodeInput(Schema.Struct({ id: InvoiceId, expectedVersion: Version, changes: InvoiceChanges }))
const finalizing = decodeInput(Schema.Struct({ id: InvoiceId, options: InvoiceFinalizing }))
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))
const overdueOptions = decodeInput(
  Schema.Struct({
    at: Schema.optional(RecentMoment),
    limit: Schema.optional(PageSize),
    after: Schema.optional(dueCursors.key)
  })
)

const hashOfVoid = requestHash(Schema.Struct({ void: InvoiceId }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.invoices.${method}`, subject: "input" }) as const

export const makeInvoices = (tables: Tables): Invoices => {
  const { insertNew, lookup, many, one, replace, run } = tables
  const accountOf = makeLedger(tables)
  const drafts = makeDrafts(tables)
  const nextKey = makeIds()

  const create: Invoices["create"] = Effect.fnUntraced(function* (given) {
    const invoice = yield* newInvoice(at("create"), given)
    const { userId } = invoice
    return yield* run(drafts.make(at("create").operation, { ...invoice, subscription: undefined })).pipe(
      Effect.map(invoiceOf),
      Effect.mapError(onConstraint({ invoices_user_id_fkey: () => new UserNotFound({ id: userId }) }))
    )
  })

  const { find, findMany } = finders(lookup(at("find").operation, invoices), InvoiceId, invoiceOf, at)

  const findByNumber: Invoices["findByNumber"] = Effect.fnUntraced(function* (given) {
    const { number } = yield* numberOnly(at("findByNumber"), { number: given })
    return Option.map(yield* one(at("findByNumber").operation, invoices, { where: { number } }), invoiceOf)
  })

  const lines: Invoices["lines"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("lines")
    const { id } = yield* idOnly(at("lines"), { id: given })
    const invoice = yield* one(operation, invoices, { where: { id } })
    if (Option.isNone(invoice)) return []
    const rows = yield* many(operation, invoiceLines, { where: { invoiceId: id }, order: ["position"] })
    return rows.map(lineOf(invoice.value.currency))
  })

  /** Changes an invoice under its lock. */
  const changing = <E>(
    operation: string,
    id: InvoiceId,
    change: (invoice: InvoiceRow, now: DateTime.Utc) => Effect.Effect<Partial<InvoiceRow>, E>
  ): Effect.Effect<Invoice, E | InvoiceNotFound | StoreError> =>
    run(
      Effect.gen(function* () {
        const found = yield* one(operation, invoices, { where: { id }, lock: "update" })
        if (Option.isNone(found)) return yield* new InvoiceNotFound({ id })
        const now = yield* DateTime.now
        const written = changedInvoice(found.value, yield* change(found.value, now), now)
        yield* replace(operation, invoices, written)
        return invoiceOf(written)
      })
    )

  const update: Invoices["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { operation } = at("update")
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("update"), input)
    return yield* changing(operation, id, (invoice) =>
      Effect.gen(function* () {
        const { state } = yield* Effect.fromResult(
          expectVersion(id, expectedVersion, Option.some(invoice), () => new InvoiceNotFound({ id }))
        )
        if (state !== "draft") return yield* new InvoiceNotDraft({ id, state })
        return yield* drafts.change(operation, invoice, changes)
      })
    )
  })

  /** The next number of a series, held until the transaction ends, so that one that fails leaves no gap. */
  const nextNumber = Effect.fnUntraced(function* (operation: string, series: string) {
    const empty = { series, lastNumber: 0 }
    yield* insertNew(operation, invoiceSeries, [empty])
    const held = yield* one(operation, invoiceSeries, { where: { series }, lock: "update" })
    const next = Option.getOrElse(held, () => empty).lastNumber + 1
    yield* replace(operation, invoiceSeries, { series, lastNumber: next })
    return `${series}-${String(next).padStart(6, "0")}`
  })

  const finalize: Invoices["finalize"] = Effect.fnUntraced(function* (givenId, givenOptions) {
    const { operation } = at("finalize")
    const { id, options } = yield* finalizing(at("finalize"), { id: givenId, options: givenOptions ?? {} })
    const { dueAt, series = "INV" } = options
    return yield* changing(operation, id, (invoice, now) =>
      Effect.gen(function* () {
        const to = invoice.total === 0 && invoice.state === "draft" ? "paid" : "open"
        const state = yield* Effect.fromResult(invoiceStates.go(id, invoice.state, to))
        return {
          state,
          number: yield* nextNumber(operation, series),
          finalizedAt: now,
          dueAt: dueAt ?? now,
          paidAt: state === "paid" ? now : null
        }
      })
    )
  })

  const voided: Invoices["void"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("void")
    const { id } = yield* idOnly(at("void"), { id: given })
    return yield* changing(operation, id, (invoice, now) =>
      Effect.gen(function* () {
        const { amountPaid, amountPending, creditApplied, currency, number, userId } = invoice
        const state = yield* Effect.fromResult(invoiceStates.go(id, invoice.state, "void"))
        if (amountPaid > 0 || amountPending > 0) {
          return yield* new InvoiceHasPayments({
            id,
            pending: Money.make(amountPending, currency),
            paid: Money.make(amountPaid, currency)
          })
        }
        if (creditApplied > 0) {
          const account = yield* accountOf(operation, userId, currency)
          // Made here, so that no caller can have used it before.
          const idempotencyKey = IdempotencyKey.make(`invoice-void:${yield* nextKey}`)
          yield* Effect.catchTag(
            account.move({
              amount: creditApplied,
              description: `Invoice ${number ?? id} is void`,
              invoiceId: id,
              idempotencyKey,
              requestHash: yield* hashOfVoid({ void: id })
            }),
            ["InsufficientCredit", "IdempotencyConflict"],
            Effect.die
          )
        }
        return { state, creditApplied: 0, voidedAt: now }
      })
    )
  })

  const markUncollectible: Invoices["markUncollectible"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* idOnly(at("markUncollectible"), { id: given })
    return yield* changing(at("markUncollectible").operation, id, (invoice) =>
      Effect.map(Effect.fromResult(invoiceStates.go(id, invoice.state, "uncollectible")), (state) => ({ state }))
    )
  })

  const list: Invoices["list"] = Effect.fnUntraced(function* (given) {
    const input = yield* listed(at("list"), given ?? {})
    const { after, limit = defaultPageSize, order = "oldest-first", state, subscriptionId, userId } = input
    const rows = yield* many(at("list").operation, invoices, {
      where: { userId, subscriptionId, state },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(invoiceOf), limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  const overdue: Invoices["overdue"] = Effect.fnUntraced(function* (given) {
    const { after, at: until, limit = defaultPageSize } = yield* overdueOptions(at("overdue"), given ?? {})
    const time = until ?? (yield* DateTime.now)
    const rows = yield* many(at("overdue").operation, invoices, {
      only: open,
      below: { dueAt: time },
      order: ["dueAt", "id"],
      after: after && [after.dueAt, after.id],
      limit: limit + 1
    })
    return pageOf(rows.map(invoiceOf), limit, ({ createdAt, dueAt, id }) =>
      dueCursors.after({ dueAt: dueAt ?? createdAt, id })
    )
  })

  return {
    create,
    invoiceSubscription: makeInvoiceSubscription(tables, drafts),
    find,
    findMany,
    findByNumber,
    lines,
    update,
    finalize,
    void: voided,
    markUncollectible,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list),
    overdue
  }
}
