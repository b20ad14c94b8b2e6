import { assert, it } from "@effect/vitest"
import { Effect, type Exit, Schema } from "effect"
import type { StoreError } from "../../src/core/StoreError.ts"
import type { Document, MongoCollection, Update } from "../../src/mongodb/MongoCollection.ts"
import { MongoDatabase } from "../../src/mongodb/MongoDatabase.ts"
import * as MongoDbMemory from "../../src/mongodb/MongoDbMemory.ts"
import { type Filter, Where } from "../../src/mongodb/MongoFilter.ts"
import { describeLive } from "../servers/index.ts"
import { freshClient, freshName } from "./databases.ts"
import { randomOf } from "../random.ts"

const Any = Schema.optionalKey(Schema.Unknown)
const Mixed = Schema.Struct({ key: Schema.Int, a: Any, b: Any, list: Any, sub: Any })
type Mixed = typeof Mixed.Type

const generator = (seed: number) => {
  const next = randomOf(seed)
  const below = (n: number) => Math.floor(next() * n)
  const pick = <A>(all: ReadonlyArray<A>): A => all[below(all.length)]!
  return { below, pick }
}
type Generator = ReturnType<typeof generator>

const scalar = ({ below, pick }: Generator): unknown =>
  pick([below(4), below(4), -1.5, 0, "", "a", "b", "Ä", true, false, null, new Date(below(3) * 1000)])

const value = (g: Generator): unknown => {
  switch (g.below(6)) {
    case 0:
      return Array.from({ length: g.below(3) }, () => scalar(g))
    case 1:
      return g.pick([{ x: scalar(g) }, { x: scalar(g), y: 1 }, { y: 1, x: scalar(g) }, {}])
    default:
      return scalar(g)
  }
}

const document = (g: Generator, key: number): Mixed => ({
  key,
  ...(g.below(4) > 0 ? { a: value(g) } : {}),
  ...(g.below(4) > 0 ? { b: scalar(g) } : {}),
  ...(g.below(3) > 0 ? { list: Array.from({ length: g.below(4) }, () => scalar(g)) } : {}),
  ...(g.below(3) > 0 ? { sub: { n: g.below(5), text: g.pick(["u", "v"]) } } : {})
})

const condition = (g: Generator): unknown =>
  g.pick([
    () => value(g),
    () => Where.above(scalar(g)),
    () => Where.atLeast(scalar(g)),
    () => Where.below(scalar(g)),
    () => Where.atMost(scalar(g)),
    () => Where.not(value(g)),
    () => Where.oneOf([value(g), scalar(g)]),
    () => Where.noneOf([scalar(g), scalar(g)]),
    () => Where.exists(g.below(2) === 0)
  ])()

const filter = (g: Generator): Filter<Mixed> => {
  const field = g.pick(["a", "b", "list", "sub.n", "sub.text", "sub.none", "key"] as const)
  const one = { [field]: field === "key" ? Where.below(g.below(12)) : condition(g) } as Filter<Mixed>
  switch (g.below(5)) {
    case 0:
      return Where.all(one, { "sub.n": Where.atLeast(g.below(5)) })
    case 1:
      return Where.any(one, { key: g.below(12) })
    case 2:
      return { list: Where.contains(scalar(g)) }
    default:
      return one
  }
}

const update = (g: Generator): Update<Mixed> =>
  g.pick<() => Update<Mixed>>([
    () => ({ $set: { a: value(g) } }),
    () => ({ $set: { "sub.text": g.pick(["u", "w"]), b: scalar(g) } }),
    () => ({ $inc: { "sub.n": 1 + g.below(3) } }),
    () => ({ $inc: { "sub.fresh.deep": 1 } }),
    () => ({ $unset: ["b"] }),
    () => ({ $unset: ["sub.n", "none.b" as "a.b"].slice(0, 1) as ReadonlyArray<"sub.n"> }),
    () => ({ $push: { list: scalar(g) } as never }),
    () => ({ $set: { "list.1": scalar(g) } }),
    () => ({ $set: { "sub.n": 1 }, $unset: ["b"] })
  ])()

type Step = (collection: MongoCollection<Mixed>) => Effect.Effect<unknown, StoreError>

