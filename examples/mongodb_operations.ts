/** Campaigns on MongoDB: insert, find by status, update many, a change under a version, and an aggregation. */
import { CampaignId, Campaigns } from "@ai-core/database"
import { Console, Effect, Option, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { runExample } from "./support/runExample.ts"

const run = randomUUID().slice(0, 8)
const campaign = (name: string, status: "active" | "draft") => ({
  campaignId: CampaignId.make(`${name}-${run}`),
  name: `The ${name} sale`,
  status,
  tags: [name, run],
  metadata: { channel: "email", audience: { country: "SE", ages: [20, 40] } }
})

const program = Effect.gen(function* () {
  const campaigns = yield* Campaigns

  const summer = yield* campaigns.insert(campaign("summer", "active"))
  const winter = yield* campaigns.insert(campaign("winter", "active"))
  const spring = yield* campaigns.insert(campaign("spring", "draft"))
  yield* Console.log(`inserted    ${summer.campaignId}, ${winter.campaignId}, ${spring.campaignId}`)

  const again = yield* Effect.flip(campaigns.insert(campaign("summer", "draft")))
  yield* Console.log(`refused     ${again.message}`)

  const mine = yield* campaigns.findByStatus("active").pipe(
    Stream.filter(({ tags }) => tags.includes(run)),
    Stream.runCollect
  )
  yield* Console.log(`active      ${mine.map(({ name }) => name).join(", ")}`)

  const ids = mine.map(({ campaignId }) => campaignId)
  const changed = yield* campaigns.incrementMetrics({ ids }, { impressions: 1000, clicks: 25, spend: 990 })
  yield* Console.log(`counted     1000 impressions on each of ${changed}`)

  const found = Option.getOrThrow(yield* campaigns.findById(summer.campaignId))
  yield* Console.log(
    `read back   ${found.name}: ${found.metrics.impressions} impressions, ${found.metrics.clicks} clicks`
  )

  const paused = yield* campaigns.changeStatus(found.campaignId, found.version, "paused")
  const late = yield* Effect.flip(campaigns.changeStatus(found.campaignId, found.version, "completed"))
  yield* Console.log(`paused      at version ${paused.version}; a later writer is refused: ${late._tag}`)

  for (const { campaigns: count, impressions, status } of yield* campaigns.totalsByStatus) {
    yield* Console.log(`in all      ${count} ${status}, ${impressions} impressions`)
  }
})

export const main = (): void => runExample(program)

if (import.meta.main) main()
