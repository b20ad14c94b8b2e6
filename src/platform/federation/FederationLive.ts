import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { PostgresClient } from "../../postgres/PostgresClient.ts"
import { rowReader, Timestamp } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import { make } from "../tables/TablesLive.ts"
import { Federation } from "./Federation.ts"
import { RuleRow, ServiceRow } from "./FederationTables.ts"
import { type Choices, makeFederation } from "./makeFederation.ts"
import { serviceOf } from "./makeServices.ts"
import { FederationProviderState } from "./Providers.ts"

const choiceRows = rowReader(
  Schema.Struct({
    ...ServiceRow.fields,
    providerState: FederationProviderState,
    targetWeight: Schema.NullOr(Schema.Int),
    position: Schema.Int,
    ruleId: RuleRow.fields.id,
    ruleName: Schema.String,
    rulePriority: Schema.Int,
    ruleClientId: RuleRow.fields.clientId,
    ruleCondition: RuleRow.fields.condition,
    ruleCreatedAt: Timestamp
  })
)

/** One statement, so that a route is of one moment. */
const choicesFrom =
  ({ keyed, query }: PostgresClient["Service"]): Choices =>
  (operation, capability, clientId) =>
    query(
      { operation, kind: "read" },
      keyed<object>`select s.id, s.provider_id as "providerId", s.name, s.release, s.endpoint_url as "endpointUrl",
          s.capabilities, s.weight, s.cost_minor as "costMinor", s.currency, s.health, s.heard_at as "heardAt", s.version,
          s.created_at as "createdAt", s.updated_at as "updatedAt", p.state as "providerState", t.weight as "targetWeight",
          t.position, r.id as "ruleId", r.name as "ruleName", r.priority as "rulePriority", r.client_id as "ruleClientId",
          r.condition as "ruleCondition", r.created_at as "ruleCreatedAt"
        from ai_core.federation_rules as r
          join ai_core.federation_rule_targets as t on t.rule_id = r.id
          join ai_core.federation_services as s on s.id = t.service_id
          join ai_core.federation_providers as p on p.id = s.provider_id
        where r.enabled and r.capability = ${capability} and (r.client_id is null or r.client_id = ${clientId}::uuid)`
    ).pipe(
      Effect.flatMap((rows) => choiceRows.all(operation, rows)),
      Effect.map((rows) =>
        rows.map((row) => ({
          service: serviceOf(row),
          providerState: row.providerState,
          targetWeight: row.targetWeight,
          position: row.position,
          rule: {
            id: row.ruleId,
            name: row.ruleName,
            priority: row.rulePriority,
            clientId: row.ruleClientId,
            condition: row.ruleCondition,
            createdAt: row.ruleCreatedAt
          }
        }))
      )
    )

/** `Federation` on PostgreSQL: a server, or the embedded engine. Its tables come from the platform's migrations. */
export const layer: Layer.Layer<Federation, never, PostgresClient | Transaction> = Layer.effect(
  Federation,
  Effect.gen(function* () {
    return makeFederation(yield* make, choicesFrom(yield* PostgresClient))
  })
)
