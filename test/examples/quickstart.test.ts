import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { describe } from "vitest"
import { Analytics, Campaigns, SharedCache, Users } from "../../src/index.ts"
import { DatabaseEmbedded } from "../../src/embedded.ts"
import { DatabaseMemory } from "../../src/memory.ts"
import { greetingKey, report, write } from "../../examples/quickstart.ts"

const answers = (lines: ReadonlyArray<{ readonly store: string; readonly answer: string }>) =>
  Object.fromEntries(lines.map(({ answer, store }) => [store, answer]))

for (const [title, layer] of [
  ["memory", Layer.fresh(DatabaseMemory)],
  ["embedded engines", DatabaseEmbedded]
] as const) {
  describe(`the quickstart on ${title}`, () => {
    it.live(
      "reports what each store holds, not what was written",
      () =>
        Effect.gen(function* () {
          const analytics = yield* Analytics
          const cache = yield* SharedCache
          const campaigns = yield* Campaigns
          const users = yield* Users

          const written = yield* write
          const before = answers(yield* report(written))
          assert.match(before["PostgreSQL"]!, /^user alicia-\w+ <alice\+\w+@example\.com>, version 2$/)
          assert.match(before["ClickHouse"]!, /^1000 events, 95\.0 % succeeded, mean 599\.5 ms, p95 1049\.\d ms, \$50$/)
          assert.match(before["MongoDB"]!, /^2 campaigns of this run with 2000 impressions; in all 2 active$/)
          assert.match(before["Redis"]!, /^cached "hello alicia-\w+"; call 4 within a minute refused$/)

          yield* users.update(written.user.id, written.user.version, { username: `changed-${written.run}` })
          yield* analytics.trackWorkflowEvent({
            workflowId: "another",
            userId: written.user.id,
            service: `quickstart-${written.run}`,
            eventType: "failed",
            durationMillis: 600,
            costUsd: 1,
            success: false
          })
          yield* campaigns.incrementMetrics({ ids: [written.campaigns[0]!] }, { impressions: 7 })
          yield* cache.set(greetingKey(written.run), { text: "changed", readers: 1 })

          const after = answers(yield* report(written))
          assert.match(after["PostgreSQL"]!, /^user changed-\w+ .*version 3$/)
          assert.match(after["ClickHouse"]!, /^1001 events, 94\.9 % succeeded.*\$51$/)
          assert.match(after["MongoDB"]!, /with 2007 impressions/)
          assert.match(after["Redis"]!, /^cached "changed"/)

          yield* users.delete(written.user.id)
          yield* cache.delete(greetingKey(written.run))
          const gone = answers(yield* report(written))
          assert.equal(gone["PostgreSQL"], "the user is gone")
          assert.match(gone["Redis"]!, /^cached "loaded anew"/)
        }).pipe(Effect.provide(layer)),
      60_000
    )
  })
}
