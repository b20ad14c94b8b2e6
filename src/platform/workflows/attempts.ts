import { Effect, Option } from "effect"
import { Conflict, StoreError } from "../../core/StoreError.ts"

/** Times that what stood in a write's way may be gone when we look at it, before we give up. */
const most = 3

/**
 * Repeats a write that gives nothing where another one came between.
 *
 * The attempt itself fails with what it finds to stand in its way.
 */
export const untilSettled = <A, E>(
  operation: string,
  attempt: Effect.Effect<Option.Option<A>, E>
): Effect.Effect<A, E | StoreError> =>
  Effect.gen(function* () {
    for (let i = 0; i < most; i++) {
      const written = yield* attempt
      if (Option.isSome(written)) return written.value
    }
    return yield* new StoreError({
      store: "postgresql",
      operation,
      outcome: "not-applied",
      reason: new Conflict({ detail: "others kept changing it" })
    })
  })
