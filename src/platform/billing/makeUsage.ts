import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decodeInput } from "../../core/Decode.ts"
import { IdempotencyConflict } from "../../core/Idempotency.ts"
import { cursor, cursorAgrees, defaultPageSize, pageOf } from "../../core/KeysetPage.ts"
import { Slug } from "../../core/Text.ts"
import { makeIdsOf } from "../../core/TimeOrderedId.ts"
import {
  invoices,
  standing,
  type SubscriptionRow,
  subscriptions,
  type UsageRow,
  usageRecords
} from "./BillingTables.ts"
import { listFields, sameOrder, streamFields, streamOf, timePlace } from "../Lists.ts"
import { nearestPeriod, periodAt, type Term } from "./Periods.ts"
import { SubscriptionId, SubscriptionNotFound } from "./Subscriptions.ts"
import type { Tables } from "../tables/Tables.ts"
import { makeTerms } from "./Terms.ts"
import {
  NewUsage,
  BillingPeriod,
  MetricNotPriced,
  PeriodInvoiced,
  PeriodMismatch,
  type Usage,
  UsageCursor,
  UsageRecordId
} from "./Usage.ts"

const cursors = cursor("usage-records", UsageCursor, Schema.Struct({ subscriptionId: SubscriptionId, ...timePlace }))
const filters = {
  subscriptionId: SubscriptionId,
  metric: Schema.optional(Slug),
  period: Schema.optional(BillingPeriod)
}

const newUsage = decodeInput(NewUsage)
const newUsages = decodeInput(
  Schema.Struct({
    usage: Schema.Array(NewUsage).check(Schema.isMaxLength(10_000, { expected: "at most 10,000 records" }))
  })
)
const totalled = decodeInput(Schema.Struct({ subscriptionId: SubscriptionId, metric: Slug, period: BillingPeriod }))
const listed = decodeInput(
  Schema.Struct({ ...listFields(cursors.key), ...filters }).check(sameOrder, cursorAgrees("subscriptionId"))
)
const streamed = decodeInput(Schema.Struct({ ...streamFields, ...filters }))

const at = (method: string) =>
  ({ store: "postgresql", operation: `Billing.usage.${method}`, subject: "input" }) as const

type Named = Pick<UsageRow, "idempotencyKey" | "subscriptionId">

const nameOf = ({ idempotencyKey, subscriptionId }: Named): string => `${subscriptionId}/${idempotencyKey}`

const saysTheSame = (one: NewUsage, other: NewUsage): boolean =>
  one.metric === other.metric && one.quantity === other.quantity && DateTime.Equivalence(one.usedAt, other.usedAt)

/** A moment is in a period. */
const isWithin = (at: DateTime.Utc, { end, start }: BillingPeriod): boolean =>
  start.epochMilliseconds <= at.epochMilliseconds && at.epochMilliseconds < end.epochMilliseconds

/** Refuses usage that no invoice would charge, or nobody knows yet of: a change may make another period of one to come. */
const priced = (
  { createdAt: now, metric, subscriptionId, usedAt }: UsageRow,
  known: ReadonlyMap<SubscriptionId, SubscriptionRow>,
  termsOf: ReadonlyMap<SubscriptionId, ReadonlyArray<Term>>
): Result.Result<void, PeriodMismatch | MetricNotPriced> => {
  const [subscription, terms = []] = [known.get(subscriptionId), termsOf.get(subscriptionId)]
  if (subscription === undefined) return Result.void
  const running = periodAt(subscription, terms, usedAt)
  if (running === undefined || DateTime.isGreaterThan(running.period.start, now)) {
    const nearest = nearestPeriod(subscription, terms, DateTime.min(usedAt, now))
    return Result.fail(new PeriodMismatch({ subscriptionId, field: "usedAt", nearest }))
  }
  const counted = running.term.price.usage?.metric ?? null
  return counted === metric
    ? Result.void
    : Result.fail(new MetricNotPriced({ subscriptionId, metric, priced: counted }))
}

const distinct = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)]

