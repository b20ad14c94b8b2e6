/** MongoDB: our client against the driver, both with a pool of 20, on the same documents. */
import { Effect, Option, Redacted, Schema, type Scope } from "effect"
import { MongoClient } from "mongodb"
import * as MongoDbClient from "../../src/mongodb/MongoDbClient.ts"
import type { MongoCollection } from "../../src/mongodb/MongoCollection.ts"
import { type Bench, compare, type Variant } from "../harness.ts"
import { fibers, promises, wrong } from "../loops.ts"
import { mongoStub } from "../stubs/mongoStub.ts"

const documents = 1000
const keyOf = (i: number): number => (i * 7) % documents

const Item = Schema.Struct({
  _id: Schema.Int,
  name: Schema.String,
  status: Schema.String,
  tags: Schema.Array(Schema.String),
  metrics: Schema.Struct({ sent: Schema.Int, opened: Schema.Int })
})
type Item = typeof Item.Type

const itemOf = (id: number): Item => ({
  _id: id,
  name: `campaign ${id}`,
  status: "active",
  tags: ["spring", "mail"],
  metrics: { sent: id, opened: 3 }
})

const poolSize = { maxPoolSize: 20, minPoolSize: 5 }

const driver = (url: string): Effect.Effect<MongoClient, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new MongoClient(url, poolSize)),
    (client) => Effect.promise(() => client.close())
  )

const variants = (options: {
  readonly callers: number
  readonly bare: MongoClient
  readonly database: string
  readonly items: MongoCollection<Item>
  readonly idOf: (i: number) => number
}): readonly [Variant, ...ReadonlyArray<Variant>] => {
  const { callers, idOf, items } = options
  const bare = options.bare.db(options.database).collection<Item>("items")
  const check = (id: number, found: Item | null) => {
    if (found?._id !== id || found.metrics.sent !== id) wrong(`findOne ${id}`, found)
  }
  return [
    {
      name: "mongodb driver",
      run: promises(callers, async (i) => {
        const id = idOf(i)
        check(id, await bare.findOne({ _id: id }))
      })
    },
    {
      name: "collection, decoded",
      run: fibers(callers, (i) => {
        const id = idOf(i)
        return Effect.map(items.findOne({ _id: id }), (found) => check(id, Option.getOrNull(found)))
      })
    }
  ]
}

const find = (callers: number): Bench => ({
  name: `mongodb/find-${callers}`,
  about: `findOne by _id, ${callers === 1 ? "one caller" : `${callers} callers at once`}`,
  needs: ["mongodb"],
  measure: (settings) =>
    Effect.gen(function* () {
      const url = settings.url("mongodb")
      const database = `ai_core_bench_${process.pid}`
      const bare = yield* driver(url)
      yield* Effect.acquireRelease(
        Effect.tryPromise(() =>
          bare
            .db(database)
            .collection<Item>("items")
            .insertMany(Array.from({ length: documents }, (_, id) => itemOf(id)))
        ),
        () => Effect.promise(() => bare.db(database).dropDatabase())
      )
      const client = yield* MongoDbClient.make({ url: Redacted.make(url), database, ...poolSize })
      return [
        yield* compare({
          bench: `mongodb/find-${callers}`,
          unit: "ops/s",
          settings,
          concurrency: callers,
          variants: variants({ bare, database, items: client.collection("items", Item), callers, idOf: keyOf })
        })
      ]
    })
})

const own = (callers: number): Bench => ({
  name: `mongodb/own-cost-${callers}`,
  about: `the findOne of find-${callers} on a stub in this process; over: what a call costs beyond the driver's`,
  needs: [],
  measure: (settings) =>
    Effect.gen(function* () {
      const url = `mongodb://127.0.0.1:${yield* mongoStub(itemOf(7))}/?directConnection=true`
      const client = yield* MongoDbClient.make({ url: Redacted.make(url), database: "bench", ...poolSize })
      return [
        yield* compare({
          bench: `mongodb/own-cost-${callers}`,
          unit: "µs CPU/call",
          settings,
          concurrency: callers,
          difference: true,
          variants: variants({
            bare: yield* driver(url),
            database: "bench",
            items: client.collection("items", Item),
            callers,
            idOf: () => 7
          })
        })
      ]
    })
})

export const mongodb: ReadonlyArray<Bench> = [find(1), find(64), own(1), own(64)]
