import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Conflict, StoreError } from "../../core/StoreError.ts"
import type { Transaction } from "../Transaction.ts"

const contended = (operation: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new Conflict({ detail: "others kept changing it" })
  })

/** Times that what stood in a write's way may be gone when we look at it, before we give up. */
const most = 3

/** Repeats a write that gives nothing where another one came between; the attempt fails with what it finds in its way. */
export const untilSettled = <A, E>(
  operation: string,
  attempt: Effect.Effect<Option.Option<A>, E>
): Effect.Effect<A, E | StoreError> =>
  Effect.gen(function* () {
    for (let i = 0; i < most; i++) {
      const written = yield* attempt
      if (Option.isSome(written)) return written.value
    }
    return yield* contended(operation)
  })

/**
 * Does a write that finds its row only where nothing stands in its way; where it finds none, says why.
 *
 * `explain` fails with the reason, and holds the row while it looks: where it finds no reason, because another write came
 * between, the write is done after all, and nothing comes between again.
 */
export const writeOrExplain = <A, E, E2>(
  operation: string,
  { run }: Transaction["Service"],
  write: Effect.Effect<Option.Option<A>, E>,
  explain: Effect.Effect<unknown, E2>
): Effect.Effect<A, E | E2 | StoreError> =>
  Effect.flatMap(write, (written) =>
    Option.isSome(written)
      ? Effect.succeed(written.value)
      : run(
          Effect.flatMap(Effect.andThen(explain, write), (written) =>
            Option.isSome(written) ? Effect.succeed(written.value) : Effect.fail(contended(operation))
          )
        )
  )
