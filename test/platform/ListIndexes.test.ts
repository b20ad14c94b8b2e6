import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import type { AuditLog } from "../../src/platform/audit/AuditLog.ts"
import type { Billing } from "../../src/platform/billing/Billing.ts"
import type { Federation } from "../../src/platform/federation/Federation.ts"
import type { Notifications } from "../../src/platform/notifications/Notifications.ts"
import * as PlatformMigrations from "../../src/platform/PlatformMigrations.ts"
import type { ApiKeys } from "../../src/platform/users/ApiKeys.ts"
import type { Roles } from "../../src/platform/users/Roles.ts"
import type { Users } from "../../src/platform/users/Users.ts"
import type { Workflows } from "../../src/platform/workflows/Workflows.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

type Options<Method> = Method extends (options?: infer Only) => unknown
  ? NonNullable<Only>
  : Method extends (owner: never, options?: infer Second) => unknown
    ? NonNullable<Second>
    : never

/** What a list is narrowed by. */
type Filters<Method> = Exclude<keyof Options<Method>, "limit" | "after" | "order">

/**
 * Why a filter needs no index that goes on in the order of the list: rows that are few, because people write them, or of which one
 * owner has few; or a condition that is another index's.
 */
type Reason = { readonly few: string } | { readonly within: string }

/** What an index begins with: the columns of the filter, and those of the order behind them; or a reason. */
type Behind = ReadonlyArray<string> | Reason

interface List {
  readonly table: string
  readonly filters: Readonly<Record<string, Behind>>
}

/** Every filter of a list, by name: one that is added has to say what stands behind it. */
const list = <Method>(table: string, filters: Readonly<Record<Filters<Method>, Behind>>): List => ({ table, filters })

const written = { few: "what people write" }
const ofOne = (owner: string) => ({ few: `what one ${owner} has` })

