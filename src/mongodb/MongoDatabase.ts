import * as Context from "effect/Context"
import type { DocumentSchema, MongoCollection } from "./MongoCollection.ts"

/**
 * A database of typed collections, on a server or in memory: what a repository asks for that shall run on both.
 *
 * @example
 * ```ts
 * const templates = (yield* MongoDatabase).collection("templates", Template)
 * yield* templates.insertOne({ slug: "welcome", body: "Hello" })
 * ```
 */
export class MongoDatabase extends Context.Service<
  MongoDatabase,
  {
    readonly name: string
    /** Makes the collection's handle; nothing is sent. */
    readonly collection: <T>(name: string, schema: DocumentSchema<T>) => MongoCollection<T>
  }
>()("@ai-core/database/mongodb/MongoDatabase") {}
