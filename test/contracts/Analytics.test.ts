import { Effect, Layer, Redacted } from "effect"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import * as ClickHouseEmbedded from "../../src/clickhouse/ClickHouseEmbedded.ts"
import * as AnalyticsLive from "../../src/platform/analytics/AnalyticsLive.ts"
import * as AnalyticsMemory from "../../src/platform/analytics/AnalyticsMemory.ts"
import * as AnalyticsMigrations from "../../src/platform/analytics/AnalyticsMigrations.ts"
import { AnalyticsContract } from "../../src/testing/contracts/AnalyticsContract.ts"
import { freshClickHouse } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

const migrated = AnalyticsLive.layer.pipe(Layer.provide(AnalyticsMigrations.layerClickHouse))

runContract(AnalyticsContract, { implementation: "memory", layer: AnalyticsMemory.layer })

runContract(AnalyticsContract, {
  implementation: "embedded",
  layer: migrated.pipe(Layer.provide(ClickHouseEmbedded.layer()))
})

runContract(AnalyticsContract, {
  implementation: "live",
  stores: ["clickhouse"],
  layer: () =>
    migrated.pipe(
      Layer.provide(
        Layer.unwrap(
          Effect.map(freshClickHouse, ({ database, url }) =>
            ClickHouseClient.layer({ url: Redacted.make(url), database })
          )
        )
      )
    )
})
