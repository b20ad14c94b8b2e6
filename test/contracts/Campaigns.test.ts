import { Effect, Layer, Redacted } from "effect"
import * as MongoDbClient from "../../src/mongodb/MongoDbClient.ts"
import * as CampaignsLive from "../../src/platform/campaigns/CampaignsLive.ts"
import * as CampaignsMemory from "../../src/platform/campaigns/CampaignsMemory.ts"
import { CampaignsContract } from "../../src/testing/contracts/CampaignsContract.ts"
import { freshMongo } from "../servers/index.ts"
import { runContract } from "./runContract.ts"

runContract(CampaignsContract, { implementation: "memory", layer: CampaignsMemory.layer })

runContract(CampaignsContract, {
  implementation: "live",
  stores: ["mongodb"],
  layer: () =>
    CampaignsLive.layer.pipe(
      Layer.provide(
        Layer.unwrap(
          Effect.map(freshMongo, ({ database, url }) =>
            MongoDbClient.layer({ url: Redacted.make(url), database, minPoolSize: 1 })
          )
        )
      )
    )
})
