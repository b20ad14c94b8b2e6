import { assert, it } from "@effect/vitest"
import { Decimal128, Long } from "bson"
import { DateTime, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { Document } from "../../src/mongodb/MongoCollection.ts"
import * as MongoDbMemory from "../../src/mongodb/MongoDbMemory.ts"
import { Where } from "../../src/mongodb/MongoFilter.ts"
import { ObjectIdText } from "../../src/mongodb/ObjectIdSchema.ts"

const Loose = Schema.Struct({ key: Schema.String, value: Schema.optionalKey(Schema.Unknown) })

const loose = Effect.map(MongoDbMemory.make(), (database) => database.collection("loose", Loose))

it.effect("an operator that is not on the list fails loudly, wherever it stands", () =>
  Effect.gen(function* () {
    const collection = yield* loose
    yield* collection.insertOne({ key: "a" })
    const filters: ReadonlyArray<Document> = [
      { $where: "true" },
      { $text: { $search: "a" } },
      { key: { $type: "string" } },
      { key: { $not: { $near: [0, 0] } } },
      { value: { $elemMatch: { $or: [{ x: { $bitsAllSet: 1 } }] } } },
      { $or: [{ key: "a" }, { $and: [{ key: { $geoWithin: {} } }] }] },
      { $expr: { $gt: [{ $rand: {} }, 0] } },
      { $jsonSchema: {} }
    ]
    for (const filter of filters) {
      const { reason } = yield* Effect.flip(collection.findAll(Where.raw(filter)))
      assert.strictEqual(reason._tag, "InvalidStatement", JSON.stringify(filter))
      assert.include("detail" in reason ? reason.detail : "", "not supported in memory", JSON.stringify(filter))
    }
    const pipelines: ReadonlyArray<Document> = [
      { $out: "elsewhere" },
      { $group: { _id: null, x: { $stdDevPop: "$n" } } },
      { $project: { x: { $dateTrunc: { date: "$$NOW", unit: "month" } } } },
      { $project: { x: { $function: { body: "", args: [], lang: "js" } } } },
      { $facet: { a: [{ $merge: "elsewhere" }] } },
      { $project: { x: "$$CLUSTER_TIME" } },
      { $match: { $where: "1" } }
    ]
    for (const stage of pipelines) {
      const { reason } = yield* Effect.flip(collection.aggregate([stage], Schema.Unknown))
      assert.strictEqual(reason._tag, "InvalidStatement", JSON.stringify(stage))
      assert.include("detail" in reason ? reason.detail : "", "not supported in memory", JSON.stringify(stage))
    }
  })
)

it.effect("numbers whose arithmetic it lacks are refused: stored, compared or computed", () =>
  Effect.gen(function* () {
    const collection = yield* loose
    yield* collection.insertOne({ key: "a", value: Number.MAX_SAFE_INTEGER })
    for (const value of [Decimal128.fromString("1.1"), Long.MAX_VALUE, [{ deep: Decimal128.fromString("1") }]]) {
      const errors = [
        yield* Effect.flip(collection.insertOne({ key: "b", value })),
        yield* Effect.flip(collection.findAll({ "value.x": value })),
        yield* Effect.flip(collection.updateOne({ key: "a" }, { $set: { "value.x": value } }))
      ]
      for (const { reason } of errors) assert.strictEqual(reason._tag, "InvalidStatement")
    }
    const sum = yield* Effect.flip(collection.updateOne({ key: "a" }, { $inc: { value: 1 } as never }))
    assert.strictEqual(sum.reason._tag, "InvalidStatement")
    yield* collection.insertOne({ key: "c", value: Long.fromNumber(5) })
    assert.deepStrictEqual(yield* collection.findAll({ key: "c" }), [{ key: "c", value: 5 }])
  })
)

it.effect("$inc on text fails, and leaves the text", () =>
  Effect.gen(function* () {
    const collection = yield* loose
    yield* collection.insertOne({ key: "a", value: { text: "7" } })
    const { reason } = yield* Effect.flip(collection.updateMany({}, { $inc: { "value.text": 1 } }))
    assert.strictEqual("code" in reason ? reason.code : undefined, "14")
    assert.deepStrictEqual(yield* collection.findAll({}), [{ key: "a", value: { text: "7" } }])
  })
)

it.effect("$$NOW and the ids it makes are of the Clock", () =>
  Effect.gen(function* () {
    const database = yield* MongoDbMemory.make()
    const collection = database.collection("timed", Loose)
    yield* TestClock.setTime(1_700_000_000_000)
    yield* collection.insertOne({ key: "a" })
    const [{ at } = { at: DateTime.makeUnsafe(0) }] = yield* collection.aggregate(
      [{ $project: { at: "$$NOW" } }],
      Schema.Struct({ at: Schema.DateTimeUtcFromDate })
    )
    assert.strictEqual(DateTime.toEpochMillis(at), 1_700_000_000_000)
    const [{ _id } = { _id: "" }] = yield* database
      .collection("timed", Schema.Struct({ _id: ObjectIdText }))
      .findAll({})
    assert.strictEqual(Number.parseInt(_id.slice(0, 8), 16), 1_700_000_000)
  })
)

it.effect("a document of a TTL index goes when the Clock says so, and frees its unique entry", () =>
  Effect.gen(function* () {
    const Timed = Schema.Struct({ key: Schema.String, at: Schema.optionalKey(Schema.DateTimeUtcFromDate) })
    const collection = (yield* MongoDbMemory.make()).collection("expiring", Timed)
    yield* collection.ensureIndexes([
      { name: "one_per_key", key: { key: 1 }, unique: true },
      { name: "expiry", key: { at: 1 }, expireAfterSeconds: 60 }
    ])
    const at = yield* DateTime.now
    yield* collection.insertMany([{ key: "goes", at }, { key: "stays" }])
    yield* TestClock.adjust("59 seconds")
    assert.strictEqual(yield* collection.countDocuments({}), 2)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* collection.findAll({}), [{ key: "stays" }])
    yield* collection.insertOne({ key: "goes" })
  })
)

