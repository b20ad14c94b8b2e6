import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as RcRef from "effect/RcRef"
import * as Scope from "effect/Scope"
import * as EffectRedis from "effect/persistence/Redis"
import type { Calls } from "../core/Calls.ts"
import type { RedisConfig } from "../core/DatabaseConfig.ts"
import { Deadline } from "../core/Deadline.ts"
import type { Endpoint } from "../core/StartUp.ts"
import type { StoreError } from "../core/StoreError.ts"
import type { Argument, RedisCall } from "./RedisCommand.ts"
import { type Open, type Purpose, whenReady } from "./RedisDriver.ts"
import { connectError } from "./RedisError.ts"
import { type Line, makeLine } from "./RedisLine.ts"

// Effect's module looks for NOSCRIPT in the text of the cause.
const toEffectError = (error: StoreError): EffectRedis.RedisError => {
  const code = "code" in error.reason ? error.reason.code : undefined
  return new EffectRedis.RedisError({
    cause: code === undefined ? error : new Error(`${code} ${error.message}`, { cause: error })
  })
}

const operation = "Redis.send"

type Send = <A = unknown>(command: string, ...args: ReadonlyArray<string>) => Effect.Effect<A, EffectRedis.RedisError>

type OnMessage = (message: EffectRedis.RedisMessage) => void

// A reserved connection is for commands that wait: only the Context's Deadline ends them.
const sendOver =
  (line: Line): Send =>
  <A>(command: string, ...args: ReadonlyArray<string>) =>
    Effect.flatMap(Deadline, (deadline) =>
      Effect.mapError(line.send<A>({ operation, kind: "write" }, command, args, deadline, Effect.fail), toEffectError)
    )

/** Effect's `Redis` over our connections, and the dedicated connections that are open. */
export const makeEffectRedis = (options: {
  readonly config: RedisConfig
  readonly open: Open
  readonly endpoint: Endpoint
  readonly calls: Calls
  readonly call: <A>(call: RedisCall, command: string, args: ReadonlyArray<Argument>) => Effect.Effect<A, StoreError>
}): Effect.Effect<
  { readonly redis: EffectRedis.Redis["Service"]; readonly opened: ReadonlySet<Line> },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const { call, calls, config, endpoint, open } = options
    const opened = new Set<Line>()
    const responseTimeout = Duration.toMillis(config.responseTimeout)

    const dedicated = (purpose: Purpose): Effect.Effect<Line, StoreError, Scope.Scope> =>
      Effect.gen(function* () {
        const driver = yield* open(purpose)
        yield* whenReady(driver).pipe(
          Effect.timeoutOrElse({ duration: config.connectionTimeout, orElse: () => Effect.fail(undefined) }),
          Effect.mapError((cause) => connectError(cause, "Redis.reserve", endpoint))
        )
        const { maxPending } = config
        const line = yield* makeLine({ driver, calls, endpoint, maxPending, lastError: () => undefined })
        yield* Effect.acquireRelease(
          Effect.sync(() => opened.add(line)),
          () => Effect.sync(() => opened.delete(line))
        )
        return line
      })

    const plain: Send = (command, ...args) =>
      Effect.mapError(call({ operation, kind: "write" }, command, args), toEffectError)

    const connect = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const line = yield* dedicated({ reconnects: false, blocking: true }).pipe(
        Scope.provide(scope),
        Effect.mapError(toEffectError),
        Effect.onError(() => Scope.close(scope, Exit.void))
      )
      return { send: sendOver(line), close: Scope.close(scope, Exit.void) }
    })

    // One connection carries every subscription; it opens with the first and closes with the last.
    const subscriber = yield* RcRef.make({
      acquire: Effect.gen(function* () {
        const line = yield* dedicated({ reconnects: true, blocking: false })
        const listeners = new Map<string, Set<OnMessage>>()
        const command = (name: "SUBSCRIBE" | "UNSUBSCRIBE", channel: string): Effect.Effect<void, StoreError> =>
          Effect.flatMap(Deadline, (deadline) =>
            Effect.suspend(() => {
              const latest = Math.min(deadline, line.now() + responseTimeout)
              return line.send({ operation: "Redis.subscribe", kind: "read" }, name, [channel], latest, Effect.fail)
            })
          )
        // The driver would subscribe again by itself, but leave a rejection unhandled where the connection is lost again.
        const again = Effect.suspend(() =>
          Effect.forEach(listeners.keys(), (channel) => command("SUBSCRIBE", channel), { discard: true })
        ).pipe(Effect.catch((error) => Effect.logWarning("A subscription could not be renewed", error)))
        const fork = yield* FiberSet.makeRuntime()
        line.driver.on("ready", () => fork(again))
        line.driver.on("message", (channel: string, message: string) => {
          for (const listener of listeners.get(channel) ?? []) listener({ channel, message })
        })
        return { listeners, command }
      })
    })

    const subscribe = (channel: string, onMessage: OnMessage) =>
      Effect.gen(function* () {
        const { command, listeners } = yield* RcRef.get(subscriber)
        const remove = Effect.suspend(() => {
          const group = listeners.get(channel)
          group?.delete(onMessage)
          if (group === undefined || group.size > 0) return Effect.void
          listeners.delete(channel)
          return Effect.ignore(command("UNSUBSCRIBE", channel))
        })
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            const group = listeners.get(channel) ?? new Set()
            listeners.set(channel, group.add(onMessage))
          }),
          () => remove
        )
        // Asked for each listener, so that each knows whether it will hear anything.
        yield* command("SUBSCRIBE", channel)
        return Effect.never
      }).pipe(Effect.mapError(toEffectError))

    const redis = yield* EffectRedis.make({
      send: plain,
      subscribe,
      connect,
      pool: { maxConnections: config.maxConnections, acquireTimeout: config.connectionTimeout }
    })
    return { redis, opened }
  })
