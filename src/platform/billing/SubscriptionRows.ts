import type { SubscriptionRow } from "./BillingTables.ts"
import type { PlanId, PriceId } from "./Plans.ts"
import type { Subscription } from "./Subscriptions.ts"

/** What a subscription is to, in a stretch of its periods. */
export interface Subscribed {
  readonly planId: PlanId
  readonly priceId: PriceId
  readonly quantity: number
}

type Next = Pick<SubscriptionRow, "nextPlanId" | "nextPriceId" | "nextQuantity">

/** Nothing else is to come. */
export const noNext: Next = { nextPlanId: null, nextPriceId: null, nextQuantity: null }

export const isSame = (
  one: Pick<Subscribed, "priceId" | "quantity">,
  other: Pick<Subscribed, "priceId" | "quantity">
): boolean => one.priceId === other.priceId && one.quantity === other.quantity

/** That this is to come. */
export const nextOf = ({ planId, priceId, quantity }: Subscribed): Next => ({
  nextPlanId: planId,
  nextPriceId: priceId,
  nextQuantity: quantity
})

/** What the last change made of it, be it to come. */
export const wantedOf = ({
  nextPlanId,
  nextPriceId,
  nextQuantity,
  planId,
  priceId,
  quantity
}: SubscriptionRow): Subscribed => ({
  planId: nextPlanId ?? planId,
  priceId: nextPriceId ?? priceId,
  quantity: nextQuantity ?? quantity
})

export const subscriptionOf = ({ nextPlanId, nextPriceId, nextQuantity, ...row }: SubscriptionRow): Subscription => ({
  ...row,
  next:
    nextPlanId === null || nextPriceId === null || nextQuantity === null
      ? null
      : { planId: nextPlanId, priceId: nextPriceId, quantity: nextQuantity }
})