it.effect("a sparse unique index leaves out what lacks the field; another one does not", () =>
  Effect.gen(function* () {
    const collection = yield* loose
    yield* collection.ensureIndexes([{ name: "sparse", key: { value: 1 }, unique: true, sparse: true }])
    yield* collection.insertMany([{ key: "a" }, { key: "b" }, { key: "c", value: 1 }])
    assert.strictEqual(
      (yield* Effect.flip(collection.insertOne({ key: "d", value: 1 }))).reason._tag,
      "ConstraintViolated"
    )
    const { reason } = yield* Effect.flip(
      collection.ensureIndexes([{ name: "dense", key: { value: 1 }, unique: true }])
    )
    assert.strictEqual(reason._tag, "ConstraintViolated")
  })
)

it.effect("what is handed out, or was handed in, changes nothing that is stored", () =>
  Effect.gen(function* () {
    const collection = yield* loose
    const value = { list: [1] }
    yield* collection.insertOne({ key: "a", value })
    value.list.push(2)
    for (const found of yield* collection.findAll({})) (found.value as { list: Array<number> }).list.push(3)
    assert.deepStrictEqual(yield* collection.findAll({}), [{ key: "a", value: { list: [1] } }])
  })
)

it.effect("a document beyond 16 MiB is refused", () =>
  Effect.gen(function* () {
    const collection = yield* loose
    // bson writes into one buffer of 17 MiB: what it leaves there must not become part of a document that does not fit.
    for (const letter of ["\u0001", "x"]) {
      for (const size of [17 * 1024 * 1024 - 40, 17 * 1024 * 1024, 40 * 1024 * 1024]) {
        const { reason } = yield* Effect.flip(collection.insertOne({ key: "a", value: [letter.repeat(size), 1] }))
        assert.strictEqual(reason._tag, "LimitExceeded", String(size))
      }
    }
    yield* collection.insertOne({ key: "a", value: "" })
    const { reason } = yield* Effect.flip(
      collection.updateOne({ key: "a" }, { $set: { value: "x".repeat(17 * 1024 * 1024) } })
    )
    assert.strictEqual(reason._tag, "LimitExceeded")
    assert.strictEqual((yield* collection.findAll({})).length, 1)
  })
)
