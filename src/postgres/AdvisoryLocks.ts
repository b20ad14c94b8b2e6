import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { StoreError } from "../core/StoreError.ts"

/** How long to wait for a lock that somebody else holds. */
export interface LockOptions {
  /** 10 s by default; the Context's Deadline counts where it is sooner. */
  readonly wait?: Duration.Input | undefined
}

/** A lock that is held until its scope closes. */
export interface LockLease {
  readonly key: string
  /** Fails with `StoreError` (`LeaseLost`) when the lock is lost, because the connection that holds it has ended; never succeeds. */
  readonly lost: Effect.Effect<never, StoreError>
  /** Runs an effect while the lock is held: interrupts it and fails with `LeaseLost` where the lock is lost. */
  readonly whileHeld: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
}

/**
 * Locks by name that PostgreSQL keeps and that belong to no row.
 *
 * A key is any text; it is hashed to 64 bits, so that two keys are one lock with a chance of 1 in 2^64. One key is one lock,
 * however it is taken. Waiting is by asking again, about every 50 ms, without a queue: never in the server, where a waiter would
 * block a `CREATE INDEX CONCURRENTLY`. All fail with `StoreError`: `Conflict` where the lock stayed somebody else's, `InvalidData`
 * that names `key` or `wait` where it is none.
 */
export class AdvisoryLocks extends Context.Service<
  AdvisoryLocks,
  {
    /**
     * Takes a lock until the transaction around ends, or the savepoint around is rolled back.
     *
     * Taking it again in the same transaction is harmless. `InvalidStatement` outside a transaction.
     */
    readonly withinTransaction: (key: string, options?: LockOptions) => Effect.Effect<void, StoreError>
    /** The same without waiting: whether the lock was taken. */
    readonly tryWithinTransaction: (key: string) => Effect.Effect<boolean, StoreError>
    /**
     * Takes a lock until the scope closes, on a connection of its own; one that waits holds none. `InvalidData` where there is
     * no connection to spare (`maxConnections` 1, as on the embedded engine) or no session (a pooler in transaction mode).
     *
     * The server gives the lock to others as soon as it notices that the connection has ended, and the holder learns of it
     * within about 5 s. Who must never act beside another checks a version or fencing token where it writes.
     *
     * @example
     * ```ts
     * const lease = yield* locks.lease("nightly-report", { wait: "1 minute" })
     * yield* lease.whileHeld(report)
     * ```
     */
    readonly lease: (key: string, options?: LockOptions) => Effect.Effect<LockLease, StoreError, Scope.Scope>
    /** The same without waiting: none where somebody else holds the lock. */
    readonly tryLease: (key: string) => Effect.Effect<Option.Option<LockLease>, StoreError, Scope.Scope>
  }
>()("@ai-core/database/postgres/AdvisoryLocks") {}
