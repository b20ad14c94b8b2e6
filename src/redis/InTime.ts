import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Deadline } from "../core/Deadline.ts"
import { StoreError, Timeout } from "../core/StoreError.ts"

/** The caller's Deadline has passed, and nothing was stored for it. */
export const tooLate = (operation: string, afterMillis: number, detail?: string): StoreError =>
  new StoreError({
    store: "redis",
    operation,
    outcome: "not-applied",
    reason: new Timeout({ afterMillis, ...(detail === undefined ? {} : { detail }) })
  })

/** Refuses what comes after its Deadline, as a client does, where the effect itself takes no time. */
export const inTime =
  (operation: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.withFiber((fiber): Effect.Effect<A, E | StoreError, R> =>
      fiber.getRef(Deadline) <= fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
        ? Effect.fail(tooLate(operation, 0))
        : self
    )
