import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type { StoreError } from "../../core/StoreError.ts"
import { prices, type SubscriptionRow, type SubscriptionTermRow, subscriptionTerms } from "./BillingTables.ts"
import { priceOf } from "./makePlans.ts"
import { isRecurring, nextStart, periodOf, type Term, termAt } from "./Periods.ts"
import { isSame, nextOf, noNext, type Subscribed } from "./SubscriptionRows.ts"
import type { SubscriptionId } from "./Subscriptions.ts"
import type { Tables } from "../tables/Tables.ts"

/** A term as it is stored, and what its price says. */
export type StoredTerm = Term & SubscriptionTermRow

/** Which price and quantity subscriptions have had since when; inside a transaction that holds the subscriptions. */
export interface Terms {
  /** The terms of each subscription, the oldest first. */
  readonly of: (
    operation: string,
    ids: ReadonlyArray<SubscriptionId>
  ) => Effect.Effect<ReadonlyMap<SubscriptionId, ReadonlyArray<StoredTerm>>, StoreError>
  /** Begins the first term of a new subscription. */
  readonly begin: (operation: string, subscription: SubscriptionRow) => Effect.Effect<void, StoreError>
  /**
   * Makes price and quantity hold from the period of a subscription on that begins after this moment.
   *
   * Gives the subscription: where the period that it is in has not begun, its end is the new term's.
   */
  readonly follow: (
    operation: string,
    subscription: SubscriptionRow,
    wanted: Subscribed,
    last: StoredTerm,
    now: DateTime.Utc
  ) => Effect.Effect<SubscriptionRow, StoreError>
  /** Ends the last term at its end, and begins one with the period that the subscription is in. */
  readonly restart: (
    operation: string,
    subscription: SubscriptionRow,
    last: StoredTerm,
    end: DateTime.Utc
  ) => Effect.Effect<void, StoreError>
}

/** The subscription with what holds in its period, and with what is to come. */
export const standing = (subscription: SubscriptionRow, terms: ReadonlyArray<StoredTerm>): SubscriptionRow => {
  const last = terms.at(-1)
  const term = termAt(terms, subscription.currentPeriodStart) ?? last
  if (term === undefined || last === undefined) return subscription
  const { price, priceId, quantity } = term
  const goesOn = terms.every((other) => other.position <= term.position || isSame(other, term))
  return {
    ...subscription,
    planId: price.planId,
    priceId,
    quantity,
    ...(goesOn ? noNext : nextOf({ ...last, planId: last.price.planId }))
  }
}

export const makeTerms = ({ insertNew, many, replace }: Tables): Terms => {
  const rowOf = (
    { billingAnchor, id: subscriptionId, priceId, quantity }: SubscriptionRow,
    position: number,
    since: DateTime.Utc
  ): SubscriptionTermRow => ({ subscriptionId, position, priceId, quantity, billingAnchor, since, until: null })

  const put = (operation: string, last: SubscriptionTermRow, end: DateTime.Utc, next: SubscriptionTermRow) =>
    // It has not begun, so that nothing is to be kept of it.
    DateTime.isGreaterThanOrEqualTo(last.since, end)
      ? replace(operation, subscriptionTerms, { ...next, position: last.position })
      : Effect.andThen(
          replace(operation, subscriptionTerms, { ...last, until: end }),
          Effect.asVoid(insertNew(operation, subscriptionTerms, [next]))
        )

  const of: Terms["of"] = Effect.fnUntraced(function* (operation, ids) {
    const rows = yield* many(operation, subscriptionTerms, {
      oneOf: { subscriptionId: ids },
      order: ["subscriptionId", "position"]
    })
    const found = yield* many(operation, prices, { oneOf: { id: [...new Set(rows.map(({ priceId }) => priceId))] } })
    const known = new Map(found.map((row) => [row.id, priceOf(row)]))
    const terms: Array<StoredTerm> = []
    for (const row of rows) {
      const price = known.get(row.priceId)
      if (price === undefined || !isRecurring(price.interval)) {
        return yield* Effect.die(new Error("only a price that falls due again and again is subscribed to"))
      }
      terms.push({ ...row, price, interval: price.interval })
    }
    return Map.groupBy(terms, ({ subscriptionId }) => subscriptionId)
  })

  return {
    of,
    begin: (operation, subscription) =>
      Effect.asVoid(insertNew(operation, subscriptionTerms, [rowOf(subscription, 1, subscription.startedAt)])),
    follow: Effect.fnUntraced(function* (operation, subscription, wanted, last, now) {
      const { currentPeriodStart, id } = subscription
      const since = nextStart(last, now)
      const { billingAnchor, position } = last
      if (!isSame(last, wanted)) {
        yield* put(operation, last, since, {
          ...rowOf({ ...subscription, ...wanted }, position + 1, since),
          billingAnchor
        })
      }
      const all = (yield* of(operation, [id])).get(id) ?? []
      const told = standing(subscription, all)
      if (isSame(last, wanted) || DateTime.isGreaterThan(since, currentPeriodStart)) return told
      return { ...told, currentPeriodEnd: periodOf(all.at(-1) ?? last, currentPeriodStart).end }
    }),
    restart: (operation, subscription, last, end) =>
      put(operation, last, end, rowOf(subscription, last.position + 1, subscription.currentPeriodStart))
  }
}
