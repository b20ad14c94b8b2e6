/** ClickHouse: our client against the driver's, both with 10 connections at most, on the same table. */
import { createClient } from "@clickhouse/client"
import { Effect, Redacted, Schema, type Scope } from "effect"
import * as ClickHouseClient from "../../src/clickhouse/ClickHouseClient.ts"
import { type Bench, compare, type Settings, type Variant } from "../harness.ts"
import { fibers, promises, wrong } from "../loops.ts"
import { clickhouseStub } from "../stubs/clickhouseStub.ts"

const poolSize = 10
const rows = 1000
const batch = 10_000
const keyOf = (i: number): number => (i * 7) % rows

const Event = Schema.Struct({
  id: Schema.Int,
  service: Schema.String,
  duration_ms: Schema.Int,
  created_at: Schema.DateTimeUtcFromString
})
const created = "2026-01-02T03:04:05Z"
const eventOf = (id: number) => ({ id, service: `service ${id}`, duration_ms: id, created_at: created })

const select = "SELECT id, service, duration_ms, created_at FROM events WHERE id = {id:UInt32}"

type Driver = ReturnType<typeof createClient>

const driver = (url: string, database: string): Effect.Effect<Driver, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() =>
      createClient({ url, database, max_open_connections: poolSize, compression: { response: true, request: false } })
    ),
    (client) => Effect.promise(() => client.close())
  )

const ours = (url: string, database: string) => ClickHouseClient.make({ url: Redacted.make(url), database, poolSize })

interface Ground {
  readonly bare: Driver
  readonly client: ClickHouseClient.ClickHouseClient["Service"]
}

const ground = ({ url }: Settings): Effect.Effect<Ground, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const address = url("clickhouse")
    const database = `ai_core_bench_${process.pid}`
    const admin = yield* driver(address, "default")
    const tell = (query: string) => Effect.tryPromise(() => admin.command({ query }))
    yield* Effect.acquireRelease(tell(`CREATE DATABASE ${database}`), () =>
      Effect.ignore(tell(`DROP DATABASE ${database} SYNC`))
    )
    const columns = "id UInt32, service LowCardinality(String), duration_ms UInt32, created_at DateTime64(3, 'UTC')"
    yield* tell(`CREATE TABLE ${database}.events (${columns}) ENGINE = MergeTree ORDER BY id`)
    yield* tell(`CREATE TABLE ${database}.inserted (${columns}) ENGINE = MergeTree ORDER BY id`)
    const bare = yield* driver(address, database)
    const client = yield* ours(address, database)
    yield* client.insert(
      "seed",
      "events",
      Array.from({ length: rows }, (_, id) => eventOf(id))
    )
    return { bare, client }
  })

const check = (id: number, found: { readonly id: number; readonly duration_ms: number } | undefined) => {
  if (found?.id !== id || found.duration_ms !== id) wrong(`select ${id}`, found)
}

const queries = (
  { bare, client }: Ground,
  callers: number,
  idOf: (i: number) => number
): readonly [Variant, ...ReadonlyArray<Variant>] => {
  return [
    {
      name: "@clickhouse/client",
      run: promises(callers, async (i) => {
        const id = idOf(i)
        const answer = await bare.query({
          query: select,
          query_params: { id },
          format: "JSONEachRow",
          clickhouse_settings: { date_time_output_format: "iso" }
        })
        check(id, (await answer.json<{ id: number; duration_ms: number }>())[0])
      })
    },
    {
      name: "query, decoded",
      run: fibers(callers, (i) => {
        const id = idOf(i)
        return Effect.map(client.query("Events.find", { query: select, params: { id }, schema: Event }), ([found]) =>
          check(id, found)
        )
      })
    }
  ]
}

const selectBench = (callers: number): Bench => ({
  name: `clickhouse/select-${callers}`,
  about: `one row by key, ${callers === 1 ? "one caller" : `${callers} callers at once`}`,
  needs: ["clickhouse"],
  measure: (settings) =>
    Effect.gen(function* () {
      const made = yield* ground(settings)
      return [
        yield* compare({
          bench: `clickhouse/select-${callers}`,
          unit: "ops/s",
          settings,
          concurrency: callers,
          variants: queries(made, callers, keyOf)
        })
      ]
    })
})

const insertBench: Bench = {
  name: "clickhouse/insert",
  about: `batches of ${batch} rows, one at a time; an operation is a batch`,
  needs: ["clickhouse"],
  measure: (settings) =>
    Effect.gen(function* () {
      const { bare, client } = yield* ground(settings)
      const events = Array.from({ length: batch }, (_, id) => eventOf(id))
      const after = (n: number) =>
        Effect.tryPromise(async () => {
          const answer = await bare.query({
            query: "SELECT toUInt32(count()) AS n, toUInt32(uniqExact(id)) AS ids FROM inserted",
            format: "JSONEachRow"
          })
          const [found] = await answer.json<{ n: number; ids: number }>()
          if (found?.n !== n * batch || found.ids !== batch) wrong(`${n} batches`, found)
          await bare.command({ query: "TRUNCATE TABLE inserted" })
        })
      return [
        yield* compare({
          bench: "clickhouse/insert",
          unit: "ops/s",
          settings,
          rounds: settings.work,
          variants: [
            {
              name: "@clickhouse/client",
              run: promises(1, async () => {
                await bare.insert({
                  table: "inserted",
                  values: events,
                  format: "JSONEachRow",
                  clickhouse_settings: { date_time_input_format: "best_effort" }
                })
              }),
              after
            },
            {
              name: "insert",
              run: fibers(1, () =>
                Effect.map(client.insert("Events.insert", "inserted", events), (n) => {
                  if (n !== batch) wrong("insert", n)
                })
              ),
              after
            }
          ]
        })
      ]
    })
}

const own = (callers: number): Bench => ({
  name: `clickhouse/own-cost-${callers}`,
  about: `the select of select-${callers} on a stub in this process; over: what a call costs beyond the driver's`,
  needs: [],
  measure: (settings) =>
    Effect.gen(function* () {
      const url = `http://127.0.0.1:${yield* clickhouseStub(JSON.stringify(eventOf(7)))}`
      const made = { bare: yield* driver(url, "bench"), client: yield* ours(url, "bench") }
      return [
        yield* compare({
          bench: `clickhouse/own-cost-${callers}`,
          unit: "µs CPU/call",
          settings,
          concurrency: callers,
          difference: true,
          variants: queries(made, callers, () => 7)
        })
      ]
    })
})

export const clickhouse: ReadonlyArray<Bench> = [selectBench(1), selectBench(16), insertBench, own(1), own(16)]
