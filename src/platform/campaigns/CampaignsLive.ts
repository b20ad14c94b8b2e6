import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { StoreError } from "../../core/StoreError.ts"
import { MongoDbClient } from "../../mongodb/MongoDbClient.ts"
import { Campaigns } from "./Campaigns.ts"
import { make } from "./CampaignsStored.ts"

/** `Campaigns` in MongoDB; building it makes sure that its indexes are there. */
export const layer: Layer.Layer<Campaigns, StoreError, MongoDbClient> = Layer.effect(
  Campaigns,
  Effect.flatMap(MongoDbClient, make)
)
