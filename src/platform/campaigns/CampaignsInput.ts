import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { PageSize } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Version } from "../../core/Version.ts"
import { CampaignId, CampaignList, CampaignSelection, CampaignStatus, MetricsDelta, NewCampaign } from "./Campaigns.ts"

const subject = (method: string) => ({ store: "mongodb", operation: `Campaigns.${method}`, subject: "input" }) as const

const newCampaign = decodeInput(NewCampaign)
const idOnly = decodeInput(Schema.Struct({ campaignId: CampaignId }))
const list = decodeInput(CampaignList)
const stream = decodeInput(Schema.Struct({ status: CampaignStatus, pageSize: Schema.optional(PageSize) }))
const statusChange = decodeInput(
  Schema.Struct({ campaignId: CampaignId, expectedVersion: Version, status: CampaignStatus })
)
const [byStatus, byIds] = CampaignSelection.members
const incrementByStatus = decodeInput(Schema.Struct({ selection: byStatus, delta: MetricsDelta }))
const incrementByIds = decodeInput(Schema.Struct({ selection: byIds, delta: MetricsDelta }))

const saysStatus = (selection: unknown): boolean =>
  typeof selection === "object" && selection !== null && "status" in selection

/** The checks of what callers give to `Campaigns`: one for every implementation, so that all refuse the same. */
export const CampaignsInput = {
  insert: (campaign: unknown) => newCampaign(subject("insert"), campaign),
  findById: (campaignId: unknown) => idOnly(subject("findById"), { campaignId }),
  listByStatus: (options: unknown) => list(subject("listByStatus"), options),
  findByStatus: (status: unknown, options: object = {}) => stream(subject("findByStatus"), { ...options, status }),
  changeStatus: (campaignId: unknown, expectedVersion: unknown, status: unknown) =>
    statusChange(subject("changeStatus"), { campaignId, expectedVersion, status }),
  // Decoded by the kind that was meant, so that the failure does not speak of the other one.
  incrementMetrics: (
    selection: unknown,
    delta: unknown
  ): Effect.Effect<{ readonly selection: CampaignSelection; readonly delta: MetricsDelta }, StoreError> =>
    (saysStatus(selection) ? incrementByStatus : incrementByIds)(subject("incrementMetrics"), { selection, delta })
}
