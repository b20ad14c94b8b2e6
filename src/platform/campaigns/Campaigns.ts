import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { cursor, cursorAgrees, type Page, PageSize } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import { shallow } from "../../core/JsonDepth.ts"

/** Text that every store can hold as it is. */
const storable = Schema.makeFilter((text: string) => !text.includes("\0") && text.isWellFormed(), {
  expected: "text without NUL and without broken Unicode"
})

/** A campaign's id: the caller's own, 1 to 100 characters. */
export const CampaignId = Schema.String.check(
  Schema.isBetweenCodePoints(1, 100, { expected: "1 to 100 characters long" }),
  storable
).pipe(Schema.brand("CampaignId"))
export type CampaignId = typeof CampaignId.Type

export const CampaignStatus = Schema.Literals(["draft", "active", "paused", "completed"])
export type CampaignStatus = typeof CampaignStatus.Type

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0, { expected: "a whole number, 0 or more" }))

/** What a campaign has brought so far. */
export const CampaignMetrics = Schema.Struct({
  impressions: Count,
  clicks: Count,
  conversions: Count,
  /** Money spent, in the smallest unit of its currency: cents. */
  spend: Count
})
export type CampaignMetrics = typeof CampaignMetrics.Type

const metadataKey = (key: string): boolean => key !== "" && !key.startsWith("$") && !/[.\0]/.test(key)

const keysAreFine = (json: Schema.Json): boolean => {
  if (Array.isArray(json)) return json.every(keysAreFine)
  if (typeof json !== "object" || json === null) return true
  return Object.entries(json).every(([key, value]) => key !== "__proto__" && metadataKey(key) && keysAreFine(value))
}

/**
 * Whatever JSON a program keeps with a campaign, at most 64 levels of it; names of fields hold no dot and begin with no
 * dollar sign.
 */
export const CampaignMetadata = Schema.JsonObject.check(
  shallow,
  Schema.makeFilter(keysAreFine, { expected: "JSON whose names hold no dot and begin with no dollar sign" })
)
export type CampaignMetadata = typeof CampaignMetadata.Type

