import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { MongoDatabase } from "../../mongodb/MongoDatabase.ts"
import * as MongoDbMemory from "../../mongodb/MongoDbMemory.ts"
import { Campaigns } from "./Campaigns.ts"
import { make } from "./CampaignsStored.ts"

/** `Campaigns` in a database in memory. */
export const layerDatabase: Layer.Layer<Campaigns, never, MongoDatabase> = Layer.effect(
  Campaigns,
  Effect.flatMap(MongoDatabase, (database) => Effect.orDie(make(database)))
)

/** `Campaigns` in memory, with what else is built on `MongoDbMemory.layer`. */
export const layer: Layer.Layer<Campaigns> = Layer.provide(layerDatabase, MongoDbMemory.layer)