const lists: Readonly<Record<string, List>> = {
  "AuditLog.list": list<AuditLog["Service"]["list"]>("audit_log", {
    actorId: ["actor_id", "occurred_at", "id"],
    action: ["action", "occurred_at", "id"],
    subjectKind: ["subject_kind"],
    subjectId: ["subject_kind", "subject_id", "occurred_at", "id"],
    during: ["occurred_at", "id"]
  }),
  "Users.list": list<Users["Service"]["list"]>("users", {
    erased: ["created_at", "id"],
    emailPrefix: ['lower(email COLLATE "C")'],
    during: ["created_at", "id"]
  }),
  "Roles.list": list<Roles["Service"]["list"]>("roles", {}),
  "ApiKeys.list": list<ApiKeys["Service"]["list"]>("api_keys", {}),
  "Workflows.list": list<Workflows["Service"]["list"]>("workflows", {
    ownerId: ["owner_id", "created_at", "id"],
    state: written
  }),
  "Workflows.listVersions": list<Workflows["Service"]["listVersions"]>("workflow_versions", {}),
  "Workflows.listExecutions": list<Workflows["Service"]["listExecutions"]>("workflow_executions", {
    workflowId: ["workflow_id", "created_at", "id"],
    states: ["state", "created_at", "id"],
    from: ["created_at", "id"],
    until: ["created_at", "id"]
  }),
  "Workflows.listSchedules": list<Workflows["Service"]["listSchedules"]>("workflow_schedules", {
    workflowId: ["workflow_id"],
    enabled: written
  }),
  "Notifications.list": list<Notifications["Service"]["list"]>("notifications", {
    unread: ["user_id", "visible_at", "id"],
    archived: { within: "the inbox of one user" },
    category: { within: "the inbox of one user" }
  }),
  "Notifications.listTemplates": list<Notifications["Service"]["listTemplates"]>("notification_templates", {
    key: ["key"],
    channel: written,
    locale: written
  }),
  "Notifications.listDeliveries": list<Notifications["Service"]["listDeliveries"]>("notification_deliveries", {
    states: ["state", "created_at", "id"],
    channel: ["channel", "created_at", "id"],
    userId: ["user_id", "created_at", "id"],
    notificationId: ["notification_id"]
  }),
  "Billing.plans.list": list<Billing["Service"]["plans"]["list"]>("plans", { archived: written }),
  "Billing.subscriptions.list": list<Billing["Service"]["subscriptions"]["list"]>("subscriptions", {
    userId: ["user_id", "created_at", "id"],
    planId: ["plan_id", "created_at", "id"],
    state: ["state", "created_at", "id"]
  }),
  "Billing.usage.list": list<Billing["Service"]["usage"]["list"]>("usage_records", {
    subscriptionId: ["subscription_id", "used_at", "id"],
    metric: ["subscription_id", "metric", "used_at"],
    period: ["subscription_id", "used_at", "id"]
  }),
  "Billing.invoices.list": list<Billing["Service"]["invoices"]["list"]>("invoices", {
    userId: ["user_id", "created_at", "id"],
    subscriptionId: ["subscription_id"],
    state: ["state", "created_at", "id"]
  }),
  "Billing.payments.list": list<Billing["Service"]["payments"]["list"]>("payments", {
    invoiceId: ["invoice_id"],
    state: ["state", "created_at", "id"]
  }),
  "Billing.refunds.list": list<Billing["Service"]["refunds"]["list"]>("refunds", {
    paymentId: ["payment_id"],
    state: ["state", "created_at", "id"]
  }),
  "Federation.clients.list": list<Federation["Service"]["clients"]["list"]>("federation_clients", {
    ownerId: ["owner_id", "created_at", "id"],
    state: ["state", "created_at", "id"]
  }),
  "Federation.providers.list": list<Federation["Service"]["providers"]["list"]>("federation_providers", {
    kind: written,
    state: written
  }),
  "Federation.services.list": list<Federation["Service"]["services"]["list"]>("federation_services", {
    providerId: ["provider_id"],
    name: written,
    capability: ["capabilities"],
    health: ["health", "created_at", "id"]
  }),
  "Federation.credentials.list": list<Federation["Service"]["credentials"]["list"]>("federation_credentials", {
    providerId: ["provider_id", "created_at", "id"],
    state: ofOne("provider"),
    expiresBefore: ["expires_at"]
  }),
  "Federation.rules.list": list<Federation["Service"]["rules"]["list"]>("federation_rules", {
    clientId: ["client_id", "created_at", "id"],
    capability: ["capability"],
    enabled: written
  })
}

const layer = PlatformMigrations.layerPostgres.pipe(Layer.provideMerge(freshClient(2)))

/** The columns of each index of the platform, by table. */
const indexes = Effect.map(
  Effect.flatMap(
    PostgresClient,
    ({ sql }) => sql<{ readonly table: string; readonly columns: ReadonlyArray<string> }>`
      select t.relname as table, array(
        select pg_get_indexdef(i.indexrelid, n, true) from generate_series(1, i.indnkeyatts) as n order by n
      ) as columns
      from pg_index as i join pg_class as t on t.oid = i.indrelid
      where t.relnamespace = 'ai_core'::regnamespace`
  ),
  (found) => Map.groupBy(found, ({ table }) => table)
)

describeLive("postgresql", "Every list", () => {
  it.layer(layer, { timeout: "1 minute" })((it) => {
    it.effect("has an index behind each of its filters, in its order, or says why it needs none", () =>
      Effect.gen(function* () {
        const byTable = yield* indexes
        const without = Object.entries(lists).flatMap(([name, { filters, table }]) =>
          Object.entries(filters).flatMap(([filter, behind]) => {
            if (!Array.isArray(behind)) return []
            const found = byTable
              .get(table)
              ?.some(({ columns }) => behind.every((column, place) => columns[place] === column))
            return found === true ? [] : [`${name} by ${filter}`]
          })
        )
        assert.deepEqual(without, [])
      })
    )
  })
})
