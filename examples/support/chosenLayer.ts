import type { Capabilities, DatabaseFailure } from "@ai-core/database"
import { ConfigProvider, Effect, Layer } from "effect"
import { existsSync, readFileSync } from "node:fs"

/** Which of the three an example runs on: embedded engines, or what `--live` and `--memory` ask for. */
export type Choice = "embedded" | "live" | "memory"

export const choice: Choice = process.argv.includes("--live")
  ? "live"
  : process.argv.includes("--memory")
    ? "memory"
    : "embedded"

/** The environment, then `.env`, then `.env.example`: what a variable lacks in one is looked for in the next. */
const settings = ["../../.env", "../../.env.example"]
  .map((path) => new URL(path, import.meta.url))
  .filter((file) => existsSync(file))
  .reduce(
    (provider, file) => ConfigProvider.orElse(provider, ConfigProvider.fromDotEnvContents(readFileSync(file, "utf8"))),
    ConfigProvider.fromEnv({ preserveEmptyStrings: true })
  )

/** The layer that was chosen; the others, and their drivers, are not even loaded. */
export const chosenLayer: Layer.Layer<Capabilities, DatabaseFailure> = Layer.unwrap(
  Effect.gen(function* () {
    switch (choice) {
      case "live": {
        const { DatabaseLive } = yield* Effect.promise(() => import("@ai-core/database/live"))
        return Layer.provide(DatabaseLive, ConfigProvider.layer(settings))
      }
      case "memory": {
        const { DatabaseMemory } = yield* Effect.promise(() => import("@ai-core/database/memory"))
        return DatabaseMemory
      }
      case "embedded": {
        const { DatabaseEmbedded } = yield* Effect.promise(() => import("@ai-core/database/embedded"))
        return DatabaseEmbedded
      }
    }
  })
)
