import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { Deadline } from "../core/Deadline.ts"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import { type Outcome, StoreError, Timeout } from "../core/StoreError.ts"

/** Collects rows of many callers into few INSERTs. */
export interface BatchedWriter<Row> {
  /**
   * Adds a row and waits until its batch is stored: success means stored.
   *
   * Fails with the `StoreError` of the batch, or with `Timeout` at the Context's Deadline: unknown where the batch was sent. A
   * caller who leaves before that takes its row along.
   */
  readonly add: (operation: string, row: Row) => Effect.Effect<void, StoreError>
}

/** When a batch is sent. */
export interface BatchOptions {
  /** Rows of a batch at most; 10 000. */
  readonly size?: number | undefined
  /**
   * How long the first row of a batch waits for others; 20 ms. One batch is on its way at a time, so this also keeps the
   * number of INSERTs a second below what merges keep up with.
   */
  readonly linger?: Duration.Input | undefined
  /** How long closing waits for what was accepted to be stored; 10 s, for `Analytics` that of its client. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

interface Entry<Row> {
  readonly operation: string
  readonly row: Row
  readonly stored: Deferred.Deferred<void, StoreError>
  sent: boolean
}

const closed = (endpoint: Endpoint, operation: string): StoreError =>
  new StoreError({
    store: endpoint.store,
    operation,
    outcome: "not-applied",
    reason: unavailable(endpoint, { detail: "this writer is shutting down" })
  })

const givenUp = (endpoint: Endpoint, operation: string, after: Duration.Duration): StoreError =>
  new StoreError({
    store: endpoint.store,
    operation,
    outcome: "unknown",
    reason: new Timeout({ afterMillis: Duration.toMillis(after), detail: "this writer is shutting down" })
  })

const untilDeadline = (
  endpoint: Endpoint,
  operation: string,
  outcome: () => Outcome,
  stored: Effect.Effect<void, StoreError>
) =>
  Effect.flatMap(Deadline, (deadline) => {
    if (deadline === Number.POSITIVE_INFINITY) return stored
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.timeoutOrElse(stored, {
        duration: Math.max(0, deadline - now),
        orElse: () =>
          Effect.failSync(
            () =>
              new StoreError({
                store: endpoint.store,
                operation,
                outcome: outcome(),
                reason: new Timeout({ afterMillis: deadline - now })
              })
          )
      })
    )
  })

/**
 * Makes a writer whose batches go through `write`, each under a token of its own that stays the same when it is repeated.
 *
 * Closing the scope sends what is still waiting, so nothing that was accepted is lost while the server answers. What is
 * left after `shutdownTimeout` fails: `Unavailable` (not applied) where it was not sent, `Timeout` (unknown) where it was.
 */
export const make = <Row>(
  endpoint: Endpoint,
  write: (rows: ReadonlyArray<Row>, token: string) => Effect.Effect<unknown, StoreError>,
  options: BatchOptions = {}
): Effect.Effect<BatchedWriter<Row>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const size = options.size ?? 10_000
    const linger = options.linger ?? Duration.millis(20)
    const shutdownTimeout = Duration.fromInputUnsafe(options.shutdownTimeout ?? "10 seconds")
    // A Set keeps the order of arrival and lets an interrupted caller take its row back.
    const pending = new Set<Entry<Row>>()
    const some = Latch.makeUnsafe(false)
    const full = Latch.makeUnsafe(false)
    const idle = Latch.makeUnsafe(true)
    let closing = false
    let underWay: ReadonlyArray<Entry<Row>> = []

    const takeBatch = () => {
      const batch: Array<Entry<Row>> = []
      for (const entry of pending) {
        if (batch.length === size) break
        pending.delete(entry)
        entry.sent = true
        batch.push(entry)
      }
      if (pending.size === 0) some.closeUnsafe()
      if (pending.size < size && !closing) full.closeUnsafe()
      return batch
    }

    const sendBatch = Effect.gen(function* () {
      yield* some.await
      yield* Effect.timeoutOption(full.await, linger)
      const batch = takeBatch()
      underWay = batch
      if (batch.length > 0) {
        // A write that throws fails its own batch; it must not end the writer for all that follow.
        const exit = yield* Effect.exit(
          Effect.suspend(() =>
            write(
              batch.map(({ row }) => row),
              crypto.randomUUID()
            )
          )
        )
        for (const { stored } of batch) Deferred.doneUnsafe(stored, Exit.asVoid(exit))
        underWay = []
      }
      if (pending.size === 0) idle.openUnsafe()
    })
    yield* Effect.forkScoped(Effect.forever(sendBatch))

    const giveUp = Effect.sync(() => {
      for (const { operation, stored } of underWay) {
        Deferred.doneUnsafe(stored, Exit.fail(givenUp(endpoint, operation, shutdownTimeout)))
      }
      for (const { operation, stored } of pending) Deferred.doneUnsafe(stored, Exit.fail(closed(endpoint, operation)))
      pending.clear()
    })

    // Runs before the end of the fiber that sends, which then ends the call under way.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closing = true
        full.openUnsafe()
        return idle.await
      }).pipe(Effect.timeoutOption(shutdownTimeout), Effect.andThen(giveUp))
    )

    const add = (operation: string, row: Row): Effect.Effect<void, StoreError> =>
      Effect.suspend(() => {
        if (closing) return Effect.fail(closed(endpoint, operation))
        const entry: Entry<Row> = { operation, row, stored: Deferred.makeUnsafe(), sent: false }
        pending.add(entry)
        idle.closeUnsafe()
        some.openUnsafe()
        if (pending.size >= size) full.openUnsafe()
        return untilDeadline(
          endpoint,
          operation,
          () => {
            pending.delete(entry)
            return entry.sent ? "unknown" : "not-applied"
          },
          Effect.onInterrupt(Deferred.await(entry.stored), () => Effect.sync(() => pending.delete(entry)))
        )
      })

    return { add }
  })
