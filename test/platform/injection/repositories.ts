import { AuditLog } from "../../../src/platform/audit/AuditLog.ts"
import { Billing } from "../../../src/platform/billing/Billing.ts"
import { Federation } from "../../../src/platform/federation/Federation.ts"
import { Notifications } from "../../../src/platform/notifications/Notifications.ts"
import { ApiKeys } from "../../../src/platform/users/ApiKeys.ts"
import { Roles } from "../../../src/platform/users/Roles.ts"
import { Users } from "../../../src/platform/users/Users.ts"
import { UserTokens } from "../../../src/platform/users/UserTokens.ts"
import { Workflows } from "../../../src/platform/workflows/Workflows.ts"
import { AdvisoryLocks } from "../../../src/postgres/AdvisoryLocks.ts"
import { Transaction } from "../../../src/postgres/Transaction.ts"
import { advisoryLocks } from "./advisoryLocks.ts"
import { apiKeys } from "./apiKeys.ts"
import { auditLog } from "./auditLog.ts"
import { billing } from "./billing/index.ts"
import { federation } from "./federation/index.ts"
import { notifications } from "./notifications/index.ts"
import { roles } from "./roles.ts"
import { transaction } from "./transaction.ts"
import { users } from "./users.ts"
import { userTokens } from "./userTokens.ts"
import { workflows } from "./workflows/index.ts"

/** Every service of the platform on PostgreSQL, and the attempts at it. */
export const repositories = [
  { tag: Users, attempts: users },
  { tag: Roles, attempts: roles },
  { tag: ApiKeys, attempts: apiKeys },
  { tag: UserTokens, attempts: userTokens },
  { tag: AuditLog, attempts: auditLog },
  { tag: Billing, attempts: billing },
  { tag: Workflows, attempts: workflows },
  { tag: Federation, attempts: federation },
  { tag: Notifications, attempts: notifications },
  { tag: AdvisoryLocks, attempts: advisoryLocks },
  { tag: Transaction, attempts: transaction }
] as const
