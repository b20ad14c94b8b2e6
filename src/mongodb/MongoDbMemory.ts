import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { makeCollection } from "./makeCollection.ts"
import { type MemoryCollection, makeMemoryCollection } from "./memory/MemoryCollection.ts"
import { makeContext } from "./memory/MemoryOperators.ts"
import { MongoDatabase } from "./MongoDatabase.ts"

/**
 * Makes an empty database of typed collections in memory, for tests and for trying.
 *
 * It does what a server does for filters, updates, pipelines, unique, sparse and TTL indexes, with the Clock's time (`$$NOW`,
 * expiry, the ids it makes). **What it cannot do as a server does, it refuses**: an operator that is not on its list, 64-bit
 * integers beyond 2^53 and Decimal128 fail with `StoreError` (`InvalidStatement`). An operation is atomic; nothing is kept.
 */
export const make = (name = "memory"): Effect.Effect<MongoDatabase["Service"]> =>
  Effect.sync(() => {
    const collections = new Map<string, MemoryCollection>()
    const context = makeContext()
    const collectionOf = (collection: string): MemoryCollection => {
      let found = collections.get(collection)
      if (found === undefined) {
        found = makeMemoryCollection(collection, {
          context,
          documentsOf: (other) => collectionOf(other).documents()
        })
        collections.set(collection, found)
      }
      return found
    }
    return MongoDatabase.of({
      name,
      collection: (collection, schema) => makeCollection(collection, schema, collectionOf(collection))
    })
  })

/** A database in memory as a layer; what is built with it shares one. */
export const layer: Layer.Layer<MongoDatabase> = Layer.effect(MongoDatabase, make())
