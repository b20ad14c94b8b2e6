import { assert, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, type Layer, Option, Schema, Stream } from "effect"
import { describe } from "vitest"
import type { StoreError } from "../../src/core/StoreError.ts"
import type { Update } from "../../src/mongodb/MongoCollection.ts"
import { MongoDatabase } from "../../src/mongodb/MongoDatabase.ts"
import * as MongoDbMemory from "../../src/mongodb/MongoDbMemory.ts"
import { type Filter, Where } from "../../src/mongodb/MongoFilter.ts"
import { ObjectIdText } from "../../src/mongodb/ObjectIdSchema.ts"
import { describeLive } from "../servers/index.ts"
import { freshClient, freshName } from "./databases.ts"

const Thing = Schema.Struct({
  key: Schema.String,
  n: Schema.Int,
  at: Schema.DateTimeUtcFromDate,
  tags: Schema.Array(Schema.String),
  owner: Schema.optionalKey(Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Int) })),
  note: Schema.optionalKey(Schema.NullOr(Schema.String))
})
type Thing = typeof Thing.Type

const at = DateTime.makeUnsafe("2024-02-29T12:34:56.789Z")
const thing = (key: string, more: Partial<Thing> = {}): Thing => ({ key, n: 0, at, tags: [], ...more })

const things = Effect.gen(function* () {
  return (yield* MongoDatabase).collection(yield* freshName, Thing)
})

const invalid = (error: StoreError) =>
  error.reason._tag === "InvalidData"
    ? { subject: error.reason.subject, fields: error.reason.problems.map(({ field }) => field) }
    : { subject: error.reason._tag, fields: [] }

const keys = (found: ReadonlyArray<Thing>) => found.map(({ key }) => key).sort()

