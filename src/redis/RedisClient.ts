import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as EffectRedis from "effect/persistence/Redis"
import { makeCalls } from "../core/Calls.ts"
import { type RedisConfig, type RedisOptions, type RedisPreset, sections } from "../core/DatabaseConfig.ts"
import { Deadline } from "../core/Deadline.ts"
import { withClientSpan } from "../core/Instrumentation.ts"
import { type PoolStats, poolStats } from "../core/Pool.ts"
import { defaultRetryPolicy, makeRetryBudget, retrying } from "../core/Retry.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import { type Endpoint, startUp } from "../core/StartUp.ts"
import type { Reason, StoreError } from "../core/StoreError.ts"
import type { Argument, RedisCall } from "./RedisCommand.ts"
import { type Driver, makeOpen, readAddress, whenReady } from "./RedisDriver.ts"
import { makeEffectRedis } from "./RedisEffect.ts"
import { codeOf, connectError } from "./RedisError.ts"
import { makeLine } from "./RedisLine.ts"

/** What the client is doing now. */
export interface RedisStats extends PoolStats {
  /** Plain commands whose answers have not come. */
  readonly pending: number
  /** Most plain commands that may be pending. */
  readonly maxPending: number
}

/**
 * One Redis server, or one cluster.
 *
 * Plain commands share one connection, and those sent in the same turn of the event loop leave in one write. A command that
 * timed out or was interrupted before it left never runs; none is sent twice unless that is safe; and once a lost server is
 * back, the same client works again.
 */
export class RedisClient extends Context.Service<
  RedisClient,
  {
    readonly endpoint: Endpoint
    /** One round trip. Fails with `StoreError`. */
    readonly ping: Effect.Effect<void, StoreError>
    /** Connections and pending commands, read from memory. */
    readonly stats: Effect.Effect<RedisStats>
    /**
     * The ioredis instance: what is sent through it has no deadline of ours, no bound and no classification.
     *
     * While the connection is down it fails at once: the offline queue is off.
     */
    readonly raw: Driver
    /** Life of a cached value that is set without one. */
    readonly defaultTtl: Duration.Duration
    /** Whether keys are spread over nodes, so that one command may not name keys of several slots. */
    readonly cluster: boolean
    /**
     * Sends one command and answers as the driver does: text, integer, list or null.
     *
     * Fails with `StoreError`: `Timeout` once the response timeout or the Context's Deadline has passed, retries included;
     * `PoolExhausted` at `maxPending`; `Unavailable` while the connection is down; `ConnectionLost` where it ended before the
     * answer came; else what the server's answer says.
     *
     * @example
     * ```ts
     * const visits = yield* redis.call<number>({ operation: "visit", kind: "write" }, "INCR", ["visits"])
     * ```
     */
    readonly call: <A = unknown>(
      call: RedisCall,
      command: string,
      args: ReadonlyArray<Argument>
    ) => Effect.Effect<A, StoreError>
  }
>()("@ai-core/database/redis/RedisClient") {}

const pauseBetweenReconnects = 1000

