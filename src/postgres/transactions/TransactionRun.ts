import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Deadline, within } from "../../core/Deadline.ts"
import { invalidData } from "../../core/Decode.ts"
import type { RetryBudget } from "../../core/Retry.ts"
import { type FieldProblem, StoreError, Timeout } from "../../core/StoreError.ts"
import { withEnd } from "./AfterEnd.ts"
import { makeConflictRetry } from "./ConflictRetry.ts"
import { checkOptions } from "./TransactionInput.ts"
import type { Transaction, TransactionOptions, TransactionSettings } from "../Transaction.ts"

/** What an implementation of `Transaction` does itself. */
export interface TransactionStore {
  /** Whether a transaction is open around the fiber. */
  readonly isInside: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
  /** Runs the effect in one transaction, once. */
  readonly outermost: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options: TransactionOptions
  ) => Effect.Effect<A, E | StoreError, R>
  /** Runs the effect in a savepoint of the transaction around. */
  readonly savepoint: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  /** The settings of the transaction around. */
  readonly settings: Effect.Effect<TransactionSettings, StoreError>
  /** Whether the failure says that the whole transaction may be run again. */
  readonly isConflict: (error: unknown) => boolean
  /** What all transactions together may cost in repetitions. */
  readonly budget: RetryBudget
}

const none: TransactionOptions = {}

/** How much later than the deadline the effect is interrupted: a call under way ends by itself first, and says which it was. */
const graceMillis = 50

/** Interrupts the effect of a transaction that goes on after the Context's deadline, so that none stays open. */
const untilDeadline = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
  Effect.gen(function* () {
    const deadline = yield* Deadline
    if (deadline === Number.POSITIVE_INFINITY) return yield* effect
    const millis = Math.max(0, deadline - (yield* Clock.currentTimeMillis))
    const late = new StoreError({
      store: "postgresql",
      operation: "Transaction.run",
      outcome: "not-applied",
      reason: new Timeout({ afterMillis: millis, detail: "the transaction was rolled back at its deadline" })
    })
    return yield* Effect.timeoutOrElse(effect, { duration: millis + graceMillis, orElse: () => Effect.fail(late) })
  })

const problemsOf = (asked: TransactionOptions, given: TransactionSettings): ReadonlyArray<FieldProblem> =>
  (["isolation", "readOnly", "deferrable"] as const).flatMap((field) =>
    asked[field] === undefined || asked[field] === given[field]
      ? []
      : [{ field, problem: `cannot be ${asked[field]} inside a transaction in which it is ${given[field]}` }]
  )

/** `Transaction.run` over one store: deadline, repetition and what holds for nested ones are the same for all of them. */
export const makeRun = (store: TransactionStore): Transaction["Service"]["run"] => {
  const repeated = makeConflictRetry(store.budget, store.isConflict)

  const nested = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options: TransactionOptions
  ): Effect.Effect<A, E | StoreError, R> => {
    const asked = options.isolation !== undefined || options.readOnly !== undefined || options.deferrable !== undefined
    if (!asked) return store.savepoint(untilDeadline(effect))
    return Effect.flatMap(store.settings, (given) => {
      const problems = problemsOf(options, given)
      return problems.length === 0
        ? store.savepoint(untilDeadline(effect))
        : Effect.fail(invalidData({ store: "postgresql", operation: "Transaction.begin", subject: "input" }, problems))
    })
  }

  const runAs = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    options: TransactionOptions
  ): Effect.Effect<A, E | StoreError, R> => {
    const { retry, timeout } = options
    const run = Effect.withFiber((fiber) => {
      if (store.isInside(fiber)) return nested(effect, options)
      const unbounded = fiber.getRef(Deadline) === Number.POSITIVE_INFINITY
      const attempt = store.outermost(unbounded ? effect : untilDeadline(effect), options)
      return withEnd(retry === false ? attempt : repeated(attempt, retry))
    })
    return timeout === undefined ? run : within(timeout)(run)
  }

  return (effect, options) =>
    options === undefined ? runAs(effect, none) : Effect.flatMap(checkOptions(options), () => runAs(effect, options))
}
