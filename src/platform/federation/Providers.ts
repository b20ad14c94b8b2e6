import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import { type IllegalTransition, stateMachine } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Name, Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { Version, type VersionConflict } from "../../core/Version.ts"
import type { ListOptions, StreamOptions } from "../Lists.ts"
import { atLeastOne } from "./Fields.ts"
import { BaseUrl } from "./ServiceUrl.ts"

export const FederationProviderId = TimeOrderedId.pipe(Schema.brand("FederationProviderId"))
export type FederationProviderId = typeof FederationProviderId.Type

export const providerStates = stateMachine("federation provider", { active: ["disabled"], disabled: ["active"] })
export const FederationProviderState = providerStates.schema
export type FederationProviderState = typeof FederationProviderState.Type

/** A company or a system whose services the platform calls. */
export const FederationProvider = Schema.Struct({
  id: FederationProviderId,
  /** Its name for programs; unique. */
  slug: Schema.String,
  name: Schema.String,
  /** What it is: `mcp`, `openai-compatible`, `internal`. */
  kind: Schema.String,
  /** http or https; without credentials, query and fragment. */
  baseUrl: Schema.String,
  /** Nothing is routed to a disabled provider. */
  state: FederationProviderState,
  /** 1 when made, one more with every change. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type FederationProvider = typeof FederationProvider.Type

export const NewFederationProvider = Schema.Struct({ slug: Slug, name: Name, kind: Slug, baseUrl: BaseUrl })
export type NewFederationProvider = typeof NewFederationProvider.Type

/** What an update changes: at least one field; what is left out stays as it is. */
export const FederationProviderChanges = Schema.Struct({
  slug: Schema.optionalKey(Slug),
  name: Schema.optionalKey(Name),
  kind: Schema.optionalKey(Slug),
  baseUrl: Schema.optionalKey(BaseUrl)
}).check(atLeastOne)
export type FederationProviderChanges = typeof FederationProviderChanges.Type

export const FederationProviderCursor = Schema.String.pipe(Schema.brand("FederationProviderCursor"))
export type FederationProviderCursor = typeof FederationProviderCursor.Type

export interface FederationProviderFilter {
  readonly kind?: string | undefined
  readonly state?: FederationProviderState | undefined
}

export class FederationProviderNotFound extends Schema.TaggedError<FederationProviderNotFound>(
  "@ai-core/database/FederationProviderNotFound"
)("FederationProviderNotFound", { id: FederationProviderId }) {
  override get message(): string {
    return `there is no federation provider ${this.id}`
  }
}

/** Another provider has this slug. */
export class FederationProviderSlugTaken extends Schema.TaggedError<FederationProviderSlugTaken>(
  "@ai-core/database/FederationProviderSlugTaken"
)("FederationProviderSlugTaken", { slug: Schema.String }) {
  override get message(): string {
    return `another federation provider has the slug ${this.slug}`
  }
}

/** The provider has registered services, so it stays: deregister them first. */
export class FederationProviderInUse extends Schema.TaggedError<FederationProviderInUse>(
  "@ai-core/database/FederationProviderInUse"
)("FederationProviderInUse", { id: FederationProviderId }) {
  override get message(): string {
    return `the federation provider ${this.id} has registered services`
  }
}

type Moved = Effect.Effect<FederationProvider, FederationProviderNotFound | IllegalTransition | StoreError>

/** Whom the platform calls. */
export interface FederationProviders {
  /** Stores a new provider, active, at version 1. Not idempotent: after an unknown outcome, look for the slug. */
  readonly create: (
    provider: NewFederationProvider
  ) => Effect.Effect<FederationProvider, FederationProviderSlugTaken | StoreError>
  /** Finds a provider by id; concurrent calls go together. */
  readonly find: (id: FederationProviderId) => Effect.Effect<Option.Option<FederationProvider>, StoreError>
  readonly findBySlug: (slug: string) => Effect.Effect<Option.Option<FederationProvider>, StoreError>
  /** Changes a provider that still is at the version that the caller read; of two such updates one wins. */
  readonly update: (
    id: FederationProviderId,
    expectedVersion: number,
    changes: FederationProviderChanges
  ) => Effect.Effect<
    FederationProvider,
    FederationProviderNotFound | VersionConflict | FederationProviderSlugTaken | StoreError
  >
  /** Leaves its services out of every route. Disabling it again is an `IllegalTransition`. */
  readonly disable: (id: FederationProviderId) => Moved
  readonly enable: (id: FederationProviderId) => Moved
  /** Removes a provider without services, and its credentials with it. */
  readonly remove: (
    id: FederationProviderId
  ) => Effect.Effect<void, FederationProviderNotFound | FederationProviderInUse | StoreError>
  readonly list: (
    options?: FederationProviderFilter & ListOptions<FederationProviderCursor>
  ) => Effect.Effect<Page<FederationProvider, FederationProviderCursor>, StoreError>
  /** Streams the providers of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: FederationProviderFilter & StreamOptions) => Stream.Stream<FederationProvider, StoreError>
}
