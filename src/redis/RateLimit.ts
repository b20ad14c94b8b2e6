import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { FieldProblem } from "../core/StoreError.ts"

/** How much may be taken within any length of time. */
export interface Rule {
  /** Keeps the rules' counts apart: `login`. */
  readonly name: string
  readonly limit: number
  readonly window: Duration.Duration
  /** What is wrong with it; a check by such a rule fails. */
  readonly problems: ReadonlyArray<FieldProblem>
}

const most = 1_000_000_000

/**
 * Makes a rule: at most `limit` within any `window`.
 *
 * The limit is a whole number from 1 to 1,000,000,000; the window at least a microsecond, and kept to the microsecond. A rule
 * that is none makes each check by it fail with `StoreError` (`InvalidData`) naming the field.
 *
 * @example
 * ```ts
 * const login = RateLimit.rule({ name: "login", limit: 5, window: "1 minute" })
 * ```
 */
export const rule = (options: {
  readonly name: string
  readonly limit: number
  readonly window: Duration.Input
}): Rule => {
  const window = Option.getOrElse(Duration.fromInput(options.window), () => Duration.zero)
  const micros = Duration.toMillis(window) * 1000
  const problems: Array<FieldProblem> = []
  if (typeof options.name !== "string" || options.name === "") {
    problems.push({ field: "name", problem: "must be text that is not empty" })
  }
  if (!Number.isInteger(options.limit) || options.limit < 1 || options.limit > most) {
    problems.push({ field: "limit", problem: `must be a whole number from 1 to ${most}` })
  }
  if (!(micros >= 1 && micros <= Number.MAX_SAFE_INTEGER / 4)) {
    problems.push({ field: "window", problem: "must be a finite length of time above 0" })
  }
  return { name: options.name, limit: options.limit, window, problems }
}
