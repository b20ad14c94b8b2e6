import { Effect, Layer, Redacted } from "effect"
import type { MongoOptions } from "../../src/core/DatabaseConfig.ts"
import * as MongoDbClient from "../../src/mongodb/MongoDbClient.ts"
import { freshMongo } from "../servers/index.ts"

/** A client on a database of its own, dropped when the layer ends. */
export const freshClient = (options: Omit<MongoOptions, "url"> = {}) =>
  Layer.unwrap(
    Effect.map(freshMongo, ({ database, url }) =>
      MongoDbClient.layer({ url: Redacted.make(url), database, minPoolSize: 0, ...options })
    )
  )

let serial = 0

/** Name of a collection that no other test of this file uses. */
export const freshName = Effect.sync(() => `things_${++serial}`)
