import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { cursor, type Page, PageSize } from "../../core/KeysetPage.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { Name, Slug } from "../../core/Text.ts"
import { TimeOrderedId } from "../../core/TimeOrderedId.ts"
import { UserId, type UserNotFound } from "./Users.ts"
import { TimeToLive } from "./Secret.ts"

export const ApiKeyId = TimeOrderedId.pipe(Schema.brand("ApiKeyId"))
export type ApiKeyId = typeof ApiKeyId.Type

/** A key by which a program acts for a user. The key itself is told once, when it is made, and not kept. */
export const ApiKey = Schema.Struct({
  id: ApiKeyId,
  userId: UserId,
  /** What people call it. */
  name: Schema.String,
  /** The first characters of the key, by which people tell their keys apart. */
  prefix: Schema.String,
  /** What the key may be used for, as the program names it; the program looks whether that is enough. */
  scopes: Schema.Array(Schema.String),
  createdAt: Schema.DateTimeUtc,
  /** From when on it is refused; never where it is null. */
  expiresAt: Schema.NullOr(Schema.DateTimeUtc),
  /** When it was last accepted, to within a minute. */
  lastUsedAt: Schema.NullOr(Schema.DateTimeUtc),
  revokedAt: Schema.NullOr(Schema.DateTimeUtc)
})
export type ApiKey = typeof ApiKey.Type

/** What a new key is made of. */
export const NewApiKey = Schema.Struct({
  userId: UserId,
  name: Name,
  scopes: Schema.optional(Schema.Array(Slug).check(Schema.isMaxLength(100))),
  timeToLive: Schema.optional(TimeToLive)
})
export interface NewApiKey {
  readonly userId: UserId
  readonly name: string
  readonly scopes?: ReadonlyArray<string> | undefined
  /** How long it lives; for ever where nothing is said. */
  readonly timeToLive?: Duration.Input | undefined
}

/** A new key, and the text by which it is used. */
export interface IssuedApiKey {
  readonly key: ApiKey
  readonly secret: Redacted.Redacted
}

/** Continues a list of keys. */
export const ApiKeyCursor = Schema.String.pipe(Schema.brand("ApiKeyCursor"))
export type ApiKeyCursor = typeof ApiKeyCursor.Type

const apiKeyCursor = cursor("api-keys", ApiKeyCursor, Schema.Struct({ user: UserId, id: ApiKeyId }))
export const apiKeyCursorAfter = ({ id, userId }: ApiKey): ApiKeyCursor => apiKeyCursor.after({ user: userId, id })

/** Which of a user's keys a page lists. */
export const ApiKeyList = Schema.Struct({
  limit: Schema.optional(PageSize),
  after: Schema.optional(apiKeyCursor.key)
})
export interface ApiKeyListOptions {
  /** 1 to 1000; 50 where nothing is said. */
  readonly limit?: number | undefined
  readonly after?: ApiKeyCursor | undefined
}

/** Characters of a key's prefix. */
export const prefixLength = 8

/** How exactly `lastUsedAt` is kept: a key that is used all the time is written once a minute. */
export const lastUsedEvery: Duration.Input = "1 minute"

/** Why a key is refused at a moment; nothing where it is good. */
export const refusalOf = (
  { expiresAt, revokedAt }: Pick<ApiKey, "expiresAt" | "revokedAt">,
  now: DateTime.Utc
): ApiKeyRefused["because"] | undefined =>
  revokedAt !== null
    ? "revoked"
    : expiresAt !== null && expiresAt.epochMilliseconds <= now.epochMilliseconds
      ? "expired"
      : undefined

/** There is no such key, or it is good no longer. Tell the holder no more than that. */
export class ApiKeyRefused extends Schema.TaggedError<ApiKeyRefused>("@ai-core/database/ApiKeyRefused")(
  "ApiKeyRefused",
  { because: Schema.Literals(["unknown", "revoked", "expired"]) }
) {
  override get message(): string {
    return `the API key is ${this.because}`
  }
}

/** There is no key with this id. */
export class ApiKeyNotFound extends Schema.TaggedError<ApiKeyNotFound>("@ai-core/database/ApiKeyNotFound")(
  "ApiKeyNotFound",
  { id: ApiKeyId }
) {
  override get message(): string {
    return `there is no API key ${this.id}`
  }
}

/**
 * Keys by which programs act for users.
 *
 * Every method may fail with `StoreError`, takes part in the `Transaction` around it, and leaves it usable where it fails with a
 * domain error.
 *
 * @example
 * ```ts
 * const { key, secret } = yield* apiKeys.issue({ userId: alice.id, name: "nightly import", timeToLive: "90 days" })
 * const { userId, scopes } = yield* apiKeys.authenticate(secret)
 * ```
 */
export class ApiKeys extends Context.Service<
  ApiKeys,
  {
    /** Makes a key of 32 random bytes. Its secret is in the answer and nowhere else. */
    readonly issue: (key: NewApiKey) => Effect.Effect<IssuedApiKey, UserNotFound | StoreError>
    /**
     * Finds the key that a secret is of, if it is good now, and notes its use, once a minute.
     *
     * Where nothing can be written (in a read-only transaction, on a server that takes no writes) the use goes unnoted, and the
     * key opens all the same.
     */
    readonly authenticate: (secret: Redacted.Redacted) => Effect.Effect<ApiKey, ApiKeyRefused | StoreError>
    /** Ends a key; ending it again changes nothing. */
    readonly revoke: (id: ApiKeyId) => Effect.Effect<ApiKey, ApiKeyNotFound | StoreError>
    /** Lists a user's keys, the ended ones too, oldest first. */
    readonly list: (user: UserId, options?: ApiKeyListOptions) => Effect.Effect<Page<ApiKey, ApiKeyCursor>, StoreError>
  }
>()("@ai-core/database/platform/ApiKeys") {}
