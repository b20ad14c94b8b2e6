import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { StoreError } from "../core/StoreError.ts"
import { invalidInput } from "./InvalidInput.ts"
import { keySegment } from "./KeySegment.ts"
import type { Rule } from "./RateLimit.ts"
import { RateLimited, RateLimiter } from "./RateLimiter.ts"
import type { Take, Taken } from "./SlidingWindow.ts"

const operation = "RateLimiter.check"

const duration = (micros: number): Duration.Duration =>
  micros % 1000 === 0 ? Duration.millis(micros / 1000) : Duration.micros(BigInt(micros))

/** Builds the capability on whatever runs the sliding window. */
export const makeRateLimiter = (
  prefix: string,
  take: (input: Take) => Effect.Effect<Taken, StoreError>
): RateLimiter["Service"] => {
  const check: RateLimiter["Service"]["check"] = (rule, key, options) => {
    if (rule.problems.length > 0) return Effect.fail(invalidInput(operation, rule.problems))
    if (typeof key !== "string")
      return Effect.fail(invalidInput(operation, [{ field: "key", problem: "must be text" }]))
    const cost = options?.cost ?? 1
    if (!Number.isInteger(cost) || cost < 1 || cost > rule.limit) {
      const problem = `must be a whole number from 1 to the limit, ${rule.limit}`
      return Effect.fail(invalidInput(operation, [{ field: "cost", problem }]))
    }
    const taken = take({
      // The braces choose the slot, so that whatever is kept for this key stands on one node.
      key: `${prefix}:{${keySegment(rule.name)}:${keySegment(key)}}`,
      limit: rule.limit,
      window: microsOf(rule),
      cost
    })
    return Effect.map(taken, ({ allowed, remaining, resetAfter, retryAfter }) => ({
      allowed,
      limit: rule.limit,
      remaining,
      retryAfter: duration(retryAfter),
      resetAfter: duration(resetAfter)
    }))
  }
  return RateLimiter.of({
    check,
    enforce: (rule, key, options) =>
      Effect.flatMap(check(rule, key, options), (decision) =>
        decision.allowed
          ? Effect.succeed(decision)
          : Effect.fail(new RateLimited({ rule: rule.name, limit: rule.limit, retryAfter: decision.retryAfter }))
      )
  })
}

const microsOf = (rule: Rule): number => Math.round(Duration.toMillis(rule.window) * 1000)
