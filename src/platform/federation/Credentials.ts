import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Page } from "../../core/KeysetPage.ts"
import { type IllegalTransition, stateMachine } from "../../core/StateMachine.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { RecentMoment } from "../Checks.ts"
import type { ListOptions, StreamOptions } from "../Lists.ts"
import { FederationProviderId, type FederationProviderNotFound } from "./Providers.ts"
import { SecretRef } from "./SecretRef.ts"

export const ProviderCredentialId = TimeOrderedId.pipe(Schema.brand("ProviderCredentialId"))
export type ProviderCredentialId = typeof ProviderCredentialId.Type

/** A new credential stands by until it is rotated in; at most one of a provider is active. */
export const credentialStates = stateMachine("provider credential", {
  standby: ["active", "retired"],
  active: ["retired"],
  retired: []
})
export const ProviderCredentialState = credentialStates.schema
export type ProviderCredentialState = typeof ProviderCredentialState.Type

export const CredentialKind = Schema.Literals(["api-key", "oauth2", "mtls", "basic"])
export type CredentialKind = typeof CredentialKind.Type

/** How the platform proves to a provider who it is. The secret itself is in a secret store, and never here. */
export const ProviderCredential = Schema.Struct({
  id: ProviderCredentialId,
  providerId: FederationProviderId,
  kind: CredentialKind,
  /** Where the secret is kept: `vault:kv/data/openai#key`. */
  secretRef: Schema.String,
  state: ProviderCredentialState,
  /** When it stops to hold; null where it does not. */
  expiresAt: Schema.NullOr(Schema.DateTimeUtc),
  /** When the provider accepted it last; null before. */
  verifiedAt: Schema.NullOr(Schema.DateTimeUtc),
  activatedAt: Schema.NullOr(Schema.DateTimeUtc),
  retiredAt: Schema.NullOr(Schema.DateTimeUtc),
  createdAt: Schema.DateTimeUtc
})
export type ProviderCredential = typeof ProviderCredential.Type

export const NewProviderCredential = Schema.Struct({
  providerId: FederationProviderId,
  kind: CredentialKind,
  secretRef: SecretRef,
  expiresAt: Schema.optional(RecentMoment)
})
export type NewProviderCredential = typeof NewProviderCredential.Type

export const ProviderCredentialCursor = Schema.String.pipe(Schema.brand("ProviderCredentialCursor"))
export type ProviderCredentialCursor = typeof ProviderCredentialCursor.Type

export interface ProviderCredentialFilter {
  readonly providerId?: FederationProviderId | undefined
  readonly state?: ProviderCredentialState | undefined
  /** Only credentials that expire, and do so before this time. */
  readonly expiresBefore?: DateTime.Utc | undefined
}

export class ProviderCredentialNotFound extends Schema.TaggedError<ProviderCredentialNotFound>(
  "@ai-core/database/ProviderCredentialNotFound"
)("ProviderCredentialNotFound", { id: ProviderCredentialId }) {
  override get message(): string {
    return `there is no provider credential ${this.id}`
  }
}

/** The credential's time is over; what was active stays so. */
export class ProviderCredentialExpired extends Schema.TaggedError<ProviderCredentialExpired>(
  "@ai-core/database/ProviderCredentialExpired"
)("ProviderCredentialExpired", { id: ProviderCredentialId, expiresAt: Schema.DateTimeUtc }) {
  override get message(): string {
    return `the provider credential ${this.id} is expired`
  }
}

/** What a rotation did. */
export interface Rotated {
  readonly active: ProviderCredential
  /** The one that was active before; null where none was. */
  readonly retired: ProviderCredential | null
}

/** By what the platform authenticates to providers. */
export interface ProviderCredentials {
  /** Stores a new credential, standing by. Not idempotent: after an unknown outcome, look at the list. */
  readonly add: (
    credential: NewProviderCredential
  ) => Effect.Effect<ProviderCredential, FederationProviderNotFound | StoreError>
  /** Finds a credential by id; concurrent calls go together. */
  readonly find: (id: ProviderCredentialId) => Effect.Effect<Option.Option<ProviderCredential>, StoreError>
  /** The credential that calls of the provider are made with: the active one, none where that is expired. */
  readonly current: (providerId: FederationProviderId) => Effect.Effect<Option.Option<ProviderCredential>, StoreError>
  /**
   * Makes a credential the active one of its provider, and retires the one that was, in one step.
   *
   * However many rotate at once, exactly one credential is active: that of the last. Rotating the active one again is an
   * `IllegalTransition`.
   */
  readonly rotate: (
    id: ProviderCredentialId
  ) => Effect.Effect<Rotated, ProviderCredentialNotFound | ProviderCredentialExpired | IllegalTransition | StoreError>
  /** Takes a credential out of use for good, also the active one. */
  readonly retire: (
    id: ProviderCredentialId
  ) => Effect.Effect<ProviderCredential, ProviderCredentialNotFound | IllegalTransition | StoreError>
  /**
   * Notes that the provider accepted a credential at a time, now where none is given. Idempotent; an older time changes nothing,
   * and one of more than 5 minutes ahead of the clock is refused, because it would silence those that follow.
   */
  readonly markVerified: (
    id: ProviderCredentialId,
    at?: DateTime.Utc
  ) => Effect.Effect<ProviderCredential, ProviderCredentialNotFound | StoreError>
  readonly list: (
    options?: ProviderCredentialFilter & ListOptions<ProviderCredentialCursor>
  ) => Effect.Effect<Page<ProviderCredential, ProviderCredentialCursor>, StoreError>
  /** Streams the credentials of `list`, with the memory of one page and no connection between pages. */
  readonly stream: (options?: ProviderCredentialFilter & StreamOptions) => Stream.Stream<ProviderCredential, StoreError>
}
