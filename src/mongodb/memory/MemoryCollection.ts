import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Aggregator } from "mingo/aggregator"
import { type Context, ProcessingMode } from "mingo/core"
import { Query } from "mingo/query"
import { InvalidStatement, type Outcome, type StoreError } from "../../core/StoreError.ts"
import type { Document, IndexSpec } from "../MongoCollection.ts"
import type { RawCollection, RawCursor, RawFind } from "../RawCollection.ts"
import { canonical, foreignValue, type Mutable, roundTrip, sortBy } from "./BsonValue.ts"
import { isExpired, makeUniqueIndex, sameIndex, type UniqueIndex } from "./MemoryIndex.ts"
import { checkFilter, checkPipeline, prepareFilter, preparePipeline } from "./MemoryOperators.ts"
import { duplicateKey, MemoryRefusal, refusal, toStoreError, unsupported } from "./MemoryRefusal.ts"
import { applyUpdate, checkUpdate } from "./MemoryUpdate.ts"

/** The documents of one collection, by their `_id`'s canonical text, in the order of their insertion. */
export interface MemoryCollection extends RawCollection {
  readonly documents: () => ReadonlyArray<Mutable>
}

/** What the collections of one database share. */
export interface MemoryEngine {
  readonly context: Context
  readonly documentsOf: (collection: string) => ReadonlyArray<Mutable>
}

const idIndex: IndexSpec = { key: { _id: 1 }, name: "_id_", unique: true }

const cursor = (documents: ReadonlyArray<Mutable>, batchSize: number): RawCursor => {
  let at = 0
  return {
    next: Effect.sync(() => {
      const batch = documents.slice(at, at + batchSize)
      at += batchSize
      return batch
    })
  }
}

/**
 * Makes a collection in memory.
 *
 * An operation runs to its end without giving way to another fiber, so each is atomic. What is stored and what is handed out
 * are copies that made the journey through BSON.
 */