const suite = (title: string, layer: Layer.Layer<MongoDatabase, unknown>) =>
  it.layer(layer, { excludeTestServices: true, timeout: "1 minute" })(title, (it) => {
    it.effect("a document makes the journey unchanged, and gets an ObjectId", () =>
      Effect.gen(function* () {
        const database = yield* MongoDatabase
        const name = yield* freshName
        const collection = database.collection(name, Thing)
        const whole = thing("a", { n: -7, tags: ["x", "y"], owner: { name: "Ann" }, note: null })
        yield* collection.insertOne(whole)
        assert.deepStrictEqual(yield* collection.findOne({ key: "a" }), Option.some(whole))
        const withId = database.collection(name, Schema.Struct({ _id: ObjectIdText, key: Schema.String }))
        const { _id } = Option.getOrThrow(yield* withId.findOne({ key: "a" }))
        assert.match(_id, /^[0-9a-f]{24}$/)
        assert.deepStrictEqual(yield* withId.findOne({ _id }), Option.some({ _id, key: "a" }))
      })
    )

    it.effect("an _id of the program's own is kept, and is unique", () =>
      Effect.gen(function* () {
        const collection = (yield* MongoDatabase).collection(
          yield* freshName,
          Schema.Struct({ _id: Schema.String, n: Schema.Int })
        )
        assert.strictEqual(yield* collection.insertOne({ _id: "one", n: 1 }), "one")
        const { outcome, reason } = yield* Effect.flip(collection.insertOne({ _id: "one", n: 2 }))
        assert.strictEqual(outcome, "not-applied")
        assert.strictEqual(reason._tag === "ConstraintViolated" ? reason.constraint : reason._tag, "_id_")
        assert.deepStrictEqual(yield* collection.findAll({}), [{ _id: "one", n: 1 }])
      })
    )

    it.effect("a unique index refuses the second, and names index, fields and collection, never values", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.ensureIndexes([{ name: "one_per_key", key: { key: 1, n: -1 }, unique: true }])
        yield* collection.insertOne(thing("secret"))
        yield* collection.insertOne(thing("secret", { n: 1 }))
        const error = yield* Effect.flip(collection.insertOne(thing("secret")))
        assert.deepStrictEqual({ ...error.reason }, {
          _tag: "ConstraintViolated",
          kind: "unique",
          code: "11000",
          constraint: "one_per_key",
          table: collection.name,
          column: "key, n",
          detail: "key: key, n"
        } as never)
        assert.strictEqual(error.outcome, "not-applied")
        assert.notInclude(JSON.stringify(error) + error.message, "secret")
        const updated = yield* Effect.flip(collection.updateOne({ key: "secret", n: 1 }, { $set: { n: 0 } }))
        assert.strictEqual(updated.reason._tag, "ConstraintViolated")
        assert.strictEqual(yield* collection.countDocuments({ n: 1 }), 1)
      })
    )

    it.effect("indexes may be ensured again, and not under another meaning", () =>
      Effect.gen(function* () {
        const collection = yield* things
        const index = { name: "by_n", key: { n: 1 } } as const
        yield* collection.ensureIndexes([index])
        yield* collection.ensureIndexes([index])
        const error = yield* Effect.flip(collection.ensureIndexes([{ ...index, unique: true }]))
        assert.strictEqual(error.reason._tag, "InvalidStatement")
      })
    )

    it.effect("insertMany stores in order up to the first that is refused, and says that it is not sure", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.ensureIndexes([{ name: "one_per_key", key: { key: 1 }, unique: true }])
        assert.strictEqual((yield* collection.insertMany([thing("a"), thing("b")])).length, 2)
        const error = yield* Effect.flip(collection.insertMany([thing("c"), thing("a"), thing("d")]))
        assert.strictEqual(error.reason._tag, "ConstraintViolated")
        assert.strictEqual(error.outcome, "unknown")
        assert.deepStrictEqual(keys(yield* collection.findAll({})), ["a", "b", "c"])
        const none = yield* Effect.flip(collection.insertMany([thing("a"), thing("e")]))
        assert.strictEqual(none.outcome, "not-applied")
        assert.deepStrictEqual(yield* collection.insertMany([]), [])
      })
    )

    it.effect("filters compare, join and look into arrays and sub-documents", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany([
          thing("a", { n: 1, tags: ["red", "blue"], owner: { name: "Ann", age: 30 } }),
          thing("b", { n: 2, tags: ["red"], owner: { name: "Bob" } }),
          thing("c", { n: 3, note: null }),
          thing("d", { n: 4, note: "note", at: DateTime.makeUnsafe(0) })
        ])
        const found = (filter: Filter<Thing>) => Effect.map(collection.findAll(filter), keys)
        assert.deepStrictEqual(yield* found({}), ["a", "b", "c", "d"])
        assert.deepStrictEqual(yield* found({ n: Where.above(2) }), ["c", "d"])
        assert.deepStrictEqual(yield* found({ n: Where.atLeast(2), key: Where.below("d") }), ["b", "c"])
        assert.deepStrictEqual(yield* found({ n: Where.not(2) }), ["a", "c", "d"])
        assert.deepStrictEqual(yield* found({ n: Where.oneOf([1, 4, 9]) }), ["a", "d"])
        assert.deepStrictEqual(yield* found({ n: Where.oneOf([]) }), [])
        assert.deepStrictEqual(yield* found({ key: Where.noneOf(["a", "b"]) }), ["c", "d"])
        assert.deepStrictEqual(yield* found({ tags: Where.contains("red") }), ["a", "b"])
        assert.deepStrictEqual(yield* found({ tags: ["red"] }), ["b"])
        assert.deepStrictEqual(yield* found({ "owner.name": "Ann" }), ["a"])
        assert.deepStrictEqual(yield* found({ owner: { name: "Ann", age: 30 } }), ["a"])
        assert.deepStrictEqual(yield* found({ owner: { name: "Ann" } }), [])
        assert.deepStrictEqual(yield* found({ owner: Where.exists(true) }), ["a", "b"])
        assert.deepStrictEqual(yield* found({ note: null }), ["a", "b", "c"])
        assert.deepStrictEqual(yield* found({ at: Where.below(at) }), ["d"])
        assert.deepStrictEqual(yield* found(Where.any({ n: 1 }, Where.all({ n: 2 }, { key: "b" }))), ["a", "b"])
        assert.deepStrictEqual(yield* found(Where.any()), [])
        assert.deepStrictEqual(yield* found(Where.all()), ["a", "b", "c", "d"])
        assert.deepStrictEqual(yield* found(Where.raw({ $nor: [{ n: { $lt: 4 } }] })), ["d"])
      })
    )

    it.effect("the order of a sub-document's fields counts", () =>
      Effect.gen(function* () {
        const collection = (yield* MongoDatabase).collection(
          yield* freshName,
          Schema.Struct({ pair: Schema.Record(Schema.String, Schema.Int) })
        )
        yield* collection.insertOne({ pair: { a: 1, b: 2 } })
        assert.strictEqual(yield* collection.countDocuments({ pair: { a: 1, b: 2 } }), 1)
        assert.strictEqual(yield* collection.countDocuments({ pair: { b: 2, a: 1 } }), 0)
        assert.strictEqual(yield* collection.countDocuments({ pair: Where.oneOf([{ b: 2, a: 1 }]) }), 0)
      })
    )

    it.effect("sorted, limited and skipped", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany([3, 1, 2, 1].map((n, i) => thing(`k${i}`, { n })))
        const sorted = yield* collection.findAll({}, { sort: { n: 1, key: -1 } })
        assert.deepStrictEqual(
          sorted.map(({ key }) => key),
          ["k3", "k1", "k2", "k0"]
        )
        const some = yield* collection.findAll({}, { sort: { n: -1, key: 1 }, skip: 1, limit: 2 })
        assert.deepStrictEqual(
          some.map(({ key }) => key),
          ["k2", "k1"]
        )
        for (const wrong of [{ limit: 0 }, { skip: -1 }, { batchSize: 1.5 }]) {
          assert.deepStrictEqual(invalid(yield* Effect.flip(collection.findAll({}, wrong))).fields, Object.keys(wrong))
        }
      })
    )

    it.effect("updates set, add, take away and append, and tell what they changed", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany([thing("a", { note: "x", owner: { name: "Ann", age: 1 } }), thing("b", { n: 5 })])
        assert.deepStrictEqual(
          yield* collection.updateMany({}, { $inc: { n: 2 }, $push: { tags: "t" }, $unset: ["note"] }),
          { matched: 2, modified: 2 }
        )
        assert.deepStrictEqual(yield* collection.updateOne({ key: "a" }, { $set: { "owner.name": "Eve" } }), {
          matched: 1,
          modified: 1
        })
        assert.deepStrictEqual(
          yield* collection.findOne({ key: "a" }),
          Option.some(thing("a", { n: 2, tags: ["t"], owner: { name: "Eve", age: 1 } }))
        )
        assert.deepStrictEqual(yield* collection.findOne({ key: "b" }), Option.some(thing("b", { n: 7, tags: ["t"] })))
        assert.deepStrictEqual(yield* collection.updateOne({ key: "a" }, { $set: { n: 2 } }), {
          matched: 1,
          modified: 0
        })
        assert.deepStrictEqual(yield* collection.updateMany({ key: "none" }, { $inc: { n: 1 } }), {
          matched: 0,
          modified: 0
        })
      })
    )

    it.effect("an update that the stored value does not allow is refused, and changes nothing", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertOne(thing("a", { owner: { name: "Ann" } }))
        const before = yield* collection.findAll({})
        const wrong: ReadonlyArray<Update<Thing>> = [
          { $inc: { "owner.name": 1 } },
          { $set: { "key.deeper": 1 } },
          { $set: { n: 1, "owner.age": 2 }, $inc: { n: 1 } }
        ]
        for (const update of wrong) {
          const { outcome, reason } = yield* Effect.flip(collection.updateOne({ key: "a" }, update))
          assert.strictEqual(reason._tag, "InvalidStatement")
          assert.strictEqual(outcome, "not-applied")
        }
        assert.deepStrictEqual(yield* collection.findAll({}), before)
      })
    )

    it.effect("deletes one or all, and tells how many", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany([thing("a"), thing("b"), thing("c", { n: 1 })])
        assert.strictEqual(yield* collection.deleteOne({ n: 0 }), 1)
        assert.strictEqual(yield* collection.countDocuments({}), 2)
        assert.strictEqual(yield* collection.deleteMany({ n: 0 }), 1)
        assert.strictEqual(yield* collection.deleteMany({ n: 0 }), 0)
        assert.deepStrictEqual(keys(yield* collection.findAll({})), ["c"])
      })
    )

    it.effect("values from outside never become operators", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany([thing("a", { owner: { name: "Ann" } }), thing("b", { note: "b" })])
        const outside: ReadonlyArray<unknown> = [
          JSON.parse('{"$ne":null}'),
          JSON.parse('{"$gt":""}'),
          JSON.parse('{"$regex":".*"}'),
          JSON.parse('{"$where":"true"}'),
          JSON.parse('{"operator":"$ne","operand":"value","value":null}'),
          /.*/,
          undefined
        ]
        for (const value of outside) {
          const filter = { key: value } as Filter<Thing>
          assert.deepStrictEqual(invalid(yield* Effect.flip(collection.findOne(filter))).fields, ["key"])
          assert.deepStrictEqual(invalid(yield* Effect.flip(collection.deleteMany(filter))).fields, ["key"])
          assert.deepStrictEqual(invalid(yield* Effect.flip(collection.match(filter))).fields, ["key"])
        }
        // A dotted path takes any value: an object is then compared as one.
        for (const value of outside.slice(0, 5)) {
          assert.deepStrictEqual(yield* collection.findAll({ "owner.name": value }), [])
          assert.strictEqual(yield* collection.deleteMany({ "owner.name": value }), 0)
        }
        for (const filter of ['{"$where":"true"}', '{"$or":[{}]}', '{"$expr":true}', '{"owner.$ne":1}', '{"none":1}']) {
          const error = yield* Effect.flip(collection.deleteMany(JSON.parse(filter)))
          assert.deepStrictEqual(invalid(error).fields, Object.keys(JSON.parse(filter)))
        }
        assert.strictEqual(yield* collection.countDocuments({}), 2)
      })
    )

    it.effect("updates from outside never become operators either", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertOne(thing("a"))
        const refused = (update: string) =>
          Effect.map(Effect.flip(collection.updateOne({ key: "a" }, JSON.parse(update))), invalid)
        assert.deepStrictEqual((yield* refused('{"$rename":{"key":"n"}}')).fields, ["$rename"])
        assert.deepStrictEqual((yield* refused('{"key":"x"}')).fields, ["key"])
        assert.deepStrictEqual((yield* refused('{"$set":{"none":1}}')).fields, ["none"])
        assert.deepStrictEqual((yield* refused('{"$set":{"$where":1}}')).fields, ["$where"])
        assert.deepStrictEqual((yield* refused('{"$set":{"key":{"$ne":1}}}')).fields, ["key"])
        assert.deepStrictEqual((yield* refused('{"$inc":{"n":"1"}}')).fields, ["n"])
        assert.deepStrictEqual((yield* refused('{"$push":{"tags":{"$each":["x","y"]}}}')).fields, ["tags[0]"])
        assert.deepStrictEqual((yield* refused("{}")).fields, [""])
        assert.deepStrictEqual(yield* collection.findOne({ key: "a" }), Option.some(thing("a")))
        const lists = (yield* MongoDatabase).collection(
          yield* freshName,
          Schema.Struct({ list: Schema.Array(Schema.Unknown) })
        )
        yield* lists.insertOne({ list: [] })
        const element = JSON.parse('{"$each":["x","y"]}')
        yield* lists.updateOne({}, { $push: { list: element } })
        assert.deepStrictEqual(yield* lists.findAll({}), [{ list: [element] }])
      })
    )

    it.effect("what is written is checked, field by field, before it is sent", () =>
      Effect.gen(function* () {
        const collection = yield* things
        const wrong = { ...thing("a"), n: 0.5, tags: ["ok", 1], more: true } as never
        const error = yield* Effect.flip(collection.insertOne(wrong))
        assert.strictEqual(error.outcome, "not-applied")
        assert.deepStrictEqual(invalid(error).fields.slice().sort(), ["more", "n", "tags[1]"])
        const many = yield* Effect.flip(collection.insertMany([thing("b"), wrong]))
        assert.ok(invalid(many).fields.every((field) => field.startsWith("[1].")))
        assert.strictEqual(yield* collection.countDocuments({}), 0)
      })
    )

    it.effect("what is read is checked: the failure names collection, document and path, and no value", () =>
      Effect.gen(function* () {
        const database = yield* MongoDatabase
        const name = yield* freshName
        const loose = database.collection(name, Schema.Struct({ _id: Schema.String, key: Schema.Unknown }))
        yield* loose.insertOne({ _id: "doc-1", key: "fine" })
        yield* loose.insertOne({ _id: "doc-2", key: { deep: ["canary"] } })
        const strict = database.collection(
          name,
          Schema.Struct({ key: Schema.Union([Schema.String, Schema.Struct({ deep: Schema.Array(Schema.Int) })]) })
        )
        const error = yield* Effect.flip(strict.findAll({}))
        assert.strictEqual(invalid(error).subject, `${name} document doc-2`)
        assert.include(invalid(error).fields, "key.deep[0]")
        assert.notInclude(error.message + JSON.stringify(error), "canary")
        const streamed = yield* Effect.flip(Stream.runCollect(strict.find({})))
        assert.strictEqual(invalid(streamed).subject, `${name} document doc-2`)
        assert.strictEqual((yield* Stream.runCollect(Stream.take(loose.find({}), 1))).length, 1)
      })
    )

    it.effect("a stream reads every document, whatever the size of its batches", () =>
      Effect.gen(function* () {
        const collection = yield* things
        const all = Array.from({ length: 25 }, (_, n) => thing(`k${n}`, { n }))
        yield* collection.insertMany(all)
        for (const batchSize of [1, 7, 25, 100]) {
          const found = yield* Stream.runCollect(collection.find({}, { sort: { n: 1 }, batchSize }))
          assert.deepStrictEqual(
            found.map(({ n }) => n),
            all.map(({ n }) => n)
          )
        }
        const limited = yield* Stream.runCollect(collection.find({}, { sort: { n: -1 }, batchSize: 4, limit: 6 }))
        assert.deepStrictEqual(
          limited.map(({ n }) => n),
          [24, 23, 22, 21, 20, 19]
        )
        assert.deepStrictEqual(yield* Stream.runCollect(collection.find({ key: "none" })), [])
      })
    )

    it.effect("the consumer of a stream may use the same collection", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany(Array.from({ length: 6 }, (_, n) => thing(`k${n}`, { n })))
        yield* collection.find({}, { batchSize: 2 }).pipe(
          Stream.mapEffect(({ key }) => collection.updateOne({ key }, { $inc: { n: 100 } })),
          Stream.runDrain
        )
        assert.strictEqual(yield* collection.countDocuments({ n: Where.atLeast(100) }), 6)
      })
    )

    it.effect("a pipeline's results are decoded, and a wrong one is named", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertMany([1, 2, 3, 4].map((n) => thing(n > 2 ? "big" : "small", { n })))
        const Sum = Schema.Struct({ _id: Schema.String, sum: Schema.Int })
        const pipeline = [
          yield* collection.match({ n: Where.above(1) }),
          { $group: { _id: "$key", sum: { $sum: "$n" } } },
          { $sort: { _id: 1 } }
        ]
        const sums = [
          { _id: "big", sum: 7 },
          { _id: "small", sum: 2 }
        ]
        assert.deepStrictEqual(yield* collection.aggregate(pipeline, Sum), sums)
        const streamed = Stream.runCollect(collection.aggregateStream(pipeline, Sum, { batchSize: 1 }))
        assert.deepStrictEqual(yield* streamed, sums)
        const error = yield* Effect.flip(collection.aggregate(pipeline, Schema.Struct({ sum: Schema.String })))
        assert.deepStrictEqual(invalid(error), { subject: `${collection.name} result 0`, fields: ["sum"] })
        const bad = yield* Effect.flip(collection.aggregate([{ $nonsense: {} }], Sum))
        assert.strictEqual(bad.reason._tag, "InvalidStatement")
        assert.strictEqual(bad.operation, `${collection.name}.aggregate`)
      })
    )

    it.effect("an increment that many make at once loses none", () =>
      Effect.gen(function* () {
        const collection = yield* things
        yield* collection.insertOne(thing("a"))
        const fibers = yield* Effect.all(
          Array.from({ length: 30 }, () => Effect.forkChild(collection.updateOne({ key: "a" }, { $inc: { n: 1 } })))
        )
        yield* Effect.all(fibers.map(Fiber.join))
        assert.strictEqual(Option.getOrThrow(yield* collection.findOne({ key: "a" })).n, 30)
      })
    )
  })

describe("MongoCollection", () => {
  suite("in memory", MongoDbMemory.layer)
})

describeLive("mongodb", "MongoCollection", () => {
  suite("on a server", freshClient())
})
