import * as assert from "node:assert/strict"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { StoreError } from "../../core/StoreError.ts"
import {
  type Campaign,
  CampaignCursor,
  CampaignId,
  Campaigns,
  type CampaignStatus,
  type NewCampaign,
  type StatusTotals
} from "../../platform/campaigns/Campaigns.ts"
import { pages, refusesOtherLists } from "../Expectations.ts"
import * as Contract from "../Contract.ts"

const freshId = Effect.map(Contract.unique("campaign"), (id) => CampaignId.make(id))

/** Stores a campaign of its own for the case. */
const added = (options: Partial<NewCampaign> = {}) =>
  Effect.gen(function* () {
    const campaigns = yield* Campaigns
    return yield* campaigns.insert({ campaignId: yield* freshId, name: "A campaign", ...options })
  })

const read = (id: CampaignId) =>
  Effect.flatMap(Campaigns, (campaigns) => Effect.map(campaigns.findById(id), Option.getOrThrow))

/** The fields that an `InvalidData` names. */
const wrongFields = (error: StoreError | { readonly _tag: string }): ReadonlyArray<string> =>
  "reason" in error && error.reason._tag === "InvalidData"
    ? error.reason.problems.map(({ field }) => field).sort()
    : [error._tag]

const refused = <A, R>(call: Effect.Effect<A, StoreError | { readonly _tag: string }, R>) =>
  Effect.map(Effect.flip(call), wrongFields)

const totalsOf = (status: CampaignStatus) =>
  Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const none: StatusTotals = { status, campaigns: 0, impressions: 0, clicks: 0, conversions: 0, spend: 0 }
    return (yield* campaigns.totalsByStatus).find((totals) => totals.status === status) ?? none
  })

const idsOf = (all: ReadonlyArray<Campaign>): ReadonlyArray<string> => all.map(({ campaignId }) => campaignId)

const millis = (time: DateTime.Utc): number => DateTime.toEpochMillis(time)

/** All pages of a status, read with `limit` campaigns each. */
const pagesOf = (status: CampaignStatus, limit: number) =>
  Effect.flatMap(Campaigns, (campaigns) =>
    pages((after: CampaignCursor | undefined) => campaigns.listByStatus({ status, limit, after }))
  )

