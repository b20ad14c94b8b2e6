import * as Schema from "effect/Schema"
import { NullableSafeInteger, NullableTimestamp, Timestamp } from "../../postgres/repository/Row.ts"
import { table } from "../tables/Tables.ts"
import { FederationClient } from "./Clients.ts"
import { ProviderCredential } from "./Credentials.ts"
import { FederationProvider } from "./Providers.ts"
import { RoutingRule, RoutingRuleId } from "./Rules.ts"
import { FederationService, FederationServiceId } from "./Services.ts"

const Time = NullableTimestamp
const made = { createdAt: Timestamp, updatedAt: Timestamp }

export const clients = table(
  "federation_clients",
  FederationClient.mapFields((fields) => ({ ...fields, ...made })),
  ["id"],
  {
    unique: { federation_clients_slug_key: ({ slug }) => slug },
    references: {
      federation_clients_owner_id_fkey: { to: "users", key: ({ ownerId }) => ownerId, onRemoval: "restrict" }
    }
  }
)

export const providers = table(
  "federation_providers",
  FederationProvider.mapFields((fields) => ({ ...fields, ...made })),
  ["id"],
  { unique: { federation_providers_slug_key: ({ slug }) => slug } }
)

export const ServiceRow = Schema.Struct({
  id: FederationService.fields.id,
  providerId: FederationService.fields.providerId,
  name: Schema.String,
  release: Schema.String,
  endpointUrl: Schema.String,
  capabilities: FederationService.fields.capabilities,
  weight: FederationService.fields.weight,
  costMinor: NullableSafeInteger,
  currency: Schema.NullOr(Schema.String),
  health: FederationService.fields.health,
  heardAt: Timestamp,
  version: FederationService.fields.version,
  ...made
})
export type ServiceRow = typeof ServiceRow.Type

export const services = table("federation_services", ServiceRow, ["id"], {
  unique: {
    federation_services_provider_id_name_release_key: ({ name, providerId, release }) =>
      `${providerId}/${name}/${release}`
  },
  references: {
    federation_services_provider_id_fkey: {
      to: "federation_providers",
      key: ({ providerId }) => providerId,
      onRemoval: "restrict"
    }
  }
})

export const credentials = table(
  "federation_credentials",
  ProviderCredential.mapFields((fields) => ({
    ...fields,
    expiresAt: Time,
    verifiedAt: Time,
    activatedAt: Time,
    retiredAt: Time,
    createdAt: Timestamp
  })),
  ["id"],
  {
    unique: {
      federation_credentials_active_key: ({ providerId, state }) => (state === "active" ? providerId : undefined)
    },
    references: {
      federation_credentials_provider_id_fkey: {
        to: "federation_providers",
        key: ({ providerId }) => providerId,
        onRemoval: "cascade"
      }
    }
  }
)

export const RuleRow = Schema.Struct({
  id: RoutingRule.fields.id,
  name: Schema.String,
  clientId: RoutingRule.fields.clientId,
  capability: Schema.String,
  priority: Schema.Int,
  condition: RoutingRule.fields.condition,
  enabled: Schema.Boolean,
  version: RoutingRule.fields.version,
  ...made
})
export type RuleRow = typeof RuleRow.Type

export const rules = table("federation_rules", RuleRow, ["id"], {
  references: {
    federation_rules_client_id_fkey: {
      to: "federation_clients",
      key: ({ clientId }) => clientId ?? undefined,
      onRemoval: "restrict"
    }
  }
})

export const targets = table(
  "federation_rule_targets",
  Schema.Struct({
    ruleId: RoutingRuleId,
    position: Schema.Int,
    serviceId: FederationServiceId,
    weight: Schema.NullOr(Schema.Int)
  }),
  ["ruleId", "serviceId"],
  {
    references: {
      federation_rule_targets_rule_id_fkey: {
        to: "federation_rules",
        key: ({ ruleId }) => ruleId,
        onRemoval: "cascade"
      },
      federation_rule_targets_service_id_fkey: {
        to: "federation_services",
        key: ({ serviceId }) => serviceId,
        onRemoval: "restrict"
      }
    }
  }
)
export type TargetRow = Parameters<typeof targets.key>[0]

/** All tables of federation. */
export const federationTables = [clients, providers, services, credentials, rules, targets]
