import type { AdvisoryLocks } from "../postgres/AdvisoryLocks.ts"
import type { Transaction } from "../postgres/Transaction.ts"
import type { AuditLog } from "./audit/AuditLog.ts"
import type { Billing } from "./billing/Billing.ts"
import type { Federation } from "./federation/Federation.ts"
import type { Notifications } from "./notifications/Notifications.ts"
import type { Workflows } from "./workflows/Workflows.ts"
import type { ApiKeys } from "./users/ApiKeys.ts"
import type { Roles } from "./users/Roles.ts"
import type { UserTokens } from "./users/UserTokens.ts"
import type { Users } from "./users/Users.ts"

/** Every repository of the platform in PostgreSQL, and the transactions that they take part in. */
export type PostgresRepositories =
  | Users
  | Roles
  | ApiKeys
  | UserTokens
  | AuditLog
  | Billing
  | Workflows
  | Federation
  | Notifications
  | Transaction
  | AdvisoryLocks
