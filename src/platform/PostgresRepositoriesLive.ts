import * as Layer from "effect/Layer"
import type { PostgresClient } from "../postgres/PostgresClient.ts"
import * as AdvisoryLocksLive from "../postgres/AdvisoryLocksLive.ts"
import * as TransactionLive from "../postgres/TransactionLive.ts"
import * as AuditLogLive from "./audit/AuditLogLive.ts"
import * as BillingLive from "./billing/BillingLive.ts"
import * as FederationLive from "./federation/FederationLive.ts"
import * as NotificationsLive from "./notifications/NotificationsLive.ts"
import * as WorkflowsLive from "./workflows/WorkflowsLive.ts"
import * as ApiKeysLive from "./users/ApiKeysLive.ts"
import * as RolesLive from "./users/RolesLive.ts"
import * as UserTokensLive from "./users/UserTokensLive.ts"
import * as UsersLive from "./users/UsersLive.ts"
import type { PostgresRepositories } from "./PostgresRepositories.ts"

/** Every repository of the platform, on a server or the embedded engine. Their tables come from the platform's migrations. */
export const layer: Layer.Layer<PostgresRepositories, never, PostgresClient> = Layer.mergeAll(
  UsersLive.layer,
  RolesLive.layer,
  ApiKeysLive.layer,
  UserTokensLive.layer,
  AuditLogLive.layer,
  BillingLive.layer,
  WorkflowsLive.layer,
  FederationLive.layer,
  NotificationsLive.layer
).pipe(Layer.provideMerge(Layer.merge(TransactionLive.layer, AdvisoryLocksLive.layer)))
