/** Measures variants against a baseline in interleaved rounds. */
import { Effect, type Scope } from "effect"
import type { Store } from "../src/core/Store.ts"
import type { BuiltPackage } from "./builtPackage.ts"
import { type Better, operationsFor, ratios, rotated, type Spread, spread } from "./statistics.ts"

/** One way of doing the work that is compared. */
export interface Variant {
  readonly name: string
  /** Does `n` operations and checks each answer: a wrong one fails or dies. */
  readonly run: (n: number) => Effect.Effect<void, unknown>
  /** Checks and tidies up after a run; not timed. */
  readonly after?: ((n: number) => Effect.Effect<void, unknown>) | undefined
}

/** What was measured: for each variant one value a round. */
export interface Samples {
  readonly bench: string
  readonly unit: string
  readonly better: Better
  readonly baseline: string
  readonly values: ReadonlyMap<string, ReadonlyArray<number>>
  /** The difference to the baseline is a figure of its own: our own cost over the driver's. */
  readonly difference?: boolean | undefined
}

/** One line of the result, as `--json` writes it. */
export interface Row {
  readonly bench: string
  readonly variant: string
  readonly baseline: string
  readonly unit: string
  /** Median of the rounds. */
  readonly value: number
  /** Times as fast, or as small, as the baseline in the same round; 2 is twice as good, in every unit. */
  readonly ratio: Spread
  /** What a call costs beyond the baseline's in the same round, in `unit`. */
  readonly over?: Spread | undefined
}

/** How often and how long each variant runs. */
export interface Rounds {
  /** Rounds that count; one more is run first to warm up. */
  readonly count: number
  /** How long one timed run of the baseline is to take. */
  readonly millis: number
}

export interface Settings {
  /** Of one caller: many and short, so that variants are compared within the same moment of a machine that does other things too. */
  readonly calls: Rounds
  /** Of several callers at once: longer, because towards the end of a run some of them have done their share. */
  readonly callers: Rounds
  /** Of work that takes its time: many rows, whole processes. */
  readonly work: Rounds
  /** URL of a store that the bench asked for by `needs`. */
  readonly url: (store: Store) => string
  /** The package as a user gets it, built once a run. */
  readonly built: Effect.Effect<BuiltPackage>
}

export interface Bench {
  readonly name: string
  readonly about: string
  readonly needs: ReadonlyArray<Store>
  readonly measure: (settings: Settings) => Effect.Effect<ReadonlyArray<Samples>, unknown, Scope.Scope>
}

/** Why a bench was not run. */
export class Skip extends Error {
  override readonly name = "Skip"
}

/** The time a run took, on the clock and of the processors; milliseconds. */
interface Took {
  readonly wall: number
  readonly cpu: number
}

const timed = <E>(work: Effect.Effect<void, E>): Effect.Effect<Took, E> =>
  Effect.suspend(() => {
    const cpuBefore = process.cpuUsage()
    const startedAt = performance.now()
    return Effect.map(work, () => {
      const wall = performance.now() - startedAt
      const { system, user } = process.cpuUsage(cpuBefore)
      return { wall, cpu: (system + user) / 1000 }
    })
  })

const runOnce = (variant: Variant, n: number): Effect.Effect<Took, unknown> =>
  Effect.gen(function* () {
    const took = yield* timed(variant.run(n))
    if (variant.after !== undefined) yield* variant.after(n)
    return took
  })