const step = (g: Generator): readonly [string, Step] => {
  const key = g.below(12)
  switch (g.below(9)) {
    case 0:
    case 1:
    case 2: {
      const made = document(g, key)
      return [`insert ${JSON.stringify(made)}`, (c) => Effect.as(c.insertOne(made), "inserted")]
    }
    case 3: {
      const change = update(g)
      return [`update ${key} ${JSON.stringify(change)}`, (c) => c.updateOne({ key }, change)]
    }
    case 4: {
      const which = filter(g)
      const change = g.pick<Update<Mixed>>([{ $set: { b: 7 } }, { $inc: { "sub.n": 1 } }, { $unset: ["a"] }])
      return [`update many ${JSON.stringify(which)} ${JSON.stringify(change)}`, (c) => c.updateMany(which, change)]
    }
    case 5:
      return [`delete ${key}`, (c) => c.deleteOne({ key })]
    case 6: {
      const which = filter(g)
      return [`count ${JSON.stringify(which)}`, (c) => c.countDocuments(which)]
    }
    case 7: {
      const field = g.pick(["b", "list", "sub.n"] as const)
      // An empty array comes before null in MongoDB, and with it in the engine that may stand in for it here.
      const which: Filter<Mixed> = field === "list" ? { "list.0": Where.exists(true) } : {}
      const sort = { [field]: g.pick([1, -1] as const), key: 1 } as const
      const limit = 1 + g.below(12)
      return [`sort ${JSON.stringify(sort)} ${limit}`, (c) => c.findAll(which, { sort, limit })]
    }
    default: {
      const which = filter(g)
      return [`find ${JSON.stringify(which)}`, (c) => c.findAll(which, { sort: { key: 1 } })]
    }
  }
}

/** What a caller can tell of an outcome: the value, or the kind of failure. */
const told = (exit: Exit.Exit<unknown, StoreError>): unknown => {
  if (exit._tag === "Success") return exit.value
  const error = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  const reason = error?.reason
  return reason === undefined
    ? String(exit.cause)
    : { failed: reason._tag, ...("constraint" in reason ? { constraint: reason.constraint } : {}) }
}

/** Both implementations of a collection, each with the same unique index. */
const both = Effect.gen(function* () {
  const name = yield* freshName
  const live = (yield* MongoDatabase).collection(name, Mixed)
  const memory = (yield* MongoDbMemory.make()).collection(name, Mixed)
  for (const collection of [live, memory]) {
    yield* collection.ensureIndexes([{ name: "one_per_key", key: { key: 1 }, unique: true }])
  }
  return { live, memory }
})

const soak = process.env["TEST_SOAK"] === "1"
const sequences = soak ? 200 : 12
const steps = 60

