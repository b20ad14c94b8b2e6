import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Name, Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import { Money } from "../Money.ts"
import { moneyFrom, wholeFrom } from "../Checks.ts"
import type { ListOptions, StreamOptions } from "../Lists.ts"

export const PlanId = TimeOrderedId.pipe(Schema.brand("PlanId"))
export type PlanId = typeof PlanId.Type

export const PriceId = TimeOrderedId.pipe(Schema.brand("PriceId"))
export type PriceId = typeof PriceId.Type

/** What is sold: `pro`. */
export const Plan = Schema.Struct({
  id: PlanId,
  /** Its name for programs; unique, also among archived plans. */
  slug: Schema.String,
  /** Its name for people; invoices show it. */
  name: Schema.String,
  /** 1 when made, one more with every change. */
  version: Version,
  /** Since when nobody subscribes to it any more. */
  archivedAt: Schema.NullOr(Schema.DateTimeUtc),
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Plan = typeof Plan.Type

export const NewPlan = Schema.Struct({ slug: Slug, name: Name })
export type NewPlan = typeof NewPlan.Type

/** What an update changes: at least one field; what is left out stays as it is. */
export const PlanChanges = Schema.Struct({ slug: Schema.optionalKey(Slug), name: Schema.optionalKey(Name) }).check(
  Schema.makeFilter((changes: object) => Object.keys(changes).length > 0, { expected: "at least one change" })
)
export type PlanChanges = typeof PlanChanges.Type

/** How often a price falls due; `one-off` is for lines of invoices and cannot be subscribed to. */
export const BillingInterval = Schema.Literals(["month", "year", "one-off"])
export type BillingInterval = typeof BillingInterval.Type

/** What usage costs: so much for each `size` units of a metric, begun ones counted whole, beyond what is included. */
export const UsagePrice = Schema.Struct({
  /** `tokens`, as usage records name it. */
  metric: Slug,
  /** Minor units of the price's currency. */
  unitAmount: wholeFrom(0),
  /** Units that are sold together: 1000 where a thousand tokens have a price. */
  size: wholeFrom(1),
  /** Usage that costs nothing, in each period, for each one of the subscription's quantity. */
  included: wholeFrom(0)
})
export type UsagePrice = typeof UsagePrice.Type

/** What a plan costs; never changed once made. */
export const Price = Schema.Struct({
  id: PriceId,
  planId: PlanId,
  /** For each interval and each one of the subscription's quantity; zero where usage alone is charged. */
  amount: Money,
  interval: BillingInterval,
  /** What usage costs beside it, in the same currency. */
  usage: Schema.NullOr(UsagePrice),
  archivedAt: Schema.NullOr(Schema.DateTimeUtc),
  createdAt: Schema.DateTimeUtc
})
export type Price = typeof Price.Type

export const NewPrice = Schema.Struct({
  planId: PlanId,
  amount: moneyFrom(0),
  interval: BillingInterval,
  usage: Schema.optional(UsagePrice)
}).check(
  Schema.makeFilter(({ interval, usage }) =>
    interval === "one-off" && usage !== undefined
      ? { path: ["usage"], issue: "Expected none, because a one-off price has no period to use anything in" }
      : undefined
  )
)
export type NewPrice = typeof NewPrice.Type

export const PlanCursor = Schema.String.pipe(Schema.brand("PlanCursor"))
export type PlanCursor = typeof PlanCursor.Type

export interface PlanFilter {
  /** Only archived plans, or only others; all where nothing is said. */
  readonly archived?: boolean | undefined
}

export class PlanNotFound extends Schema.TaggedError<PlanNotFound>("@ai-core/database/PlanNotFound")("PlanNotFound", {
  id: PlanId
}) {
  override get message(): string {
    return `there is no plan ${this.id}`
  }
}

/** Another plan, which may be archived, has this slug. */
export class PlanSlugTaken extends Schema.TaggedError<PlanSlugTaken>("@ai-core/database/PlanSlugTaken")(
  "PlanSlugTaken",
  { slug: Schema.String }
) {
  override get message(): string {
    return `another plan has the slug ${this.slug}`
  }
}

/** The plan is archived: it takes no new prices and no new subscriptions. */
export class PlanArchived extends Schema.TaggedError<PlanArchived>("@ai-core/database/PlanArchived")("PlanArchived", {
  id: PlanId
}) {
  override get message(): string {
    return `the plan ${this.id} is archived`
  }
}

export class PriceNotFound extends Schema.TaggedError<PriceNotFound>("@ai-core/database/PriceNotFound")(
  "PriceNotFound",
  { id: PriceId }
) {
  override get message(): string {
    return `there is no price ${this.id}`
  }
}

/** What is sold, and what it costs. */
export interface Plans {
  /** Stores a new plan, at version 1. Not idempotent: after an unknown outcome, look for the slug. */
  readonly create: (plan: NewPlan) => Effect.Effect<Plan, PlanSlugTaken | StoreError>
  /** Finds a plan by id; concurrent calls go together. */
  readonly find: (id: PlanId) => Effect.Effect<Option.Option<Plan>, StoreError>
  /** Finds plans by id, each in the place of its id; none where there is no such plan. */
  readonly findMany: (ids: ReadonlyArray<PlanId>) => Effect.Effect<ReadonlyArray<Option.Option<Plan>>, StoreError>
  readonly findBySlug: (slug: string) => Effect.Effect<Option.Option<Plan>, StoreError>
  /** Changes a plan that still is at the version that the caller read; of two such updates one wins. */
  readonly update: (
    id: PlanId,
    expectedVersion: number,
    changes: PlanChanges
  ) => Effect.Effect<Plan, PlanNotFound | VersionConflict | PlanSlugTaken | StoreError>
  /** Takes a plan off sale; who has it keeps it. Idempotent. */
  readonly archive: (id: PlanId) => Effect.Effect<Plan, PlanNotFound | StoreError>
  /** Puts an archived plan on sale again. Idempotent. */
  readonly restore: (id: PlanId) => Effect.Effect<Plan, PlanNotFound | StoreError>
  /** Lists plans page by page, by the time they were made; one that exists throughout is listed exactly once. */
  readonly list: (options?: PlanFilter & ListOptions<PlanCursor>) => Effect.Effect<Page<Plan, PlanCursor>, StoreError>
  /** Streams the plans of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: PlanFilter & StreamOptions) => Stream.Stream<Plan, StoreError>
  /** Gives a plan one more price. Not idempotent: after an unknown outcome, look at `prices`. */
  readonly addPrice: (price: NewPrice) => Effect.Effect<Price, PlanNotFound | PlanArchived | StoreError>
  /** Finds a price by id; concurrent calls go together. */
  readonly findPrice: (id: PriceId) => Effect.Effect<Option.Option<Price>, StoreError>
  /** All prices of a plan, the oldest first, archived ones too. */
  readonly prices: (planId: PlanId) => Effect.Effect<ReadonlyArray<Price>, StoreError>
  /** Takes a price off sale; who has it keeps it. Idempotent. */
  readonly archivePrice: (id: PriceId) => Effect.Effect<Price, PriceNotFound | StoreError>
}
