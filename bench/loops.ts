/** Callers of the operation under test, written alike for promises and for fibers. */
import { Effect } from "effect"

/** One asynchronous caller after another call; `i` counts the operations. */
const promiseCaller = async (from: number, to: number, operation: (i: number) => Promise<void>): Promise<void> => {
  for (let i = from; i < to; i++) await operation(i)
}

const fiberCaller = <E>(from: number, to: number, operation: (i: number) => Effect.Effect<void, E>) =>
  Effect.gen(function* () {
    for (let i = from; i < to; i++) yield* operation(i)
  })

const shares = (n: number, callers: number): ReadonlyArray<readonly [from: number, to: number]> => {
  const each = Math.ceil(n / callers)
  return Array.from({ length: callers }, (_, c) => [Math.min(n, c * each), Math.min(n, (c + 1) * each)] as const)
}

/** `callers` asynchronous functions at once, each with its share of `n` operations, one at a time. */
export const promises =
  (callers: number, operation: (i: number) => Promise<void>) =>
  (n: number): Effect.Effect<void, unknown> =>
    Effect.tryPromise(() => Promise.all(shares(n, callers).map(([from, to]) => promiseCaller(from, to, operation))))

/** `callers` fibers at once, each with its share of `n` operations, one at a time. */
export const fibers =
  <E>(callers: number, operation: (i: number) => Effect.Effect<void, E>) =>
  (n: number): Effect.Effect<void, E> =>
    callers === 1
      ? fiberCaller(0, n, operation)
      : Effect.forEach(shares(n, callers), ([from, to]) => fiberCaller(from, to, operation), {
          concurrency: "unbounded",
          discard: true
        })

/** Ends the bench: the store answered something else than what was stored. */
export const wrong = (what: string, answer: unknown): never => {
  throw new Error(`wrong answer of ${what}: ${JSON.stringify(answer) ?? String(answer)}`)
}