export const makeMemoryCollection = (name: string, engine: MemoryEngine): MemoryCollection => {
  const stored = new Map<string, Mutable>()
  const indexes = new Map<string, IndexSpec>([[idIndex.name, idIndex]])
  const unique = new Map<string, UniqueIndex>()
  const options = {
    context: engine.context,
    processingMode: ProcessingMode.CLONE_ALL,
    scriptEnabled: false,
    collectionResolver: (other: string) => engine.documentsOf(other).map(roundTrip)
  }

  /** Runs one operation at the Clock's time; what the engine refuses becomes the operation's failure. */
  const operate = <A>(
    operation: string,
    work: (now: Date) => A,
    outcome: () => Outcome = () => "not-applied"
  ): Effect.Effect<A, StoreError> =>
    Effect.flatMap(Clock.currentTimeMillis, (millis) =>
      Effect.try({
        try: () => {
          expire(millis)
          return work(new Date(millis))
        },
        catch: (thrown) =>
          toStoreError(
            operation,
            thrown instanceof MemoryRefusal
              ? thrown
              : new MemoryRefusal(new InvalidStatement({ detail: "the memory engine cannot run it" })),
            outcome()
          )
      })
    )

  const expire = (nowMillis: number): void => {
    const timed = [...indexes.values()].filter((index) => index.expireAfterSeconds !== undefined)
    if (timed.length === 0) return
    for (const [id, document] of stored) {
      if (timed.some((index) => isExpired(index, document, nowMillis))) drop(id, document)
    }
  }

  /** Enters a document in every unique index, or in none. */
  const enter = (id: string, document: Mutable, before?: Mutable): void => {
    for (const index of unique.values()) index.check(id, document)
    for (const index of unique.values()) index.put(id, document, before)
    stored.set(id, document)
  }

  const drop = (id: string, document: Mutable): void => {
    for (const index of unique.values()) index.remove(document)
    stored.delete(id)
  }

  const insert = (document: Document, now: Date): unknown => {
    const { _id = new ObjectId(ObjectId.generate(Math.floor(now.getTime() / 1000))), ...fields } = document
    if (Array.isArray(_id) || _id instanceof RegExp) throw refusal(53, "InvalidIdField")
    const copy = roundTrip({ _id, ...fields })
    const foreign = foreignValue(copy)
    if (foreign !== undefined) throw unsupported(foreign)
    const id = canonical(copy["_id"])
    if (stored.has(id)) throw duplicateKey(name, idIndex.name, ["_id"])
    enter(id, copy)
    return _id
  }

  const matching = (filter: Document, now: Date): ReadonlyArray<Mutable> => {
    const wanted = roundTrip(filter)
    checkFilter(wanted)
    const query = new Query(prepareFilter(wanted, now), options)
    return [...stored.values()].filter((document) => query.test(document))
  }

  const found = ({ filter, limit, skip = 0, sort }: RawFind, now: Date): ReadonlyArray<Mutable> => {
    const all = matching(filter, now)
    const sorted = sort === undefined ? all : sortBy(all, sort)
    return sorted.slice(skip, limit === undefined ? undefined : skip + limit).map(roundTrip)
  }

  const aggregated = (pipeline: ReadonlyArray<Document>, now: Date): ReadonlyArray<Mutable> => {
    const { stages } = roundTrip({ stages: pipeline })
    const wanted = Array.isArray(stages) ? stages : []
    checkPipeline(wanted)
    const made = new Aggregator(preparePipeline(wanted, now), options).run<Mutable>([...stored.values()])
    return made.map(roundTrip)
  }

  const change = (document: Mutable, update: Document): boolean => {
    const id = canonical(document["_id"])
    const changed = roundTrip(document)
    applyUpdate(changed, update)
    const after = roundTrip(changed)
    if (canonical(after["_id"]) !== id) throw refusal(66, "ImmutableField: _id")
    if (canonical(after) === canonical(document)) return false
    enter(id, after, document)
    return true
  }

  return {
    documents: () => [...stored.values()],
    insertOne: (operation, document) => operate(operation, (now) => insert(document, now)),
    insertMany: (operation, documents) =>
      Effect.suspend(() => {
        let inserted = 0
        return operate(
          operation,
          (now) =>
            documents.map((document) => {
              const id = insert(document, now)
              inserted++
              return id
            }),
          () => (inserted > 0 ? "unknown" : "not-applied")
        )
      }),
    findOne: (operation, find, decode) =>
      Effect.flatMap(
        operate(operation, (now) => found({ ...find, limit: 1 }, now)[0] ?? null),
        decode
      ),
    findAll: (operation, find) => operate(operation, (now) => found(find, now)),
    openFind: (operation, find) =>
      operate(operation, (now) => cursor(found(find, now), find.batchSize ?? Number.POSITIVE_INFINITY)),
    update: (operation, which, filter, update) =>
      Effect.suspend(() => {
        let modified = 0
        return operate(
          operation,
          (now) => {
            const wanted = roundTrip(update)
            checkUpdate(wanted)
            const all = matching(filter, now)
            const chosen = which === "one" ? all.slice(0, 1) : all
            for (const document of chosen) if (change(document, wanted)) modified++
            return { matched: chosen.length, modified }
          },
          () => (modified > 0 ? "unknown" : "not-applied")
        )
      }),
    remove: (operation, which, filter) =>
      operate(operation, (now) => {
        const all = matching(filter, now)
        const chosen = which === "one" ? all.slice(0, 1) : all
        for (const document of chosen) drop(canonical(document["_id"]), document)
        return chosen.length
      }),
    count: (operation, filter) => operate(operation, (now) => matching(filter, now).length),
    aggregateAll: (operation, pipeline) => operate(operation, (now) => aggregated(pipeline, now)),
    openAggregate: (operation, pipeline, batchSize) =>
      operate(operation, (now) => cursor(aggregated(pipeline, now), batchSize)),
    ensureIndexes: (operation, wanted) =>
      operate(operation, () => {
        for (const index of wanted) {
          const there = indexes.get(index.name)
          if (there !== undefined && !sameIndex(there, index)) throw refusal(86, "IndexKeySpecsConflict")
          if (there !== undefined) continue
          if (index.unique === true) {
            const made = makeUniqueIndex(name, index)
            for (const [id, document] of stored) {
              made.check(id, document)
              made.put(id, document)
            }
            unique.set(index.name, made)
          }
          indexes.set(index.name, index)
        }
      })
  }
}
