import * as assert from "node:assert/strict"
import { describe, it, layer } from "@effect/vitest"
import { Clock, DateTime, Effect, Exit, Fiber, Layer, Redacted, Result, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import type { ClickHouseOptions } from "../../src/core/DatabaseConfig.ts"
import { within } from "../../src/core/Deadline.ts"
import { Analytics, type NewWorkflowEvent } from "../../src/platform/analytics/Analytics.ts"
import * as AnalyticsLive from "../../src/platform/analytics/AnalyticsLive.ts"
import * as AnalyticsMigrations from "../../src/platform/analytics/AnalyticsMigrations.ts"
import * as TimeRange from "../../src/platform/TimeRange.ts"
import * as TcpProxy from "../../src/testing/TcpProxy.ts"
import { describeLive, freshClickHouse } from "../servers/index.ts"

const Count = Schema.Struct({ n: Schema.FiniteFromString })

const event: NewWorkflowEvent = {
  workflowId: "w",
  userId: "u",
  service: "test",
  eventType: "completed",
  durationMillis: 1,
  success: true
}

/** A migrated database, `Analytics` by way of a proxy, and a client past it. */
const setUp = (options: AnalyticsLive.AnalyticsOptions = {}, client: Omit<ClickHouseOptions, "url"> = {}) =>
  Effect.gen(function* () {
    const { database, url } = yield* freshClickHouse
    const proxy = yield* TcpProxy.forUrl(url)
    const direct = yield* ClickHouseClient.make({ url: Redacted.make(url), database })
    yield* Effect.provideService(AnalyticsMigrations.clickhouse, ClickHouseClient.ClickHouseClient, direct)
    const scope = yield* Scope.make()
    const context = yield* AnalyticsLive.layerWith(options).pipe(
      Layer.provide(
        ClickHouseClient.layer({ url: Redacted.make(proxy.url), database, timeout: "10 seconds", ...client })
      ),
      Layer.buildWithScope(scope)
    )
    const count = (query: string) =>
      Effect.map(direct.query("test", { query, params: { database }, schema: Count }), ([row]) => row?.n)
    return {
      proxy,
      scope,
      analytics: yield* Effect.provide(Analytics, context),
      stored: count("SELECT count() AS n FROM workflow_events"),
      parts: count(
        "SELECT count() AS n FROM system.parts WHERE database = {database:String} AND table = 'workflow_events' AND level = 0"
      )
    }
  })

describeLive("clickhouse", "AnalyticsLive", () => {
  layer(Layer.empty, { excludeTestServices: true })((it) => {
    it.effect("a thousand concurrent callers cost a few INSERTs", () =>
      Effect.gen(function* () {
        const { analytics, parts, stored } = yield* setUp()
        yield* Effect.forEach(Array.from({ length: 1000 }), () => analytics.trackWorkflowEvent(event), {
          concurrency: "unbounded"
        })
        assert.equal(yield* stored, 1000)
        assert.ok(((yield* parts) ?? 0) <= 4)
      })
    )

    it.effect("closing stores what was accepted: nothing tracked is lost", () =>
      Effect.gen(function* () {
        const { analytics, scope, stored } = yield* setUp({ linger: "1 hour" })
        const tracking = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 500 }), () => analytics.trackWorkflowEvent(event), {
            concurrency: "unbounded"
          })
        )
        yield* Effect.sleep("100 millis")
        assert.equal(yield* stored, 0)
        yield* Effect.timeout(Scope.close(scope, Exit.void), "10 seconds")
        assert.equal((yield* Fiber.join(tracking)).length, 500)
        assert.equal(yield* stored, 500)
      })
    )

    it.effect("answers dropped: single events and batches are stored once each, and known", () =>
      Effect.gen(function* () {
        const { analytics, proxy, stored } = yield* setUp()
        yield* proxy.dropReplies({ afterRequestMatching: "INSERT" })
        yield* Effect.forEach([1, 2, 3], () => analytics.trackWorkflowEvent(event), { concurrency: "unbounded" })
        assert.equal(yield* stored, 3)
        yield* proxy.dropReplies({ afterRequestMatching: "INSERT", times: 2 })
        assert.equal(yield* analytics.trackWorkflowEvents([event, event]), 2)
        assert.equal((yield* proxy.counts).dropped, 3)
        assert.equal(yield* stored, 5)
      })
    )

    it.effect("server hung: closing ends by shutdownTimeout and every caller knows what became of its event", () =>
      Effect.gen(function* () {
        const { analytics, proxy, scope, stored } = yield* setUp(
          { size: 100 },
          { timeout: "1 minute", shutdownTimeout: "1 second" }
        )
        yield* analytics.trackWorkflowEvent(event)
        yield* proxy.hang
        const tracking = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 450 }), () => Effect.flip(analytics.trackWorkflowEvent(event)), {
            concurrency: "unbounded"
          })
        )
        yield* Effect.sleep("200 millis")
        yield* Effect.timeout(Scope.close(scope, Exit.void), "10 seconds")
        const errors = yield* Effect.timeout(Fiber.join(tracking), "1 second")
        const told = errors.map(({ outcome, reason }) => `${reason._tag} ${outcome}`)
        assert.equal(told.filter((text) => text === "Timeout unknown").length, 100)
        assert.equal(told.filter((text) => text === "Unavailable not-applied").length, 350)
        assert.equal(yield* stored, 1)
      })
    )

    it.effect("metadata that cannot be written fails its own caller, or names its place in the batch", () =>
      Effect.gen(function* () {
        const { analytics, stored } = yield* setUp()
        const toJSON = () => {
          throw new Error("not this one")
        }
        const bad = { ...event, metadata: { inner: Object.defineProperty({}, "toJSON", { value: toJSON }) } }
        const [one, ...others] = yield* Effect.forEach(
          [bad, event, event],
          (event) => Effect.result(analytics.trackWorkflowEvent(event)),
          { concurrency: "unbounded" }
        )
        assert.ok(one !== undefined && Result.isFailure(one) && one.failure.reason._tag === "InvalidData")
        assert.deepEqual(others.map(Result.isSuccess), [true, true])
        const { reason } = yield* Effect.flip(analytics.trackWorkflowEvents([event, bad]))
        assert.ok(reason._tag === "InvalidData")
        assert.deepEqual(
          reason.problems.map(({ field }) => field),
          ["events[1].metadata"]
        )
        assert.equal(yield* stored, 2)
      })
    )

    it.effect("server away: the callers learn it within their deadline, and it works again afterwards", () =>
      Effect.gen(function* () {
        const { analytics, proxy, stored } = yield* setUp()
        yield* proxy.hang
        const error = yield* Effect.flip(analytics.trackWorkflowEvent(event).pipe(within("500 millis")))
        assert.deepEqual([error.reason._tag, error.outcome], ["Timeout", "unknown"])
        yield* proxy.reset()
        yield* proxy.pass
        yield* analytics.trackWorkflowEvent({ ...event, service: "after" })
        assert.ok(((yield* stored) ?? 0) >= 1)
        const metrics = yield* analytics.workflowMetrics(TimeRange.lastHour(), { service: "after" })
        assert.equal(metrics.totalEvents, 1)
      })
    )
  })
})

