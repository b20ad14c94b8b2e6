/** AI-CORE's own capabilities: their tags, schemas and errors. Their layers are in `/platform/postgres` and its sisters. */
export * from "./Analytics.ts"
export {
  AuditCursor,
  AuditEntry,
  AuditEntryId,
  type AuditFilter,
  type AuditListOptions,
  AuditLog,
  type NewAuditEntry
} from "./audit/AuditLog.ts"
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
export type { PostgresRepositories } from "./PostgresRepositories.ts"
export * as TimeRange from "./TimeRange.ts"
export {
  ApiKey,
  ApiKeyCursor,
  ApiKeyId,
  type ApiKeyListOptions,
  ApiKeyNotFound,
  ApiKeyRefused,
  ApiKeys,
  type IssuedApiKey,
  type NewApiKey
} from "./users/ApiKeys.ts"
export {
  NewRole,
  Permission,
  Role,
  RoleChanges,
  RoleCursor,
  RoleId,
  type RoleListOptions,
  RoleNameTaken,
  RoleNotFound,
  Roles
} from "./users/Roles.ts"
export {
  type IssuedRefreshToken,
  type IssuedToken,
  SignInId,
  TokenPurpose,
  TokenRefused,
  UserTokens
} from "./users/UserTokens.ts"
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
