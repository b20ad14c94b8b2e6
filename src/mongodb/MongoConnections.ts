import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Collection, type Document, MongoClient, type MongoClientOptions } from "mongodb"
import { currentCredential } from "../core/Credential.ts"
import type { MongoConfig } from "../core/DatabaseConfig.ts"
import { longestTimer } from "../core/Setting.ts"
import { InvalidData, StoreError } from "../core/StoreError.ts"
import { monitorPool, type PoolMonitor } from "./PoolMonitor.ts"
import { makeReadSessions, type ReadSessions } from "./ReadSessions.ts"

/** How much longer than a call's limit a silent socket is kept; milliseconds. */
const socketPatience = 5000

const driverOptions = (config: MongoConfig): MongoClientOptions => ({
  maxPoolSize: config.maxPoolSize,
  minPoolSize: config.minPoolSize,
  maxIdleTimeMS: Duration.toMillis(config.maxIdleTime),
  connectTimeoutMS: Duration.toMillis(config.connectTimeout),
  // No limit: calls have their own.
  serverSelectionTimeoutMS: 0,
  socketTimeoutMS: Math.min(longestTimer, Duration.toMillis(config.timeout) + socketPatience),
  retryReads: true,
  retryWrites: true,
  ignoreUndefined: true
})

/** The driver's limits, for calls that have none of ours. */
const rawOptions = (config: MongoConfig): MongoClientOptions => ({
  ...driverOptions(config),
  minPoolSize: 0,
  serverSelectionTimeoutMS: Duration.toMillis(config.serverSelectionTimeout),
  waitQueueTimeoutMS: Duration.toMillis(config.waitQueueTimeout)
})

/** What is open to the deployment at one URL. */
export interface Connected {
  readonly client: MongoClient
  readonly sessions: ReadSessions
}

/** The driver's client as it is now. */
export interface MongoConnections {
  readonly current: () => Connected
  /** A client with connections and limits of its own, opened when it is first asked for. */
  readonly raw: () => MongoClient
  /** A collection of the configured database, on the client as it is at each call. */
  readonly collection: (name: string) => () => Collection<Document>
  readonly pool: PoolMonitor
  /**
   * Reads the URL again after these were not let in, and says whether others have taken their place.
   *
   * The driver has no hook to read a password anew, so a rotated one means a new client. The one before stays open for as long
   * as its calls may take.
   */
  readonly renew: (refused: Connected) => Effect.Effect<boolean, StoreError>
}

interface Opened extends Connected {
  readonly url: string
  readonly pool: PoolMonitor
  raw: MongoClient | undefined
}

const open = (url: Redacted.Redacted, config: MongoConfig): Effect.Effect<Opened, StoreError> =>
  Effect.try({
    try: () => {
      const client = new MongoClient(Redacted.value(url), driverOptions(config))
      return {
        url: Redacted.value(url),
        client,
        pool: monitorPool(client, config.maxPoolSize),
        sessions: makeReadSessions(client, config.maxPoolSize),
        raw: undefined
      }
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

    const close = ({ client, raw }: Opened): Effect.Effect<void> =>
      Effect.ignore(
        Effect.timeoutOption(
          Effect.promise(() => Promise.all([client.close(), raw?.close()])),
          config.shutdownTimeout
        )
      )
    const scoped = (url: Redacted.Redacted) => Effect.acquireRelease(open(url, config), close)

    let current = yield* scoped(url)

    const renew: MongoConnections["renew"] = (refused) =>
      one.withPermit(
        Effect.gen(function* () {
          if (current !== refused) return true
          const url = yield* currentCredential(config.url)
          if (Redacted.value(url) === current.url) return false
          const before = current
          current = yield* Scope.provide(scoped(url), scope)
          yield* Effect.forkIn(Effect.delay(close(before), config.timeout), scope)
          return true
        })
      )

    return {
      current: () => current,
      raw: () => (current.raw ??= new MongoClient(current.url, rawOptions(config))),
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
      pool: {
        stats: (waiting) => current.pool.stats(waiting),
        lent: () => current.pool.lent(),
        refusal: () => current.pool.refusal()
      },
      renew
    }
  })
