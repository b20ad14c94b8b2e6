import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Redis } from "ioredis"
import type { Calls } from "../core/Calls.ts"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import { type Outcome, PoolExhausted, type Reason, StoreError, Timeout } from "../core/StoreError.ts"
import { makeBatch } from "./RedisBatch.ts"
import { type Argument, RedisCommand } from "./RedisCommand.ts"
import type { Driver } from "./RedisDriver.ts"
import { connectError, outcomeOf, redisError, scriptError } from "./RedisError.ts"

/** What a command is, for its error. */
export interface Purported {
  readonly operation: string
  readonly kind: "read" | "write"
}

/** One driver, and the commands on their way through it. */
export interface Line {
  readonly driver: Driver
  /** Commands handed to the driver whose answers have not come, those that nobody waits for included. */
  readonly pending: () => number
  /** Milliseconds of the Clock that deadlines are measured on. */
  readonly now: () => number
  /** Takes no further command. */
  readonly close: () => void
  /**
   * Sends one command, once.
   *
   * It is given up at `deadline`, in milliseconds of the Clock; `failed` makes the answer out of a failure.
   */
  readonly send: <A>(
    what: Purported,
    command: string,
    args: ReadonlyArray<Argument>,
    deadline: number,
    failed: (error: StoreError) => Effect.Effect<A, StoreError>
  ) => Effect.Effect<A, StoreError>
}

const isScript = (command: string): boolean => {
  const name = command.toUpperCase()
  return name === "EVAL" || name === "EVALSHA" || name === "FCALL"
}

const failure = (operation: string, reason: Reason, outcome: Outcome = "not-applied"): StoreError =>
  new StoreError({ store: "redis", operation, outcome, reason })

/** Makes the line of a driver. */
export const makeLine = (options: {
  readonly driver: Driver
  readonly calls: Calls
  readonly endpoint: Endpoint
  readonly maxPending: number
  /** Why the connection is down, as far as the driver said. */
  readonly lastError: () => Error | undefined
  /** Called for each answer that is no error. */
  readonly succeeded?: (() => void) | undefined
}): Effect.Effect<Line> =>
  Effect.gen(function* () {
    const { calls, driver, endpoint, lastError, maxPending, succeeded } = options
    const clock = yield* Clock.Clock
    const batch = driver instanceof Redis ? makeBatch(driver) : undefined
    let pending = 0
    let closed = false

    const refusal = (operation: string): StoreError | undefined => {
      if (closed) return failure(operation, unavailable(endpoint, { detail: "this client is shutting down" }))
      if (driver.status !== "ready") return connectError(lastError(), operation, endpoint)
      if (pending >= maxPending) {
        return failure(
          operation,
          new PoolExhausted({ of: "commands", limit: maxPending, waiting: pending + 1, waitedMillis: 0 })
        )
      }
      return undefined
    }

    const send: Line["send"] = <A>(
      what: Purported,
      command: string,
      args: ReadonlyArray<Argument>,
      deadline: number,
      failed: (error: StoreError) => Effect.Effect<A, StoreError>
    ) =>
      Effect.callback<A, StoreError>((resume) => {
        const refused = refusal(what.operation)
        if (refused !== undefined) return resume(failed(refused))
        const startedAt = clock.currentTimeMillisUnsafe()
        if (deadline <= startedAt) return resume(Effect.fail(failure(what.operation, new Timeout({ afterMillis: 0 }))))
        const request = new RedisCommand(command, args, (cause, reply) => {
          pending--
          if (request.abandoned) return
          calls.end(call)
          if (cause === undefined) {
            succeeded?.()
            // What a command answers is known to whoever writes it; capabilities decode it.
            return resume(Effect.succeed(reply as A))
          }
          const sent = { ...what, written: request.written }
          resume(failed((isScript(command) ? scriptError : redisError)(cause, sent, endpoint)))
        })
        const call = calls.begin(what.operation, deadline, () => {
          request.abandoned = true
          const sent = { ...what, written: request.written }
          const waited = clock.currentTimeMillisUnsafe() - startedAt
          resume(failed(failure(what.operation, new Timeout({ afterMillis: waited }), outcomeOf(sent))))
        })
        // A lone command goes out at once: waiting for company would only delay it.
        if (batch !== undefined && pending > 0) batch(request)
        else driver.sendCommand(request)
        pending++
        return Effect.sync(() => {
          request.abandoned = true
          calls.end(call)
        })
      })

    return {
      driver,
      pending: () => pending,
      now: () => clock.currentTimeMillisUnsafe(),
      close: () => {
        closed = true
      },
      send
    }
  })
