/** `npm run bench -- NAME…`: measures the benches whose names are, or begin with, one of those given; all where none is. */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { Cause, Effect, Exit, Scope } from "effect"
import { displayName, type Store } from "../src/core/Store.ts"
import { buildPackage } from "./builtPackage.ts"
import { type Bench, type Row, rowsOf, type Settings, Skip } from "./harness.ts"
import { aligned, machine, table } from "./report.ts"
import { benchServer } from "./servers.ts"
import { suites } from "./suites/index.ts"

const usage = `npm run bench -- [NAME…] [--list] [--rounds N] [--millis N] [--json FILE]

  NAME      a bench (redis/get-1) or the beginning of some (redis); none: all of them
  --list    names what there is
  --rounds  rounds that count, after one to warm up (31 of one caller, 15 of several, 7 of what takes longer)
  --millis  how long one run of the baseline takes (100 of one caller, else 300)
  --json    writes { machine, rows } to FILE`

const { positionals, values: given } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean" },
    help: { type: "boolean" },
    rounds: { type: "string" },
    millis: { type: "string" },
    json: { type: "string" }
  }
})

const wanted = (name: string): boolean =>
  positionals.length === 0 || positionals.some((asked) => name === asked || name.startsWith(`${asked}/`))

const positive = (option: "rounds" | "millis", byDefault: number): number => {
  const text = given[option]
  if (text === undefined) return byDefault
  const n = Number(text)
  if (!Number.isSafeInteger(n) || n < 1) throw new Error(`--${option} must be a whole number above 0`)
  return n
}

const say = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

/** Keeps what was found of each store for the whole run. */
const serverFinder = (scope: Scope.Scope) => {
  const known = new Map<Store, string | Skip>()
  return (store: Store): Effect.Effect<string, unknown> =>
    Effect.suspend(() => {
      const before = known.get(store)
      if (before !== undefined) return typeof before === "string" ? Effect.succeed(before) : Effect.fail(before)
      return Effect.flatMap(Scope.provide(benchServer(store), scope), (found) => {
        const kept =
          found._tag === "Found" ? found.url : new Skip(`no ${displayName[store]}: ${found.why}; ${found.fix}`)
        known.set(store, kept)
        return typeof kept === "string" ? Effect.succeed(kept) : Effect.fail(kept)
      })
    })
}

const measure = (
  bench: Bench,
  settings: Omit<Settings, "url">,
  server: (store: Store) => Effect.Effect<string, unknown>
) =>
  Effect.gen(function* () {
    const urls = new Map<Store, string>()
    for (const store of bench.needs) urls.set(store, yield* server(store))
    const url = (store: Store): string => {
      const found = urls.get(store)
      if (found === undefined) throw new Error(`${bench.name} uses ${store} but does not say that it needs it`)
      return found
    }
    return (yield* Effect.scoped(bench.measure({ ...settings, url }))).flatMap((samples) => rowsOf(samples))
  })

const program = Effect.gen(function* () {
  const benches = suites.filter(({ name }) => wanted(name))
  if (given.help === true || given.list === true) {
    yield* say(
      given.help === true
        ? usage
        : aligned(
            benches.map(({ about, name }) => [name, about]),
            2
          )
    )
    return
  }
  if (benches.length === 0) {
    yield* say(`no bench is named ${positionals.join(" or ")}; --list names them`)
    process.exitCode = 1
    return
  }
  const scope = yield* Effect.scope
  const settings = {
    calls: { count: positive("rounds", 31), millis: positive("millis", 100) },
    callers: { count: positive("rounds", 15), millis: positive("millis", 300) },
    work: { count: positive("rounds", 7), millis: positive("millis", 300) },
    built: yield* Effect.cached(Scope.provide(buildPackage, scope))
  }
  const server = serverFinder(scope)
  const rows: Array<Row> = []
  const untold: Array<string> = []
  let failed = 0
  const here = machine()
  yield* say(`${here.cores} × ${here.cpu}, ${here.memoryGiB} GiB, ${here.os}, Node ${here.node}`)
  yield* say(
    `${settings.calls.count} rounds of one caller, ${settings.callers.count} of several, ${settings.work.count} of what takes` +
      ` longer, variants interleaved. value: median. ratio: times as fast (or as small) as the baseline in the` +
      ` same round, so higher is better; median, min, max.\n`
  )
  for (const bench of benches) {
    const exit = yield* Effect.exit(measure(bench, settings, server))
    if (Exit.isSuccess(exit)) {
      yield* say(`${table(exit.value)}\n`)
      rows.push(...exit.value)
      continue
    }
    const reason = Cause.squash(exit.cause)
    if (!(reason instanceof Skip)) failed++
    const told = reason instanceof Skip ? `skipped: ${reason.message}` : `FAILED: ${Cause.pretty(exit.cause)}`
    untold.push(`${bench.name} ${told}`)
  }
  if (untold.length > 0) yield* say(untold.join("\n"))
  if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify({ machine: here, rows }, undefined, 2)}\n`)
  if (failed > 0) process.exitCode = 1
})

await Effect.runPromise(Effect.scoped(program))
