import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { MongoClient } from "mongodb"
import { makeCalls } from "../core/Calls.ts"
import { currentCredential } from "../core/Credential.ts"
import { type MongoConfig, type MongoOptions, type MongoPreset, sections } from "../core/DatabaseConfig.ts"
import type { Probe } from "../core/Probe.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import { type Endpoint, startUp } from "../core/StartUp.ts"
import type { StoreError } from "../core/StoreError.ts"
import { parseStoreUrl } from "../core/StoreUrl.ts"
import { makeCollection } from "./makeCollection.ts"
import { makeMongoCalls } from "./MongoCalls.ts"
import type { DocumentSchema, MongoCollection } from "./MongoCollection.ts"
import { makeMongoConnections } from "./MongoConnections.ts"
import { MongoDatabase } from "./MongoDatabase.ts"
import { makeServerCollection } from "./ServerCollection.ts"

/**
 * A client of one MongoDB deployment, and of one database in it.
 *
 * Every call ends: the client gives it up at its limit (30 s, or the Context's Deadline) and the server at the same
 * (`maxTimeMS`). An interrupted read is ended on the server as well; a write that was sent is carried out, and one still
 * waiting for a connection is never sent. Writes of one document are sent again by the driver after a lost reply and stored once.
 */
export class MongoDbClient extends Context.Service<
  MongoDbClient,
  Probe & {
    /** Name of the database. */
    readonly database: string
    /** Makes the handle of a typed collection; nothing is sent. */
    readonly collection: <T>(name: string, schema: DocumentSchema<T>) => MongoCollection<T>
    /**
     * A client of the driver, opened when it is first asked for: the same settings, the driver's own limits and errors, no decoding.
     * Its connections are its own, and not in `stats`.
     */
    readonly raw: MongoClient
  }
>()("@ai-core/database/mongodb/MongoDbClient") {}

/** How long one question at start-up may take; milliseconds. Shorter than start-up's own limit, so that it can say why. */
const askFor = 1000

/**
 * Makes a client whose connections live as long as the scope; closing it drains first, for `shutdownTimeout` at most.
 *
 * A URL that is an Effect is read again when the server does not let a new connection in, so that a rotated password needs no
 * restart; calls that met the old one are sent again.
 * Fails with `ConfigInvalid`, or with `StoreError`: `Unavailable` or `Timeout` naming host and port once `connectTimeout` has
 * passed, `AuthenticationFailed` at once.
 *
 * @example
 * ```ts
 * const client = yield* MongoDbClient.make({ url: Redacted.make("mongodb://localhost:27017"), database: "shop" })
 * ```
 */
export const make = (
  options: MongoOptions
): Effect.Effect<MongoDbClient["Service"], StoreError | ConfigInvalid, Scope.Scope> =>
  Effect.flatMap(sections.mongodb.make(options), fromConfig)

const fromConfig = Effect.fnUntraced(function* (
  config: MongoConfig
): Effect.fn.Return<MongoDbClient["Service"], StoreError, Scope.Scope> {
  const url = yield* currentCredential(config.url)
  const { host, port } = yield* parseStoreUrl("mongodb", url, 27017)
  const endpoint: Endpoint = { store: "mongodb", host, port }
  const calls = yield* makeCalls({ store: "mongodb", host, port })

  const connections = yield* makeMongoConnections(url, config)
  // Closed before the connections are: what is under way may end.
  yield* Effect.addFinalizer(() => calls.drain(config.shutdownTimeout))
  const mongo = yield* makeMongoCalls({
    calls,
    endpoint,
    connections,
    limits: {
      timeout: Duration.toMillis(config.timeout),
      serverSelection: Duration.toMillis(config.serverSelectionTimeout),
      waitQueue: Duration.toMillis(config.waitQueueTimeout)
    }
  })
  const pingWithin = (timeoutMillis?: number) =>
    mongo.run({
      operation: "ping",
      kind: "read",
      timeoutMillis,
      send: (limits) => connections.current().client.db(config.database).command({ ping: 1 }, limits),
      decode: () => Exit.void
    })
  const ask = Math.min(askFor, Duration.toMillis(config.connectTimeout) / 2)
  yield* startUp(endpoint, config.connectTimeout, pingWithin(ask))

  return MongoDbClient.of({
    endpoint,
    ping: pingWithin(),
    stats: Effect.sync(mongo.stats),
    database: config.database,
    get raw() {
      return connections.raw()
    },
    collection: (name, schema) =>
      makeCollection(name, schema, makeServerCollection(connections.collection(name), mongo))
  })
})

const databaseOf = Layer.effect(
  MongoDatabase,
  Effect.map(MongoDbClient, ({ collection, database }) => MongoDatabase.of({ name: database, collection }))
)

/** The client as a layer, and its database as `MongoDatabase` beside it. */
export const layer = (options: MongoOptions): Layer.Layer<MongoDbClient | MongoDatabase, StoreError | ConfigInvalid> =>
  Layer.provideMerge(databaseOf, Layer.effect(MongoDbClient, make(options)))

/** The client by the `MONGODB_*` variables of the environment; `preset` takes the place of the defaults. */
export const layerConfig = (
  preset?: MongoPreset
): Layer.Layer<MongoDbClient | MongoDatabase, StoreError | ConfigInvalid> =>
  Layer.provideMerge(
    databaseOf,
    Layer.effect(MongoDbClient, Effect.flatMap(sections.mongodb.fromEnvironment(preset), fromConfig))
  )
