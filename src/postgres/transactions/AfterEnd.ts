import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Deadline } from "../../core/Deadline.ts"

/** What is run when the outermost transaction has ended. */
const Actions = Context.Reference<Array<Effect.Effect<void>> | undefined>(
  "@ai-core/database/postgres/transactions/AfterEnd",
  { defaultValue: () => undefined }
)

/**
 * Runs the effect once the outermost transaction has ended, committed or rolled back, and its connection and locks are given
 * back; where there is none, not at all.
 *
 * For what must be stored although the transaction around fails. It is run outside of the transaction, without its deadline, and
 * is not interrupted; it is lost with the process. Nothing is run after a transaction that `Transaction.run` did not begin.
 */
export const afterEnd = (effect: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(Actions, (actions) => Effect.sync(() => void actions?.push(effect)))

const runAction = (action: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.ignoreCause(Effect.provideService(action, Deadline, Number.POSITIVE_INFINITY), {
    log: "Error",
    message: "An action after the end of a transaction died"
  })

/** Runs an outermost transaction, with all its repetitions, and then what is to be done after it. */
export const withEnd = <A, E, R>(transaction: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const actions: Array<Effect.Effect<void>> = []
    return Effect.onExit(Effect.provideService(transaction, Actions, actions), () =>
      actions.length === 0 ? Effect.void : Effect.forEach(actions, runAction, { discard: true })
    )
  })