// `then` is MongoDB's word here; nobody awaits these.
/* oxlint-disable unicorn/no-thenable */
/** Pipelines of the stages and operators that memory is said to have. */
const pipelines: ReadonlyArray<ReadonlyArray<Document>> = [
  [{ $group: { _id: "$b", n: { $sum: 1 } } }],
  [{ $group: { _id: "$none", n: { $sum: 1 }, all: { $sum: "$sub.n" }, mean: { $avg: "$sub.n" } } }],
  [{ $group: { _id: null, min: { $min: "$sub.n" }, max: { $max: "$sub.n" }, count: { $count: {} } } }],
  [
    { $match: { sub: { $exists: true } } },
    { $sort: { key: 1 } },
    { $group: { _id: { t: "$sub.text" }, keys: { $sum: "$key" } } }
  ],
  [{ $sort: { key: 1 } }, { $group: { _id: "$sub.text", first: { $first: "$key" }, last: { $last: "$key" } } }],
  [{ $unwind: "$list" }, { $count: "n" }],
  [
    { $unwind: { path: "$list", preserveNullAndEmptyArrays: true, includeArrayIndex: "i" } },
    { $sort: { key: 1, i: 1 } }
  ],
  [{ $sortByCount: "$sub.text" }, { $sort: { count: -1, _id: 1 } }],
  [{ $match: { "sub.n": { $gte: 2 } } }, { $sort: { key: -1 } }, { $skip: 1 }, { $limit: 3 }],
  [{ $match: { $expr: { $gt: ["$sub.n", 2] } } }, { $sort: { key: 1 } }],
  [{ $match: { $nor: [{ "sub.n": 1 }, { key: { $in: [2, 3] } }] } }, { $sort: { key: 1 } }],
  [{ $match: { list: { $size: 2 } } }, { $sort: { key: 1 } }],
  [{ $match: { key: { $mod: [3, 1] } } }, { $sort: { key: 1 } }],
  [{ $match: { list: { $all: ["a"] } } }, { $sort: { key: 1 } }],
  [{ $match: { b: { $not: { $gt: 1 } } } }, { $sort: { key: 1 } }],
  [{ $match: { "sub.text": { $regex: "^u", $options: "i" } } }, { $sort: { key: 1 } }],
  [{ $project: { key: 1, "sub.n": 1 } }, { $sort: { key: 1 } }],
  [{ $project: { key: 1, sub: { text: 1 } } }, { $sort: { key: 1 } }],
  [{ $project: { list: 0, a: 0 } }, { $sort: { key: 1 } }],
  [{ $project: { key: 1, twice: { $multiply: ["$sub.n", 2] }, none: "$nope" } }, { $sort: { key: 1 } }],
  [{ $set: { sum: { $add: ["$key", 1.5] }, "sub.extra": { $subtract: ["$key", 1] } } }, { $sort: { key: 1 } }],
  [{ $addFields: { half: { $divide: ["$key", 2] }, rest: { $mod: ["$key", 3] } } }, { $sort: { key: 1 } }],
  [
    {
      $addFields: {
        up: { $ceil: { $divide: ["$key", 2] } },
        down: { $floor: { $divide: ["$key", 2] } },
        cut: { $trunc: [{ $divide: ["$key", 3] }, 1] },
        near: { $round: [{ $divide: ["$key", 3] }, 1] },
        abs: { $abs: { $subtract: ["$key", 6] } }
      }
    },
    { $sort: { key: 1 } }
  ],
  [
    {
      $addFields: {
        word: { $concat: ["k", { $toString: "$key" }] },
        upper: { $toUpper: "$sub.text" },
        lower: { $toLower: "Ab" },
        length: { $strLenCP: "Äb" },
        part: { $substrCP: ["abcdef", 1, 3] },
        split: { $split: ["a-b-c", "-"] }
      }
    },
    { $sort: { key: 1 } }
  ],
  [
    {
      $addFields: {
        size: { $size: { $ifNull: ["$list", []] } },
        head: { $arrayElemAt: [{ $ifNull: ["$list", []] }, 0] },
        is: { $isArray: "$list" },
        has: { $in: ["a", { $ifNull: ["$list", []] }] },
        slice: { $slice: [{ $range: [0, 10] }, 2, 3] },
        more: { $concatArrays: [["x"], { $ifNull: ["$list", []] }] },
        back: { $reverseArray: { $range: [0, 3] } },
        map: { $map: { input: { $range: [0, 3] }, as: "i", in: { $multiply: ["$$i", "$key"] } } },
        filter: { $filter: { input: { $range: [0, 6] }, as: "i", cond: { $gt: ["$$i", 3] } } },
        reduce: { $reduce: { input: [1, 2, 3], initialValue: 0, in: { $add: ["$$value", "$$this"] } } }
      }
    },
    { $sort: { key: 1 } }
  ],
  [
    {
      $addFields: {
        cond: { $cond: [{ $gte: ["$key", 5] }, "big", "small"] },
        cond2: { $cond: { if: { $eq: ["$sub.text", "u"] }, then: 1, else: 0 } },
        ifNull: { $ifNull: ["$b", "none"] },
        switch: { $switch: { branches: [{ case: { $lt: ["$key", 3] }, then: "low" }], default: "high" } },
        and: { $and: [{ $ne: ["$key", 1] }, { $lte: ["$key", 9] }] },
        or: { $or: [false, { $not: [{ $gt: ["$key", 2] }] }] },
        cmp: { $cmp: ["$key", 4] },
        same: {
          $eq: [
            { x: 1, y: 2 },
            { y: 2, x: 1 }
          ]
        },
        let: { $let: { vars: { d: { $add: ["$key", 1] } }, in: { $multiply: ["$$d", "$$d"] } } },
        literal: { $literal: { $not: "run" } }
      }
    },
    { $sort: { key: 1 } }
  ],
  [
    { $match: { sub: { $exists: true } } },
    {
      $addFields: {
        merged: { $mergeObjects: ["$sub", { more: 1 }] },
        pairs: { $objectToArray: "$sub" }
      }
    },
    { $sort: { key: 1 } }
  ],
  [{ $match: { sub: { $exists: true } } }, { $replaceRoot: { newRoot: "$sub" } }, { $sort: { n: 1, text: 1 } }],
  [
    { $match: { sub: { $exists: true } } },
    { $replaceWith: { $mergeObjects: [{ k: "$key" }, "$sub"] } },
    { $sort: { k: 1 } }
  ],
  [{ $unset: ["a", "sub.n"] }, { $sort: { key: 1 } }],
  [
    {
      $facet: {
        count: [{ $count: "n" }],
        high: [{ $match: { key: { $gte: 6 } } }, { $sort: { key: 1 } }, { $project: { _id: 0, key: 1 } }]
      }
    }
  ],
  [
    { $limit: 1 },
    { $replaceWith: { at: new Date("2024-02-29T13:14:15.016Z") } },
    {
      $project: {
        year: { $year: "$at" },
        month: { $month: "$at" },
        day: { $dayOfMonth: "$at" },
        hour: { $hour: "$at" },
        minute: { $minute: "$at" },
        second: { $second: "$at" }
      }
    }
  ]
]

