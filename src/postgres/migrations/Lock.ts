import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { createHash } from "node:crypto"
import type { TellProgress } from "../../core/MigrationDriver.ts"
import { Conflict, LeaseLost, StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"

const pollMillis = 100

/** Advisory locks are named by a 64-bit number. */
const lockKey = (schema: string): bigint =>
  createHash("sha256").update(`@ai-core/database/migrations/${schema}`).digest().readBigInt64BE(0)

/**
 * The advisory lock of a schema's migrations, held by the session.
 *
 * It is polled, never waited for in the server, where a waiter would block the holder's `CREATE INDEX CONCURRENTLY`.
 */
export const makeLock = ({ query, sql }: PostgresClient["Service"], schema: string, lockMillis: number) => {
  const key = lockKey(schema)

  const lock = (tell: TellProgress) =>
    Effect.gen(function* () {
      const operation = "Migrations.lock"
      const startedAt = yield* Clock.currentTimeMillis
      let told = startedAt
      while (true) {
        const [row] = yield* query(
          { operation, kind: "read" },
          sql<{ readonly locked: boolean }>`select pg_try_advisory_lock(${key}::bigint) as locked`
        )
        if (row?.locked === true) return
        const now = yield* Clock.currentTimeMillis
        const waited = now - startedAt
        if (waited >= lockMillis) {
          return yield* new StoreError({
            store: "postgresql",
            operation,
            outcome: "not-applied",
            reason: new Conflict({ detail: `somebody else has been migrating for ${waited} ms` })
          })
        }
        if (now === startedAt || now - told >= 5000) {
          told = now
          yield* tell({ _tag: "WaitingForLock", waitedMillis: waited })
        }
        yield* Effect.sleep(pollMillis * (0.5 + (yield* Random.next)))
      }
    })

  /** Whether the session that unlocked is the one that had locked. */
  const unlock = Effect.map(
    query(
      { operation: "Migrations.unlock", kind: "write" },
      sql<{ readonly held: boolean }>`select pg_advisory_unlock(${key}::bigint) as held`
    ),
    ([row]) => row?.held === true
  )

  const lockWasNotHeld = new StoreError({
    store: "postgresql",
    operation: "Migrations.unlock",
    outcome: "unknown",
    reason: new LeaseLost({
      detail:
        "the session that unlocked had not locked. A pooler in transaction mode gives each statement another session: connect to the server itself (DB_MIGRATION_URL)"
    })
  })

  return { lock, unlock, lockWasNotHeld }
}
