import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Cluster, Redis, type RedisOptions as DriverOptions } from "ioredis"
import { type Credential, currentCredential } from "../core/Credential.ts"
import type { RedisConfig } from "../core/DatabaseConfig.ts"
import { longestTimer } from "../core/Setting.ts"
import type { Endpoint } from "../core/StartUp.ts"
import { parseStoreUrl, type StoreUrl } from "../core/StoreUrl.ts"
import { InvalidData, StoreError } from "../core/StoreError.ts"

type Settings = Omit<DriverOptions, "replyMapping">

/** One connection, or one client of a cluster. */
export type Driver = Redis | Cluster

/** Who asks, and where; read anew for each connection. */
export interface Address {
  readonly endpoint: Endpoint
  readonly options: Pick<Settings, "username" | "password" | "db" | "tls"> & {
    readonly host: string
    readonly port: number
  }
}

const defaultPort = 6379

const badDatabase = (): StoreError =>
  new StoreError({
    store: "redis",
    operation: "connect",
    outcome: "not-applied",
    reason: new InvalidData({
      subject: "configuration",
      problems: [{ field: "url", problem: "must end with the number of a database, such as /0" }]
    })
  })

const addressOf = (url: StoreUrl): Effect.Effect<Address, StoreError> => {
  const db = url.database === undefined ? 0 : Number(url.database)
  if (!Number.isSafeInteger(db) || db < 0) return Effect.fail(badDatabase())
  return Effect.succeed({
    endpoint: { store: "redis", host: url.host, port: url.port },
    options: {
      host: url.host,
      port: url.port ?? defaultPort,
      db,
      ...(url.username === undefined ? {} : { username: url.username }),
      ...(url.password === undefined ? {} : { password: Redacted.value(url.password) }),
      ...(url.protocol === "rediss" ? { tls: {} } : {})
    }
  })
}

const readUrl = (secret: Redacted.Redacted): Effect.Effect<Address, StoreError> =>
  Effect.flatMap(parseStoreUrl("redis", secret, defaultPort), addressOf)

/** Reads where Redis is and who asks. */
export const readAddress = (credential: Credential): Effect.Effect<Address, StoreError> =>
  Effect.flatMap(currentCredential(credential), readUrl)

/**
 * A connection that reads its address before it connects, and each time it connects again.
 *
 * The driver itself takes its credentials once.
 */
class AddressedRedis extends Redis {
  private readonly refresh: (() => Promise<Address | undefined>) | undefined
  private closed = false

  constructor(options: Settings, refresh: (() => Promise<Address | undefined>) | undefined) {
    super({ ...options, lazyConnect: true })
    this.refresh = refresh
  }

  override connect(): Promise<void> {
    if (this.refresh === undefined) return super.connect()
    return this.refresh().then((address) => {
      if (this.closed) throw new Error("closed")
      if (address !== undefined) Object.assign(this.options, { username: null, password: null }, address.options)
      return super.connect()
    })
  }

  override disconnect(reconnect = false): void {
    if (!reconnect) this.closed = true
    super.disconnect(reconnect)
  }
}

/** What a connection is for. */
export interface Purpose {
  /** Connects again after a loss. */
  readonly reconnects: boolean
  /** Commands on it may wait for as long as they like. */
  readonly blocking: boolean
}

// What the driver does with a connection that went silent must come after our own deadline has answered the callers.
const silenceAllowance = 250

// The driver destroys a socket whose peer has not closed its side by then.
const disconnectTimeout = 500

const firstPause = 50
const longestPause = 1000

/** Opens a connection for as long as the scope; it connects once somebody waits for it. */
export type Open = (purpose: Purpose) => Effect.Effect<Driver, never, Scope.Scope>

const disconnect = (driver: Driver): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const open = driver.status === "ready" || driver.status === "connect"
    if (open) driver.once("end", () => resume(Effect.void))
    driver.disconnect()
    if (!open) resume(Effect.void)
  }).pipe(Effect.timeoutOption(disconnectTimeout * 2), Effect.asVoid)

