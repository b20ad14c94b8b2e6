/**
 * For users' own suites: the contracts that every implementation of a capability passes, a proxy that breaks connections, and
 * a PostgreSQL database per test. It knows no test runner and loads no driver.
 *
 * @module
 */
export * as Contract from "./testing/Contract.ts"
export {
  AdvisoryLocksContract,
  AdvisoryLocksInTransactionsContract
} from "./testing/contracts/AdvisoryLocksContract.ts"
export { AnalyticsContract } from "./testing/contracts/AnalyticsContract.ts"
export { ApiKeysContract } from "./testing/contracts/ApiKeysContract.ts"
export { AuditLogContract } from "./testing/contracts/AuditLogContract.ts"
export { BillingContract } from "./testing/contracts/BillingContract.ts"
export { CampaignsContract } from "./testing/contracts/CampaignsContract.ts"
export { FederationContract } from "./testing/contracts/FederationContract.ts"
export { NotificationsContract } from "./testing/contracts/NotificationsContract.ts"
export { RateLimiterContract } from "./testing/contracts/RateLimiterContract.ts"
export { RolesContract } from "./testing/contracts/RolesContract.ts"
export { SharedCacheContract } from "./testing/contracts/SharedCacheContract.ts"
export { UserTokensContract } from "./testing/contracts/UserTokensContract.ts"
export { TransactionContract } from "./testing/contracts/TransactionContract.ts"
export { UsersContract } from "./testing/contracts/UsersContract.ts"
export { WorkflowsContract } from "./testing/contracts/WorkflowsContract.ts"
export * as Expectations from "./testing/Expectations.ts"
export * as PostgresTestDatabase from "./testing/PostgresTestDatabase.ts"
export * as TcpProxy from "./testing/TcpProxy.ts"
