import { Effect, Layer, Scope } from "effect"
import * as PostgresEmbedded from "../../src/postgres/PostgresEmbedded.ts"

const start = Layer.buildWithScope(PostgresEmbedded.layer(), Scope.makeUnsafe())

/**
 * One embedded engine for all suites of a worker that expect no empty store: to start one takes seconds.
 *
 * It ends with the worker, and its time is real, whoever asks for it first.
 */
export const sharedEngine = Layer.effectContext(
  Effect.runSync(Effect.cached(Effect.promise(() => Effect.runPromise(start))))
)