const sortKeys = (v: unknown): unknown =>
  typeof v === "object" && v !== null && !Array.isArray(v)
    ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
    : v

/** Everything but the ids, which each side makes for itself, and the order of fields; groups come in no order. */
const plain = (documents: ReadonlyArray<unknown>, sorted: boolean): unknown => {
  const texts = documents.map((d) =>
    JSON.stringify(d, (key, v: unknown) =>
      key === "_id" && typeof v === "string" && /^[0-9a-f]{24}$/.test(v) ? "id" : sortKeys(v)
    )
  )
  return sorted ? texts : texts.sort()
}

describeLive("mongodb", "MongoDbMemory beside a server", () => {
  it.layer(freshClient(), { excludeTestServices: true, timeout: "1 minute" })("the same answers", (it) => {
    for (let sequence = 1; sequence <= sequences; sequence++) {
      it.effect(
        `sequence ${sequence} of ${steps} random steps`,
        () =>
          Effect.gen(function* () {
            const { live, memory } = yield* both
            const g = generator(sequence)
            const played: Array<string> = []
            for (let i = 0; i < steps; i++) {
              const [title, run] = step(g)
              played.push(title)
              const answers = [told(yield* Effect.exit(run(memory))), told(yield* Effect.exit(run(live)))]
              assert.deepStrictEqual(answers[0], answers[1], `step ${i}: ${title}`)
            }
            assert.deepStrictEqual(
              yield* memory.findAll({}, { sort: { key: 1 } }),
              yield* live.findAll({}, { sort: { key: 1 } }),
              played.join("\n")
            )
          }),
        60_000
      )
    }

    it.effect("every stage and operator on the list, over thirty documents", () =>
      Effect.gen(function* () {
        const { live, memory } = yield* both
        const g = generator(4711)
        const all = Array.from({ length: 30 }, (_, key) => document(g, key))
        yield* live.insertMany(all)
        yield* memory.insertMany(all)
        const differing: Array<string> = []
        for (const pipeline of pipelines) {
          const sorted = pipeline.some((stage) => "$sort" in stage && !("$group" in (pipeline.at(-1) ?? {})))
          const [m, l] = [
            yield* Effect.exit(memory.aggregate(pipeline, Schema.Unknown)),
            yield* Effect.exit(live.aggregate(pipeline, Schema.Unknown))
          ]
          const [a, b] = [m, l].map((exit) => (exit._tag === "Success" ? plain(exit.value, sorted) : told(exit)))
          if (JSON.stringify(a) !== JSON.stringify(b)) {
            differing.push(`${JSON.stringify(pipeline)}\n  memory ${JSON.stringify(a)}\n  server ${JSON.stringify(b)}`)
          }
        }
        assert.deepStrictEqual(differing, [])
      })
    )
  })
})
