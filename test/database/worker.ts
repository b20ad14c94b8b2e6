/** A program that tracks events until it is told to stop; started and ended by live.test.ts. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Logger, References } from "effect"
import { Analytics, gracefulTeardown } from "../../src/index.ts"
import { DatabaseLive } from "../../src/live.ts"

let offered = 0
let acknowledged = 0

const say = (line: string) => Effect.sync(() => process.stdout.write(`${line}\n`))

const track = Effect.flatMap(Analytics, (analytics) =>
  Effect.suspend(() => {
    offered++
    return analytics.trackWorkflowEvent({ workflowId: "w", userId: "u", service: "worker", eventType: "completed" })
  }).pipe(Effect.tap(() => Effect.sync(() => acknowledged++)))
)

const work = Effect.andThen(
  track,
  Effect.andThen(
    say("working"),
    Effect.all(
      Array.from({ length: 20 }, () => Effect.forever(track)),
      { concurrency: "unbounded" }
    )
  )
)

const logger = Logger.make<unknown, void>(({ message }) => {
  const text = String(Array.isArray(message) ? message[0] : message)
  if (text.startsWith("Closed ")) process.stdout.write(`closed ${text.slice("Closed ".length)}\n`)
})

work.pipe(
  Effect.provide(DatabaseLive),
  Effect.ensuring(Effect.suspend(() => say(`offered ${offered}\nacknowledged ${acknowledged}`))),
  Effect.provideService(References.MinimumLogLevel, "Debug"),
  Effect.provide(Logger.layer([logger])),
  NodeRuntime.runMain({ teardown: gracefulTeardown })
)
