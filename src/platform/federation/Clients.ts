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
import { UserId, type UserNotFound } from "../users/Users.ts"
import { atLeastOne, slugs } from "./Fields.ts"

export const FederationClientId = TimeOrderedId.pipe(Schema.brand("FederationClientId"))
export type FederationClientId = typeof FederationClientId.Type

/** A revoked client stays, so that what it did can be told, and never calls again. */
export const clientStates = stateMachine("federation client", {
  active: ["suspended", "revoked"],
  suspended: ["active", "revoked"],
  revoked: []
})
export const FederationClientState = clientStates.schema
export type FederationClientState = typeof FederationClientState.Type

/** An outside party that calls in. */
export const FederationClient = Schema.Struct({
  id: FederationClientId,
  /** Its name for programs; unique, also among revoked clients. */
  slug: Schema.String,
  name: Schema.String,
  /** Who answers for it; a user who answers for a client cannot be removed (`UserInUse`): give it to another one first. */
  ownerId: UserId,
  state: FederationClientState,
  /** What it may ask for, in the platform's own words; `route` does not look at them. */
  scopes: Schema.Array(Schema.String),
  /** Names the limits that hold for it. */
  rateTier: Schema.String,
  /** 1 when made, one more with every change. */
  version: Version,
  createdAt: Schema.DateTimeUtc,
  updatedAt: Schema.DateTimeUtc
})
export type FederationClient = typeof FederationClient.Type

const fields = { slug: Slug, name: Name, ownerId: UserId, scopes: slugs(0, 100), rateTier: Slug }

/** What a new client is made of: no scopes and the tier `standard` where nothing is said. */
export const NewFederationClient = Schema.Struct({
  ...fields,
  scopes: Schema.optional(fields.scopes),
  rateTier: Schema.optional(fields.rateTier)
})
export type NewFederationClient = typeof NewFederationClient.Type

/** What an update changes: at least one field; what is left out stays as it is. */
export const FederationClientChanges = Schema.Struct({
  slug: Schema.optionalKey(fields.slug),
  name: Schema.optionalKey(fields.name),
  ownerId: Schema.optionalKey(fields.ownerId),
  scopes: Schema.optionalKey(fields.scopes),
  rateTier: Schema.optionalKey(fields.rateTier)
}).check(atLeastOne)
export type FederationClientChanges = typeof FederationClientChanges.Type

export const FederationClientCursor = Schema.String.pipe(Schema.brand("FederationClientCursor"))
export type FederationClientCursor = typeof FederationClientCursor.Type

export interface FederationClientFilter {
  readonly ownerId?: UserId | undefined
  readonly state?: FederationClientState | undefined
}

export class FederationClientNotFound extends Schema.TaggedError<FederationClientNotFound>(
  "@ai-core/database/FederationClientNotFound"
)("FederationClientNotFound", { id: FederationClientId }) {
  override get message(): string {
    return `there is no federation client ${this.id}`
  }
}

/** Another client, which may be revoked, has this slug. */
export class FederationClientSlugTaken extends Schema.TaggedError<FederationClientSlugTaken>(
  "@ai-core/database/FederationClientSlugTaken"
)("FederationClientSlugTaken", { slug: Schema.String }) {
  override get message(): string {
    return `another federation client has the slug ${this.slug}`
  }
}

/** The client is suspended or revoked: nothing is routed for it. */
export class FederationClientNotActive extends Schema.TaggedError<FederationClientNotActive>(
  "@ai-core/database/FederationClientNotActive"
)("FederationClientNotActive", { id: FederationClientId, state: FederationClientState }) {
  override get message(): string {
    return `the federation client ${this.id} is ${this.state}`
  }
}

type Moved = Effect.Effect<FederationClient, FederationClientNotFound | IllegalTransition | StoreError>

/** Who calls in. */
export interface FederationClients {
  /** Stores a new client, active, at version 1. Not idempotent: after an unknown outcome, look for the slug. */
  readonly create: (
    client: NewFederationClient
  ) => Effect.Effect<FederationClient, FederationClientSlugTaken | UserNotFound | StoreError>
  /** Finds a client by id; concurrent calls go together. */
  readonly find: (id: FederationClientId) => Effect.Effect<Option.Option<FederationClient>, StoreError>
  /** Finds clients by id, each in the place of its id; none where there is no such client. */
  readonly findMany: (
    ids: ReadonlyArray<FederationClientId>
  ) => Effect.Effect<ReadonlyArray<Option.Option<FederationClient>>, StoreError>
  readonly findBySlug: (slug: string) => Effect.Effect<Option.Option<FederationClient>, StoreError>
  /** Changes a client, in whatever state, that still is at the version that the caller read; of two such updates one wins. */
  readonly update: (
    id: FederationClientId,
    expectedVersion: number,
    changes: FederationClientChanges
  ) => Effect.Effect<
    FederationClient,
    FederationClientNotFound | VersionConflict | FederationClientSlugTaken | UserNotFound | StoreError
  >
  /** Keeps an active client out until it is resumed. Suspending it again is an `IllegalTransition`. */
  readonly suspend: (id: FederationClientId) => Moved
  /** Lets a suspended client in again. */
  readonly resume: (id: FederationClientId) => Moved
  /** Keeps a client out for good. */
  readonly revoke: (id: FederationClientId) => Moved
  readonly list: (
    options?: FederationClientFilter & ListOptions<FederationClientCursor>
  ) => Effect.Effect<Page<FederationClient, FederationClientCursor>, StoreError>
  /** Streams the clients of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: FederationClientFilter & StreamOptions) => Stream.Stream<FederationClient, StoreError>
}
