import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import { moneyFrom } from "../Checks.ts"
import type { ListOptions, PageOptions, StreamOptions } from "../Lists.ts"
import { Money } from "../Money.ts"
import { atLeastOne, slugs, Weight } from "./Fields.ts"
import { FederationProviderId, type FederationProviderNotFound } from "./Providers.ts"
import { SemanticVersion } from "./SemanticVersion.ts"
import { ServiceUrl } from "./ServiceUrl.ts"

export const FederationServiceId = TimeOrderedId.pipe(Schema.brand("FederationServiceId"))
export type FederationServiceId = typeof FederationServiceId.Type

export const RoutingRuleId = TimeOrderedId.pipe(Schema.brand("RoutingRuleId"))
export type RoutingRuleId = typeof RoutingRuleId.Type

/** What may be reported of a service, the best first. */
export const ReportedHealth = Schema.Literals(["healthy", "degraded", "down"])
export type ReportedHealth = typeof ReportedHealth.Type

/** `unknown` until the first report. */
export const ServiceHealth = Schema.Literals(["unknown", "healthy", "degraded", "down"])
export type ServiceHealth = typeof ServiceHealth.Type

/** What a provider has registered: one version of one service. */
export const FederationService = Schema.Struct({
  id: FederationServiceId,
  providerId: FederationProviderId,
  /** Unique among the services of its provider, together with `release`. */
  name: Schema.String,
  /** Semantic version of its interface; another one is another service. */
  release: Schema.String,
  endpointUrl: Schema.String,
  /** What it can do: `chat.complete`. */
  capabilities: Schema.Array(Schema.String),
  /** Its share where a rule that targets it names none. */
  weight: Weight,
  /** What a call costs; null where nobody has said. */
  cost: Schema.NullOr(Money),
  health: ServiceHealth,
  /** The time that the last report is of; null before the first one. */
  healthReportedAt: Schema.NullOr(Schema.DateTimeUtc),
  /** 1 when made, one more with every update; health reports are no updates. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type FederationService = typeof FederationService.Type

const fields = { endpointUrl: ServiceUrl, capabilities: slugs(1, 100), weight: Weight, cost: moneyFrom(0) }

/** What a new service is made of: weight 100 where nothing is said. */
export const NewFederationService = Schema.Struct({
  providerId: FederationProviderId,
  name: Slug,
  release: SemanticVersion,
  endpointUrl: fields.endpointUrl,
  capabilities: fields.capabilities,
  weight: Schema.optional(fields.weight),
  cost: Schema.optional(fields.cost)
})
export type NewFederationService = typeof NewFederationService.Type

/** What an update changes: at least one field; what is left out stays as it is. */
export const FederationServiceChanges = Schema.Struct({
  endpointUrl: Schema.optionalKey(fields.endpointUrl),
  capabilities: Schema.optionalKey(fields.capabilities),
  weight: Schema.optionalKey(fields.weight),
  cost: Schema.optionalKey(Schema.NullOr(fields.cost))
}).check(atLeastOne)
export type FederationServiceChanges = typeof FederationServiceChanges.Type

/** How a service is, as of a time; now where none is given. */
export interface HealthReport {
  readonly health: ReportedHealth
  readonly at?: DateTime.Utc | undefined
}

export const FederationServiceCursor = Schema.String.pipe(Schema.brand("FederationServiceCursor"))
export type FederationServiceCursor = typeof FederationServiceCursor.Type

export const StaleServiceCursor = Schema.String.pipe(Schema.brand("StaleServiceCursor"))
export type StaleServiceCursor = typeof StaleServiceCursor.Type

export interface FederationServiceFilter {
  readonly providerId?: FederationProviderId | undefined
  /** Services of every release. */
  readonly name?: string | undefined
  readonly capability?: string | undefined
  readonly health?: ServiceHealth | undefined
}

export class FederationServiceNotFound extends Schema.TaggedError<FederationServiceNotFound>(
  "@ai-core/database/FederationServiceNotFound"
)("FederationServiceNotFound", { id: FederationServiceId }) {
  override get message(): string {
    return `there is no federation service ${this.id}`
  }
}

/** The provider has registered this release of the service before. */
export class FederationServiceExists extends Schema.TaggedError<FederationServiceExists>(
  "@ai-core/database/FederationServiceExists"
)("FederationServiceExists", {
  providerId: FederationProviderId,
  name: Schema.String,
  release: Schema.String
}) {
  override get message(): string {
    return `the provider ${this.providerId} has registered ${this.name} ${this.release} before`
  }
}

/** Routing rules target the service, enabled or not: change or remove them first. */
export class FederationServiceInUse extends Schema.TaggedError<FederationServiceInUse>(
  "@ai-core/database/FederationServiceInUse"
)("FederationServiceInUse", {
  id: FederationServiceId,
  /** The rules that target it. */
  rules: Schema.Array(RoutingRuleId)
}) {
  override get message(): string {
    return `the federation service ${this.id} is a target of the routing rules ${this.rules.join(", ")}`
  }
}

/** What providers offer. */
export interface FederationServices {
  /**
   * Stores a new service, its health unknown, at version 1.
   *
   * Not idempotent: registering a release again is `FederationServiceExists`, however many do so at once.
   */
  readonly register: (
    service: NewFederationService
  ) => Effect.Effect<FederationService, FederationProviderNotFound | FederationServiceExists | StoreError>
  /** Finds a service by id; concurrent calls go together. */
  readonly find: (id: FederationServiceId) => Effect.Effect<Option.Option<FederationService>, StoreError>
  /** Finds services by id, each in the place of its id; none where there is no such service. */
  readonly findMany: (
    ids: ReadonlyArray<FederationServiceId>
  ) => Effect.Effect<ReadonlyArray<Option.Option<FederationService>>, StoreError>
  readonly findRelease: (
    providerId: FederationProviderId,
    name: string,
    release: string
  ) => Effect.Effect<Option.Option<FederationService>, StoreError>
  /**
   * Changes a service that still is at the version that the caller read; of two such updates one wins.
   *
   * Rules may go on to target a service that no longer has their capability; `route` then leaves it out, and says so.
   */
  readonly update: (
    id: FederationServiceId,
    expectedVersion: number,
    changes: FederationServiceChanges
  ) => Effect.Effect<FederationService, FederationServiceNotFound | VersionConflict | StoreError>
  /**
   * Says how a service is; gives it as it is now.
   *
   * Idempotent. Reports may come in any order: one that is older than the last changes nothing, and of two of one time the
   * worse counts. One of more than 5 minutes ahead of the clock is refused, because it would silence those that follow.
   */
  readonly reportHealth: (
    id: FederationServiceId,
    report: HealthReport
  ) => Effect.Effect<FederationService, FederationServiceNotFound | StoreError>
  /** Removes a service that no rule targets; its release may be registered again. */
  readonly deregister: (
    id: FederationServiceId
  ) => Effect.Effect<void, FederationServiceNotFound | FederationServiceInUse | StoreError>
  readonly list: (
    options?: FederationServiceFilter & ListOptions<FederationServiceCursor>
  ) => Effect.Effect<Page<FederationService, FederationServiceCursor>, StoreError>
  /** Streams the services of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: FederationServiceFilter & StreamOptions) => Stream.Stream<FederationService, StoreError>
  /**
   * Lists services that nobody has told of since a time, the longest silent first.
   *
   * A service without any report counts as heard of when it was registered.
   */
  readonly stale: (
    options: { readonly since: DateTime.Utc } & PageOptions<StaleServiceCursor>
  ) => Effect.Effect<Page<FederationService, StaleServiceCursor>, StoreError>
}
