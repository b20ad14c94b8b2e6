/** How long a unit test waits for its stores. */
import { Effect } from "effect"
import { inChild } from "../builtPackage.ts"
import { type Bench, compareProcesses, Skip } from "../harness.ts"

const building = `
  import { Effect, Layer } from "effect"
  import { DatabaseMemory } from "@ai-core/database/memory"
  const build = () => Effect.runPromise(Effect.scoped(Layer.build(Layer.fresh(DatabaseMemory))))
  const timed = async () => {
    const startedAt = performance.now()
    const built = await build()
    const took = performance.now() - startedAt
    if (built.mapUnsafe.size === 0) throw new Error("DatabaseMemory provides nothing")
    return took
  }
  const first = await timed()
  const next = await timed()
  console.log(JSON.stringify({ first, next }))`

interface Figures {
  readonly first: number
  readonly next: number
}

const build: Bench = {
  name: "memory/build",
  about: "DatabaseMemory built for the first time in a fresh process, and once more",
  needs: [],
  measure: (settings) =>
    Effect.gen(function* () {
      const { folder, has } = yield* settings.built
      if (!has("./dist/memory.js")) return yield* Effect.fail(new Skip("there is no DatabaseMemory yet"))
      const figures = inChild<Figures>(folder, building)
      const figure = (name: string, read: (figures: Figures) => number) => ({
        name,
        baseline: "first build",
        figures: Effect.map(figures, (all) => ({ time: read(all) }))
      })
      return yield* compareProcesses({
        bench: "memory/build",
        settings,
        units: [["time", "ms"]],
        variants: [figure("first build", ({ first }) => first), figure("next build", ({ next }) => next)]
      })
    })
}

export const memory: ReadonlyArray<Bench> = [build]
