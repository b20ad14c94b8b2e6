import * as assert from "node:assert/strict"
import * as BigDecimal from "effect/BigDecimal"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { StoreError } from "../../core/StoreError.ts"
import { Analytics, type NewWorkflowEvent } from "../../platform/analytics/Analytics.ts"
import * as TimeRange from "../../platform/TimeRange.ts"
import * as Contract from "../Contract.ts"

/** A service that no other case has told of, and an event of it. */
const aService = Effect.gen(function* () {
  const service = yield* Contract.unique("service")
  const event = (more: Partial<NewWorkflowEvent> = {}): NewWorkflowEvent => ({
    workflowId: "w-1",
    userId: "u-1",
    service,
    eventType: "completed",
    durationMillis: 100,
    success: true,
    ...more
  })
  return { service, event }
})

const metricsOf = (service: string, range: TimeRange.TimeRange = TimeRange.lastHour()) =>
  Effect.flatMap(Analytics, (analytics) => analytics.workflowMetrics(range, { service }))

const eventsOf = (service: string, range: TimeRange.TimeRange = TimeRange.lastHour()) =>
  Effect.flatMap(Analytics, (analytics) => Stream.runCollect(analytics.workflowEvents(range, { service })))

const dollars = (text: string) => BigDecimal.fromStringUnsafe(text)

const assertDollars = (actual: BigDecimal.BigDecimal, expected: string) =>
  assert.equal(BigDecimal.format(actual), BigDecimal.format(BigDecimal.normalize(dollars(expected))))

/** Metadata of so many levels: objects in objects, lists in lists. */
const metadataOf = (levels: number) => {
  let value: Schema.Json = 1
  for (let i = 1; i < levels; i++) value = i % 2 === 0 ? [value] : { a: value }
  return { a: value }
}

const always = TimeRange.between("1900-01-01T00:00:00Z", "2299-12-31T00:00:00Z")

const moment = (millis: number) => DateTime.makeUnsafe(millis)

/** What is wrong with an event, field by field. */
const refused = (event: object) =>
  Effect.gen(function* () {
    const analytics = yield* Analytics
    // Contract inputs are wrong on purpose, as a JavaScript caller's may be.
    const error = yield* Effect.flip(analytics.trackWorkflowEvent(event as NewWorkflowEvent))
    assert.equal(error.outcome, "not-applied")
    return error.reason._tag === "InvalidData" ? error.reason.problems.map(({ field }) => field) : [error.reason._tag]
  })

const refusedRange = (range: TimeRange.TimeRange) =>
  Effect.map(Effect.flip(metricsOf("any", range)), (error) =>
    error.reason._tag === "InvalidData" ? error.reason.problems.map(({ field }) => field) : [error.reason._tag]
  )

const p95 = (durations: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvents(durations.map((durationMillis) => event({ durationMillis })))
    return Option.getOrThrow((yield* metricsOf(service)).p95DurationMillis)
  })

const close = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual - expected) < 1e-9 * Math.max(1, Math.abs(expected)), `${actual} is not ${expected}`)

