/** Whether more of a unit is good (operations a second) or bad (microseconds a call). */
export type Better = "higher" | "lower"

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** The middle value; of an even number of values, the mean of the middle two. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)]
  const lower = sorted[Math.ceil(sorted.length / 2) - 1]
  return upper === undefined || lower === undefined ? Number.NaN : (lower + upper) / 2
}

export const spread = (values: ReadonlyArray<number>): Spread => ({
  min: Math.min(...values),
  median: median(values),
  max: Math.max(...values)
})

/**
 * Times as fast (or as small) as the baseline, round by round; above 1 is better whatever the unit.
 *
 * Rounds are compared with themselves, because what else the machine does changes between rounds and less within one.
 */
export const ratios = (
  values: ReadonlyArray<number>,
  baseline: ReadonlyArray<number>,
  better: Better
): ReadonlyArray<number> => {
  if (values.length !== baseline.length) throw new Error("a ratio needs as many rounds of the baseline")
  return values.map((value, round) => {
    const base = baseline[round] ?? Number.NaN
    return better === "higher" ? value / base : base / value
  })
}

/** The variants in the order of one round: each is first, and each is last, equally often. */
export const rotated = <A>(variants: ReadonlyArray<A>, round: number): ReadonlyArray<A> => {
  const first = round % Math.max(1, variants.length)
  return [...variants.slice(first), ...variants.slice(0, first)]
}

/** Operations of one timed run, so that it takes about `targetMillis`: enough that a tick of the clock or one GC is small. */
export const operationsFor = (options: {
  readonly tried: number
  readonly tookMillis: number
  readonly targetMillis: number
  /** The count is a multiple of it, so that concurrent workers share it evenly. */
  readonly multipleOf: number
}): number => {
  const { multipleOf, targetMillis, tookMillis, tried } = options
  const wanted = (tried * targetMillis) / Math.max(tookMillis, 0.001)
  return Math.max(1, Math.round(wanted / multipleOf)) * multipleOf
}
