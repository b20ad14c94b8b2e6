/** Redis: values cached under typed keys, one load for many callers, and an exact rate limit. */
import { CacheKey, RateLimit, RateLimiter, SharedCache } from "@ai-core/database"
import { Console, DateTime, Duration, Effect, Option, Ref, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { runExample } from "./support/runExample.ts"

const Profile = Schema.Struct({
  name: Schema.String,
  plan: Schema.Literals(["free", "pro"]),
  since: Schema.DateTimeUtc
})
const profileKey = CacheKey.make("profile", { key: Schema.String, value: Profile })
const perMinute = RateLimit.rule({ name: "redis-example", limit: 5, window: "1 minute" })

const program = Effect.gen(function* () {
  const cache = yield* SharedCache
  const limiter = yield* RateLimiter
  const id = randomUUID()
  const loads = yield* Ref.make(0)

  const load = Effect.gen(function* () {
    yield* Ref.update(loads, (n) => n + 1)
    yield* Effect.sleep("20 millis")
    return { name: "Alice", plan: "pro" as const, since: DateTime.makeUnsafe("2024-12-15T09:00:00Z") }
  })

  const profiles = yield* Effect.forEach(
    Array.from({ length: 100 }),
    () => cache.getOrSet(profileKey(id), { ttl: "10 minutes" }, load),
    { concurrency: "unbounded" }
  )
  yield* Console.log(`cached     ${profiles.length} callers, ${yield* Ref.get(loads)} load`)

  const life = Option.getOrElse(yield* cache.ttl(profileKey(id)), () => Duration.zero)
  yield* Console.log(`lives for  ${Math.round(Duration.toSeconds(life))} s more`)

  yield* Console.log(
    `deleted    ${yield* cache.delete(profileKey(id))}; then ${(yield* cache.get(profileKey(id)))._tag}`
  )

  for (const call of [1, 2, 3, 4, 5, 6]) {
    const { allowed, remaining, retryAfter } = yield* limiter.check(perMinute, id)
    const answer = allowed
      ? `allowed, ${remaining} left`
      : `refused, again in ${Math.ceil(Duration.toSeconds(retryAfter))} s`
    yield* Console.log(`call ${call}     ${answer}`)
  }

  const wrong = yield* Effect.flip(cache.set(profileKey(id), profiles[0]!, { ttl: Duration.seconds(-1) }))
  yield* Console.log(`refused    ${wrong.message}`)
})

export const main = (): void => runExample(program)

if (import.meta.main) main()