/** What every implementation of `Analytics` does. */
export const AnalyticsContract: Contract.Contract<Analytics> = Contract.make("Analytics", {
  "an event is counted as soon as it is tracked": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvent(event({ durationMillis: 1840, costUsd: 0.05 }))
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 1)
    assert.deepEqual(metrics.successRate, Option.some(1))
    assert.deepEqual(metrics.meanDurationMillis, Option.some(1840))
    assert.deepEqual(metrics.p95DurationMillis, Option.some(1840))
    assertDollars(metrics.totalCostUsd, "0.05")
  }),

  "a range without events: zero, and no rate": Effect.gen(function* () {
    const { service } = yield* aService
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 0)
    assert.deepEqual(metrics.successRate, Option.none())
    assert.deepEqual(metrics.meanDurationMillis, Option.none())
    assert.deepEqual(metrics.p95DurationMillis, Option.none())
    assertDollars(metrics.totalCostUsd, "0")
  }),

  "the success rate is the share of those that tell": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const { success: _, ...silent } = event({ eventType: "started" })
    const count = yield* analytics.trackWorkflowEvents([
      event(),
      event(),
      event(),
      event({ eventType: "failed", success: false }),
      silent,
      silent
    ])
    assert.equal(count, 6)
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 6)
    assert.deepEqual(metrics.successRate, Option.some(0.75))
  }),

  "an event without a duration is in no mean and no quantile": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const { durationMillis: _, ...untimed } = event({ eventType: "started" })
    yield* analytics.trackWorkflowEvents([untimed, event({ durationMillis: 10 }), event({ durationMillis: 20 })])
    const metrics = yield* metricsOf(service)
    assert.deepEqual(metrics.meanDurationMillis, Option.some(15))
    close(Option.getOrThrow(metrics.p95DurationMillis), 19.5)
  }),

  "only events that tell nothing: a total, and no rate": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const { durationMillis: _d, success: _s, ...silent } = event({ eventType: "started" })
    yield* analytics.trackWorkflowEvent(silent)
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 1)
    assert.deepEqual(metrics.successRate, Option.none())
    assert.deepEqual(metrics.p95DurationMillis, Option.none())
  }),

  "p95 lies between the two nearest durations": Effect.gen(function* () {
    close(yield* p95([7]), 7)
    close(yield* p95([0, 100]), 95)
    close(yield* p95(Array.from({ length: 20 }, (_, i) => i + 1)), 19.05)
    close(yield* p95(Array.from({ length: 101 }, (_, i) => 100 - i)), 95)
  }),

  "p95 of many equal durations": Effect.gen(function* () {
    close(yield* p95([...Array.from({ length: 96 }, () => 5), 900, 900, 900, 900]), 5)
    close(yield* p95([...Array.from({ length: 90 }, () => 5), ...Array.from({ length: 10 }, () => 900)]), 900)
  }),

  "durations from nothing to 20 days": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvents([event({ durationMillis: 0 }), event({ durationMillis: 1_728_000_000 })])
    const metrics = yield* metricsOf(service)
    assert.deepEqual(metrics.meanDurationMillis, Option.some(864_000_000))
  }),

  "the longest durations add up": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const tenYears = 315_360_000_000
    const count = 40_000
    yield* analytics.trackWorkflowEvents(Array.from({ length: count }, () => event({ durationMillis: tenYears })))
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, count)
    close(Option.getOrThrow(metrics.meanDurationMillis), tenYears)
    close(Option.getOrThrow(metrics.p95DurationMillis), tenYears)
  }),

  "a range has its first millisecond and not its last": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const from = (yield* Clock.currentTimeMillis) - 100_000
    const to = from + 1_000
    yield* analytics.trackWorkflowEvents(
      [from - 1, from, to - 1, to].map((at, i) => event({ occurredAt: moment(at), durationMillis: 10 ** i }))
    )
    const metrics = yield* metricsOf(service, TimeRange.between(moment(from), moment(to)))
    assert.equal(metrics.totalEvents, 2)
    assert.deepEqual(metrics.meanDurationMillis, Option.some(55))
    assert.equal((yield* metricsOf(service, TimeRange.between(moment(from), moment(from)))).totalEvents, 0)
  }),

  "the last hour ends now and began an hour ago": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const now = yield* Clock.currentTimeMillis
    const minute = Duration.toMillis("1 minute")
    yield* analytics.trackWorkflowEvents(
      [now - 61 * minute, now - 59 * minute, now, now + 10 * minute].map((at) => event({ occurredAt: moment(at) }))
    )
    assert.equal((yield* metricsOf(service, TimeRange.lastHour())).totalEvents, 2)
    assert.equal((yield* metricsOf(service, TimeRange.lastDay())).totalEvents, 3)
    assert.equal((yield* metricsOf(service, TimeRange.last("1 minute"))).totalEvents, 1)
  }),

  "a range is read when it is used": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const range = TimeRange.last("1 minute")
    yield* Contract.passTime("20 millis")
    yield* analytics.trackWorkflowEvent(event())
    assert.equal((yield* metricsOf(service, range)).totalEvents, 1)
  }),

  "events of another service do not count": Effect.gen(function* () {
    const one = yield* aService
    const other = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvents([one.event(), other.event(), other.event()])
    assert.equal((yield* metricsOf(one.service)).totalEvents, 1)
    assert.equal((yield* metricsOf(other.service)).totalEvents, 2)
    assert.ok((yield* analytics.workflowMetrics(TimeRange.lastHour())).totalEvents >= 3)
  }),

  "a service's name is taken as it is": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const names = [`${service}'`, `${service}\\`, `${service}" OR 1=1 --`, `${service}\t\n`, `${service} ü 漢 😀`]
    yield* analytics.trackWorkflowEvents(names.map((name) => event({ service: name })))
    for (const name of names) assert.equal((yield* metricsOf(name)).totalEvents, 1, name)
    assert.equal((yield* metricsOf(service)).totalEvents, 0)
  }),

  "costs add up exactly": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvents(Array.from({ length: 1000 }, () => event({ costUsd: 0.05 })))
    assertDollars((yield* metricsOf(service)).totalCostUsd, "50")
    yield* analytics.trackWorkflowEvents(
      ["0.000001", "0.1", "0.2", "123456.789012"].map((costUsd) => event({ costUsd: dollars(costUsd) }))
    )
    assertDollars((yield* metricsOf(service)).totalCostUsd, "123507.089013")
  }),

  "a number of dollars is rounded to the micro-dollar": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvents([
      event({ costUsd: 0.1 + 0.2 }),
      event({ costUsd: 0.000_000_4 }),
      event({ costUsd: 1_530 * 0.000_002 })
    ])
    assertDollars((yield* metricsOf(service)).totalCostUsd, "0.30306")
  }),

  "the same event told twice counts once": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const occurredAt = yield* DateTime.now
    const told = event({ eventId: crypto.randomUUID(), occurredAt, costUsd: 1 })
    const id = yield* analytics.trackWorkflowEvent(told)
    assert.equal(id, told.eventId)
    yield* analytics.trackWorkflowEvent(told)
    yield* analytics.trackWorkflowEvents([told, told, event({ costUsd: 2 })])
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 2)
    assertDollars(metrics.totalCostUsd, "3")
    assert.equal((yield* eventsOf(service)).length, 2)
  }),

  "of two events of a batch with one id the first counts": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const occurredAt = yield* DateTime.now
    const pairs = Array.from({ length: 50 }, (_, i) => {
      const eventId = crypto.randomUUID()
      const first = event({ eventId, occurredAt, durationMillis: i })
      return i % 2 === 0
        ? [first, { ...first, durationMillis: 1_000_000 }]
        : [first, { ...first, userId: "u-0", success: false }]
    })
    const told = [...pairs.map(([first]) => first), ...pairs.map(([, second]) => second)].filter(
      (event) => event !== undefined
    )
    assert.equal(yield* analytics.trackWorkflowEvents(told), 100)
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 50)
    assert.deepEqual(metrics.successRate, Option.some(1))
    assert.deepEqual(metrics.meanDurationMillis, Option.some(24.5))
  }),

  "of two callers at once with one id the first counts": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const told = event({ eventId: crypto.randomUUID(), occurredAt: yield* DateTime.now })
    yield* Effect.forEach([10, 20, 30], (durationMillis) => analytics.trackWorkflowEvent({ ...told, durationMillis }), {
      concurrency: "unbounded"
    })
    assert.deepEqual((yield* metricsOf(service)).meanDurationMillis, Option.some(10))
  }),

  "a batch may hold events of many years": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const months = Array.from({ length: 250 }, (_, i) => event({ occurredAt: moment(Date.UTC(1990, i, 15)) }))
    assert.equal(yield* analytics.trackWorkflowEvents(months), 250)
    assert.equal((yield* metricsOf(service, always)).totalEvents, 250)
  }),

  "an event of long ago, or to come, is kept": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const told = [Date.UTC(1900, 0), -1, Date.UTC(2001, 1), Date.UTC(2299, 0)]
    yield* Effect.forEach(told, (at) => analytics.trackWorkflowEvent(event({ occurredAt: moment(at) })), {
      concurrency: "unbounded"
    })
    // Long enough for a store that drops old rows as it merges.
    yield* Contract.passTime("200 millis")
    const kept = yield* eventsOf(service, always)
    // First their number: a difference to very many events of others takes minutes to be told.
    assert.equal(kept.length, told.length)
    assert.deepEqual(
      kept.map(({ occurredAt }) => DateTime.toEpochMillis(occurredAt)),
      told
    )
  }),

  "equal events with ids of their own all count": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const occurredAt = yield* DateTime.now
    const same = event({ occurredAt })
    yield* analytics.trackWorkflowEvents([same, same])
    yield* analytics.trackWorkflowEvents([same, same])
    yield* analytics.trackWorkflowEvent(same)
    assert.equal((yield* metricsOf(service)).totalEvents, 5)
  }),

  "a thousand concurrent callers are all counted": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const ids = yield* Effect.forEach(
      Array.from({ length: 1000 }, (_, i) => i),
      (i) => analytics.trackWorkflowEvent(event({ durationMillis: i, success: i % 4 !== 0 })),
      { concurrency: "unbounded" }
    )
    assert.equal(new Set(ids).size, 1000)
    const metrics = yield* metricsOf(service)
    assert.equal(metrics.totalEvents, 1000)
    assert.deepEqual(metrics.successRate, Option.some(0.75))
    assert.deepEqual(metrics.meanDurationMillis, Option.some(499.5))
    close(Option.getOrThrow(metrics.p95DurationMillis), 949.05)
  }),

  "an empty batch is none": Effect.gen(function* () {
    const analytics = yield* Analytics
    assert.equal(yield* analytics.trackWorkflowEvents([]), 0)
  }),

  "what was told comes back as it was": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const now = yield* Clock.currentTimeMillis
    const metadata = {
      quotes: `' " \` \\ \\' {x:Int}`,
      unicode: "ä 漢 😀 \u2028",
      nul: "a\0b",
      lines: "a\r\n\tb",
      half: "\ud800",
      numbers: [0, -1.5, 1e21, 9007199254740991],
      nested: { deep: [{ er: null }, true, ""] },
      "ke\"y'": ""
    }
    const told = event({
      workflowId: "w '1'",
      userId: "ü\0",
      eventType: "cancelled",
      costUsd: dollars("0.000001"),
      metadata,
      occurredAt: moment(now - 1)
    })
    const id = yield* analytics.trackWorkflowEvent(told)
    const [read] = yield* eventsOf(service)
    assert.ok(read !== undefined)
    const { costUsd, occurredAt, ...rest } = read
    assert.deepEqual(rest, {
      eventId: id,
      workflowId: "w '1'",
      userId: "ü\0",
      service,
      eventType: "cancelled",
      durationMillis: 100,
      success: true,
      metadata
    })
    assertDollars(costUsd, "0.000001")
    assert.equal(DateTime.toEpochMillis(occurredAt), now - 1)
  }),

  "what was left out is left out, and the rest has its defaults": Effect.gen(function* () {
    const { service } = yield* aService
    const analytics = yield* Analytics
    const before = yield* Clock.currentTimeMillis
    yield* analytics.trackWorkflowEvent({ workflowId: "w", userId: "u", service, eventType: "started" })
    const [read] = yield* eventsOf(service)
    assert.ok(read !== undefined)
    assert.equal("durationMillis" in read, false)
    assert.equal("success" in read, false)
    assert.deepEqual(read.metadata, {})
    assertDollars(read.costUsd, "0")
    const at = DateTime.toEpochMillis(read.occurredAt)
    assert.ok(at >= before && at <= (yield* Clock.currentTimeMillis))
  }),

  "events come oldest first, each once": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const now = yield* Clock.currentTimeMillis
    yield* analytics.trackWorkflowEvents(
      [3, 1, 2, 1].map((age) => event({ occurredAt: moment(now - age), durationMillis: age }))
    )
    const events = yield* eventsOf(service)
    assert.deepEqual(
      events.map(({ durationMillis }) => durationMillis),
      [3, 2, 1, 1]
    )
    const [, , first, second] = events.map(({ eventId }) => eventId)
    assert.ok(first !== undefined && second !== undefined && first < second)
  }),

  "a stream may be left early, and asked within": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvents(Array.from({ length: 50 }, () => event()))
    const totals = yield* analytics.workflowEvents(TimeRange.lastHour(), { service }).pipe(
      Stream.mapEffect(() => metricsOf(service)),
      Stream.map(({ totalEvents }) => totalEvents),
      Stream.take(3),
      Stream.runCollect
    )
    assert.deepEqual(totals, [50, 50, 50])
  }),

  "a wrong event is refused by the name of its fields": Effect.gen(function* () {
    const { event, service } = yield* aService
    assert.deepEqual(yield* refused(event({ durationMillis: -1 })), ["durationMillis"])
    assert.deepEqual(yield* refused(event({ durationMillis: 1.5 })), ["durationMillis"])
    assert.deepEqual(yield* refused(event({ durationMillis: 315_360_000_001 })), ["durationMillis"])
    assert.deepEqual(yield* refused(event({ costUsd: -0.01 })), ["costUsd"])
    assert.deepEqual(yield* refused(event({ costUsd: Number.NaN })), ["costUsd"])
    assert.deepEqual(yield* refused(event({ costUsd: dollars("0.0000001") })), ["costUsd"])
    assert.deepEqual(yield* refused(event({ workflowId: "" })), ["workflowId"])
    assert.deepEqual(yield* refused(event({ userId: "x".repeat(201) })), ["userId"])
    assert.deepEqual(yield* refused(event({ userId: "\ud800" })), ["userId"])
    assert.deepEqual(yield* refused(event({ eventId: "42" })), ["eventId"])
    assert.deepEqual(yield* refused(event({ occurredAt: moment(Date.UTC(2400, 0)) })), ["occurredAt"])
    assert.deepEqual(yield* refused({ ...event(), eventType: "exploded" }), ["eventType"])
    assert.deepEqual(yield* refused({ ...event(), sucess: true }), ["sucess"])
    const { workflowId: _, ...nameless } = event({ durationMillis: -1 })
    assert.deepEqual((yield* refused(nameless)).sort(), ["durationMillis", "workflowId"])
    assert.equal((yield* metricsOf(service)).totalEvents, 0)
  }),

  "metadata has at most 64 levels": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    yield* analytics.trackWorkflowEvent(event({ metadata: metadataOf(64) }))
    for (const levels of [65, 500, 6000, 100_000]) {
      assert.deepEqual(yield* refused(event({ metadata: metadataOf(levels) })), ["metadata"])
    }
    const [kept, ...more] = yield* eventsOf(service)
    assert.deepEqual(kept?.metadata, metadataOf(64))
    assert.deepEqual(more, [])
  }),

  "one wrong event does no harm to those of others": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const results = yield* Effect.forEach(
      Array.from({ length: 20 }, (_, i) => event(i === 7 ? { metadata: metadataOf(6000) } : {})),
      (event) => Effect.result(analytics.trackWorkflowEvent(event)),
      { concurrency: "unbounded" }
    )
    assert.deepEqual(
      results.flatMap((result, i) => (Result.isFailure(result) ? [i] : [])),
      [7]
    )
    assert.equal((yield* metricsOf(service)).totalEvents, 19)
  }),

  "what is no event, no list or no range is refused": Effect.gen(function* () {
    const analytics = yield* Analytics
    // A JavaScript caller's mistakes: no type allows them.
    const wrong = <A>(value: unknown) => value as A
    const problems = <A>(call: Effect.Effect<A, StoreError>) =>
      Effect.map(Effect.flip(call), (error) =>
        error.reason._tag === "InvalidData" ? error.reason.problems.map(({ field }) => field) : [error.reason._tag]
      )
    for (const value of [undefined, null, 42, "events", { length: 1 }]) {
      assert.deepEqual(yield* problems(analytics.trackWorkflowEvents(wrong(value))), ["events"])
    }
    assert.deepEqual(yield* problems(analytics.trackWorkflowEvents(wrong([undefined]))), ["events[0]"])
    assert.deepEqual(yield* problems(analytics.trackWorkflowEvent(wrong(undefined))), [""])
    for (const value of [undefined, null, 42, "today", {}, { _tag: "Next" }]) {
      assert.deepEqual(yield* problems(analytics.workflowMetrics(wrong(value))), ["range"])
      assert.deepEqual(yield* problems(Stream.runDrain(analytics.workflowEvents(wrong(value)))), ["range"])
    }
    for (const value of [undefined, null, "soon", Symbol.iterator]) {
      assert.deepEqual(yield* refusedRange(TimeRange.last(wrong(value))), ["range.duration"])
      assert.deepEqual(yield* refusedRange(TimeRange.between(wrong(value), 0)), ["range.from"])
    }
  }),

  "one wrong event and nothing of its batch is stored": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const error = yield* Effect.flip(analytics.trackWorkflowEvents([event(), event({ durationMillis: -1 })]))
    assert.equal(error.reason._tag, "InvalidData")
    assert.deepEqual(error.reason._tag === "InvalidData" && error.reason.problems.map(({ field }) => field), [
      "events[1].durationMillis"
    ])
    assert.equal((yield* metricsOf(service)).totalEvents, 0)
  }),

  "a batch too large is refused whole": Effect.gen(function* () {
    const { event, service } = yield* aService
    const analytics = yield* Analytics
    const one = event()
    const error = yield* Effect.flip(analytics.trackWorkflowEvents(Array.from({ length: 100_001 }, () => one)))
    assert.equal(error.reason._tag, "LimitExceeded")
    assert.equal(error.outcome, "not-applied")
    assert.equal((yield* metricsOf(service)).totalEvents, 0)
  }),

  "a wrong range is refused by the name of its fields": Effect.gen(function* () {
    assert.deepEqual(yield* refusedRange(TimeRange.between(moment(1000), moment(999))), ["range.to"])
    assert.deepEqual(yield* refusedRange(TimeRange.between("yesterday", moment(999))), ["range.from"])
    assert.deepEqual(yield* refusedRange(TimeRange.between("never", "ever")), ["range.from", "range.to"])
    assert.deepEqual(yield* refusedRange(TimeRange.last(0)), ["range.duration"])
    assert.deepEqual(yield* refusedRange(TimeRange.last("-1 seconds")), ["range.duration"])
    assert.deepEqual(yield* refusedRange(TimeRange.last(Duration.infinity)), ["range.duration"])
    const analytics = yield* Analytics
    const error = yield* Effect.flip(analytics.workflowMetrics(TimeRange.lastHour(), { service: "" }))
    assert.equal(error.reason._tag === "InvalidData" && error.reason.problems[0]?.field, "service")
  })
})
