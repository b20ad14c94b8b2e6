import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { defaultPageSize, pageOf, streamPages } from "../../core/KeysetPage.ts"
import { isStoreError, type StoreError } from "../../core/StoreError.ts"
import { VersionConflict } from "../../core/Version.ts"
import type { IndexSpec } from "../../mongodb/MongoCollection.ts"
import type { MongoDatabase } from "../../mongodb/MongoDatabase.ts"
import { Where } from "../../mongodb/MongoFilter.ts"
import {
  Campaign,
  CampaignExists,
  type CampaignId,
  type CampaignListOptions,
  CampaignNotFound,
  Campaigns,
  cursorAfter,
  StatusTotals
} from "./Campaigns.ts"
import { CampaignsInput } from "./CampaignsInput.ts"

/** A campaign as it is stored: times are BSON dates. */
const StoredCampaign = Schema.Struct({
  ...Campaign.fields,
  createdAt: Schema.DateTimeUtcFromDate,
  updatedAt: Schema.DateTimeUtcFromDate
})

const uniqueId: IndexSpec = { name: "campaigns_campaign_id", key: { campaignId: 1 }, unique: true }

const indexes: ReadonlyArray<IndexSpec> = [
  uniqueId,
  // Unique ids break ties, so a page is read straight from this index.
  { name: "campaigns_by_status", key: { status: 1, createdAt: 1, campaignId: 1 } }
]

/** Campaigns of one page of a stream, where nothing is said. */
const streamPageSize = 500

/** Names the capability's method in a failure of the collection. */
const as =
  (method: string) =>
  <A, E, R>(self: Effect.Effect<A, E | StoreError, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.mapError(self, (error) => (isStoreError(error) ? error.during(`Campaigns.${method}`) : error))

const exists = (campaignId: CampaignId) => (error: StoreError) =>
  error.reason._tag === "ConstraintViolated" && error.reason.constraint === uniqueId.name
    ? new CampaignExists({ campaignId })
    : error

/** Makes `Campaigns` on a database, a server's or memory's, and the indexes that it needs. */
export const make = (
  database: Pick<MongoDatabase["Service"], "collection">
): Effect.Effect<Campaigns["Service"], StoreError> =>
  Effect.gen(function* () {
    const campaigns = database.collection("campaigns", StoredCampaign)
    yield* as("ensureIndexes")(campaigns.ensureIndexes(indexes))

    const insert: Campaigns["Service"]["insert"] = (input) =>
      Effect.gen(function* () {
        const { campaignId, metadata, name, status, tags } = yield* CampaignsInput.insert(input)
        // MongoDB's dates have milliseconds; so has DateTime.
        const now = yield* DateTime.now
        const campaign: Campaign = {
          campaignId,
          name,
          status: status ?? "draft",
          metrics: { impressions: 0, clicks: 0, conversions: 0, spend: 0 },
          tags: tags ?? [],
          metadata: metadata ?? {},
          version: 1,
          createdAt: now,
          updatedAt: now
        }
        yield* Effect.mapError(campaigns.insertOne(campaign), exists(campaignId))
        return campaign
      }).pipe(as("insert"))

    const findById: Campaigns["Service"]["findById"] = (id) =>
      Effect.flatMap(CampaignsInput.findById(id), ({ campaignId }) => campaigns.findOne({ campaignId })).pipe(
        as("findById")
      )

    const listByStatus = (options: CampaignListOptions) =>
      Effect.gen(function* () {
        const { after, limit = defaultPageSize, status } = yield* CampaignsInput.listByStatus(options)
        const found = yield* campaigns.findAll(
          after === undefined
            ? { status }
            : Where.all(
                { status },
                Where.any(
                  { createdAt: Where.above(after.createdAt) },
                  { createdAt: after.createdAt, campaignId: Where.above(after.campaignId) }
                )
              ),
          { sort: { createdAt: 1, campaignId: 1 }, limit: limit + 1 }
        )
        return pageOf(found, limit, cursorAfter)
      }).pipe(as("listByStatus"))

    const findByStatus: Campaigns["Service"]["findByStatus"] = (status, options) =>
      Stream.unwrap(
        Effect.map(CampaignsInput.findByStatus(status, options), ({ pageSize: limit = streamPageSize, status }) =>
          streamPages(listByStatus({ status, limit }), (after) => listByStatus({ status, limit, after }))
        )
      )

    const changeStatus: Campaigns["Service"]["changeStatus"] = (id, expected, to) =>
      Effect.gen(function* () {
        const { campaignId, expectedVersion, status } = yield* CampaignsInput.changeStatus(id, expected, to)
        const read = Effect.flatMap(
          campaigns.findOne({ campaignId }),
          Option.match({ onNone: () => Effect.fail(new CampaignNotFound({ campaignId })), onSome: Effect.succeed })
        )
        const conflict = (actual: number) => new VersionConflict({ id: campaignId, expected: expectedVersion, actual })

        const before = yield* read
        if (before.version !== expectedVersion) return yield* conflict(before.version)
        const updatedAt = yield* DateTime.now
        const { matched } = yield* campaigns.updateOne(
          { campaignId, version: expectedVersion },
          { $set: { status, updatedAt }, $inc: { version: 1 } }
        )
        if (matched === 0) return yield* conflict((yield* read).version)
        return { ...before, status, updatedAt, version: expectedVersion + 1 }
      }).pipe(as("changeStatus"))

    const incrementMetrics: Campaigns["Service"]["incrementMetrics"] = (which, by) =>
      Effect.gen(function* () {
        const { delta, selection } = yield* CampaignsInput.incrementMetrics(which, by)
        const updatedAt = yield* DateTime.now
        const figures = Object.entries(delta).map(([name, amount]) => [`metrics.${name}`, amount] as const)
        const { matched } = yield* campaigns.updateMany(
          "status" in selection ? { status: selection.status } : { campaignId: Where.oneOf(selection.ids) },
          { $inc: { ...Object.fromEntries(figures), version: 1 }, $set: { updatedAt } }
        )
        return matched
      }).pipe(as("incrementMetrics"))

    const totalsByStatus = campaigns
      .aggregate(
        [
          {
            $group: {
              _id: "$status",
              campaigns: { $sum: 1 },
              impressions: { $sum: "$metrics.impressions" },
              clicks: { $sum: "$metrics.clicks" },
              conversions: { $sum: "$metrics.conversions" },
              spend: { $sum: "$metrics.spend" }
            }
          },
          { $sort: { _id: 1 } },
          { $addFields: { status: "$_id" } }
        ],
        StatusTotals
      )
      .pipe(as("totalsByStatus"))

    return Campaigns.of({
      insert,
      findById,
      listByStatus,
      findByStatus,
      changeStatus,
      incrementMetrics,
      totalsByStatus
    })
  })