describe("TimeRange", () => {
  const at = { store: "clickhouse", operation: "test" } as const

  it.effect("is read from the Clock when it is used, up to and with the present millisecond", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      const range = TimeRange.lastHour()
      yield* TestClock.adjust("1 minute")
      const now = yield* Clock.currentTimeMillis
      assert.deepEqual(yield* TimeRange.resolve(at, range), { fromMillis: now + 1 - 3_600_000, toMillis: now + 1 })
      const day = yield* TimeRange.resolve(at, TimeRange.lastDay())
      assert.equal(day.toMillis - day.fromMillis, 86_400_000)
    })
  )

  it.effect("takes moments of any zone", () =>
    Effect.gen(function* () {
      const zoned = DateTime.makeZonedUnsafe("2026-03-01T00:00:00Z", { timeZone: "Asia/Tokyo" })
      assert.deepEqual(yield* TimeRange.resolve(at, TimeRange.between(zoned, "2026-03-01T00:00:01Z")), {
        fromMillis: Date.UTC(2026, 2, 1),
        toMillis: Date.UTC(2026, 2, 1) + 1000
      })
    })
  )

  it.effect("refuses what no store could hold", () =>
    Effect.gen(function* () {
      for (const range of [
        TimeRange.between("1899-12-31T23:59:59Z", "2026-01-01"),
        TimeRange.between("2026-01-01", "2300-01-01"),
        TimeRange.between("2026-01-02", "2026-01-01"),
        TimeRange.last("1000000 weeks")
      ]) {
        const error = yield* Effect.flip(TimeRange.resolve(at, range))
        assert.equal(error.reason._tag, "InvalidData")
      }
    })
  )
})
