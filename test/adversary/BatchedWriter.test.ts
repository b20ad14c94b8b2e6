import { it } from "@effect/vitest"
import { Cause, Effect, Exit, Option } from "effect"
import assert from "node:assert/strict"
import * as BatchedWriter from "../../src/clickhouse/BatchedWriter.ts"

const endpoint = { store: "clickhouse", host: "nowhere" } as const

it.live("a row whose write throws fails its own batch; the writer goes on and closes", () =>
  Effect.gen(function* () {
    const stored: Array<number> = []
    const exits = yield* Effect.scoped(
      Effect.gen(function* () {
        const writer = yield* BatchedWriter.make<number>(endpoint, (rows) => {
          if (rows.includes(0)) throw new RangeError("Maximum call stack size exceeded")
          return Effect.sync(() => stored.push(...rows))
        })
        const poisoned = yield* Effect.exit(writer.add("track", 0))
        return [poisoned, yield* Effect.exit(writer.add("track", 1))] as const
      })
    ).pipe(Effect.timeoutOption("5 seconds"))
    assert.ok(Option.isSome(exits), "a caller or the close of the scope waits for ever")
    const [poisoned, good] = exits.value
    assert.ok(Exit.isFailure(poisoned) && Cause.hasDies(poisoned.cause))
    assert.ok(Exit.isSuccess(good))
    assert.deepEqual(stored, [1])
  })
)
