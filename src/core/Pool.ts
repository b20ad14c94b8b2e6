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
}

export const poolStats = (counts: Omit<PoolStats, "idle" | "utilisation">): PoolStats => ({
  ...counts,
  idle: counts.size - counts.inUse,
  utilisation: counts.max === 0 ? 0 : counts.inUse / counts.max
})