const fromConfig = (
  config: RedisConfig
): Effect.Effect<Context.Context<RedisClient | EffectRedis.Redis>, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const address = yield* readAddress(config.url)
    const { endpoint } = address
    let lastError: Error | undefined
    let reconnectedAt = Number.NEGATIVE_INFINITY

    // A failover behind one name shows as READONLY: a new connection finds the new primary. Not for every answer, since a
    // true replica would say it to each write.
    const reconnectsOn = (cause: Error): boolean => {
      const now = clock.currentTimeMillisUnsafe()
      if (codeOf(cause) !== "READONLY" || now - reconnectedAt < pauseBetweenReconnects) return false
      reconnectedAt = now
      return true
    }
    const open = yield* makeOpen(config, address, reconnectsOn)
    const driver = yield* open({ reconnects: true, blocking: false })
    driver.on("error", (cause: Error) => {
      lastError = cause
    })
    driver.on("ready", () => {
      lastError = undefined
    })
    const calls = yield* makeCalls({ store: "redis", host: endpoint.host, port: endpoint.port })
    const budget = makeRetryBudget()
    const line = yield* makeLine({
      driver,
      calls,
      endpoint,
      maxPending: config.maxPending,
      lastError: () => lastError,
      succeeded: budget.deposit
    })
    const responseTimeout = Duration.toMillis(config.responseTimeout)
    // A command refused for want of room is not kept in memory to be tried again: that is what the bound is for.
    const except = ({ _tag }: Reason) => _tag === "PoolExhausted" || _tag === "Timeout"
    const again = retrying(budget, { ...defaultRetryPolicy, attempts: config.retryAttempts, except })

    const attempt = <A>(
      call: RedisCall,
      command: string,
      args: ReadonlyArray<Argument>
    ): Effect.Effect<A, StoreError> =>
      Effect.withFiber((fiber) => {
        const deadline = Math.min(clock.currentTimeMillisUnsafe() + responseTimeout, fiber.getRef(Deadline))
        return line.send<A>(call, command, args, deadline, (first) => {
          if (call.retry === false || !first.isRetryable(call)) return Effect.fail(first)
          let failed: StoreError | undefined = first
          const next = Effect.suspend(() => {
            if (failed === undefined) return line.send<A>(call, command, args, deadline, Effect.fail)
            const error = failed
            failed = undefined
            return Effect.fail(error)
          })
          return Effect.provideService(again(next, call), Deadline, deadline)
        })
      })
    const call: RedisClient["Service"]["call"] = (call, command, args) =>
      withClientSpan(attempt(call, command, args), "redis", call.operation)

    const ping = Effect.asVoid(call({ operation: "ping", kind: "read", retry: false }, "PING", []))
    yield* startUp(
      endpoint,
      config.connectionTimeout,
      Effect.andThen(
        Effect.mapError(whenReady(driver), (cause) => connectError(cause ?? lastError, "connect", endpoint)),
        ping
      )
    )

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        line.close()
        return calls.drain(config.shutdownTimeout)
      })
    )
    const { opened, redis } = yield* makeEffectRedis({ config, open, endpoint, calls, call })

    const client = RedisClient.of({
      endpoint,
      ping,
      raw: driver,
      defaultTtl: config.defaultTtl,
      cluster: driver.isCluster,
      call,
      stats: Effect.sync(() => ({
        ...poolStats({
          size: (driver.status === "ready" ? 1 : 0) + opened.size,
          inUse:
            (driver.status === "ready" && line.pending() > 0 ? 1 : 0) +
            [...opened].filter((other) => other.pending() > 0).length,
          waiting: 0,
          max: 1 + config.maxConnections
        }),
        pending: line.pending(),
        maxPending: config.maxPending
      }))
    })
    return Context.add(Context.make(RedisClient, client), EffectRedis.Redis, redis)
  })

/**
 * Connects to Redis for as long as the scope, and disconnects once the commands under way have ended or the shutdown timeout
 * has passed.
 *
 * Provides Effect's own `Redis` (effect/persistence) beside ours. Fails with `ConfigInvalid`, or with `StoreError`:
 * `Unavailable` or `Timeout` naming host and port at the connection timeout, `AuthenticationFailed` at once.
 */
export const make = (
  options: RedisOptions
): Effect.Effect<Context.Context<RedisClient | EffectRedis.Redis>, ConfigInvalid | StoreError, Scope.Scope> =>
  Effect.flatMap(sections.redis.make(options), fromConfig)

/** {@link make} as a layer. */
export const layer = (
  options: RedisOptions
): Layer.Layer<RedisClient | EffectRedis.Redis, ConfigInvalid | StoreError> => Layer.effectContext(make(options))

/** Reads the settings from the environment (`REDIS_URL` …); `preset` takes the place of the defaults. */
export const layerConfig = (
  preset?: RedisPreset
): Layer.Layer<RedisClient | EffectRedis.Redis, ConfigInvalid | StoreError> =>
  Layer.effectContext(Effect.flatMap(sections.redis.fromEnvironment(preset), fromConfig))
