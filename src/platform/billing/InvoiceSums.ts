import * as Result from "effect/Result"
import * as Money from "../Money.ts"
import { type NewInvoiceLine, NegativeInvoice } from "./Invoices.ts"
import type { UsagePrice } from "./Plans.ts"

/** A line with what it comes to. */
export interface PricedLine extends NewInvoiceLine {
  readonly amount: number
}

export interface Sums {
  readonly subtotal: number
  readonly discount: number
  readonly tax: number
  readonly total: number
}

const isExact = (amount: bigint): boolean => Number.isSafeInteger(Number(amount))

/** What every line comes to. */
export const priceLines = (
  currency: Money.Currency,
  lines: ReadonlyArray<NewInvoiceLine>
): Result.Result<ReadonlyArray<PricedLine>, Money.MoneyOverflow> => {
  const amounts = lines.map(({ quantity, unitAmount }) => BigInt(quantity) * BigInt(unitAmount))
  return amounts.every(isExact)
    ? // Adding zero makes 0 of -0.
      Result.succeed(lines.map((line, i) => ({ ...line, amount: Number(amounts[i]) + 0 })))
    : Result.fail(new Money.MoneyOverflow({ currency }))
}

/** What an invoice comes to: its lines less the discount, with the tax. */
export const sumUp = (
  currency: Money.Currency,
  amounts: ReadonlyArray<number>,
  discount: number,
  tax: number
): Result.Result<Sums, NegativeInvoice | Money.MoneyOverflow> => {
  const subtotal = amounts.reduce((sum, amount) => sum + BigInt(amount), 0n)
  const total = subtotal - BigInt(discount) + BigInt(tax)
  if (!isExact(subtotal) || !isExact(total)) return Result.fail(new Money.MoneyOverflow({ currency }))
  if (subtotal < BigInt(discount)) {
    return Result.fail(
      new NegativeInvoice({
        subtotal: Money.make(Number(subtotal), currency),
        discount: Money.make(discount, currency)
      })
    )
  }
  return Result.succeed({ subtotal: Number(subtotal), discount, tax, total: Number(total) })
}

/** Units to charge for what was used: begun ones counted whole, beyond what is included for each of a quantity. */
export const chargedUnits = ({ included, size }: UsagePrice, quantity: number, used: number): number => {
  const beyond = BigInt(used) - BigInt(included) * BigInt(quantity)
  return beyond <= 0n ? 0 : Number((beyond + BigInt(size) - 1n) / BigInt(size))
}
