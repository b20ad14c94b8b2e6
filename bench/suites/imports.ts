/** What an import costs: each subpath of the package against `effect` and the drivers that it stands on, in fresh processes. */
import { Effect } from "effect"
import { entries, inChild } from "../builtPackage.ts"
import { type Bench, type ChildVariant, compareProcesses, Skip } from "../harness.ts"

const sqlPg = "@effect/sql-pg/PgClient"

/** Beside `effect`: what nobody can use the subpath without. */
const drivers: Readonly<Record<string, ReadonlyArray<string>>> = {
  "./live": [sqlPg, "@clickhouse/client", "mongodb", "ioredis"],
  "./embedded": [sqlPg, "@clickhouse/client", "@electric-sql/pglite", "mingo"],
  "./memory": ["mingo"],
  "./postgres": [sqlPg],
  "./clickhouse": ["@clickhouse/client"],
  "./mongodb": ["mongodb"],
  "./redis": ["ioredis"],
  "./mongodb/memory": ["mingo"],
  "./platform/postgres": [sqlPg],
  "./platform/clickhouse": ["@clickhouse/client"],
  "./platform/mongodb": ["mongodb"],
  "./testing": [sqlPg]
}

interface Figures {
  readonly time: number
  readonly memory: number
}

const importing = (modules: ReadonlyArray<string>): string => `
  const startedAt = performance.now()
  ${modules.map((module) => `await import(${JSON.stringify(module)})`).join("\n")}
  const time = performance.now() - startedAt
  console.log(JSON.stringify({ time, memory: process.memoryUsage.rss() / 2 ** 20 }))`

const importBench = ({ file, subpath }: (typeof entries)[number]): Bench => {
  const name = `imports/${subpath === "." ? "root" : subpath.slice(2)}`
  const beside = ["effect", ...(drivers[subpath] ?? [])]
  const ours = `@ai-core/database${subpath.slice(1)}`
  return {
    name,
    about: `time and memory of importing ${ours}, against ${beside.join(" + ")}`,
    needs: [],
    measure: (settings) =>
      Effect.gen(function* () {
        const { folder, has } = yield* settings.built
        if (!has(file)) return yield* Effect.fail(new Skip(`${file} was not built`))
        const variant = (label: string, modules: ReadonlyArray<string>): ChildVariant<keyof Figures> => ({
          name: label,
          baseline: beside.join(" + "),
          figures: inChild<Figures>(folder, importing(modules))
        })
        return yield* compareProcesses<keyof Figures>({
          bench: name,
          settings,
          units: [
            ["time", "ms"],
            ["memory", "MiB"]
          ],
          variants: [variant(beside.join(" + "), beside), variant(ours, [ours])]
        })
      })
  }
}

export const imports: ReadonlyArray<Bench> = entries.map(importBench)
