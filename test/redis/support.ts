import { Context, Duration, Effect, Redacted, type Scope } from "effect"
import { Redis } from "ioredis"
import type { RedisPreset } from "../../src/core/DatabaseConfig.ts"
import type { ConfigInvalid } from "../../src/core/Setting.ts"
import type { StoreError } from "../../src/core/StoreError.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { binaryRecipe } from "../servers/binaries.ts"
import { ServerError } from "../servers/ServerError.ts"
import { freePort, startBinary, temporaryFolder } from "../servers/startServer.ts"

export const read = { operation: "test.read", kind: "read" } as const
export const write = { operation: "test.write", kind: "write" } as const

/** A client of ours, for as long as the scope. */
export const clientOf = (
  url: string,
  options: Omit<RedisPreset, "url"> = {}
): Effect.Effect<RedisClient.RedisClient["Service"], ConfigInvalid | StoreError, Scope.Scope> =>
  Effect.map(RedisClient.make({ url: Redacted.make(url), ...options }), (context) =>
    Context.get(context, RedisClient.RedisClient)
  )

/** A bare connection that looks at what the server really holds. */
export const witness = (url: string): Effect.Effect<Redis, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const redis = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
      redis.on("error", () => undefined)
      return redis
    }),
    (redis) => Effect.sync(() => redis.disconnect())
  )

/** One command by the bare connection. */
export const ask = (redis: Redis, command: string, ...args: ReadonlyArray<string | number>): Effect.Effect<unknown> =>
  Effect.promise(() => redis.call(command, ...args))

/** Repeats until it succeeds; the test's own timeout ends it. */
export const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, never, R> =>
  Effect.catch(effect, () => Effect.andThen(Effect.sleep(20), eventually(effect)))

/** Waits until it holds. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.andThen(Effect.sleep(10), until(condition))))

/** How long an effect takes, in milliseconds, beside what it answers. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.map(Effect.timed(effect), ([duration, answer]) => [Duration.toMillis(duration), answer] as const)

/** A server of one's own with settings that can only be given at its start. */
export const serverWith = (...settings: ReadonlyArray<string>): Effect.Effect<string, ServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const recipe = binaryRecipe("redis")
    if (recipe === undefined) return yield* new ServerError({ store: "redis", problem: "no redis-server on PATH" })
    const folder = yield* temporaryFolder("redis")
    const { args, ...rest } = recipe(folder, yield* freePort)
    const started = yield* startBinary("redis", { ...rest, args: [...args, ...settings] }, folder, true)
    return started.url
  })