/**
 * Opens connections as the configuration says.
 *
 * Nothing is queued while a connection is down, nothing is sent twice, and whatever was under way when a connection ended
 * fails at once: the driver's own defaults do otherwise.
 */
export const makeOpen = (
  config: RedisConfig,
  address: Address,
  /** Whether this answer asks for a new connection. */
  reconnectsOn: (cause: Error) => boolean
): Effect.Effect<Open> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const random = yield* Random.Random
    const runPromise = Effect.runPromiseWith(context)
    // Sooner than the start-up's own deadline, so that a host that swallows packets is told from one that never answers.
    const connectTimeout = Duration.toMillis(config.connectionTimeout) * 0.8

    // A secret that cannot be read, or not in time, must not end the reconnecting: the last known one is tried.
    const refresh = readAddress(config.url).pipe(
      Effect.timeoutOption(config.connectionTimeout),
      Effect.map(Option.getOrUndefined),
      Effect.catchCause((cause) =>
        Effect.as(Effect.logWarning("The address of Redis could not be read again", cause), undefined)
      )
    )
    const pauseBefore = (attempt: number): number =>
      Math.min(longestPause, firstPause * 2 ** (attempt - 1)) * (0.5 + random.nextDoubleUnsafe() / 2)

    const common = (purpose: Purpose): Settings => ({
      connectTimeout,
      disconnectTimeout,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      // PING after the handshake says LOADING where INFO would be asked again and again, in silence.
      enableReadyCheck: false,
      reconnectOnError: reconnectsOn,
      ...(purpose.blocking
        ? {}
        : { socketTimeout: Math.min(longestTimer, Duration.toMillis(config.responseTimeout) + silenceAllowance) })
    })

    const openOne = (purpose: Purpose): Driver =>
      new AddressedRedis(
        {
          ...common(purpose),
          ...address.options,
          retryStrategy: purpose.reconnects ? pauseBefore : () => null
        },
        Redacted.isRedacted(config.url) ? undefined : () => runPromise(refresh)
      )

    const openCluster = (purpose: Purpose): Driver => {
      const { db: _, host, port, ...secrets } = address.options
      return new Cluster([{ host, port }], {
        lazyConnect: true,
        enableOfflineQueue: false,
        enableReadyCheck: true,
        // Waiting and sending again are ours: a command that waits in the driver outlives its deadline.
        retryDelayOnFailover: 0,
        retryDelayOnClusterDown: 0,
        slotsRefreshTimeout: connectTimeout,
        slotsRefreshInterval: 10_000,
        clusterRetryStrategy: purpose.reconnects ? pauseBefore : () => null,
        redisOptions: { ...common(purpose), ...secrets }
      })
    }

    return (purpose) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const driver = config.enableCluster ? openCluster(purpose) : openOne(purpose)
          // Without a listener the driver prints; whoever needs to know listens too.
          driver.on("error", () => undefined)
          return driver
        }),
        disconnect
      )
  })

/** Waits until a connection can be used; fails with what the driver reports if it cannot be made now. */
export const whenReady = (driver: Driver): Effect.Effect<void, unknown> =>
  Effect.callback((resume) => {
    if (driver.status === "ready") return resume(Effect.void)
    const stop = () => {
      driver.off("ready", ready).off("error", failed).off("close", closed).off("end", closed)
    }
    const ready = () => {
      stop()
      resume(Effect.void)
    }
    const failed = (cause: unknown) => {
      stop()
      resume(Effect.fail(cause))
    }
    const closed = () => failed(undefined)
    driver.on("ready", ready).on("error", failed).on("close", closed).on("end", closed)
    if (driver.status === "wait") driver.connect().catch(() => undefined)
    return Effect.sync(stop)
  })
