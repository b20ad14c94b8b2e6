import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { StoreError } from "../../core/StoreError.ts"

/** Finds rows by their key. */
export interface Lookup<Key, A> {
  /**
   * Finds the row of a key; none where there is none.
   *
   * Those asked for in the same turn of the event loop are sought by one statement; one that is asked for alone waits for no
   * other. Inside a transaction it sees what the transaction sees, and shares its statement with no one
   * outside; nor do tenants share one.
   */
  readonly find: (key: Key) => Effect.Effect<Option.Option<A>, StoreError>
  /** Finds the rows of many keys, each in the place of its key. */
  readonly findMany: (keys: ReadonlyArray<Key>) => Effect.Effect<ReadonlyArray<Option.Option<A>>, StoreError>
}

/** How what is made of several tables is found. */
export interface ComposedLookupSpec<Key extends string | number | bigint, A> {
  /** The method that the caller knows: `Rules.find`. */
  readonly operation: string
  /** Finds all that there is for these keys, at most 1000 different ones, by as many statements as it has tables. */
  readonly find: (keys: ReadonlyArray<Key>) => Effect.Effect<ReadonlyArray<A>, StoreError>
  readonly key: (found: A) => Key
}
