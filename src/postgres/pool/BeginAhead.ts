import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { PoolLine } from "./PoolLine.ts"
import { isIdle, type Lease, type Slot } from "./PoolSlots.ts"

/**
 * A BEGIN that goes along with the COMMIT before it, for one of those who wait for a connection meanwhile.
 *
 * It spares each transaction a round trip while all connections are taken. One that nobody takes over is undone before anything
 * else is sent; docs/decisions/0011 has the reasons.
 */
export interface BeginAhead {
  /** Whether somebody in line waits for nothing but to begin a transaction, and none was begun for him. */
  readonly wanted: () => boolean
  /** Sends BEGIN behind what has been sent. */
  readonly send: (slot: Slot) => void
  /** Hands it over with the connection, to one who was waiting by then: what is `now` to it must not be past. */
  readonly handOver: (lease: Lease, slot: Slot) => void
  /** Undoes one that the lease was handed and has not taken. */
  readonly undoUntaken: (lease: Lease, slot: Slot) => void
  /** Undoes one whose connection nobody was given. */
  readonly undoIdle: (slot: Slot) => void
}

export const makeBeginAhead = (options: {
  readonly slots: Iterable<Slot>
  readonly line: Pick<PoolLine, "begins" | "joined">
  readonly fork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}): BeginAhead => {
  const { fork, line, slots } = options

  const rollback = (slot: Slot) => {
    fork(
      Effect.matchEager(slot.connection.query("ROLLBACK", [], false), {
        onSuccess: () => undefined,
        onFailure: () => {
          slot.retired = true
        }
      })
    )
  }

  return {
    wanted: () => {
      let sent = 0
      for (const slot of slots) if (slot.ahead !== undefined) sent++
      return line.begins(sent)
    },
    send: (slot) => {
      // It has no prepared form that could be lost: the driver would send it again behind what ends the transaction.
      slot.ahead = { begun: fork(slot.connection.query("BEGIN", [], false)), joined: line.joined() }
    },
    handOver: (lease, slot) => {
      const { ahead } = slot
      if (ahead === undefined) return
      slot.ahead = undefined
      if (lease.begins && lease.joined > 0 && lease.joined <= ahead.joined) lease.begun = ahead.begun
      else rollback(slot)
    },
    undoUntaken: (lease, slot) => {
      if (lease.begun !== undefined) rollback(slot)
    },
    undoIdle: (slot) => {
      if (slot.ahead === undefined || !isIdle(slot)) return
      slot.ahead = undefined
      rollback(slot)
    }
  }
}
