import { describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import assert from "node:assert"
import { compare, compareProcesses, rowsOf, type Settings, type Variant } from "../../bench/harness.ts"
import { fibers, promises, wrong } from "../../bench/loops.ts"
import { table } from "../../bench/report.ts"

const settings: Settings = {
  calls: { count: 3, millis: 5 },
  callers: { count: 3, millis: 5 },
  work: { count: 3, millis: 5 },
  url: () => assert.fail("no store is needed"),
  built: Effect.die("no build is needed")
}

const spin = (micros: number) => {
  const until = performance.now() + micros / 1000
  while (performance.now() < until);
}

const check = (i: number) => {
  if (i === 5) wrong("operation 5", { id: 6 })
}

describe("bench harness", () => {
  it.live(
    "runs every variant in every round, warm-up apart, in rotating order and with the same number of operations",
    () =>
      Effect.gen(function* () {
        const ran: Array<string> = []
        const counts = new Set<number>()
        const variant = (name: string): Variant => ({
          name,
          run: (n) =>
            Effect.sync(() => {
              ran.push(name)
              counts.add(n)
              spin(20 * n)
            }),
          after: (n) => Effect.sync(() => ran.push(`after ${name} ${n > 0}`))
        })
        const samples = yield* compare({
          bench: "test",
          unit: "ops/s",
          settings,
          concurrency: 4,
          variants: [variant("a"), variant("b")]
        })
        // Each variant has an untimed run before its timed one.
        const rounds = ran.filter((entry) => !entry.startsWith("after")).slice(-16)
        assert.strictEqual(rounds.join(""), "aabbbbaaaabbbbaa")
        assert.strictEqual(ran.filter((entry) => entry === "after b true").length, 8)
        assert.deepStrictEqual(
          [...samples.values].map(([name, values]) => [name, values.length]),
          [
            ["a", 3],
            ["b", 3]
          ]
        )
        for (const n of counts) assert.strictEqual(n % 4, 0)
      })
  )

  it.live("fails where an answer is wrong, whoever gives it", () =>
    Effect.gen(function* () {
      const fine: Variant = { name: "fine", run: (n) => Effect.sync(() => spin(20 * n)) }
      const bad: ReadonlyArray<Variant["run"]> = [
        promises(2, (i) => Promise.resolve().then(() => check(i))),
        fibers(2, (i) => Effect.sync(() => check(i)))
      ]
      for (const run of bad) {
        const exit = yield* Effect.exit(
          compare({ bench: "test", unit: "ops/s", settings, concurrency: 8, variants: [fine, { name: "bad", run }] })
        )
        assert.ok(Exit.isFailure(exit))
      }
    })
  )

  it.effect("does each operation once, however many callers share them", () =>
    Effect.gen(function* () {
      for (const callers of [1, 3, 64]) {
        const done: Array<number> = []
        yield* fibers(callers, (i) => Effect.sync(() => done.push(i)).pipe(Effect.andThen(Effect.yieldNow)))(100)
        yield* promises(callers, async (i) => {
          done.push(i)
        })(100)
        const twice = Array.from({ length: 200 }, (_, i) => Math.floor(i / 2))
        assert.deepStrictEqual(
          done.sort((a, b) => a - b),
          twice
        )
      }
    })
  )

  it.effect("compares processes by every figure, each with its own baseline", () =>
    Effect.gen(function* () {
      let calls = 0
      const figures = (time: number, memory: number) => Effect.sync(() => ({ time, memory, call: calls++ }))
      const [time, memory] = yield* compareProcesses({
        bench: "test",
        settings,
        units: [
          ["time", "ms"],
          ["memory", "MiB"]
        ],
        variants: [
          { name: "base", baseline: "base", figures: figures(100, 40) },
          { name: "ours", baseline: "base", figures: figures(200, 50) }
        ]
      })
      assert.strictEqual(calls, 8)
      assert.ok(time !== undefined && memory !== undefined)
      assert.deepStrictEqual(
        [...rowsOf(time), ...rowsOf(memory)].map(({ ratio, unit, value, variant }) => [
          variant,
          value,
          unit,
          ratio.median
        ]),
        [
          ["base", 100, "ms", 1],
          ["ours", 200, "ms", 0.5],
          ["base", 40, "MiB", 1],
          ["ours", 50, "MiB", 0.8]
        ]
      )
    })
  )

  it("tells what a call costs beyond the baseline, and prints it aligned", () => {
    const rows = rowsOf({
      bench: "redis/own-cost",
      unit: "µs CPU/call",
      better: "lower",
      baseline: "driver",
      difference: true,
      values: new Map([
        ["driver", [10, 20]],
        ["ours", [12, 21]]
      ])
    })
    assert.deepStrictEqual(
      rows.map(({ over }) => over?.median),
      [undefined, 1.5]
    )
    assert.strictEqual(
      table(rows),
      [
        "bench           variant            value         unit  ratio   min   max      over baseline",
        "redis/own-cost  driver (baseline)   15.0  µs CPU/call   1.00  1.00  1.00",
        "redis/own-cost  ours                16.5  µs CPU/call   0.89  0.83  0.95  +1.50 µs CPU/call"
      ].join("\n")
    )
  })
})
