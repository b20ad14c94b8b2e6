/** AI-CORE's own capabilities: their tags, schemas and errors. Their layers are in `/platform/postgres` and its sisters. */
export { IdempotencyConflict, IdempotencyKey } from "../core/Idempotency.ts"
export { IllegalTransition } from "../core/StateMachine.ts"
export * from "./analytics/Analytics.ts"
export { Billing } from "./billing/Billing.ts"
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
} from "./campaigns/Campaigns.ts"
export type { PostgresRepositories } from "./PostgresRepositories.ts"
export {
  CreditCursor,
  type CreditFilter,
  CreditMovement,
  CreditMovementId,
  InsufficientCredit,
  NewCredit,
  NewCreditUse
} from "./billing/Credit.ts"
export {
  AmountExceedsDue,
  InvoiceFinalizing,
  Invoice,
  InvoiceChanges,
  InvoiceCursor,
  InvoiceDueCursor,
  type InvoiceFilter,
  InvoiceHasPayments,
  InvoiceId,
  InvoiceLine,
  InvoiceNotDraft,
  InvoiceNotFound,
  InvoiceNotOpen,
  InvoiceState,
  NegativeInvoice,
  NewInvoice,
  NewInvoiceLine
} from "./billing/Invoices.ts"
export {
  NewPayment,
  NewRefund,
  Payment,
  PaymentCursor,
  type PaymentFilter,
  PaymentId,
  PaymentNotFound,
  PaymentNotSucceeded,
  PaymentState,
  ProviderReferenceTaken,
  Refund,
  RefundCursor,
  RefundExceedsPayment,
  type RefundFilter,
  RefundId,
  RefundNotFound,
  RefundState,
  PaymentSettlement
} from "./billing/Payments.ts"
export {
  BillingInterval,
  NewPlan,
  NewPrice,
  Plan,
  PlanArchived,
  PlanChanges,
  PlanCursor,
  type PlanFilter,
  PlanId,
  PlanNotFound,
  PlanSlugTaken,
  Price,
  PriceId,
  PriceNotFound,
  UsagePrice
} from "./billing/Plans.ts"
export {
  AlreadySubscribed,
  CancelWhen,
  NewSubscription,
  PeriodConflict,
  PeriodNotBegun,
  PeriodNotOver,
  PriceNotOnSale,
  Subscription,
  SubscriptionChanges,
  SubscriptionCursor,
  SubscriptionDueCursor,
  type SubscriptionFilter,
  SubscriptionId,
  SubscriptionNotFound,
  SubscriptionNotRunning,
  SubscriptionState
} from "./billing/Subscriptions.ts"
export {
  NewUsage,
  BillingPeriod,
  MetricNotPriced,
  PeriodInvoiced,
  PeriodMismatch,
  UsageCursor,
  type UsageFilter,
  UsageRecord,
  UsageRecordId
} from "./billing/Usage.ts"
export {
  FederationClient,
  FederationClientChanges,
  FederationClientCursor,
  type FederationClientFilter,
  FederationClientId,
  FederationClientNotActive,
  FederationClientNotFound,
  type FederationClients,
  FederationClientSlugTaken,
  FederationClientState,
  NewFederationClient
} from "./federation/Clients.ts"
export {
  CredentialKind,
  NewProviderCredential,
  ProviderCredential,
  ProviderCredentialCursor,
  ProviderCredentialExpired,
  type ProviderCredentialFilter,
  ProviderCredentialId,
  ProviderCredentialNotFound,
  type ProviderCredentials,
  ProviderCredentialState,
  type Rotated
} from "./federation/Credentials.ts"
export { Federation } from "./federation/Federation.ts"
export {
  FederationProvider,
  FederationProviderChanges,
  FederationProviderCursor,
  type FederationProviderFilter,
  FederationProviderId,
  FederationProviderInUse,
  FederationProviderNotFound,
  type FederationProviders,
  FederationProviderSlugTaken,
  FederationProviderState,
  NewFederationProvider
} from "./federation/Providers.ts"
export { type LeftOut, type Route, type RouteCandidate, RouteRequest } from "./federation/Route.ts"
export {
  CapabilityNotOffered,
  NewRoutingRule,
  RouteAttributes,
  RoutingRule,
  RoutingRuleChanges,
  RoutingRuleCursor,
  type RoutingRuleFilter,
  RoutingRuleId,
  RoutingRuleNotFound,
  type RoutingRules,
  RuleCondition,
  RuleTarget
} from "./federation/Rules.ts"
export { SecretRef } from "./federation/SecretRef.ts"
export { SemanticVersion } from "./federation/SemanticVersion.ts"
export {
  FederationService,
  FederationServiceChanges,
  FederationServiceCursor,
  FederationServiceExists,
  type FederationServiceFilter,
  FederationServiceId,
  FederationServiceInUse,
  FederationServiceNotFound,
  type FederationServices,
  type HealthReport,
  NewFederationService,
  ReportedHealth,
  ServiceHealth,
  StaleServiceCursor
} from "./federation/Services.ts"
export { BaseUrl, ServiceUrl } from "./federation/ServiceUrl.ts"
export * as Money from "./Money.ts"
export { Channel, OutsideChannel } from "./notifications/Channel.ts"
export {
  type ClaimDeliveriesOptions,
  type ClaimedDelivery,
  Delivery,
  type DeliveryCounts,
  DeliveryCursor,
  type DeliveryFailureOptions,
  type DeliveryFilter,
  DeliveryId,
  DeliveryLeaseLost,
  NotificationWithdrawn,
  type DeliveryListOptions,
  DeliveryNotFound,
  DeliveryState
} from "./notifications/Delivery.ts"
export {
  type InboxFilter,
  type InboxListOptions,
  type NewNotification,
  type NewNotifications,
  Notification,
  NotificationCursor,
  NotificationId,
  NotificationNotFound,
  type Notified,
  Priority,
  type ReadAllOptions,
  SkipReason
} from "./notifications/Notification.ts"
export {
  AddressNotFound,
  CategoryNotFound,
  NewAddress,
  NewCategory,
  NotificationAddress,
  NotificationCategory,
  type NotificationPreference,
  NotificationSettings,
  SettingsChanges
} from "./notifications/NotificationPreferences.ts"
export { Notifications } from "./notifications/Notifications.ts"
export {
  Locale,
  NewTemplate,
  NotificationTemplate,
  type Rendered,
  TemplateChanges,
  TemplateCursor,
  TemplateExists,
  type TemplateFilter,
  TemplateId,
  type TemplateListOptions,
  TemplateNotFound,
  type TemplatePreview,
  TemplateUnknown,
  TemplateVariableMissing,
  type Variables
} from "./notifications/NotificationTemplate.ts"
export { QuietHours, quietUntil } from "./notifications/quietHours.ts"
export type { StreamPages } from "./StreamPages.ts"
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
  UserErased,
  UserId,
  UserInUse,
  type UserListOptions,
  Username,
  UsernameTaken,
  UserNotFound,
  UserOrder,
  Users,
  type UserStreamOptions,
  VersionConflict
} from "./users/Users.ts"
export { type NewStepDefinition, StepDefinition, StepDefinitions } from "./workflows/WorkflowContent.ts"
export {
  NewWorkflow,
  VersionCursor,
  type VersionListOptions,
  Workflow,
  WorkflowArchived,
  WorkflowChanges,
  WorkflowCursor,
  type WorkflowFilter,
  WorkflowId,
  type WorkflowListOptions,
  WorkflowNotFound,
  WorkflowSlugTaken,
  WorkflowState,
  WorkflowVersion,
  WorkflowVersionNotFound,
  WorkflowWithoutSteps
} from "./workflows/WorkflowDefinition.ts"
export {
  type ExecutionCounts,
  ExecutionCursor,
  type ExecutionFilter,
  ExecutionId,
  type ExecutionListOptions,
  ExecutionNotFound,
  ExecutionState,
  ExecutionTrigger,
  NewExecution,
  WorkflowExecution
} from "./workflows/WorkflowExecution.ts"
export { Workflows } from "./workflows/Workflows.ts"
export {
  type ClaimDueSchedulesOptions,
  type FiredSchedule,
  MissedRuns,
  NewSchedule,
  ScheduleChanges,
  ScheduleCursor,
  ScheduleId,
  type ScheduleListOptions,
  ScheduleNotFound,
  WorkflowSchedule
} from "./workflows/WorkflowSchedule.ts"
export {
  type ClaimedStep,
  type ClaimStepsOptions,
  type FinishedStep,
  LeaseToken,
  type StepFailure,
  StepId,
  StepLeaseLost,
  StepNotFound,
  StepState,
  type StepSuccess,
  WorkflowStep
} from "./workflows/WorkflowStep.ts"
