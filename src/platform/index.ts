/** AI-CORE's own capabilities: their tags, schemas and errors. Their layers are in `/platform/postgres` and its sisters. */
export * from "./Analytics.ts"
export {
  Campaign,
  CampaignCursor,
  CampaignExists,
  CampaignId,
  type CampaignListOptions,
  CampaignNotFound,
  Campaigns,
  CampaignSelection,
  CampaignStatus,
  MetricsDelta,
  NewCampaign,
  StatusTotals
} from "./Campaigns.ts"
export * as TimeRange from "./TimeRange.ts"
export {
  Email,
  EmailTaken,
  NewUser,
  PasswordHash,
  User,
  UserChanges,
  UserCursor,
  UserId,
  type UserListOptions,
  Username,
  UsernameTaken,
  UserNotFound,
  UserOrder,
  Users,
  type UserStreamOptions,
  VersionConflict
} from "./Users.ts"
