import assert from "node:assert/strict"
import { it } from "@effect/vitest"
import { DateTime, Effect, Option, Schema } from "effect"
import { Moment, MomentFromMillis } from "../../src/core/Moment.ts"
import { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { freshClient } from "../postgres/freshClient.ts"
import { describeLive } from "../servers/index.ts"

describeLive("postgresql", "Moment", () => {
  it.effect("is what a timestamptz holds, and no more", () =>
    Effect.gen(function* () {
      const { sql } = yield* PostgresClient
      const first = -210_866_803_200_000
      const last = 8_640_000_000_000_000
      for (const millis of [first - 1, first, 0, last]) {
        const moment = DateTime.makeUnsafe(millis)
        const stored = sql<{ at: Date }>`select ${DateTime.toDateUtc(moment)}::timestamptz(3) as at`
        const back = yield* Effect.option(Effect.map(stored, ([row]) => row?.at.getTime()))
        assert.deepEqual(back, Schema.is(Moment)(moment) ? Option.some(millis) : Option.none())
        assert.deepEqual(Schema.decodeUnknownOption(MomentFromMillis)(millis), Option.as(back, moment))
      }
    }).pipe(Effect.provide(freshClient()))
  )
})
