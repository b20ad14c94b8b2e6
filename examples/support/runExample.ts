import { NodeRuntime } from "@effect/platform-node"
import { type Capabilities, ConfigInvalid, StoreError, StoreErrorReport } from "@ai-core/database"
import { Console, Effect } from "effect"
import { chosenLayer } from "./chosenLayer.ts"

/** Runs an example on the layer that was chosen; a failure is told as its report, and a bug as what it is. */
export const runExample = <E>(program: Effect.Effect<unknown, E, Capabilities>): void =>
  program.pipe(
    Effect.provide(chosenLayer),
    Effect.catch((error) => {
      const told =
        error instanceof StoreError
          ? StoreErrorReport.render(error, { color: process.stderr.isTTY })
          : error instanceof ConfigInvalid
            ? error.message
            : error
      process.exitCode = 1
      return Console.error(told)
    }),
    NodeRuntime.runMain
  )
