import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { StoreError } from "../core/StoreError.ts"
import type { CacheKey } from "./CacheKey.ts"

/** How long a value lives. */
export interface Life {
  /** Above zero; `"Infinity"` for a value that stays until it is deleted or evicted. The configured default, if left out. */
  readonly ttl?: Duration.Input | undefined
}

/**
 * A cache that every process sees; what is in it may be gone at any moment.
 *
 * A stored value that does not decode (it was written under an older schema) counts as absent. Calls fail with `StoreError`;
 * a TTL that is not above zero, or a key or value that does not fit its schema, with `InvalidData` naming the field.
 */
export class SharedCache extends Context.Service<
  SharedCache,
  {
    /** The value, or none where it is absent, expired or no longer decodes. */
    readonly get: <A>(key: CacheKey<A>) => Effect.Effect<Option.Option<A>, StoreError>
    /** Several values of one family, in the order of their keys. */
    readonly getMany: <A>(
      keys: ReadonlyArray<CacheKey<A>>
    ) => Effect.Effect<ReadonlyArray<Option.Option<A>>, StoreError>
    /** Stores a value; the life of an earlier one does not carry over. */
    readonly set: <A>(key: CacheKey<A>, value: A, life?: Life) => Effect.Effect<void, StoreError>
    /** Stores several values with one life; not atomic: if it fails, some may be stored. */
    readonly setMany: <A>(
      entries: ReadonlyArray<readonly [key: CacheKey<A>, value: A]>,
      life?: Life
    ) => Effect.Effect<void, StoreError>
    /**
     * The value, loaded and stored where it is absent (cache-aside).
     *
     * Concurrent callers of one process share one load; it goes on while any of them waits, and a failed one is given to all
     * of them and not stored. It runs with what the first caller's Context holds, but for its Deadline: each caller waits
     * until its own, and the load is interrupted once nobody waits. A load that asks for its own key, directly or by way of
     * other loads, does not wait for itself: the inner load runs too. Where Redis cannot be asked, the load runs and its
     * value is the answer: the only `StoreError`s of its own are `InvalidData`, and `Timeout` (`not-applied`: a load is taken
     * for a read) once the caller's Deadline has passed.
     *
     * @example
     * ```ts
     * const profile = yield* cache.getOrSet(profileKey(id), { ttl: "10 minutes" }, loadProfile(id))
     * ```
     */
    readonly getOrSet: <A, E, R>(
      key: CacheKey<A>,
      life: Life,
      load: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | StoreError, R>
    /** Removes a value, and tells whether there was one. */
    readonly delete: <A>(key: CacheKey<A>) => Effect.Effect<boolean, StoreError>
    /** Whether there is a value, decodable or not. */
    readonly has: <A>(key: CacheKey<A>) => Effect.Effect<boolean, StoreError>
    /** How long the value still lives, `Duration.infinity` without end, none where it is absent. */
    readonly ttl: <A>(key: CacheKey<A>) => Effect.Effect<Option.Option<Duration.Duration>, StoreError>
  }
>()("@ai-core/database/redis/SharedCache") {}
