import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Name, Slug, textOf } from "../../core/Text.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import type { ListOptions, StreamOptions } from "../Lists.ts"
import { FederationClientId, type FederationClientNotFound } from "./Clients.ts"
import { atLeastOne, Weight } from "./Fields.ts"
import { FederationServiceId, type FederationServiceNotFound, RoutingRuleId } from "./Services.ts"

export { RoutingRuleId }

const Scalar = Schema.Union([textOf(0, 200), Schema.Finite, Schema.Boolean])

const named = (most: number) =>
  Schema.makeFilter(
    (given: object) => Object.keys(given).length <= most && Object.keys(given).every((key) => Schema.is(Slug)(key)),
    { expected: `at most ${most} fields, each named by lower-case letters, digits and _ - . :` }
  )

/** What is known of a request, for the conditions of rules: `{ region: "eu", tokens: 200 }`. */
export const RouteAttributes = Schema.Record(Schema.String, Scalar).check(named(50))
export type RouteAttributes = typeof RouteAttributes.Type

/**
 * When a rule applies: every attribute that it names has the value, or one of the values.
 *
 * `{ region: ["eu", "uk"], trial: false }`; `{}` applies always.
 */
export const RuleCondition = Schema.Record(
  Schema.String,
  Schema.Union([
    Scalar,
    Schema.Array(Scalar).check(
      Schema.makeFilter((values: ReadonlyArray<unknown>) => values.length >= 1 && values.length <= 50, {
        expected: "1 to 50 values"
      })
    )
  ])
).check(named(20))
export type RuleCondition = typeof RuleCondition.Type

/** A service that a rule chooses. */
export const RuleTarget = Schema.Struct({
  serviceId: FederationServiceId,
  /** Its share among the targets; the service's own weight where null. */
  weight: Schema.NullOr(Weight)
})
export type RuleTarget = typeof RuleTarget.Type

/** Which services do what is asked for, for one client or for all. */
export const RoutingRule = Schema.Struct({
  id: RoutingRuleId,
  /** Its name for people, who read in a route which rule chose. */
  name: Schema.String,
  /** Holds for this client alone; for everybody where null. */
  clientId: Schema.NullOr(FederationClientId),
  capability: Schema.String,
  /** The greatest counts first. */
  priority: Schema.Int,
  condition: RuleCondition,
  targets: Schema.Array(RuleTarget),
  enabled: Schema.Boolean,
  /** 1 when made, one more with every update. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type RoutingRule = typeof RoutingRule.Type

const Targets = Schema.Array(
  Schema.Struct({ serviceId: FederationServiceId, weight: Schema.optional(Schema.NullOr(Weight)) })
).check(
  Schema.makeFilter(
    (targets: ReadonlyArray<{ readonly serviceId: string }>) =>
      targets.length >= 1 &&
      targets.length <= 50 &&
      new Set(targets.map(({ serviceId }) => serviceId)).size === targets.length,
    { expected: "1 to 50 targets, each service once" }
  )
)

/** -1,000,000 to 1,000,000. */
const Priority = Schema.Int.check(Schema.isBetween({ minimum: -1_000_000, maximum: 1_000_000 }))

/** What a new rule is made of: for everybody, priority 0, without condition, enabled, where nothing is said. */
export const NewRoutingRule = Schema.Struct({
  name: Name,
  clientId: Schema.optional(FederationClientId),
  capability: Slug,
  priority: Schema.optional(Priority),
  condition: Schema.optional(RuleCondition),
  targets: Targets,
  enabled: Schema.optional(Schema.Boolean)
})
export type NewRoutingRule = typeof NewRoutingRule.Type

/** What an update changes: at least one field; what is left out stays as it is. */
export const RoutingRuleChanges = Schema.Struct({
  name: Schema.optionalKey(Name),
  priority: Schema.optionalKey(Priority),
  condition: Schema.optionalKey(RuleCondition),
  targets: Schema.optionalKey(Targets),
  enabled: Schema.optionalKey(Schema.Boolean)
}).check(atLeastOne)
export type RoutingRuleChanges = typeof RoutingRuleChanges.Type

export const RoutingRuleCursor = Schema.String.pipe(Schema.brand("RoutingRuleCursor"))
export type RoutingRuleCursor = typeof RoutingRuleCursor.Type

export interface RoutingRuleFilter {
  /** Rules for this client alone, or (null) those for everybody. */
  readonly clientId?: FederationClientId | null | undefined
  readonly capability?: string | undefined
  readonly enabled?: boolean | undefined
}

export class RoutingRuleNotFound extends Schema.TaggedError<RoutingRuleNotFound>(
  "@ai-core/database/RoutingRuleNotFound"
)("RoutingRuleNotFound", { id: RoutingRuleId }) {
  override get message(): string {
    return `there is no routing rule ${this.id}`
  }
}

/** A service is to be a target of a rule for a capability that it does not have. */
export class CapabilityNotOffered extends Schema.TaggedError<CapabilityNotOffered>(
  "@ai-core/database/CapabilityNotOffered"
)("CapabilityNotOffered", { serviceId: FederationServiceId, capability: Schema.String }) {
  override get message(): string {
    return `the federation service ${this.serviceId} does not offer ${this.capability}`
  }
}

/** Which services are chosen. */
export interface RoutingRules {
  /** Stores a new rule, at version 1. Not idempotent: after an unknown outcome, look at the list. */
  readonly create: (
    rule: NewRoutingRule
  ) => Effect.Effect<
    RoutingRule,
    FederationClientNotFound | FederationServiceNotFound | CapabilityNotOffered | StoreError
  >
  /** Finds a rule by id; concurrent calls go together. */
  readonly find: (id: RoutingRuleId) => Effect.Effect<Option.Option<RoutingRule>, StoreError>
  /** Changes a rule that still is at the version that the caller read; of two such updates one wins. */
  readonly update: (
    id: RoutingRuleId,
    expectedVersion: number,
    changes: RoutingRuleChanges
  ) => Effect.Effect<
    RoutingRule,
    RoutingRuleNotFound | VersionConflict | FederationServiceNotFound | CapabilityNotOffered | StoreError
  >
  readonly remove: (id: RoutingRuleId) => Effect.Effect<void, RoutingRuleNotFound | StoreError>
  readonly list: (
    options?: RoutingRuleFilter & ListOptions<RoutingRuleCursor>
  ) => Effect.Effect<Page<RoutingRule, RoutingRuleCursor>, StoreError>
  /** Streams the rules of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: RoutingRuleFilter & StreamOptions) => Stream.Stream<RoutingRule, StoreError>
}
