import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as assert from "node:assert/strict"
import { Billing } from "../../../platform/billing/Billing.ts"
import type { PlanCursor } from "../../../platform/billing/Plans.ts"
import { passTime } from "../../Contract.ts"
import { findsById } from "../findsById.ts"
import { aPlan, aPrice, aSlug, eur, failsWith, ids, nothing, pages, type Run, same, times, tokens } from "./support.ts"

export const plans: Record<string, Run> = {
  "plans are found by id, one by one and many together": Effect.gen(function* () {
    const { plans } = yield* Billing
    yield* findsById("Billing.plans.findMany", aPlan(), plans)
  }),
  "a plan is stored at version 1, and found by id and slug": Effect.gen(function* () {
    const { plans } = yield* Billing
    const slug = yield* aSlug
    const plan = yield* plans.create({ slug, name: "Pro – für Große" })
    same([plan.slug, plan.name, plan.version, plan.archivedAt], [slug, "Pro – für Große", 1, null])
    same(yield* plans.find(plan.id), Option.some(plan))
    same(yield* plans.findBySlug(slug), Option.some(plan))
    assert.ok(Option.isNone(yield* plans.find(nothing())))
    assert.ok(Option.isNone(yield* plans.findBySlug(`${slug}-x`)))
  }),
  "a slug is taken once, also by an archived plan": Effect.gen(function* () {
    const { plans } = yield* Billing
    const { id, slug } = yield* aPlan()
    assert.equal((yield* failsWith(plans.create({ slug, name: "Other" }), "PlanSlugTaken")).slug, slug)
    yield* plans.archive(id)
    yield* failsWith(plans.create({ slug, name: "Other" }), "PlanSlugTaken")
  }),
  "of two updates of one version of a plan the second fails and changes nothing": Effect.gen(function* () {
    const { plans } = yield* Billing
    const plan = yield* aPlan()
    yield* passTime("5 millis")
    const won = yield* plans.update(plan.id, 1, { name: "First" })
    same([won.name, won.slug, won.version], ["First", plan.slug, 2])
    assert.ok(DateTime.isGreaterThan(won.updatedAt, plan.updatedAt))
    const conflict = yield* failsWith(plans.update(plan.id, 1, { name: "Second" }), "VersionConflict")
    same([conflict.id, conflict.expected, conflict.actual], [plan.id, 1, 2])
    same(yield* plans.find(plan.id), Option.some(won))
    yield* failsWith(plans.update(nothing(), 1, { name: "Nobody" }), "PlanNotFound")
  }),
  "a plan cannot take another one's slug, but may keep its own": Effect.gen(function* () {
    const { plans } = yield* Billing
    const [one, two] = [yield* aPlan(), yield* aPlan()]
    yield* failsWith(plans.update(two.id, 1, { slug: one.slug }), "PlanSlugTaken")
    same(yield* plans.find(two.id), Option.some(two))
    const kept = yield* plans.update(two.id, 1, { slug: two.slug, name: "Same slug" })
    same([kept.slug, kept.name], [two.slug, "Same slug"])
    const moved = yield* plans.update(one.id, 1, { slug: yield* aSlug })
    assert.ok(Option.isNone(yield* plans.findBySlug(one.slug)))
    same(yield* plans.findBySlug(moved.slug), Option.some(moved))
  }),
  "an archived plan takes no prices until it is restored; both are idempotent": Effect.gen(function* () {
    const { plans } = yield* Billing
    const plan = yield* aPlan()
    const price = yield* aPrice({ planId: plan.id })
    const archived = yield* plans.archive(plan.id)
    assert.notEqual(archived.archivedAt, null)
    same([archived.version, (yield* plans.archive(plan.id)).version], [2, 2])
    yield* failsWith(plans.addPrice({ planId: plan.id, amount: eur(1), interval: "month" }), "PlanArchived")
    const restored = yield* plans.restore(plan.id)
    same([restored.archivedAt, restored.version], [null, 3])
    same(yield* plans.restore(plan.id), restored)
    const next = yield* aPrice({ planId: plan.id })
    same(ids(yield* plans.prices(plan.id)), [price.id, next.id])
    yield* failsWith(plans.archive(nothing()), "PlanNotFound")
    yield* failsWith(plans.restore(nothing()), "PlanNotFound")
  }),
  "a price is given back as it was made, with what usage costs": Effect.gen(function* () {
    const { plans } = yield* Billing
    const plan = yield* aPlan()
    const flat = yield* plans.addPrice({ planId: plan.id, amount: { amount: 9900, currency: "USD" }, interval: "year" })
    same([flat.amount, flat.interval, flat.usage], [{ amount: 9900, currency: "USD" }, "year", null])
    const metered = yield* aPrice({ planId: plan.id, amount: eur(0), usage: tokens })
    same([metered.amount, metered.usage], [eur(0), tokens])
    same(yield* plans.findPrice(flat.id), Option.some(flat))
    same(yield* plans.prices(plan.id), [flat, metered])
    assert.ok(Option.isNone(yield* plans.findPrice(nothing())))
    same(yield* plans.prices(nothing()), [])
    yield* failsWith(plans.addPrice({ planId: nothing(), amount: eur(1), interval: "month" }), "PlanNotFound")
  }),
  "the largest amount is exact": Effect.gen(function* () {
    const { plans } = yield* Billing
    const price = yield* aPrice({ amount: eur(Number.MAX_SAFE_INTEGER) })
    assert.equal(Option.getOrThrow(yield* plans.findPrice(price.id)).amount.amount, 9_007_199_254_740_991)
  }),
  "an archived price stays, and is archived once": Effect.gen(function* () {
    const { plans } = yield* Billing
    const price = yield* aPrice()
    const archived = yield* plans.archivePrice(price.id)
    same({ ...archived, archivedAt: null }, price)
    assert.notEqual(archived.archivedAt, null)
    yield* passTime("5 millis")
    same(yield* plans.archivePrice(price.id), archived)
    same(yield* plans.prices(price.planId), [archived])
    yield* failsWith(plans.archivePrice(nothing()), "PriceNotFound")
  }),
  "plans are listed once each, in order, archived ones or others": Effect.gen(function* () {
    const { plans } = yield* Billing
    const made = yield* times(7, () => aPlan())
    yield* plans.archive(made[2]!.id)
    yield* plans.archive(made[5]!.id)
    const own = new Set(ids(made))
    const listed = (archived: boolean | undefined, order: "newest-first" | "oldest-first") =>
      Effect.map(
        pages((after: PlanCursor | undefined) => plans.list({ archived, order, limit: 3, after })),
        (read) => ids(read.flat().filter(({ id }) => own.has(id)))
      )
    const all = ids(made)
    same(yield* listed(undefined, "oldest-first"), all)
    same(yield* listed(undefined, "newest-first"), all.toReversed())
    same(yield* listed(true, "oldest-first"), [all[2], all[5]])
    same(
      yield* listed(false, "oldest-first"),
      all.filter((_, i) => i !== 2 && i !== 5)
    )
    const streamed = yield* plans.stream({ archived: true, pageSize: 1 }).pipe(
      Stream.filter(({ id }) => own.has(id)),
      Stream.runCollect
    )
    same(ids(streamed), [all[2], all[5]])
  })
}