/** What every implementation of `Campaigns` does. */
export const CampaignsContract: Contract.Contract<Campaigns> = Contract.make("Campaigns", {
  "a new campaign is a draft at version 1, its figures at 0": Effect.gen(function* () {
    const campaign = yield* added()
    assert.equal(campaign.status, "draft")
    assert.equal(campaign.version, 1)
    assert.deepEqual(campaign.metrics, { impressions: 0, clicks: 0, conversions: 0, spend: 0 })
    assert.deepEqual(campaign.tags, [])
    assert.deepEqual(campaign.metadata, {})
    assert.equal(millis(campaign.createdAt), millis(campaign.updatedAt))
  }),

  "what was inserted is read back as it is": Effect.gen(function* () {
    const given = {
      name: "Frühling \u{1F337} $price {$ne: null}",
      status: "paused",
      tags: ["a", "$b", "a.b", "ü"],
      metadata: { deep: { list: [1, "two", null, true, { more: -0.5 }] }, empty: {}, no: [] }
    } as const
    const campaign = yield* added(given)
    assert.deepEqual({ ...campaign, ...given }, campaign)
    assert.deepEqual(yield* read(campaign.campaignId), campaign)
  }),

  "an id that nobody has is absent": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    assert.deepEqual(yield* campaigns.findById(yield* freshId), Option.none())
  }),

  "an id is taken once, and the first campaign stays": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const first = yield* added({ name: "First" })
    const error = yield* Effect.flip(campaigns.insert({ campaignId: first.campaignId, name: "Second" }))
    assert.equal(error._tag, "CampaignExists")
    assert.equal(error._tag === "CampaignExists" ? error.campaignId : undefined, first.campaignId)
    assert.equal((yield* read(first.campaignId)).name, "First")
  }),

  "of ten that insert one id at once, one wins": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const campaignId = yield* freshId
    const results = yield* Effect.all(
      Array.from({ length: 10 }, (_, i) => Effect.result(campaigns.insert({ campaignId, name: `Number ${i}` }))),
      { concurrency: "unbounded" }
    )
    const winners = results.filter(Result.isSuccess)
    assert.equal(winners.length, 1)
    assert.equal(results.filter((r) => Result.isFailure(r) && r.failure._tag === "CampaignExists").length, 9)
    assert.equal((yield* read(campaignId)).name, winners[0]?.success.name)
  }),

  "ids are compared exactly": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const campaign = yield* added()
    const other = CampaignId.make(campaign.campaignId.toUpperCase())
    assert.deepEqual(yield* campaigns.findById(other), Option.none())
    yield* campaigns.insert({ campaignId: other, name: "Upper" })
    assert.equal((yield* read(campaign.campaignId)).name, campaign.name)
  }),

  "text that looks like an operator finds nothing": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    yield* added({ status: "active" })
    for (const text of ['{"$ne":null}', "$ne", "/.*/", "$$ROOT", "'; return true; //"]) {
      assert.deepEqual(yield* campaigns.findById(CampaignId.make(text)), Option.none())
    }
  }),

  "an object in the place of an id is refused": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const attack = JSON.parse('{"$ne":null}')
    assert.deepEqual(yield* refused(campaigns.findById(attack)), ["campaignId"])
    assert.deepEqual(yield* refused(campaigns.incrementMetrics({ status: attack }, { clicks: 1 })), [
      "selection.status"
    ])
    assert.deepEqual(yield* refused(campaigns.incrementMetrics({ ids: attack }, { clicks: 1 })), ["selection.ids"])
  }),

  "a status is listed oldest first, whole, whatever the size of the pages": Effect.gen(function* () {
    const mine: Array<string> = []
    for (let i = 0; i < 7; i++) {
      mine.push((yield* added({ status: "paused" })).campaignId)
      // Two of a millisecond, where time stands still, and some apart.
      if (i % 2 === 0) yield* Contract.passTime("2 millis")
    }
    const whole = (yield* pagesOf("paused", 1000)).flat()
    const small = yield* pagesOf("paused", 3)
    assert.deepEqual(idsOf(small.flat()), idsOf(whole))
    assert.ok(small.slice(0, -1).every((page) => page.length === 3))
    assert.deepEqual(
      [...mine].sort(),
      idsOf(whole)
        .filter((id) => mine.includes(id))
        .toSorted()
    )
    for (const [i, campaign] of whole.entries()) {
      const before = whole[i - 1]
      if (before === undefined) continue
      const byTime = millis(campaign.createdAt) - millis(before.createdAt)
      assert.ok(byTime > 0 || (byTime === 0 && campaign.campaignId > before.campaignId))
    }
    assert.ok(whole.every(({ status }) => status === "paused"))
  }),

  "what is added between two pages moves nothing": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    for (let i = 0; i < 4; i++) yield* added({ status: "completed" })
    const before = (yield* pagesOf("completed", 1000)).flat()
    const first = yield* campaigns.listByStatus({ status: "completed", limit: 2 })
    yield* Contract.passTime("2 millis")
    const late = yield* added({ status: "completed" })
    const rest = yield* campaigns.listByStatus({
      status: "completed",
      limit: 1000,
      after: Option.getOrThrow(first.next)
    })
    assert.deepEqual([...idsOf(first.items), ...idsOf(rest.items)], [...idsOf(before), late.campaignId])
  }),

  "the last page has no next, even where it is full": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    yield* added({ status: "active" })
    const all = (yield* pagesOf("active", 1000)).flat()
    const exact = yield* campaigns.listByStatus({ status: "active", limit: all.length })
    assert.equal(exact.items.length, all.length)
    assert.deepEqual(exact.next, Option.none())
  }),

  "a cursor of another status, or of no list at all, is refused": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    for (let i = 0; i < 2; i++) yield* added({ status: "active" })
    const { next } = yield* campaigns.listByStatus({ status: "active", limit: 1 })
    const after = Option.getOrThrow(next)
    assert.deepEqual(yield* refused(campaigns.listByStatus({ status: "draft", after })), ["after"])
    yield* refusesOtherLists((after) => campaigns.listByStatus({ status: "active", after }), after)
    for (const forged of ["", "no cursor", "e30"]) {
      const fields = yield* refused(campaigns.listByStatus({ status: "draft", after: CampaignCursor.make(forged) }))
      assert.ok(
        fields.every((field) => field.startsWith("after")),
        String(fields)
      )
    }
  }),

  "a stream reads every campaign of the status once, in order": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    for (let i = 0; i < 5; i++) yield* added({ status: "draft" })
    const streamed = yield* Stream.runCollect(campaigns.findByStatus("draft", { pageSize: 2 }))
    assert.deepEqual(idsOf(streamed), idsOf((yield* pagesOf("draft", 1000)).flat()))
  }),

  "the consumer of a stream may ask the same store": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    for (let i = 0; i < 3; i++) yield* added({ status: "active" })
    const found = yield* campaigns.findByStatus("active", { pageSize: 1 }).pipe(
      Stream.take(3),
      Stream.mapEffect(({ campaignId }) => read(campaignId)),
      Stream.runCollect
    )
    assert.equal(found.length, 3)
  }),

  "figures grow by what is added, and only those named": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const { campaignId } = yield* added()
    assert.equal(yield* campaigns.incrementMetrics({ ids: [campaignId] }, { impressions: 100, spend: 250 }), 1)
    assert.equal(yield* campaigns.incrementMetrics({ ids: [campaignId] }, { impressions: 11, clicks: 3 }), 1)
    assert.deepEqual((yield* read(campaignId)).metrics, { impressions: 111, clicks: 3, conversions: 0, spend: 250 })
  }),

  "figures beyond 32 bits stay exact": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const { campaignId } = yield* added()
    for (const spend of [2_147_483_647, 1, 999_999_999_999]) {
      yield* campaigns.incrementMetrics({ ids: [campaignId] }, { spend })
    }
    assert.equal((yield* read(campaignId)).metrics.spend, 1_002_147_483_647)
  }),

  "an increment counts as a change: version and time": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const before = yield* added()
    yield* Contract.passTime("5 millis")
    yield* campaigns.incrementMetrics({ ids: [before.campaignId] }, { clicks: 0 })
    const after = yield* read(before.campaignId)
    assert.equal(after.version, 2)
    assert.ok(millis(after.updatedAt) > millis(before.updatedAt))
    assert.equal(millis(after.createdAt), millis(before.createdAt))
  }),

  "an increment by ids leaves others alone, and counts those that exist": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const [a, b, other] = [yield* added(), yield* added(), yield* added()]
    const ids = [a.campaignId, b.campaignId, a.campaignId, yield* freshId]
    assert.equal(yield* campaigns.incrementMetrics({ ids }, { conversions: 2 }), 2)
    assert.equal((yield* read(a.campaignId)).metrics.conversions, 2)
    assert.equal((yield* read(b.campaignId)).metrics.conversions, 2)
    assert.deepEqual(yield* read(other.campaignId), other)
    assert.equal(yield* campaigns.incrementMetrics({ ids: [] }, { conversions: 2 }), 0)
  }),

  "an increment by status reaches every campaign of it, and no other": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const [active, paused] = [yield* added({ status: "active" }), yield* added({ status: "paused" })]
    const { campaigns: count } = yield* totalsOf("active")
    assert.equal(yield* campaigns.incrementMetrics({ status: "active" }, { impressions: 7 }), count)
    assert.equal((yield* read(active.campaignId)).metrics.impressions, 7)
    assert.deepEqual(yield* read(paused.campaignId), paused)
  }),

  "increments at once are all counted": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const { campaignId } = yield* added()
    yield* Effect.all(
      Array.from({ length: 20 }, () => campaigns.incrementMetrics({ ids: [campaignId] }, { clicks: 1 })),
      { concurrency: "unbounded", discard: true }
    )
    const { metrics, version } = yield* read(campaignId)
    assert.equal(metrics.clicks, 20)
    assert.equal(version, 21)
  }),

  "totals are the sums of each status, in the order of their names": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const before = yield* totalsOf("completed")
    const [a, b] = [yield* added({ status: "completed" }), yield* added({ status: "completed" })]
    yield* added({ status: "draft" })
    yield* campaigns.incrementMetrics({ ids: [a.campaignId, b.campaignId] }, { impressions: 10, clicks: 4, spend: 99 })
    yield* campaigns.incrementMetrics({ ids: [b.campaignId] }, { conversions: 3 })
    assert.deepEqual(yield* totalsOf("completed"), {
      status: "completed",
      campaigns: before.campaigns + 2,
      impressions: before.impressions + 20,
      clicks: before.clicks + 8,
      conversions: before.conversions + 3,
      spend: before.spend + 198
    })
    const names = (yield* campaigns.totalsByStatus).map(({ status }) => status)
    assert.deepEqual(names, [...names].sort())
    assert.equal(new Set(names).size, names.length)
  }),

  "a status changes at the version that was read": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const before = yield* added()
    yield* Contract.passTime("5 millis")
    const changed = yield* campaigns.changeStatus(before.campaignId, 1, "active")
    assert.equal(changed.status, "active")
    assert.equal(changed.version, 2)
    assert.ok(millis(changed.updatedAt) > millis(before.updatedAt))
    assert.deepEqual(yield* read(before.campaignId), changed)
  }),

  "a status changed meanwhile is a conflict that tells both versions": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const { campaignId } = yield* added()
    yield* campaigns.changeStatus(campaignId, 1, "active")
    const error = yield* Effect.flip(campaigns.changeStatus(campaignId, 1, "paused"))
    assert.equal(error._tag, "VersionConflict")
    if (error._tag === "VersionConflict") assert.deepEqual([error.expected, error.actual], [1, 2])
    assert.equal((yield* read(campaignId)).status, "active")
  }),

  "of ten changes of one version, one wins": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const { campaignId } = yield* added()
    const results = yield* Effect.all(
      Array.from({ length: 10 }, () => Effect.result(campaigns.changeStatus(campaignId, 1, "active"))),
      { concurrency: "unbounded" }
    )
    assert.equal(results.filter(Result.isSuccess).length, 1)
    assert.equal(results.filter((r) => Result.isFailure(r) && r.failure._tag === "VersionConflict").length, 9)
    assert.equal((yield* read(campaignId)).version, 2)
  }),

  "the status of a campaign that nobody has cannot change": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const error = yield* Effect.flip(campaigns.changeStatus(yield* freshId, 1, "active"))
    assert.equal(error._tag, "CampaignNotFound")
  }),

  "wrong input is refused by the names of its fields, all at once, and nothing is stored": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const campaignId = yield* freshId
    const insert = (input: unknown) => refused(campaigns.insert(input as NewCampaign))
    assert.deepEqual(yield* insert({ campaignId, name: "", status: "dead", tags: ["", 1], more: 1 }), [
      "more",
      "name",
      "status",
      "tags[0]",
      "tags[1]"
    ])
    assert.deepEqual(yield* insert({ campaignId }), ["name"])
    assert.deepEqual(yield* insert({ campaignId: "x".repeat(101), name: "n" }), ["campaignId"])
    assert.deepEqual(yield* insert({ campaignId: "", name: "n" }), ["campaignId"])
    assert.deepEqual(yield* insert({ campaignId: "a\0b", name: "n" }), ["campaignId"])
    assert.deepEqual(yield* insert({ campaignId, name: "n".repeat(201) }), ["name"])
    assert.deepEqual(yield* insert({ campaignId, name: "\ud800" }), ["name"])
    assert.deepEqual(yield* insert({ campaignId, name: "n", tags: Array.from({ length: 51 }, () => "t") }), ["tags"])
    assert.deepEqual(yield* insert({ campaignId, name: "n", metadata: { a: { $where: "1" } } }), ["metadata"])
    assert.deepEqual(yield* insert({ campaignId, name: "n", metadata: { "a.b": 1 } }), ["metadata"])
    assert.deepEqual(yield* insert({ campaignId, name: "n", metadata: { a: Number.NaN } }), ["metadata.a"])
    assert.deepEqual(yield* campaigns.findById(campaignId), Option.none())
  }),

  "metadata has at most 64 levels": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const metadata = (levels: number) => {
      let value: Schema.Json = 1
      for (let i = 1; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value }
      return { a: value }
    }
    const campaign = yield* added({ metadata: metadata(64) })
    assert.deepEqual((yield* read(campaign.campaignId)).metadata, metadata(64))
    const campaignId = yield* freshId
    for (const levels of [65, 500, 6000, 100_000]) {
      const insert = campaigns.insert({ campaignId, name: "n", metadata: metadata(levels) })
      assert.deepEqual(yield* refused(insert), ["metadata"])
    }
    assert.deepEqual(yield* campaigns.findById(campaignId), Option.none())
  }),

  "a wrong increment is refused by the name of its field": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    const { campaignId } = yield* added()
    const by = (delta: object) => refused(campaigns.incrementMetrics({ ids: [campaignId] }, delta))
    assert.deepEqual(yield* by({ clicks: -1 }), ["delta.clicks"])
    assert.deepEqual(yield* by({ clicks: 0.5 }), ["delta.clicks"])
    assert.deepEqual(yield* by({ spend: 1e13 }), ["delta.spend"])
    assert.deepEqual(yield* by({ views: 1 }), ["delta.views"])
    assert.deepEqual(yield* by({}), ["delta"])
    assert.equal((yield* read(campaignId)).version, 1)
  }),

  "a page holds 1 to 1000 campaigns": Effect.gen(function* () {
    const campaigns = yield* Campaigns
    for (const limit of [0, -1, 1.5, 1001]) {
      assert.deepEqual(yield* refused(campaigns.listByStatus({ status: "active", limit })), ["limit"])
    }
    const stream = Stream.runDrain(campaigns.findByStatus("active", { pageSize: 0 }))
    assert.deepEqual(yield* refused(stream), ["pageSize"])
  })
})
