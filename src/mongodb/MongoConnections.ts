import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Collection, type Document, MongoClient, type MongoClientOptions } from "mongodb"
import { currentCredential } from "../core/Credential.ts"
import type { MongoConfig } from "../core/DatabaseConfig.ts"
import { InvalidData, StoreError } from "../core/StoreError.ts"
import { monitorPool, type PoolMonitor } from "./PoolMonitor.ts"

/** How much longer than a call's limit a silent socket is kept; milliseconds. */
const socketPatience = 5000

const driverOptions = (config: MongoConfig): MongoClientOptions => {
  const timeout = Duration.toMillis(config.timeout)
  return {
    maxPoolSize: config.maxPoolSize,
    minPoolSize: config.minPoolSize,
    maxIdleTimeMS: Duration.toMillis(config.maxIdleTime),
    connectTimeoutMS: Duration.toMillis(config.connectTimeout),
    serverSelectionTimeoutMS: Math.min(Duration.toMillis(config.serverSelectionTimeout), timeout),
    waitQueueTimeoutMS: Duration.toMillis(config.waitQueueTimeout),
    socketTimeoutMS: timeout + socketPatience,
    retryReads: true,
    retryWrites: true,
    ignoreUndefined: true
  }
}

/** The driver's client as it is now. */
export interface MongoConnections {
  readonly client: () => MongoClient
  /** A collection of the configured database, on the client as it is at each call. */
  readonly collection: (name: string) => () => Collection<Document>
  readonly pool: PoolMonitor
  /**
   * Reads the URL again after this client was not let in, and says whether another client has taken its place.
   *
   * The driver has no hook to read a password anew, so a rotated one means a new client. The one before stays open for as long
   * as its calls may take.
   */
  readonly renew: (refused: MongoClient) => Effect.Effect<boolean, StoreError>
}

interface Opened {
  readonly url: string
  readonly client: MongoClient
  readonly pool: PoolMonitor
}

const open = (url: Redacted.Redacted, config: MongoConfig): Effect.Effect<Opened, StoreError> =>
  Effect.try({
    try: () => {
      const client = new MongoClient(Redacted.value(url), driverOptions(config))
      return { url: Redacted.value(url), client, pool: monitorPool(client, config.maxPoolSize) }
    },
    // The driver's error may repeat the URL, and so the password.
    catch: () =>
      new StoreError({
        store: "mongodb",
        operation: "connect",
        outcome: "not-applied",
        reason: new InvalidData({
          subject: "configuration",
          problems: [{ field: "url", problem: "has an option that the MongoDB driver does not take" }]
        })
      })
  })

/** Opens the client of a URL that was read already; every client that takes its place is closed with the scope. */
export const makeMongoConnections = (
  url: Redacted.Redacted,
  config: MongoConfig
): Effect.Effect<MongoConnections, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const one = Semaphore.makeUnsafe(1)

    const close = ({ client }: Opened): Effect.Effect<void> =>
      Effect.ignore(
        Effect.timeoutOption(
          Effect.promise(() => client.close()),
          config.shutdownTimeout
        )
      )
    const scoped = (url: Redacted.Redacted) => Effect.acquireRelease(open(url, config), close)

    let current = yield* scoped(url)

    const renew: MongoConnections["renew"] = (refused) =>
      one.withPermit(
        Effect.gen(function* () {
          if (current.client !== refused) return true
          const url = yield* currentCredential(config.url)
          if (Redacted.value(url) === current.url) return false
          const before = current
          current = yield* Scope.provide(scoped(url), scope)
          yield* Effect.forkIn(Effect.delay(close(before), config.timeout), scope)
          return true
        })
      )

    return {
      client: () => current.client,
      collection: (name) => {
        let of: Opened | undefined
        let handle: Collection<Document> | undefined
        return () => {
          if (handle === undefined || of !== current) {
            of = current
            handle = current.client.db(config.database).collection(name)
          }
          return handle
        }
      },
      pool: { stats: () => current.pool.stats(), refusal: () => current.pool.refusal() },
      renew
    }
  })
