import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import { Deadline } from "../core/Deadline.ts"
import { decodeInput } from "../core/Decode.ts"
import { durationBetween } from "../core/DurationInput.ts"
import { Conflict, InvalidStatement, LeaseLost, StoreError } from "../core/StoreError.ts"
import type { LockLease, LockOptions } from "./AdvisoryLocks.ts"

const pollMillis = 50

const checkOptions = decodeInput(Schema.Struct({ wait: Schema.optional(durationBetween(0, "Infinity")) }))

const checkKey = decodeInput(Schema.Struct({ key: Schema.String }))

/** Takes a lock only where its key is a text: any other value would be the key of whoever forgot theirs. */
export const named = <A, E, R>(
  operation: string,
  key: string,
  take: Effect.Effect<A, E, R>
): Effect.Effect<A, E | StoreError, R> =>
  Effect.andThen(checkKey({ store: "postgresql", operation, subject: "input" }, { key }), take)

/** Asks for a lock again and again until it is given, for as long as the caller may wait. */
export const untilTaken = <A, E, R>(
  operation: string,
  attempt: Effect.Effect<A | undefined, E, R>,
  options: LockOptions | undefined
): Effect.Effect<A, E | StoreError, R> =>
  Effect.gen(function* () {
    const { wait = "10 seconds" } = yield* checkOptions(
      { store: "postgresql", operation, subject: "input" },
      options ?? {}
    )
    const startedAt = yield* Clock.currentTimeMillis
    const limit = Math.min(startedAt + Duration.toMillis(wait), yield* Deadline)
    while (true) {
      const taken = yield* attempt
      if (taken !== undefined) return taken
      const now = yield* Clock.currentTimeMillis
      const pause = pollMillis * (0.5 + (yield* Random.next))
      if (now + pause > limit) {
        return yield* new StoreError({
          store: "postgresql",
          operation,
          outcome: "not-applied",
          reason: new Conflict({ detail: `somebody else has held the lock for ${Math.round(now - startedAt)} ms` })
        })
      }
      yield* Effect.sleep(pause)
    }
  })

/** The failure to take a transaction's lock where there is no transaction. */
export const outsideTransaction = (operation: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new InvalidStatement({ detail: "there is no transaction around this call" })
  })

/** A lease whose loss is told by `gone`. */
export const makeLease = (key: string, gone: Effect.Effect<void>): LockLease => {
  const lost = Effect.andThen(
    gone,
    Effect.fail(
      new StoreError({
        store: "postgresql",
        operation: "AdvisoryLocks.lease",
        outcome: "unknown",
        reason: new LeaseLost({ detail: "the connection that held the lock has ended" })
      })
    )
  )
  return { key, lost, whileHeld: (effect) => Effect.raceFirst(effect, lost) }
}
