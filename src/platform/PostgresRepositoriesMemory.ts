import * as Layer from "effect/Layer"
import * as AdvisoryLocksMemory from "../postgres/AdvisoryLocksMemory.ts"
import * as PostgresMemory from "../postgres/PostgresMemory.ts"
import * as TransactionMemory from "../postgres/TransactionMemory.ts"
import * as AuditLogMemory from "./audit/AuditLogMemory.ts"
import * as BillingMemory from "./billing/BillingMemory.ts"
import * as FederationMemory from "./federation/FederationMemory.ts"
import * as NotificationsMemory from "./notifications/NotificationsMemory.ts"
import * as WorkflowsMemory from "./workflows/WorkflowsMemory.ts"
import * as ApiKeysMemory from "./users/ApiKeysMemory.ts"
import * as RolesMemory from "./users/RolesMemory.ts"
import * as UserTokensMemory from "./users/UserTokensMemory.ts"
import * as UsersMemory from "./users/UsersMemory.ts"
import type { PostgresRepositories } from "./PostgresRepositories.ts"

/** Every repository of the platform in memory, under one transactional state of its own. */
export const layer: Layer.Layer<PostgresRepositories> = Layer.mergeAll(
  UsersMemory.layer,
  RolesMemory.layer,
  ApiKeysMemory.layer,
  UserTokensMemory.layer,
  AuditLogMemory.layer,
  BillingMemory.layer,
  WorkflowsMemory.layer,
  FederationMemory.layer,
  NotificationsMemory.layer,
  TransactionMemory.layer,
  AdvisoryLocksMemory.layer
).pipe(Layer.provide(PostgresMemory.layer))
