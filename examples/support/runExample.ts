import { NodeRuntime } from "@effect/platform-node"
import { type Capabilities, ConfigInvalid, StoreError, StoreErrorReport } from "@ai-core/database"
import { Console, Effect } from "effect"
import { chosenLayer } from "./chosenLayer.ts"

/** Runs an example on the layer that was chosen; what fails is told as a report, not as a stack. */
export const runExample = <E>(program: Effect.Effect<unknown, E, Capabilities>): void =>
  program.pipe(
    Effect.provide(chosenLayer),
    Effect.tapError((error) =>
      error instanceof StoreError
        ? Console.error(StoreErrorReport.render(error, { color: process.stderr.isTTY }))
        : Console.error(error instanceof ConfigInvalid ? error.message : error)
    ),
    NodeRuntime.runMain({ disableErrorReporting: true })
  )
