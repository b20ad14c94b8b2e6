import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Calls } from "../../core/Calls.ts"
import { StatementExpired } from "../PostgresError.ts"
import type { Lease, Slot } from "./PoolSlots.ts"

/** How long after its own timeout a server may still answer before its connection is given up. */
export const graceMillis = 1000

/** Ends statements that their server neither finished nor stopped in time: the connection goes, and says why. */
export interface StatementWatch {
  /** Only a statement that shares its connection is not ended by the Context's deadline in this way. */
  readonly begin: (lease: Lease, slot: Slot, startedAt: number, contextDeadline: number, longestMillis?: number) => void
  readonly end: (lease: Lease) => void
  /** Ends a connection that does not answer, or nobody waits for; its close takes it out of the pool. */
  readonly abandon: (slot: Slot, waitedMillis: number, runsOn: boolean) => void
}

export const makeStatementWatch = (options: {
  readonly calls: Calls
  readonly now: () => number
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  readonly statementMillis: number
  /** Otherwise the client asks the server to stop. */
  readonly serverKeepsTimeout: boolean
}): StatementWatch => {
  const { calls, fork, now, serverKeepsTimeout, statementMillis } = options

  const abandon: StatementWatch["abandon"] = (slot, waitedMillis, runsOn) => {
    slot.retired = true
    if (runsOn) fork(slot.connection.interrupt)
    slot.socket.destroy(new StatementExpired(waitedMillis))
  }

  return {
    abandon,
    begin: (lease, slot, startedAt, contextDeadline, longestMillis = statementMillis) => {
      const timeout = startedAt + longestMillis
      const limit = timeout + graceMillis
      const deadline = Math.min(limit, contextDeadline)
      const giveUp = () => {
        lease.call = undefined
        // The server would run it on to its own timeout, whoever has gone.
        abandon(slot, now() - startedAt, contextDeadline < limit)
      }
      lease.call =
        serverKeepsTimeout || deadline <= timeout
          ? calls.begin("statement", deadline, giveUp)
          : calls.begin("statement", timeout, () => {
              lease.call = calls.begin("statement", deadline, giveUp)
              fork(slot.connection.interrupt)
            })
    },
    end: (lease) => {
      if (lease.call === undefined) return
      calls.end(lease.call)
      lease.call = undefined
    }
  }
}
