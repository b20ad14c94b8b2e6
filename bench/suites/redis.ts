/** Redis: our client against plain ioredis on the same keys. */
import { Context, Effect, Layer, Option, Redacted, Schema, type Scope } from "effect"
import { Redis } from "ioredis"
import * as CacheKey from "../../src/redis/CacheKey.ts"
import * as RedisClient from "../../src/redis/RedisClient.ts"
import { SharedCache } from "../../src/redis/SharedCache.ts"
import * as SharedCacheLive from "../../src/redis/SharedCacheLive.ts"
import { type Bench, compare, type Variant } from "../harness.ts"
import { fibers, promises, wrong } from "../loops.ts"
import { redisStub } from "../stubs/redisStub.ts"

const keys = 1000
const keyOf = (i: number): number => (i * 7) % keys

const Profile = Schema.Struct({ id: Schema.Int, name: Schema.String, plan: Schema.String })
const profileOf = (id: number): typeof Profile.Type => ({ id, name: `user${id}`, plan: "team" })

const prefix = `ai_core_bench_${process.pid}`
const profileKey = CacheKey.make("profile", { key: Schema.Int, value: Profile })

const driver = (url: string, enableAutoPipelining: boolean): Effect.Effect<Redis, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Redis(url, { enableAutoPipelining })),
    (redis) => Effect.sync(() => redis.disconnect())
  )

/** Ours as a program gets it: every setting at its default. */
const ours = (url: string) =>
  Effect.gen(function* () {
    const made = yield* RedisClient.make({ url: Redacted.make(url) })
    const cache = yield* Effect.provide(Layer.build(SharedCacheLive.layer({ prefix })), made)
    return { client: Context.get(made, RedisClient.RedisClient), cache: Context.get(cache, SharedCache) }
  })

const ground = (url: string) =>
  Effect.gen(function* () {
    const plain = yield* driver(url, false)
    const { cache, client } = yield* ours(url)
    const ids = Array.from({ length: keys }, (_, id) => id)
    yield* cache.setMany(ids.map((id) => [profileKey(id), profileOf(id)] as const))
    const names = yield* Effect.forEach(ids, (id) =>
      Effect.map(profileKey(id).text("bench"), (text) => `${prefix}:${text}`)
    )
    const texts = ids.map((id) => JSON.stringify(profileOf(id)))
    yield* Effect.addFinalizer(() => Effect.promise(() => plain.del(...names)))
    return { plain, cache, client, names, texts }
  })

const variants = (options: {
  readonly callers: number
  readonly plain: Redis
  readonly pipelining: Redis
  readonly client: RedisClient.RedisClient["Service"]
  readonly cache: SharedCache["Service"]
  readonly idOf: (i: number) => number
  readonly names: ReadonlyArray<string>
  readonly texts: ReadonlyArray<string>
}): readonly [Variant, ...ReadonlyArray<Variant>] => {
  const { cache, callers, client, idOf, names, pipelining, plain, texts } = options
  const nameOf = (id: number): string => names[id] ?? ""
  const check = (id: number, found: string | null) => {
    if (found === null || found !== texts[id]) wrong(`GET ${nameOf(id)}`, found)
  }
  const bare = (redis: Redis) => async (i: number) => {
    const id = idOf(i)
    check(id, await redis.get(nameOf(id)))
  }
  return [
    { name: "ioredis", run: promises(callers, bare(plain)) },
    { name: "ioredis, autopipelining", run: promises(callers, bare(pipelining)) },
    {
      name: "call",
      run: fibers(callers, (i) => {
        const id = idOf(i)
        return Effect.map(
          client.call<string | null>({ operation: "profile", kind: "read" }, "GET", [nameOf(id)]),
          (found) => check(id, found)
        )
      })
    },
    {
      name: "SharedCache.get, decoded",
      run: fibers(callers, (i) => {
        const id = idOf(i)
        return Effect.map(cache.get(profileKey(id)), (found) => {
          if (Option.isNone(found) || found.value.id !== id) wrong(`SharedCache.get ${id}`, found)
        })
      })
    }
  ]
}

const get = (callers: number): Bench => ({
  name: `redis/get-${callers}`,
  about: `GET of a short JSON text, ${callers === 1 ? "one caller" : `${callers} callers at once`}`,
  needs: ["redis"],
  measure: (settings) =>
    Effect.gen(function* () {
      const url = settings.url("redis")
      const made = yield* ground(url)
      return [
        yield* compare({
          bench: `redis/get-${callers}`,
          unit: "ops/s",
          settings,
          concurrency: callers,
          variants: variants({ ...made, callers, pipelining: yield* driver(url, true), idOf: keyOf })
        })
      ]
    })
})

const stats: Bench = {
  name: "redis/stats",
  about: "client statistics read once, against the driver's own state",
  needs: ["redis"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { client, plain } = yield* ground(settings.url("redis"))
      return [
        yield* compare({
          bench: "redis/stats",
          unit: "µs/call",
          settings,
          variants: [
            {
              name: "ioredis, its status",
              run: promises(1, async () => {
                if (plain.status !== "ready") wrong("status", plain.status)
              })
            },
            {
              name: "stats",
              run: fibers(1, () =>
                Effect.map(client.stats, (stats) => {
                  if (stats.size < 1) wrong("stats", stats)
                })
              )
            }
          ]
        })
      ]
    })
}

const own = (callers: number): Bench => ({
  name: `redis/own-cost-${callers}`,
  about: `the GET of get-${callers} on a stub in this process; over: what a call costs beyond the driver's`,
  needs: [],
  measure: (settings) =>
    Effect.gen(function* () {
      const text = JSON.stringify(profileOf(0))
      const url = `redis://127.0.0.1:${yield* redisStub(text)}`
      return [
        yield* compare({
          bench: `redis/own-cost-${callers}`,
          unit: "µs CPU/call",
          settings,
          concurrency: callers,
          difference: true,
          variants: variants({
            ...(yield* ours(url)),
            plain: yield* driver(url, false),
            pipelining: yield* driver(url, true),
            callers,
            idOf: () => 0,
            names: ["profile"],
            texts: [text]
          })
        })
      ]
    })
})

export const redis: ReadonlyArray<Bench> = [get(1), get(64), stats, own(1), own(64)]
