import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { StoreError } from "../core/StoreError.ts"
import type { Rule } from "./RateLimit.ts"

/** The answer to one check. */
export interface Decision {
  readonly allowed: boolean
  readonly limit: number
  /** What could still be taken at that moment. */
  readonly remaining: number
  /** How long until the same cost would be allowed, if nobody takes any meanwhile; zero where it is allowed. */
  readonly retryAfter: Duration.Duration
  /** How long until the whole limit is free again, if nobody takes any meanwhile. */
  readonly resetAfter: Duration.Duration
}

/** The rule allows no more for now. */
export class RateLimited extends Schema.TaggedError<RateLimited>("@ai-core/database/RateLimited")("RateLimited", {
  rule: Schema.String,
  limit: Schema.Number,
  retryAfter: Schema.Duration
}) {
  override get message(): string {
    return `the rule ${this.rule} allows ${this.limit} within its window; again in ${Duration.format(this.retryAfter)}`
  }
}

/**
 * Exact sliding windows, counted on the server's clock and shared by every process.
 *
 * In no stretch of time as long as the window is more taken than the limit; a denied check takes nothing. Calls fail with
 * `StoreError`: `InvalidData` naming the field where the rule, the key or the cost is wrong. A check whose answer was lost has an unknown
 * outcome, and is not made again: it may have taken its cost.
 */
export class RateLimiter extends Context.Service<
  RateLimiter,
  {
    /** Takes `cost` (1) for `key` if the rule allows it, and says what is left. */
    readonly check: (
      rule: Rule,
      key: string,
      options?: { readonly cost?: number | undefined }
    ) => Effect.Effect<Decision, StoreError>
    /** Like `check`, but fails with `RateLimited` where the rule does not allow it. */
    readonly enforce: (
      rule: Rule,
      key: string,
      options?: { readonly cost?: number | undefined }
    ) => Effect.Effect<Decision, RateLimited | StoreError>
  }
>()("@ai-core/database/redis/RateLimiter") {}