/** Runs each variant once a round, in rotating order, and keeps what each gave in every round but the first. */
const inRounds = <V extends { readonly name: string }, A>(
  variants: ReadonlyArray<V>,
  rounds: number,
  one: (variant: V) => Effect.Effect<A, unknown>
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<A>>, unknown> =>
  Effect.gen(function* () {
    const kept = new Map(variants.map(({ name }) => [name, new Array<A>()]))
    for (let round = 0; round <= rounds; round++) {
      for (const variant of rotated(variants, round)) {
        const value = yield* one(variant)
        if (round > 0) kept.get(variant.name)?.push(value)
      }
    }
    return kept
  })

/**
 * What a bench tells of its variants.
 *
 * `µs CPU/call` counts the work of this process and nothing else that the machine does, so it is for work that is all done
 * here: on a stub.
 */
export type Unit = "ops/s" | "µs/call" | "µs CPU/call"

const valueOf = (unit: Unit, n: number, { cpu, wall }: Took): number => {
  if (unit === "ops/s") return (n * 1000) / wall
  return ((unit === "µs/call" ? wall : cpu) * 1000) / n
}

/** Where even so many take no time, the operation is too cheap for more to tell anything. */
const mostTried = 2 ** 24

/** Compares variants in this process; the first is the baseline, and all do the same number of operations. */
export const compare = (options: {
  readonly bench: string
  readonly unit: Unit
  readonly variants: readonly [Variant, ...ReadonlyArray<Variant>]
  readonly settings: Settings
  /** Callers at once, of which the operations are a multiple; 1. */
  readonly concurrency?: number | undefined
  readonly difference?: boolean | undefined
  /** Other than those of one caller, or of several. */
  readonly rounds?: Rounds | undefined
}): Effect.Effect<Samples, unknown> =>
  Effect.gen(function* () {
    const { bench, concurrency = 1, settings, unit, variants } = options
    const { count: rounds, millis: targetMillis } =
      options.rounds ?? (concurrency === 1 ? settings.calls : settings.callers)
    const [baseline] = variants
    let tried = concurrency * 8
    let took = yield* runOnce(baseline, tried)
    while (took.wall < targetMillis / 2 && tried < mostTried) {
      tried *= 2
      took = yield* runOnce(baseline, tried)
    }
    const n = operationsFor({ tried, tookMillis: took.wall, targetMillis, multipleOf: concurrency })
    // A quarter more operations, untimed, so that a variant does not pay for what the one before it left in the caches and on
    // the heap. Collecting the heap by force is no way to that: it throws optimised code away, and a call of the MongoDB driver
    // then took twice as long for the next 8,000.
    const leadIn = Math.max(1, Math.round(n / concurrency / 4)) * concurrency
    const values = yield* inRounds(variants, rounds, (variant) =>
      Effect.andThen(
        runOnce(variant, leadIn),
        Effect.map(runOnce(variant, n), (took) => valueOf(unit, n, took))
      )
    )
    return {
      bench,
      unit,
      better: unit === "ops/s" ? "higher" : "lower",
      baseline: baseline.name,
      values,
      difference: options.difference
    }
  })

/** A variant whose every round is a process of its own, which reports its figures. */
export interface ChildVariant<Figure extends string> {
  readonly name: string
  readonly baseline: string
  readonly figures: Effect.Effect<Readonly<Record<Figure, number>>, unknown>
}

/** Compares processes: one of each variant a round, in rotating order. Less is better in every figure. */
export const compareProcesses = <Figure extends string>(options: {
  readonly bench: string
  readonly variants: ReadonlyArray<ChildVariant<Figure>>
  readonly units: ReadonlyArray<readonly [figure: Figure, unit: string]>
  readonly settings: Settings
}): Effect.Effect<ReadonlyArray<Samples>, unknown> =>
  Effect.gen(function* () {
    const measured = yield* inRounds(options.variants, options.settings.work.count, ({ figures }) => figures)
    const baselines = new Set(options.variants.map(({ baseline }) => baseline))
    return options.units.flatMap(([figure, unit]) =>
      [...baselines].map((baseline): Samples => ({
        bench: options.bench,
        unit,
        better: "lower",
        baseline,
        values: new Map(
          options.variants
            .filter((variant) => variant.baseline === baseline)
            .map(({ name }) => [name, (measured.get(name) ?? []).map((value) => value[figure])])
        )
      }))
    )
  })

/** The lines of what was measured, the baseline first. */
export const rowsOf = (samples: Samples): ReadonlyArray<Row> => {
  const base = samples.values.get(samples.baseline)
  if (base === undefined) throw new Error(`${samples.bench} has no baseline ${samples.baseline}`)
  const over = (values: ReadonlyArray<number>): Spread | undefined =>
    samples.difference === true && values !== base
      ? spread(values.map((value, round) => value - (base[round] ?? Number.NaN)))
      : undefined
  return [...samples.values].map(([variant, values]): Row => ({
    bench: samples.bench,
    variant,
    baseline: samples.baseline,
    unit: samples.unit,
    value: spread(values).median,
    ratio: spread(ratios(values, base, samples.better)),
    over: over(values)
  }))
}
