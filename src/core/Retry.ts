import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { Deadline } from "./Deadline.ts"
import { isStoreError, type Reason, type RetryAdvice, type StoreError } from "./StoreError.ts"

/**
 * How many retries a store may still cost.
 *
 * Every retry takes one token, every success gives back a tenth, up to the capacity (20). When a store is down the tokens
 * end, and callers get their error at once instead of adding load. (The scheme of gRPC's retry throttling, gRFC A6.)
 */
export interface RetryBudget {
  readonly withdraw: () => boolean
  readonly deposit: () => void
  readonly tokens: () => number
}

export const makeRetryBudget = (options?: {
  readonly capacity?: number | undefined
  readonly perSuccess?: number | undefined
}): RetryBudget => {
  const capacity = options?.capacity ?? 20
  const perSuccess = options?.perSuccess ?? 0.1
  let tokens = capacity
  return {
    withdraw: () => {
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
    deposit: () => {
      tokens = Math.min(capacity, tokens + perSuccess)
    },
    tokens: () => tokens
  }
}

/** When and how often a failed call is sent again. */
export interface RetryPolicy {
  /** Attempts after the first; 3. */
  readonly attempts: number
  /** Pause before the first retry, doubled for each further one and drawn at random between half and all of it; 50 ms. */
  readonly base: Duration.Input
  /** Longest pause; 2 s. Ten times this where the store lacks room. */
  readonly cap: Duration.Input
  /** Which reasons are not retried, because the client or the server has waited for their end already; none. */
  readonly except?: ((reason: Reason) => boolean) | undefined
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 3, base: "50 millis", cap: "2 seconds" }

/** A pause in milliseconds: doubled with each try up to the cap, drawn at random between half and all of it. */
export const backoff = (base: number, cap: number, tries: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => Math.min(cap, base * 2 ** tries) * (0.5 + random / 2))

const slowFactor = (advice: RetryAdvice): number => (advice === "slowly" ? 10 : 1)

/**
 * Repeats a call to a store while its failure says that this may help and is safe.
 *
 * A call whose outcome is unknown is repeated only with `idempotent: true`. Each retry draws on the budget and must fit
 * before the Context's Deadline; when it cannot, the last failure is the answer.
 */
export const retrying = (
  budget: RetryBudget,
  policy: RetryPolicy = defaultRetryPolicy
): (<A, E, R>(
  self: Effect.Effect<A, E | StoreError, R>,
  options?: { readonly idempotent?: boolean | undefined }
) => Effect.Effect<A, E | StoreError, R>) => {
  const base = Duration.toMillis(policy.base)
  const cap = Duration.toMillis(policy.cap)
  return <A, E, R>(
    self: Effect.Effect<A, E | StoreError, R>,
    options?: { readonly idempotent?: boolean | undefined }
  ): Effect.Effect<A, E | StoreError, R> => {
    const succeeded = (value: A): Effect.Effect<A> => {
      budget.deposit()
      return Effect.succeed(value)
    }
    const attempt = (retries: number): Effect.Effect<A, E | StoreError, R> =>
      Effect.matchEffect(self, {
        onSuccess: succeeded,
        onFailure: (error) => {
          if (
            !isStoreError(error) ||
            retries >= policy.attempts ||
            !error.isRetryable(options) ||
            policy.except?.(error.reason) === true
          ) {
            return Effect.fail(error)
          }
          return Effect.gen(function* () {
            const pause = (yield* backoff(base, cap, retries)) * slowFactor(error.retry)
            const left = (yield* Deadline) - (yield* Clock.currentTimeMillis)
            if (pause >= left || !budget.withdraw()) return yield* Effect.fail(error)
            yield* Effect.sleep(pause)
            return yield* attempt(retries + 1)
          })
        }
      })
    return attempt(0)
  }
}
