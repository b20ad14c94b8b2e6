import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { requestHash } from "../../core/Idempotency.ts"
import { cursor, cursorAgrees, defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import * as Money from "../Money.ts"
import { UserId, UserNotFound } from "../users/Users.ts"
import { creditBalances, type CreditMovementRow, creditMovements, invoices } from "./BillingTables.ts"
import {
  type Credit,
  CreditCursor,
  type CreditMovement,
  CreditPlace,
  InsufficientCredit,
  NewCredit,
  NewCreditUse
} from "./Credit.ts"
import { payable, takesMoney, withMoney } from "./InvoiceRows.ts"
import { AmountExceedsDue, InvoiceNotFound, InvoiceNotOpen } from "./Invoices.ts"
import { makeLedger } from "./Ledger.ts"
import { listFields, sameOrder, streamFields, streamOf } from "../Lists.ts"
import type { Tables } from "../tables/Tables.ts"

const account = { userId: UserId, currency: Money.Currency }
const cursors = cursor("credit-movements", CreditCursor, Schema.Struct({ ...account, ...CreditPlace.fields }))

const newCredit = decodeInput(NewCredit)
const newUse = decodeInput(NewCreditUse)
const balanceOf = decodeInput(Schema.Struct(account))
const listed = decodeInput(
  Schema.Struct({ ...listFields(cursors.key), ...account }).check(sameOrder, cursorAgrees("userId", "currency"))
)
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...account }))

const hashOfCredit = requestHash(Schema.Struct({ method: Schema.String, credit: NewCredit }))
const hashOfUse = requestHash(NewCreditUse)

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.credit.${method}`, subject: "input" }) as const

const movementOf = (row: CreditMovementRow): CreditMovement => ({
  id: row.id,
  userId: row.userId,
  sequence: row.sequence,
  amount: Money.make(row.amount, row.currency),
  balanceAfter: Money.make(row.balanceAfter, row.currency),
  invoiceId: row.invoiceId,
  description: row.description,
  idempotencyKey: row.idempotencyKey,
  createdAt: row.createdAt
})

export const makeCredit = (tables: Tables): Credit => {
  const { many, one, replace, run } = tables
  const accountOf = makeLedger(tables)

  const balance: Credit["balance"] = Effect.fnUntraced(function* (givenUser, givenCurrency) {
    const { currency, userId } = yield* balanceOf(at("balance"), { userId: givenUser, currency: givenCurrency })
    const found = yield* one(at("balance").operation, creditBalances, { where: { userId, currency } })
    return Money.make(Option.isSome(found) ? found.value.balance : 0, currency)
  })

  const move = Effect.fnUntraced(function* (method: "deduct" | "grant", given: NewCredit) {
    const { operation } = at(method)
    const credit = yield* newCredit(at(method), given)
    const { amount, description, idempotencyKey, userId } = credit
    const request = { idempotencyKey, requestHash: yield* hashOfCredit({ method, credit }) }
    return yield* run(
      Effect.gen(function* () {
        const { madeBefore, move } = yield* accountOf(operation, userId, amount.currency)
        const before = yield* madeBefore(request)
        if (Option.isSome(before)) return movementOf(before.value)
        const signed = method === "grant" ? amount.amount : -amount.amount
        return movementOf(yield* move({ ...request, amount: signed, description, invoiceId: null }))
      })
    ).pipe(Effect.mapError(onConstraint({ credit_balances_user_id_fkey: () => new UserNotFound({ id: userId }) })))
  })

  // What is taken is less than the balance, which is exact.
  const deduct: Credit["deduct"] = (given) => Effect.catchTag(move("deduct", given), "MoneyOverflow", Effect.die)
  const grant: Credit["grant"] = (given) => Effect.catchTag(move("grant", given), "InsufficientCredit", Effect.die)

  const apply: Credit["apply"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("apply")
    const use = yield* newUse(at("apply"), given)
    const { amount: wanted, idempotencyKey, invoiceId } = use
    const request = { idempotencyKey, requestHash: yield* hashOfUse(use) }
    return yield* run(
      Effect.gen(function* () {
        const found = yield* one(operation, invoices, { where: { id: invoiceId }, lock: "update" })
        if (Option.isNone(found)) return yield* new InvoiceNotFound({ id: invoiceId })
        const invoice = found.value
        const { currency, userId } = invoice
        const account = yield* accountOf(operation, userId, currency)
        const before = yield* account.madeBefore(request)
        if (Option.isSome(before)) return movementOf(before.value)
        if (!takesMoney(invoice)) return yield* new InvoiceNotOpen({ id: invoiceId, state: invoice.state })
        if (wanted !== undefined && wanted.currency !== currency) {
          return yield* new Money.CurrencyMismatch({ expected: currency, actual: wanted.currency })
        }
        const room = payable(invoice)
        const amount = wanted?.amount ?? Math.min(room, account.balance)
        const available = Money.make(account.balance, currency)
        if (account.balance === 0) return yield* new InsufficientCredit({ userId, available })
        if (amount > room || room === 0) {
          return yield* new AmountExceedsDue({
            invoiceId,
            payable: Money.make(room, currency),
            amount: wanted ?? available
          })
        }
        const row = yield* account.move({
          ...request,
          amount: -amount,
          description: `Invoice ${invoice.number ?? invoiceId}`,
          invoiceId
        })
        const { createdAt: now } = row
        yield* replace(operation, invoices, withMoney(invoice, { creditApplied: invoice.creditApplied + amount }, now))
        return movementOf(row)
      })
    ).pipe(Effect.catchTag("MoneyOverflow", Effect.die))
  })

  const list: Credit["list"] = Effect.fnUntraced(function* (given) {
    const {
      after,
      currency,
      limit = defaultPageSize,
      order = "oldest-first",
      userId
    } = yield* listed(at("list"), given)
    const rows = yield* many(at("list").operation, creditMovements, {
      where: { userId, currency },
      order: ["sequence"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.sequence],
      limit: limit + 1
    })
    return pageOf(rows.map(movementOf), limit, ({ sequence }) => cursors.after({ userId, currency, order, sequence }))
  })

  return { balance, grant, deduct, apply, list, stream: streamOf((given) => streamed(at("stream"), given), list) }
}
