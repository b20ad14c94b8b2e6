import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import { expectVersion, Version } from "../../core/Version.ts"
import { onConstraint } from "../../postgres/repository/onConstraint.ts"
import * as Money from "../Money.ts"
import { plans, type PriceRow, prices } from "./BillingTables.ts"
import { listFields, sameOrder, streamFields, streamOf, timeCursor } from "../Lists.ts"
import {
  NewPlan,
  NewPrice,
  type Plan,
  PlanArchived,
  PlanChanges,
  PlanCursor,
  PlanId,
  PlanNotFound,
  type Plans,
  PlanSlugTaken,
  type Price,
  PriceId,
  PriceNotFound,
  type UsagePrice
} from "./Plans.ts"
import { finders } from "../tables/finders.ts"
import type { Tables } from "../tables/Tables.ts"

const cursors = timeCursor("plans", PlanCursor)
const filters = { archived: Schema.optional(Schema.Boolean) }

const newPlan = decodeInput(NewPlan)
const newPrice = decodeInput(NewPrice)
const planOnly = decodeInput(Schema.Struct({ id: PlanId }))
const pricesOnly = decodeInput(Schema.Struct({ planId: PlanId }))
const priceOnly = decodeInput(Schema.Struct({ id: PriceId }))
const slugOnly = decodeInput(NewPlan.mapFields(({ slug }) => ({ slug })))
const changed = decodeInput(Schema.Struct({ id: PlanId, expectedVersion: Version, changes: PlanChanges }))
const listed = decodeInput(Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder))
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.plans.${method}`, subject: "input" }) as const

/** What usage costs by a price; the columns are null together. */
const usageOf = ({ includedQuantity, metric, unitAmount, unitSize }: PriceRow): UsagePrice | null =>
  metric === null || unitAmount === null || unitSize === null || includedQuantity === null
    ? null
    : { metric, unitAmount, size: unitSize, included: includedQuantity }

export const priceOf = (row: PriceRow): Price => ({
  id: row.id,
  planId: row.planId,
  amount: Money.make(row.amount, row.currency),
  interval: row.billingInterval,
  usage: usageOf(row),
  archivedAt: row.archivedAt,
  createdAt: row.createdAt
})

export const makePlans = ({ insertNew, lookup, many, one, replace, run }: Tables): Plans => {
  const nextPlanId = makeIdsOf(PlanId)
  const nextPriceId = makeIdsOf(PriceId)

  const create: Plans["create"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("create")
    const { name, slug } = yield* newPlan(at("create"), given)
    const now = yield* DateTime.now
    const plan: Plan = {
      id: yield* nextPlanId,
      slug,
      name,
      version: 1,
      archivedAt: null,
      createdAt: now,
      updatedAt: now
    }
    const made = yield* insertNew(operation, plans, [plan])
    return made[0] ?? (yield* new PlanSlugTaken({ slug }))
  })

  const { find, findMany } = finders(lookup(at("find").operation, plans), PlanId, identity, at)

  const findBySlug: Plans["findBySlug"] = Effect.fnUntraced(function* (given) {
    const { slug } = yield* slugOnly(at("findBySlug"), { slug: given })
    return yield* one(at("findBySlug").operation, plans, { where: { slug } })
  })

  /** Changes a plan under its lock; a change that is the plan itself writes nothing. */
  const changing = <E>(
    operation: string,
    id: PlanId,
    change: (plan: Plan, now: DateTime.Utc) => Effect.Effect<Plan, E>
  ): Effect.Effect<Plan, E | PlanNotFound | StoreError> =>
    run(
      Effect.gen(function* () {
        const plan = yield* Effect.flatMap(
          one(operation, plans, { where: { id }, lock: "update" }),
          Option.match({ onNone: () => Effect.fail(new PlanNotFound({ id })), onSome: Effect.succeed })
        )
        const now = DateTime.max(plan.updatedAt, yield* DateTime.now)
        const next = yield* change(plan, now)
        if (next === plan) return plan
        const written: Plan = { ...next, version: plan.version + 1, updatedAt: now }
        yield* replace(operation, plans, written)
        return written
      })
    )

  const update: Plans["update"] = Effect.fnUntraced(function* (givenId, givenVersion, givenChanges) {
    const { operation } = at("update")
    const input = { id: givenId, expectedVersion: givenVersion, changes: givenChanges }
    const { changes, expectedVersion, id } = yield* changed(at("update"), input)
    return yield* changing(operation, id, (plan) =>
      Effect.as(
        Effect.fromResult(expectVersion(id, expectedVersion, Option.some(plan), () => new PlanNotFound({ id }))),
        { ...plan, ...changes }
      )
    ).pipe(Effect.mapError(onConstraint({ plans_slug_key: () => new PlanSlugTaken({ slug: changes.slug ?? "" }) })))
  })

  const archive: Plans["archive"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* planOnly(at("archive"), { id: given })
    return yield* changing(at("archive").operation, id, (plan, now) =>
      Effect.succeed(plan.archivedAt === null ? { ...plan, archivedAt: now } : plan)
    )
  })

  const restore: Plans["restore"] = Effect.fnUntraced(function* (given) {
    const { id } = yield* planOnly(at("restore"), { id: given })
    return yield* changing(at("restore").operation, id, (plan) =>
      Effect.succeed(plan.archivedAt === null ? plan : { ...plan, archivedAt: null })
    )
  })

  const list: Plans["list"] = Effect.fnUntraced(function* (given) {
    const input = yield* listed(at("list"), given ?? {})
    const { after, archived, limit = defaultPageSize, order = "oldest-first" } = input
    const rows = yield* many(at("list").operation, plans, {
      isNull: { archivedAt: archived === undefined ? undefined : !archived },
      order: ["createdAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows, limit, ({ createdAt, id }) => cursors.after({ order, at: createdAt, id }))
  })

  const addPrice: Plans["addPrice"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("addPrice")
    const { amount, interval, planId, usage } = yield* newPrice(at("addPrice"), given)
    const row: PriceRow = {
      id: yield* nextPriceId,
      planId,
      currency: amount.currency,
      amount: amount.amount,
      billingInterval: interval,
      metric: usage?.metric ?? null,
      unitAmount: usage?.unitAmount ?? null,
      unitSize: usage?.size ?? null,
      includedQuantity: usage?.included ?? null,
      archivedAt: null,
      createdAt: yield* DateTime.now
    }
    yield* run(
      Effect.gen(function* () {
        const plan = yield* one(operation, plans, { where: { id: planId }, lock: "share" })
        if (Option.isNone(plan)) return yield* new PlanNotFound({ id: planId })
        if (plan.value.archivedAt !== null) return yield* new PlanArchived({ id: planId })
        return yield* insertNew(operation, prices, [row])
      })
    )
    return priceOf(row)
  })

  const { find: findPrice } = finders(lookup(at("findPrice").operation, prices), PriceId, priceOf, () =>
    at("findPrice")
  )

  const pricesOf: Plans["prices"] = Effect.fnUntraced(function* (given) {
    const { planId } = yield* pricesOnly(at("prices"), { planId: given })
    const rows = yield* many(at("prices").operation, prices, { where: { planId }, order: ["createdAt", "id"] })
    return rows.map(priceOf)
  })

  const archivePrice: Plans["archivePrice"] = Effect.fnUntraced(function* (given) {
    const { operation } = at("archivePrice")
    const { id } = yield* priceOnly(at("archivePrice"), { id: given })
    return yield* run(
      Effect.gen(function* () {
        const found = yield* one(operation, prices, { where: { id }, lock: "update" })
        if (Option.isNone(found)) return yield* new PriceNotFound({ id })
        if (found.value.archivedAt !== null) return priceOf(found.value)
        const archived: PriceRow = { ...found.value, archivedAt: yield* DateTime.now }
        yield* replace(operation, prices, archived)
        return priceOf(archived)
      })
    )
  })

  return {
    create,
    find,
    findMany,
    findBySlug,
    update,
    archive,
    restore,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list),
    addPrice,
    findPrice,
    prices: pricesOf,
    archivePrice
  }
}
