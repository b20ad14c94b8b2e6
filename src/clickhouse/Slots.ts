/** A right to one of the client's connections; `giveBack` may be called while still waiting, and more than once. */
export interface Slot {
  readonly giveBack: () => void
  readonly granted: () => boolean
}

/**
 * Counts the requests that one client may have under way, and lets further ones wait in the order they came.
 *
 * The driver queues silently beyond its limit; counting here is what makes "limit, waiting, waited" true.
 */
export interface Slots {
  readonly limit: number
  readonly inUse: () => number
  readonly waiting: () => number
  /** Calls `granted` once a slot is free: at once, or when another is given back. */
  readonly take: (granted: () => void) => Slot
}

interface Waiting {
  state: "waiting" | "granted" | "over"
  readonly onGranted: () => void
}

export const makeSlots = (limit: number): Slots => {
  // A Set keeps the order of arrival, and gives one up without a search.
  const queue = new Set<Waiting>()
  let inUse = 0

  const handOver = () => {
    for (const next of queue) {
      queue.delete(next)
      next.state = "granted"
      next.onGranted()
      return
    }
    inUse -= 1
  }

  return {
    limit,
    inUse: () => inUse,
    waiting: () => queue.size,
    take: (onGranted) => {
      const entry: Waiting = { state: "waiting", onGranted }
      const slot: Slot = {
        granted: () => entry.state === "granted",
        giveBack: () => {
          const was = entry.state
          entry.state = "over"
          if (was === "waiting") queue.delete(entry)
          else if (was === "granted") handOver()
        }
      }
      if (inUse < limit) {
        inUse += 1
        entry.state = "granted"
        onGranted()
      } else {
        queue.add(entry)
      }
      return slot
    }
  }
}