/** A marketing campaign and its figures. */
export const Campaign = Schema.Struct({
  campaignId: CampaignId,
  name: Schema.String,
  status: CampaignStatus,
  metrics: CampaignMetrics,
  tags: Schema.Array(Schema.String),
  metadata: CampaignMetadata,
  /** 1 when made, one more with every change, the figures' included. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type Campaign = typeof Campaign.Type

const Tag = Schema.String.check(Schema.isBetweenCodePoints(1, 50, { expected: "1 to 50 characters long" }), storable)

/** What a new campaign is made of; its figures begin at 0. */
export const NewCampaign = Schema.Struct({
  campaignId: CampaignId,
  name: Schema.String.check(Schema.isBetweenCodePoints(1, 200, { expected: "1 to 200 characters long" }), storable),
  /** `draft` where nothing is said. */
  status: Schema.optionalKey(CampaignStatus),
  /** At most 50. */
  tags: Schema.optionalKey(Schema.Array(Tag).check(Schema.isMaxLength(50, { expected: "at most 50 tags" }))),
  metadata: Schema.optionalKey(CampaignMetadata)
})
export type NewCampaign = typeof NewCampaign.Type

const Step = Schema.Int.check(
  Schema.isBetween({ minimum: 0, maximum: 1e12 }, { expected: "a whole number from 0 to 1,000,000,000,000" })
)

/** What is added to the figures: at least one of them. */
export const MetricsDelta = Schema.Struct({
  impressions: Schema.optionalKey(Step),
  clicks: Schema.optionalKey(Step),
  conversions: Schema.optionalKey(Step),
  spend: Schema.optionalKey(Step)
}).check(Schema.makeFilter((delta: object) => Object.keys(delta).length > 0, { expected: "at least one figure" }))
export type MetricsDelta = typeof MetricsDelta.Type

/** The campaigns of a status, or those of up to 1000 ids. */
export const CampaignSelection = Schema.Union([
  Schema.Struct({ status: CampaignStatus }),
  Schema.Struct({
    ids: Schema.Array(CampaignId).check(Schema.isMaxLength(1000, { expected: "at most 1000 ids" }))
  })
])
export type CampaignSelection = typeof CampaignSelection.Type

/** The figures of all campaigns of one status. */
export const StatusTotals = Schema.Struct({
  status: CampaignStatus,
  campaigns: Schema.Int,
  impressions: Schema.Int,
  clicks: Schema.Int,
  conversions: Schema.Int,
  spend: Schema.Int
})
export type StatusTotals = typeof StatusTotals.Type

/** Continues a list of campaigns of the status it began with. */
export const CampaignCursor = Schema.String.pipe(Schema.brand("CampaignCursor"))
export type CampaignCursor = typeof CampaignCursor.Type

const campaignCursor = cursor(
  "campaigns",
  CampaignCursor,
  Schema.Struct({ status: CampaignStatus, createdAt: Schema.DateTimeUtcFromMillis, campaignId: CampaignId })
)
/** The cursor that continues after this campaign. */
export const cursorAfter = ({ campaignId, createdAt, status }: Campaign): CampaignCursor =>
  campaignCursor.after({ status, createdAt, campaignId })

/** Which campaigns a page lists. */
export const CampaignList = Schema.Struct({
  status: CampaignStatus,
  /** Campaigns of a page: 1 to 1000, 50 where nothing is said. */
  limit: Schema.optional(PageSize),
  /** The `next` of the page before. */
  after: Schema.optional(campaignCursor.key)
}).check(cursorAgrees("status"))
export interface CampaignListOptions {
  readonly status: CampaignStatus
  readonly limit?: number | undefined
  readonly after?: CampaignCursor | undefined
}

/** Another campaign has this id. */
export class CampaignExists extends Schema.TaggedError<CampaignExists>("@ai-core/database/CampaignExists")(
  "CampaignExists",
  { campaignId: CampaignId }
) {
  override get message(): string {
    return `there is already a campaign ${this.campaignId}`
  }
}

/** There is no campaign with this id. */
export class CampaignNotFound extends Schema.TaggedError<CampaignNotFound>("@ai-core/database/CampaignNotFound")(
  "CampaignNotFound",
  { campaignId: CampaignId }
) {
  override get message(): string {
    return `there is no campaign ${this.campaignId}`
  }
}

/**
 * The campaigns of the platform.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent.
 *
 * @example
 * ```ts
 * const campaigns = yield* Campaigns
 * yield* campaigns.insert({ campaignId: CampaignId.make("spring"), name: "Spring", status: "active" })
 * yield* campaigns.incrementMetrics({ status: "active" }, { impressions: 100, clicks: 3 })
 * ```
 */
export class Campaigns extends Context.Service<
  Campaigns,
  {
    /** Stores a new campaign, at version 1. A lost reply does no harm: it is stored once. */
    readonly insert: (campaign: NewCampaign) => Effect.Effect<Campaign, CampaignExists | StoreError>
    readonly findById: (id: CampaignId) => Effect.Effect<Option.Option<Campaign>, StoreError>
    /**
     * Lists the campaigns of a status page by page, by the time they were made; those of one millisecond by id.
     *
     * One that keeps its status throughout is listed exactly once, whatever is added between the pages.
     */
    readonly listByStatus: (options: CampaignListOptions) => Effect.Effect<Page<Campaign, CampaignCursor>, StoreError>
    /** Streams the campaigns of a status in the order of `listByStatus`, with the memory of one page and no open cursor. */
    readonly findByStatus: (
      status: CampaignStatus,
      options?: { readonly pageSize?: number | undefined }
    ) => Stream.Stream<Campaign, StoreError>
    /**
     * Gives a campaign another status, if it still is at the version that the caller read; of two such changes one wins.
     */
    readonly changeStatus: (
      id: CampaignId,
      expectedVersion: number,
      status: CampaignStatus
    ) => Effect.Effect<Campaign, CampaignNotFound | VersionConflict | StoreError>
    /**
     * Adds to the figures of every campaign selected, and answers how many there were.
     *
     * Each campaign is changed atomically, all of them together are not. Not idempotent, and never sent again by itself:
     * after an unknown outcome, look at the versions.
     */
    readonly incrementMetrics: (selection: CampaignSelection, delta: MetricsDelta) => Effect.Effect<number, StoreError>
    /** Sums the figures by status, in the order of the statuses' names; a status without campaigns is left out. */
    readonly totalsByStatus: Effect.Effect<ReadonlyArray<StatusTotals>, StoreError>
  }
>()("@ai-core/database/platform/Campaigns") {}
