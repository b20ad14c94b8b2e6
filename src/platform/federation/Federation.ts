import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { StoreError } from "../../core/StoreError.ts"
import type { FederationClientNotActive, FederationClientNotFound, FederationClients } from "./Clients.ts"
import type { ProviderCredentials } from "./Credentials.ts"
import type { FederationProviders } from "./Providers.ts"
import type { Route, RouteRequest } from "./Route.ts"
import type { RoutingRules } from "./Rules.ts"
import type { FederationServices } from "./Services.ts"

/**
 * Who calls in, whom the platform calls, what is offered there, and which of it answers a call.
 *
 * Every method may fail with `StoreError`: `InvalidData` names each wrong field of an input before anything is sent. All of
 * them take part in the `Transaction` around them, and a domain error leaves that transaction usable. Secrets are never stored:
 * credentials refer to a secret store.
 *
 * Clients are revoked and credentials retired, and stay; providers, services and rules are removed once nothing needs them.
 *
 * @example
 * ```ts
 * const federation = yield* Federation
 * const { candidates } = yield* federation.route({ clientId, capability: "chat.complete", attributes: { region: "eu" } })
 * for (const { rule, service } of candidates) {
 *   // call service.endpointUrl; the first that answers will do
 * }
 * ```
 */
export class Federation extends Context.Service<
  Federation,
  {
    readonly clients: FederationClients
    readonly providers: FederationProviders
    readonly services: FederationServices
    readonly credentials: ProviderCredentials
    readonly rules: RoutingRules
    /**
     * Chooses the services for a capability by the enabled rules, and tells which rule chose each.
     *
     * The order is always the same for the same rows: the rule of the greatest priority first, at one priority a client's own
     * rule before one for everybody, then the older one; within a rule healthy services before unknown before degraded ones,
     * then the greater weight, then the place in the rule. Services that are down come last of all. A service is told once, by
     * the first rule that chose it. Services of disabled providers, and those that no longer have the capability, are left out
     * and told apart. No rule, no candidate.
     *
     * Fails with `FederationClientNotActive` for a suspended or revoked client.
     */
    readonly route: (
      request: RouteRequest
    ) => Effect.Effect<Route, FederationClientNotFound | FederationClientNotActive | StoreError>
  }
>()("@ai-core/database/platform/Federation") {}
