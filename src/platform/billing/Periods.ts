import * as DateTime from "effect/DateTime"
import type { SubscriptionRow } from "./BillingTables.ts"
import type { BillingInterval, Price } from "./Plans.ts"
import type { BillingPeriod } from "./Usage.ts"

const months: Record<Exclude<BillingInterval, "one-off">, number> = { month: 1, year: 12 }

/** Falls due more than once. */
export const isRecurring = (interval: BillingInterval): interval is keyof typeof months => interval !== "one-off"

/** A stretch of whole periods in which a subscription has one price and one quantity. */
export interface Term {
  readonly since: DateTime.Utc
  /** The first moment that is no longer in it; null while nobody has said. */
  readonly until: DateTime.Utc | null
  /** Periods end whole months after it; before it, where it lies after the start, is the trial. */
  readonly billingAnchor: DateTime.Utc
  readonly interval: keyof typeof months
  readonly quantity: number
  readonly price: Price
}

const monthsBetween = (from: DateTime.Utc, to: DateTime.Utc): number => {
  const [a, b] = [DateTime.toPartsUtc(from), DateTime.toPartsUtc(to)]
  return (b.year - a.year) * 12 + b.month - a.month
}

/**
 * The period that a moment of a term is in, in UTC.
 *
 * Periods end whole months after the anchor, not after each other, so that what began on a 31st ends on the last day of February
 * and on the 31st of March.
 */
export const periodOf = (
  { billingAnchor: anchor, interval, since }: Pick<Term, "billingAnchor" | "interval" | "since">,
  at: DateTime.Utc
): BillingPeriod => {
  if (DateTime.isLessThan(at, anchor)) return { start: since, end: anchor }
  const first = monthsBetween(anchor, DateTime.max(anchor, since))
  const startOf = (n: number) => DateTime.add(anchor, { months: first + n * months[interval] })
  const n = Math.floor((monthsBetween(anchor, at) - first) / months[interval])
  const begun = DateTime.isGreaterThan(startOf(n), at) ? n - 1 : n
  return { start: startOf(begun), end: startOf(begun + 1) }
}

/** The first moment after this one at which a period of the term, or the term itself, begins. */
export const nextStart = (term: Pick<Term, "billingAnchor" | "interval" | "since">, at: DateTime.Utc): DateTime.Utc =>
  DateTime.isLessThan(at, term.since) ? term.since : periodOf(term, at).end

/** The term that a moment is in. */
export const termAt = <T extends Pick<Term, "since" | "until">>(
  terms: ReadonlyArray<T>,
  at: DateTime.Utc
): T | undefined =>
  terms.find(
    ({ since, until }) =>
      DateTime.isGreaterThanOrEqualTo(at, since) && (until === null || DateTime.isLessThan(at, until))
  )

type Ends = Pick<SubscriptionRow, "cancelAtPeriodEnd" | "canceledAt" | "currentPeriodEnd" | "pausedAt">

/** The period of a subscription that a moment is in, with its term: the last is the one in which it was paused or canceled. */
export const periodAt = (
  { cancelAtPeriodEnd, canceledAt, currentPeriodEnd, pausedAt }: Ends,
  terms: ReadonlyArray<Term>,
  at: DateTime.Utc
): { readonly period: BillingPeriod; readonly term: Term } | undefined => {
  const term = termAt(terms, at)
  if (term === undefined) return undefined
  const period = periodOf(term, at)
  const ended = pausedAt ?? canceledAt
  const isOwn =
    (ended === null || DateTime.isLessThanOrEqualTo(period.start, ended)) &&
    !(cancelAtPeriodEnd && DateTime.isGreaterThanOrEqualTo(period.start, currentPeriodEnd))
  return isOwn ? { period, term } : undefined
}

/** The period that a moment is in, or else the last one before it, or else the first; none where it never began. */
export const nearestPeriod = (
  subscription: Ends,
  terms: ReadonlyArray<Term>,
  at: DateTime.Utc
): BillingPeriod | null => {
  const { cancelAtPeriodEnd, canceledAt, currentPeriodEnd, pausedAt } = subscription
  const before = (end: DateTime.Utc) => DateTime.subtract(end, { milliseconds: 1 })
  for (const { since, until } of terms.toReversed()) {
    const last = [
      at,
      ...(until === null ? [] : [before(until)]),
      ...(cancelAtPeriodEnd ? [before(currentPeriodEnd)] : []),
      ...[pausedAt ?? canceledAt].filter((ended) => ended !== null)
    ].reduce(DateTime.min)
    const found = DateTime.isLessThan(last, since) ? undefined : periodAt(subscription, terms, last)
    if (found !== undefined) return found.period
  }
  const [first] = terms
  return first === undefined ? null : (periodAt(subscription, terms, first.since)?.period ?? null)
}
