import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { AcquireTimes } from "../../core/Pool.ts"
import { holderOf } from "./PoolExhaustion.ts"
import { isIdle, isLeaked, type Lease, type Slot, usable } from "./PoolSlots.ts"

const interval = Duration.seconds(1)
const ticksOfMinute = 60

const warning = (lease: Lease, at: number): Effect.Effect<void> => {
  const { fiber, heldMillis, operation, statement } = holderOf(lease, at)
  return Effect.logWarning(
    `PostgreSQL ${operation}: its connection has been held for ${Math.round(heldMillis)} ms and may be leaked`
  ).pipe(Effect.annotateLogs({ holder: `#${fiber}`, ...(statement === undefined ? {} : { statement }) }))
}

/** What a pool does once a second, whoever asks for connections: closes what is old, and tells of what may be leaked. */
export const poolUpkeep = (options: {
  readonly slots: ReadonlySet<Slot>
  readonly now: () => number
  readonly minConnections: number
  /** Never where 0. */
  readonly idleMillis: number
  /** Never where infinite. */
  readonly leakMillis: number
  readonly acquireTimes: AcquireTimes
  readonly discard: (slot: Slot) => void
  readonly grow: () => void
}): Effect.Effect<never> => {
  const { acquireTimes, discard, grow, idleMillis, leakMillis, minConnections, now, slots } = options
  let ticks = 0

  const idleTooLong = (slot: Slot, at: number): boolean =>
    idleMillis > 0 && at - slot.idleSince >= idleMillis && slots.size > minConnections

  const tick = Effect.suspend(() => {
    const at = now()
    const leaked: Array<Lease> = []
    for (const slot of slots) {
      // One that is shared may never be without a holder: it is lent no more, and goes with the last who has it.
      if (at >= slot.expiresAt) slot.retired = true
      if (!usable(slot) && slot.holders.length === 0) discard(slot)
      else if (isIdle(slot) && idleTooLong(slot, at)) discard(slot)
      for (const lease of slot.holders) {
        if (lease.reported || !isLeaked(lease, at, leakMillis)) continue
        lease.reported = true
        leaked.push(lease)
      }
    }
    grow()
    if (++ticks % ticksOfMinute === 0) acquireTimes.turn()
    return Effect.forEach(leaked, (lease) => warning(lease, at), { discard: true })
  })

  return Effect.forever(Effect.andThen(Effect.sleep(interval), tick))
}