export const makeUsage = (tables: Tables): Usage => {
  const { insertNew, many, run, sum } = tables
  const nextId = makeIdsOf(UsageRecordId)
  const terms = makeTerms(tables)

  /** Stores usage; of one key the first record stands, be it stored, told by somebody else meanwhile, or in this list. */
  const store = (operation: string, given: ReadonlyArray<NewUsage>) =>
    run(
      Effect.gen(function* () {
        const ids = distinct(given.map(({ subscriptionId }) => subscriptionId))
        const stored = new Map<string, UsageRow>()
        const lookUp = (wanted: ReadonlyArray<NewUsage>) =>
          Effect.map(
            many(operation, usageRecords, {
              oneOf: { subscriptionId: ids, idempotencyKey: wanted.map(({ idempotencyKey }) => idempotencyKey) }
            }),
            (rows) => rows.forEach((row) => stored.set(nameOf(row), row))
          )

        // Nobody makes the invoice of a period while usage is on its way into it.
        const found = yield* many(operation, subscriptions, { oneOf: { id: ids }, order: ["id"], lock: "share" })
        const known = new Map(found.map((subscription) => [subscription.id, subscription]))
        const unknown = ids.find((id) => !known.has(id))
        if (unknown !== undefined) return yield* new SubscriptionNotFound({ id: unknown })
        yield* lookUp(given)

        const now = yield* DateTime.now
        const fresh = new Map<string, UsageRow>()
        for (const usage of given) {
          const name = nameOf(usage)
          if (!stored.has(name) && !fresh.has(name)) fresh.set(name, { ...usage, id: yield* nextId, createdAt: now })
        }
        if (fresh.size > 0) {
          // In the order of their keys, so that two lists with the same ones do not wait for each other.
          const rows = [...fresh].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
          const earliest = rows.map(({ usedAt }) => usedAt).reduce(DateTime.min)
          const invoiced = yield* many(operation, invoices, {
            oneOf: { subscriptionId: ids },
            from: { periodEnd: earliest },
            only: standing
          })
          for (const { subscriptionId, usedAt } of rows) {
            for (const { periodEnd: end, periodStart: start, subscriptionId: id } of invoiced) {
              if (id === subscriptionId && start !== null && end !== null && isWithin(usedAt, { start, end })) {
                return yield* new PeriodInvoiced({ subscriptionId, start, end })
              }
            }
          }
          const termsOf = yield* terms.of(operation, ids)
          for (const usage of rows) yield* Effect.fromResult(priced(usage, known, termsOf))
          const made = yield* insertNew(operation, usageRecords, rows)
          made.forEach((row) => stored.set(nameOf(row), row))
          if (made.length < rows.length) yield* lookUp(rows)
        }

        const records: Array<UsageRow> = []
        for (const usage of given) {
          const record = stored.get(nameOf(usage))
          if (record === undefined || !saysTheSame(record, usage)) {
            return yield* new IdempotencyConflict({ subject: "usage record", key: usage.idempotencyKey })
          }
          records.push(record)
        }
        return records
      })
    )

  const record: Usage["record"] = Effect.fnUntraced(function* (given) {
    const usage = yield* newUsage(at("record"), given)
    const [stored] = yield* store(at("record").operation, [usage])
    return stored ?? (yield* Effect.die(new Error("what was stored is given back")))
  })

  const recordAll: Usage["recordAll"] = Effect.fnUntraced(function* (given) {
    const { usage } = yield* newUsages(at("recordAll"), { usage: given })
    return usage.length === 0 ? [] : yield* store(at("recordAll").operation, usage)
  })

  const total: Usage["total"] = Effect.fnUntraced(function* (givenSubscription, givenMetric, givenPeriod) {
    const input = { subscriptionId: givenSubscription, metric: givenMetric, period: givenPeriod }
    const { metric, period, subscriptionId } = yield* totalled(at("total"), input)
    return yield* sum(at("total").operation, usageRecords, "quantity", {
      where: { subscriptionId, metric },
      from: { usedAt: period.start },
      below: { usedAt: period.end }
    })
  })

  const list: Usage["list"] = Effect.fnUntraced(function* (given) {
    const input = yield* listed(at("list"), given)
    const { after, limit = defaultPageSize, metric, order = "oldest-first", period, subscriptionId } = input
    const rows = yield* many(at("list").operation, usageRecords, {
      where: { subscriptionId, metric },
      from: { usedAt: period?.start },
      below: { usedAt: period?.end },
      order: ["usedAt", "id"],
      direction: order === "oldest-first" ? "ascending" : "descending",
      after: after && [after.at, after.id],
      limit: limit + 1
    })
    return pageOf(rows, limit, ({ id, usedAt }) => cursors.after({ subscriptionId, order, at: usedAt, id }))
  })

  return {
    record,
    recordAll,
    total,
    list,
    stream: streamOf((given) => streamed(at("stream"), given), list)
  }
}
