import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StoreError } from "../core/StoreError.ts"
import * as DocumentCodec from "./DocumentCodec.ts"
import type { Document, DocumentSchema, FindOptions, MongoCollection } from "./MongoCollection.ts"
import type { RawCollection, RawCursor, RawFind } from "./RawCollection.ts"
import type * as Scope from "effect/Scope"

const defaultBatchSize = 1000

const whole = (n: number | undefined, least: number): boolean =>
  n === undefined || (Number.isSafeInteger(n) && n >= least)

/** The documents of a cursor, a batch at a time, none fetched before it is asked for. */
const batches = <A>(
  open: Effect.Effect<RawCursor, StoreError, Scope.Scope>,
  decode: (document: Document, index: number) => Exit.Exit<A, StoreError>
): Stream.Stream<A, StoreError> =>
  Stream.unwrap(
    Effect.map(open, (cursor) => {
      let index = 0
      return Stream.fromPull(
        Effect.succeed(
          Effect.gen(function* () {
            const [first, ...rest] = yield* cursor.next
            if (first === undefined) return yield* Cause.done()
            const decoded: [A, ...Array<A>] = [yield* decode(first, index++)]
            for (const document of rest) decoded.push(yield* decode(document, index++))
            return decoded
          })
        )
      )
    })
  )

const decodeEach =
  <A>(decode: (document: Document, index: number) => Exit.Exit<A, StoreError>) =>
  (documents: ReadonlyArray<Document>): Effect.Effect<ReadonlyArray<A>, StoreError> =>
    Effect.gen(function* () {
      const decoded: Array<A> = []
      for (const [i, document] of documents.entries()) decoded.push(yield* decode(document, i))
      return decoded
    })

/** Makes the typed collection over what stores its documents. */
export const makeCollection = <T>(name: string, schema: DocumentSchema<T>, raw: RawCollection): MongoCollection<T> => {
  const codec = DocumentCodec.make(name, schema)
  const named = (method: string) => `${name}.${method}`
  const op = {
    insertOne: named("insertOne"),
    insertMany: named("insertMany"),
    findOne: named("findOne"),
    find: named("find"),
    findAll: named("findAll"),
    updateOne: named("updateOne"),
    updateMany: named("updateMany"),
    deleteOne: named("deleteOne"),
    deleteMany: named("deleteMany"),
    countDocuments: named("countDocuments"),
    aggregate: named("aggregate"),
    ensureIndexes: named("ensureIndexes")
  }

  const finding = (
    operation: string,
    filter: Parameters<MongoCollection<T>["findOne"]>[0],
    options: FindOptions<T> | undefined
  ): Exit.Exit<RawFind, StoreError> => {
    const encoded = codec.filter(operation, filter)
    if (options === undefined) return Exit.map(encoded, (encoded) => ({ filter: encoded }))
    const problems = [
      ...(whole(options.limit, 1) ? [] : [{ field: "limit", problem: "must be a whole number, 1 or more" }]),
      ...(whole(options.skip, 0) ? [] : [{ field: "skip", problem: "must be a whole number, 0 or more" }]),
      ...(whole(options.batchSize, 1) ? [] : [{ field: "batchSize", problem: "must be a whole number, 1 or more" }])
    ]
    if (problems.length > 0) return Exit.fail(DocumentCodec.invalidInput(operation, problems))
    return Exit.map(encoded, (encoded) => ({
      filter: encoded,
      sort: options.sort,
      limit: options.limit,
      skip: options.skip,
      batchSize: options.batchSize
    }))
  }

  const decodeFound = (found: Document | null): Exit.Exit<Option.Option<T>, StoreError> =>
    found === null ? Exit.succeed(Option.none()) : Exit.map(codec.decode(op.findOne, found), Option.some)

  return {
    name,
    insertOne: Effect.fnUntraced(function* (document) {
      return yield* raw.insertOne(op.insertOne, yield* codec.encode(op.insertOne, document))
    }),
    insertMany: Effect.fnUntraced(function* (documents) {
      const encoded: Array<Document> = []
      for (const [i, document] of documents.entries()) {
        encoded.push(yield* codec.encode(op.insertMany, document, `[${i}]`))
      }
      return encoded.length === 0 ? [] : yield* raw.insertMany(op.insertMany, encoded)
    }),
    findOne: (filter, options) =>
      Effect.suspend(() => {
        const find = finding(op.findOne, filter, options)
        return Exit.isSuccess(find) ? raw.findOne(op.findOne, find.value, decodeFound) : Exit.failCause(find.cause)
      }),
    find: (filter, options) =>
      batches(
        Effect.gen(function* () {
          const find = yield* finding(op.find, filter, options)
          return yield* raw.openFind(op.find, { ...find, batchSize: find.batchSize ?? defaultBatchSize })
        }),
        (document) => codec.decode(op.find, document)
      ),
    findAll: Effect.fnUntraced(function* (filter, options) {
      const found = yield* raw.findAll(op.findAll, yield* finding(op.findAll, filter, options))
      return yield* decodeEach((document) => codec.decode(op.findAll, document))(found)
    }),
    updateOne: Effect.fnUntraced(function* (filter, update) {
      const which = yield* codec.filter(op.updateOne, filter)
      return yield* raw.update(op.updateOne, "one", which, yield* codec.update(op.updateOne, update))
    }),
    updateMany: Effect.fnUntraced(function* (filter, update) {
      const which = yield* codec.filter(op.updateMany, filter)
      return yield* raw.update(op.updateMany, "many", which, yield* codec.update(op.updateMany, update))
    }),
    deleteOne: Effect.fnUntraced(function* (filter) {
      return yield* raw.remove(op.deleteOne, "one", yield* codec.filter(op.deleteOne, filter))
    }),
    deleteMany: Effect.fnUntraced(function* (filter) {
      return yield* raw.remove(op.deleteMany, "many", yield* codec.filter(op.deleteMany, filter))
    }),
    countDocuments: Effect.fnUntraced(function* (filter) {
      return yield* raw.count(op.countDocuments, yield* codec.filter(op.countDocuments, filter))
    }),
    match: (filter) => Effect.suspend(() => Exit.map(codec.filter(op.aggregate, filter), ($match) => ({ $match }))),
    aggregate: Effect.fnUntraced(function* (pipeline, result) {
      const decode = DocumentCodec.decodeResults(name, result)
      const made = yield* raw.aggregateAll(op.aggregate, pipeline)
      return yield* decodeEach((document, i) => decode(op.aggregate, i, document))(made)
    }),
    aggregateStream: (pipeline, result, options) => {
      const decode = DocumentCodec.decodeResults(name, result)
      return batches(raw.openAggregate(op.aggregate, pipeline, options?.batchSize ?? defaultBatchSize), (document, i) =>
        decode(op.aggregate, i, document)
      )
    },
    ensureIndexes: (indexes) => raw.ensureIndexes(op.ensureIndexes, indexes)
  }
}
