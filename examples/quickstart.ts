/**
 * One program on embedded engines (`npm start`), on four servers (`npm start -- --live`) or in memory (`npm start -- --memory`):
 * it writes to every store, reads back what each one holds, and reports it.
 */
import {
  Analytics,
  CacheKey,
  CampaignId,
  Campaigns,
  RateLimit,
  RateLimiter,
  SharedCache,
  TimeRange,
  Transaction,
  type User,
  Users
} from "@ai-core/database"
import { BigDecimal, Clock, Console, Effect, Option, Redacted, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { choice } from "./support/chosenLayer.ts"
import { runExample } from "./support/runExample.ts"

const Greeting = Schema.Struct({ text: Schema.String, readers: Schema.Int })
export const greetingKey = CacheKey.make("quickstart-greeting", { key: Schema.String, value: Greeting })
const rule = RateLimit.rule({ name: "quickstart", limit: 3, window: "1 minute" })

/** What the program wrote, as far as it must know it to read it back. */
export interface Written {
  /** Sets this run apart from others on the same servers. */
  readonly run: string
  readonly user: User
  readonly campaigns: ReadonlyArray<CampaignId>
}

/** Writes to all four stores. */
export const write = Effect.gen(function* () {
  const analytics = yield* Analytics
  const cache = yield* SharedCache
  const campaigns = yield* Campaigns
  const limiter = yield* RateLimiter
  const transaction = yield* Transaction
  const users = yield* Users
  const run = randomUUID().slice(0, 8)

  const user = yield* transaction.run(
    Effect.gen(function* () {
      const created = yield* users.create({
        email: `alice+${run}@example.com`,
        username: `alice-${run}`,
        passwordHash: Redacted.make("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")
      })
      return yield* users.update(created.id, created.version, { username: `alicia-${run}` })
    })
  )

  yield* analytics.trackWorkflowEvents(
    Array.from({ length: 1000 }, (_, i) => ({
      workflowId: `workflow-${i % 10}`,
      userId: user.id,
      service: `quickstart-${run}`,
      eventType: i % 20 === 0 ? ("failed" as const) : ("completed" as const),
      durationMillis: 100 + i,
      costUsd: 0.05,
      success: i % 20 !== 0
    }))
  )

  const ids = ["spring", "summer"].map((season) => CampaignId.make(`${season}-${run}`))
  for (const campaignId of ids)
    yield* campaigns.insert({ campaignId, name: `Campaign ${campaignId}`, status: "active" })
  yield* campaigns.incrementMetrics({ ids }, { impressions: 1000, clicks: 30, spend: 1250 })

  yield* cache.set(greetingKey(run), { text: `hello ${user.username}`, readers: 0 }, { ttl: "5 minutes" })
  for (const _ of [1, 2, 3]) yield* limiter.check(rule, run)
  return { run, user, campaigns: ids } satisfies Written
})

/** One store's answer. */
export interface Line {
  readonly store: string
  readonly answer: string
  readonly millis: number
}

/** Asks every store what it holds of this run. */
export const report = ({ campaigns: ids, run, user }: Written) =>
  Effect.gen(function* () {
    const analytics = yield* Analytics
    const cache = yield* SharedCache
    const campaigns = yield* Campaigns
    const limiter = yield* RateLimiter
    const users = yield* Users

    const line = <E>(store: string, answer: Effect.Effect<string, E>): Effect.Effect<Line, E> =>
      Effect.gen(function* () {
        const start = yield* Clock.currentTimeNanos
        const text = yield* answer
        return { store, answer: text, millis: Number((yield* Clock.currentTimeNanos) - start) / 1e6 }
      })
    const percent = (share: number) => `${(100 * share).toFixed(1)} %`

    return yield* Effect.all([
      line(
        "PostgreSQL",
        Effect.map(users.findByEmail(user.email), (found) =>
          Option.match(found, {
            onNone: () => "the user is gone",
            onSome: ({ email, username, version }) => `user ${username} <${email}>, version ${version}`
          })
        )
      ),
      line(
        "ClickHouse",
        Effect.map(
          analytics.workflowMetrics(TimeRange.lastHour(), { service: `quickstart-${run}` }),
          ({ meanDurationMillis, p95DurationMillis, successRate, totalCostUsd, totalEvents }) =>
            totalEvents === 0
              ? "no events"
              : `${totalEvents} events, ${percent(Option.getOrElse(successRate, () => 0))} succeeded, mean ${Option.getOrElse(meanDurationMillis, () => 0).toFixed(1)} ms, p95 ${Option.getOrElse(p95DurationMillis, () => 0).toFixed(1)} ms, $${BigDecimal.format(totalCostUsd)}`
        )
      ),
      line(
        "MongoDB",
        Effect.gen(function* () {
          const found = (yield* Effect.forEach(ids, campaigns.findById)).filter(Option.isSome)
          const impressions = found.reduce((sum, { value }) => sum + value.metrics.impressions, 0)
          const totals = yield* campaigns.totalsByStatus
          const statuses = totals.map(({ campaigns, status }) => `${campaigns} ${status}`).join(", ")
          return `${found.length} campaigns of this run with ${impressions} impressions; in all ${statuses || "none"}`
        })
      ),
      line(
        "Redis",
        Effect.gen(function* () {
          const loaded = yield* cache.getOrSet(
            greetingKey(run),
            { ttl: "5 minutes" },
            Effect.succeed({ text: "loaded anew", readers: 0 })
          )
          const decision = yield* limiter.check(rule, run)
          return `cached "${loaded.text}"; call ${decision.limit + 1} within a minute ${decision.allowed ? "allowed" : "refused"}`
        })
      )
    ])
  })

const program = Effect.gen(function* () {
  const started = yield* Clock.currentTimeMillis
  const lines = yield* Effect.flatMap(write, report)
  const width = Math.max(...lines.map(({ store }) => store.length))
  yield* Console.log(
    `@ai-core/database on ${choice === "live" ? "four servers" : choice === "memory" ? "memory" : "embedded engines"}\n`
  )
  for (const { answer, millis, store } of lines) {
    yield* Console.log(`  ${store.padEnd(width)}  ${millis.toFixed(1).padStart(7)} ms  ${answer}`)
  }
  yield* Console.log(`\n  written and read back in ${((yield* Clock.currentTimeMillis) - started).toFixed(0)} ms`)
})

export const main = (): void => runExample(program)

if (import.meta.main) main()
