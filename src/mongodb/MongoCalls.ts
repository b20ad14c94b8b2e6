import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { ClientSession } from "mongodb"
import type { Calls } from "../core/Calls.ts"
import { Deadline } from "../core/Deadline.ts"
import type { PoolStats } from "../core/Pool.ts"
import { withClientSpan } from "../core/Instrumentation.ts"
import { type Endpoint, unavailable } from "../core/StartUp.ts"
import { ConnectionLost, type Reason, StoreError, Timeout } from "../core/StoreError.ts"
import { type CallKind, type FailedCall, poolExhausted, toStoreError } from "./MongoDbError.ts"
import type { MongoConnections } from "./MongoConnections.ts"
import { type Line, Passage } from "./Passage.ts"

/** How long the answer that nobody waits for any more may still take before its socket is closed; milliseconds. */
const patience = { read: 100, write: 5000, writes: 5000 }

/** What is given to the driver with each command. */
export interface CommandLimits {
  /**
   * Only for writes: a read ends on the server when its socket is closed, and the limit costs a server work of its own.
   */
  readonly maxTimeMS?: number
  readonly signal: AbortSignal
  /** Only for reads that end with their first answer. */
  readonly session?: ClientSession
}

/** Runs commands of the driver under a deadline, and leaves nothing behind when one is given up. */
export interface MongoCalls {
  readonly run: <A, B>(command: Command<A, B>) => Effect.Effect<B, StoreError>
  /** A signal that several commands share. */
  readonly passage: () => Passage
  readonly stats: () => PoolStats
}

/** One command, how to hand it to the driver, and what its caller gets of the answer. */
export interface Command<A, B> {
  readonly operation: string
  readonly kind: CallKind
  /** Where several commands share one signal: the batches of a cursor. */
  readonly passage?: Passage | undefined
  /** Instead of the client's own limit. */
  readonly timeoutMillis?: number | undefined
  readonly send: (limits: CommandLimits) => Promise<A>
  readonly decode: (answer: A) => Exit.Exit<B, StoreError>
}

/** The longest a call may take, and may wait before it is sent; milliseconds. */
export interface CallLimits {
  readonly timeout: number
  readonly serverSelection: number
  readonly waitQueue: number
}

/** What the driver refuses at once is refused like all else. */
const handed = <A>({ send }: Pick<Command<A, unknown>, "send">, limits: CommandLimits): Promise<A> => {
  try {
    return send(limits)
  } catch (error) {
    return Promise.reject(error)
  }
}

/**
 * The driver's own limits are off, because it starts and clears a timer for each of them in every call: those of the calls here
 * are looked at together.
 */
