import * as Effect from "effect/Effect"
import type { StoreError } from "../core/StoreError.ts"
import { transactionsOf } from "../postgres/memory/MemoryTransactions.ts"
import type { PostgresMemory } from "../postgres/PostgresMemory.ts"
import { seesOthers, tooStrict } from "./SeesOthers.ts"

/** Makes what refuses, in memory, where a server would: each transaction of memory sees all. */
export const makeSeesOthers =
  (memory: PostgresMemory["Service"]) =>
  (operation: string): Effect.Effect<void, StoreError> =>
    Effect.flatMap(transactionsOf(memory).current, (level) =>
      level === undefined || seesOthers(level.settings.isolation)
        ? Effect.void
        : Effect.fail(tooStrict(operation, level.settings.isolation))
    )
