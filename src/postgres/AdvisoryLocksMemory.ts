import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { AdvisoryLocks, type LockLease } from "./AdvisoryLocks.ts"
import { makeLease, named, outsideTransaction, untilTaken } from "./LockWait.ts"
import { transactionsOf } from "./memory/MemoryTransactions.ts"
import { PostgresMemory } from "./PostgresMemory.ts"

/** Advisory locks beside the transactions of a memory; a lease is never lost. */
export const layer: Layer.Layer<AdvisoryLocks, never, PostgresMemory> = Layer.effect(
  AdvisoryLocks,
  Effect.map(PostgresMemory, (memory) => {
    const { current } = transactionsOf(memory)
    /** Who holds a lock, and how often it was taken. */
    const held = new Map<string, { readonly owner: unknown; times: number }>()

    const take = (key: string, owner: unknown): boolean => {
      const lock = held.get(key)
      if (lock === undefined) held.set(key, { owner, times: 1 })
      else if (lock.owner === owner) lock.times++
      else return false
      return true
    }
    const release = (key: string): void => {
      const lock = held.get(key)
      if (lock !== undefined && --lock.times === 0) held.delete(key)
    }

    const tryWithinTransaction = (operation: string, key: string) =>
      Effect.flatMap(current, (level) => {
        if (level === undefined) return Effect.fail(outsideTransaction(operation))
        // Savepoints of one transaction share what names it.
        const taken = take(key, level.id)
        if (taken) level.releases.push(() => release(key))
        return Effect.succeed(taken)
      })

    const attempt = (key: string): Effect.Effect<LockLease | undefined, never, Scope.Scope> =>
      Effect.suspend(() => {
        const lease = makeLease(key, Effect.never)
        return take(key, lease)
          ? Effect.as(
              Effect.addFinalizer(() => Effect.sync(() => release(key))),
              lease
            )
          : Effect.void.pipe(Effect.as(undefined))
      })

    return AdvisoryLocks.of({
      withinTransaction: (key, options) => {
        const operation = "AdvisoryLocks.withinTransaction"
        const taken = Effect.map(tryWithinTransaction(operation, key), (is) => (is ? true : undefined))
        return named(operation, key, Effect.asVoid(untilTaken(operation, taken, options)))
      },
      tryWithinTransaction: (key) => {
        const operation = "AdvisoryLocks.tryWithinTransaction"
        return named(operation, key, tryWithinTransaction(operation, key))
      },
      lease: (key, options) =>
        named("AdvisoryLocks.lease", key, untilTaken("AdvisoryLocks.lease", attempt(key), options)),
      tryLease: (key) => named("AdvisoryLocks.tryLease", key, Effect.map(attempt(key), Option.fromUndefinedOr))
    })
  })
)
