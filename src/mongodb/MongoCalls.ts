import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Calls } from "../core/Calls.ts"
import { withClientSpan } from "../core/Instrumentation.ts"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import { StoreError } from "../core/StoreError.ts"
import { type CallKind, type FailedCall, poolExhausted, toStoreError } from "./MongoDbError.ts"
import type { MongoConnections } from "./MongoConnections.ts"

/** How long the answer of a read that nobody waits for any more may still take before its socket is closed; milliseconds. */
const grace = 100

/** What is given to the driver with each command. */
export interface CommandLimits {
  /**
   * Only for writes: a read ends on the server when its socket is closed, and the limit costs a server work of its own.
   */
  readonly maxTimeMS?: number
  readonly signal: AbortSignal
}

type Listener = ((event: Event) => void) | { readonly handleEvent: (event: Event) => void }

/**
 * One command's way through the driver, as the signal that the driver is given.
 *
 * The driver looks at `throwIfAborted()` right before it writes a command. That look tells whether a command was sent, and ends
 * an abandoned one before it is; aborting would do too, but leaves the pool's count of waiting callers wrong. It is no
 * `AbortController`'s signal, because making one and listening to it costs a fifth of a command.
 */
export class Passage implements AbortSignal {
  aborted = false
  reason: unknown = undefined
  onabort: AbortSignal["onabort"] = null
  sent = false
  #driving = false
  #abandoned = false
  #listeners: Array<Listener> = []

  /** From now on the driver may have to wait, so its next look at the signal is the one before it writes. */
  handedOver(): void {
    this.#driving = true
  }

  /** Nobody waits any more: what was not sent yet never will be. */
  abandon(): void {
    this.#abandoned = true
  }

  /** Closes the connection that the command is on. */
  cut(): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = new DOMException("nobody waits for this command", "AbortError")
    this.dispatchEvent(new Event("abort"))
  }

  throwIfAborted(): void {
    if (this.#abandoned && !this.sent) throw new Error("nobody waits for this command")
    if (this.aborted) throw this.reason
    if (this.#driving) this.sent = true
  }

  addEventListener(type: string, listener: Listener | null): void {
    if (type === "abort" && listener !== null) this.#listeners.push(listener)
  }

  removeEventListener(_type: string, listener: Listener | null): void {
    // The driver lets go of the latest first.
    if (this.#listeners.at(-1) === listener) this.#listeners.pop()
    else this.#listeners = this.#listeners.filter((other) => other !== listener)
  }

  dispatchEvent(event: Event): boolean {
    for (const listener of this.#listeners.splice(0)) {
      if (typeof listener === "function") listener.call(this, event)
      else listener.handleEvent(event)
    }
    return true
  }
}

/** Runs commands of the driver under a deadline, and leaves nothing behind when one is given up. */
export interface MongoCalls {
  readonly run: <A>(command: Command<A>) => Effect.Effect<A, StoreError>
}

/** One command, and how to hand it to the driver. */
export interface Command<A> {
  readonly operation: string
  readonly kind: CallKind
  /** Where several commands share one signal: the batches of a cursor. */
  readonly passage?: Passage | undefined
  /** Instead of the client's own limit. */
  readonly timeoutMillis?: number | undefined
  readonly send: (limits: CommandLimits) => Promise<A>
}

export const makeMongoCalls = (options: {
  readonly calls: Calls
  readonly endpoint: Endpoint
  readonly connections: MongoConnections
  /** The longest run of one command, in milliseconds. */
  readonly timeoutMillis: number
}): Effect.Effect<MongoCalls> =>
  Effect.map(Clock.Clock, (clock) => {
    const { calls, connections, endpoint } = options
    const { pool } = connections

    /** Of a command that ran out of time: what it was waiting for. */
    const explain = (error: StoreError, call: FailedCall): StoreError => {
      if (error.reason._tag !== "Timeout" || error.cause !== undefined || call.sent) return error
      const refused = pool.refusal()
      const reason =
        refused !== undefined
          ? unavailable(endpoint, refused)
          : call.stats.inUse >= call.stats.max
            ? poolExhausted(call, Math.max(1, call.stats.waiting))
            : error.reason
      return new StoreError({ store: "mongodb", operation: call.operation, reason, outcome: "not-applied" })
    }

    const attempt = <A>(command: Command<A>, renewing: boolean): Effect.Effect<A, StoreError> =>
      Effect.suspend(() => {
        const { kind, operation, send, timeoutMillis = options.timeoutMillis } = command
        const client = connections.client()
        const passage = command.passage ?? new Passage()
        const startedAt = clock.currentTimeMillisUnsafe()
        const failed = (): FailedCall => ({
          operation,
          kind,
          endpoint,
          sent: passage.sent,
          waitedMillis: clock.currentTimeMillisUnsafe() - startedAt,
          stats: pool.stats()
        })
        const answered = calls.run<A>({
          operation,
          timeoutMillis,
          outcome: kind === "read" ? "not-applied" : "unknown",
          start: (done, deadline) => {
            let settle: (() => void) | undefined
            const answer = send(
              kind === "read"
                ? { signal: passage }
                : { maxTimeMS: Math.max(1, Math.ceil(deadline - startedAt)), signal: passage }
            )
            passage.handedOver()
            answer.then(
              (value) => {
                settle?.()
                done(Effect.succeed(value))
              },
              (error: unknown) => {
                settle?.()
                done(Effect.fail(toStoreError(error, failed())))
              }
            )
            return () => {
              passage.abandon()
              if (!passage.sent) return
              // Stays on the register, so that shutdown waits for a write that is on its way.
              const patience = kind === "read" ? grace : options.timeoutMillis
              const leftover = calls.begin(operation, clock.currentTimeMillisUnsafe() + patience, () => {
                if (kind === "read") passage.cut()
              })
              settle = () => calls.end(leftover)
            }
          }
        })
        return Effect.catch(answered, (error) =>
          renewing && error.reason._tag === "AuthenticationFailed"
            ? Effect.flatMap(connections.renew(client), (renewed) =>
                renewed ? attempt(command, false) : Effect.fail(error)
              )
            : Effect.fail(explain(error, failed()))
        )
      })

    // The batches of a cursor belong to the client that opened it.
    const run = <A>(command: Command<A>): Effect.Effect<A, StoreError> =>
      withClientSpan(attempt(command, command.passage === undefined), "mongodb", command.operation)

    return { run }
  })