export const makeMongoCalls = (options: {
  readonly calls: Calls
  readonly endpoint: Endpoint
  readonly connections: MongoConnections
  readonly limits: CallLimits
}): Effect.Effect<MongoCalls> =>
  Effect.map(Clock.Clock, (clock) => {
    const { calls, connections, endpoint, limits } = options
    const { pool } = connections
    const line: Line = { waiting: 0 }
    const firstLook = Math.min(limits.serverSelection, limits.waitQueue)
    const stats = () => pool.stats(line.waiting)

    /** Whether a call may be on the server; with no connection open it is not, and the driver is about to send it again. */
    const isUnderWay = (sent: boolean): boolean => sent && stats().size > 0

    /** How long a call may be where it is. */
    const mayTake = (sent: boolean): number => {
      if (isUnderWay(sent)) return limits.timeout
      const { inUse, max } = stats()
      return inUse >= max ? limits.waitQueue : limits.serverSelection
    }

    /** Of a call that ran out of time: what it was waiting for. */
    const reasonOf = (call: FailedCall): Reason => {
      const refused = isUnderWay(call.sent) ? undefined : pool.refusal()
      if (refused !== undefined && call.sent && call.kind !== "read") return new ConnectionLost(refused)
      if (refused !== undefined) return unavailable(endpoint, refused)
      return !call.sent && call.stats.inUse >= call.stats.max
        ? poolExhausted(call)
        : new Timeout({ afterMillis: call.waitedMillis })
    }

    const tooLate = (call: FailedCall): StoreError =>
      new StoreError({
        store: "mongodb",
        operation: call.operation,
        outcome: call.sent && call.kind !== "read" ? "unknown" : "not-applied",
        reason: reasonOf(call)
      })

    const attempt = <A, B>(command: Command<A, B>, until: number, renewing: boolean): Effect.Effect<B, StoreError> => {
      const { kind, operation, timeoutMillis = limits.timeout } = command
      const refused = calls.refusal(operation)
      if (refused !== undefined) return Effect.fail(refused)
      const startedAt = clock.currentTimeMillisUnsafe()
      const deadline = Math.min(startedAt + timeoutMillis, until)
      if (deadline <= startedAt) {
        const reason = new Timeout({ afterMillis: 0 })
        return Effect.fail(new StoreError({ store: "mongodb", operation, outcome: "not-applied", reason }))
      }
      return Effect.callback((resume) => {
        const connected = connections.current()
        const passage = command.passage ?? new Passage(line)
        const session =
          kind === "read" && command.passage === undefined ? connected.sessions.take(startedAt) : undefined
        // The driver does not show the signal to the later batches of a cursor: with a connection lent, one may be on its way.
        const later = passage.sent
        const lent = pool.lent()
        const isSent = (): boolean => (later ? pool.lent() !== lent : passage.sent)
        let waitedFor = true
        const failed = (): FailedCall => ({
          operation,
          kind,
          endpoint,
          sent: isSent(),
          waitedMillis: clock.currentTimeMillisUnsafe() - startedAt,
          stats: stats()
        })

        const expire = (now: number): void => {
          const limit = Math.min(deadline, startedAt + mayTake(isSent()))
          if (now < limit) {
            call = calls.begin(operation, limit, expire)
            return
          }
          waitedFor = false
          const error = tooLate(failed())
          giveUp()
          resume(Effect.fail(error))
        }
        const giveUp = (): void => {
          if (!isUnderWay(isSent())) return passage.cut()
          // Stays on the register, so that shutdown waits for a write that is on its way.
          call = calls.begin(operation, clock.currentTimeMillisUnsafe() + patience[kind], () => passage.cut())
        }

        /** The driver has done with it; says whether somebody waits for that. */
        const settle = (): boolean => {
          calls.end(call)
          passage.arrived()
          const waited = waitedFor
          waitedFor = false
          return waited
        }

        let call = calls.begin(operation, Math.min(deadline, startedAt + firstLook), expire)
        const answer = handed(command, {
          signal: passage,
          ...(kind === "read" ? {} : { maxTimeMS: Math.max(1, Math.ceil(deadline - startedAt)) }),
          ...(session === undefined ? {} : { session: session.driver })
        })
        passage.handedOver()
        answer.then(
          (value) => {
            if (session !== undefined) connected.sessions.giveBack(session)
            if (settle()) resume(command.decode(value))
          },
          (cause: unknown) => {
            if (session !== undefined) connected.sessions.end(session)
            if (!settle()) return
            const error = toStoreError(cause, failed())
            resume(
              renewing && error.reason._tag === "AuthenticationFailed"
                ? Effect.flatMap(connections.renew(connected), (renewed) =>
                    renewed ? attempt(command, until, false) : Effect.fail(error)
                  )
                : Effect.fail(error)
            )
          }
        )
        return Effect.sync(() => {
          if (!waitedFor) return
          waitedFor = false
          calls.end(call)
          giveUp()
        })
      })
    }

    const run: MongoCalls["run"] = (command) =>
      withClientSpan(
        // The batches of a cursor belong to the client that opened it.
        Effect.withFiber((fiber) => attempt(command, fiber.getRef(Deadline), command.passage === undefined)),
        "mongodb",
        command.operation
      )

    return { run, passage: () => new Passage(line), stats }
  })
