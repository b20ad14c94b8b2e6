import * as DateTime from "effect/DateTime"
import type { BillingInterval } from "./Plans.ts"

const months: Record<Exclude<BillingInterval, "one-off">, number> = { month: 1, year: 12 }

/** Falls due more than once. */
export const isRecurring = (interval: BillingInterval): interval is keyof typeof months => interval !== "one-off"

const monthsBetween = (from: DateTime.Utc, to: DateTime.Utc): number => {
  const [a, b] = [DateTime.toPartsUtc(from), DateTime.toPartsUtc(to)]
  return (b.year - a.year) * 12 + b.month - a.month
}

/**
 * End of the period that begins at `start`, in UTC.
 *
 * Periods end whole months after the anchor, not after each other, so that what began on a 31st ends on the last day of February
 * and on the 31st of March.
 */
export const periodEnd = (anchor: DateTime.Utc, interval: keyof typeof months, start: DateTime.Utc): DateTime.Utc =>
  DateTime.add(anchor, { months: monthsBetween(anchor, start) + months[interval] })
