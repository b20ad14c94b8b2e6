/** What a connection pool is doing now; read from memory, without I/O. */
export interface PoolStats {
  /** Connections open. */
  readonly size: number
  /** Open and lent to nobody. */
  readonly idle: number
  readonly inUse: number
  /** Callers waiting for one. */
  readonly waiting: number
  /** Connections the pool may open. */
  readonly max: number
  /** `inUse / max`, from 0 to 1. */
  readonly utilisation: number
  /** How long callers waited, where the pool tells it. */
  readonly acquire?: AcquireStats | undefined
}

/** How long callers waited for a connection, over the last one to two minutes. */
export interface AcquireStats {
  /** Connections lent. */
  readonly count: number
  /** Callers that gave up. */
  readonly timeouts: number
  readonly meanMillis: number
  /** Upper bounds that are powers of 2, 0 where nobody waited: half of the callers waited no longer. */
  readonly p50Millis: number
  readonly p99Millis: number
  readonly maxMillis: number
}

export const poolStats = (counts: Omit<PoolStats, "idle" | "utilisation">): PoolStats => ({
  ...counts,
  idle: counts.size - counts.inUse,
  utilisation: counts.max === 0 ? 0 : counts.inUse / counts.max
})

/** Counts of waits by powers of two milliseconds; the first is of those that did not wait. */
const buckets = 20

interface Minute {
  readonly counts: Array<number>
  count: number
  timeouts: number
  sumMillis: number
  maxMillis: number
}

const emptyMinute = (): Minute => ({
  counts: Array.from({ length: buckets }, () => 0),
  count: 0,
  timeouts: 0,
  sumMillis: 0,
  maxMillis: 0
})

const bucketOf = (millis: number): number =>
  millis <= 0 ? 0 : millis <= 1 ? 1 : Math.min(buckets - 1, Math.ceil(Math.log2(millis)) + 1)

const boundOf = (bucket: number): number => (bucket === 0 ? 0 : 2 ** (bucket - 1))

/** Counts how long callers waited, in memory of constant size. */
export interface AcquireTimes {
  readonly lent: (waitedMillis: number) => void
  readonly gaveUp: () => void
  /** Forgets what is older than the last call; called once a minute. */
  readonly turn: () => void
  readonly stats: () => AcquireStats
}

export const makeAcquireTimes = (): AcquireTimes => {
  let current = emptyMinute()
  let last = emptyMinute()
  const percentile = (share: number, count: number): number => {
    const wanted = Math.ceil(share * count)
    let seen = 0
    for (let i = 0; i < buckets; i++) {
      seen += (current.counts[i] ?? 0) + (last.counts[i] ?? 0)
      if (seen >= wanted) return Math.min(boundOf(i), Math.max(current.maxMillis, last.maxMillis))
    }
    return 0
  }
  return {
    lent: (waitedMillis) => {
      current.count++
      current.sumMillis += waitedMillis
      if (waitedMillis > current.maxMillis) current.maxMillis = waitedMillis
      const bucket = bucketOf(waitedMillis)
      current.counts[bucket] = (current.counts[bucket] ?? 0) + 1
    },
    gaveUp: () => {
      current.timeouts++
    },
    turn: () => {
      last = current
      current = emptyMinute()
    },
    stats: () => {
      const count = current.count + last.count
      return {
        count,
        timeouts: current.timeouts + last.timeouts,
        meanMillis: count === 0 ? 0 : (current.sumMillis + last.sumMillis) / count,
        p50Millis: percentile(0.5, count),
        p99Millis: percentile(0.99, count),
        maxMillis: Math.max(current.maxMillis, last.maxMillis)
      }
    }
  }
}
