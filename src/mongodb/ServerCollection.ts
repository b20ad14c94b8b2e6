import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { AbstractCursor, Collection, Document as BsonDocument, FindOptions } from "mongodb"
import type { StoreError } from "../core/StoreError.ts"
import type { CommandLimits, MongoCalls } from "./MongoCalls.ts"
import type { CallKind } from "./MongoDbError.ts"
import type { RawCollection, RawCursor, RawFind } from "./RawCollection.ts"

const findOptions = (find: RawFind, limits: CommandLimits): FindOptions & CommandLimits => {
  const options: FindOptions & CommandLimits = { ...limits }
  if (find.sort !== undefined) options.sort = { ...find.sort }
  if (find.limit !== undefined) options.limit = find.limit
  if (find.skip !== undefined) options.skip = find.skip
  if (find.batchSize !== undefined) options.batchSize = find.batchSize
  return options
}

/** How long the server may take to forget a cursor; milliseconds. */
const closeWithin = 5000

/** The untyped collection over the driver. */
export const makeServerCollection = (collection: () => Collection<BsonDocument>, calls: MongoCalls): RawCollection => {
  const openCursor = (
    operation: string,
    open: (signal: AbortSignal) => AbstractCursor<BsonDocument>
  ): Effect.Effect<RawCursor, StoreError, Scope.Scope> =>
    Effect.gen(function* () {
      const passage = calls.passage()
      let released = false
      const cursor = yield* Effect.acquireRelease(
        Effect.sync(() => open(passage)),
        (cursor) =>
          Effect.suspend(() => {
            released = true
            // The server knows no cursor: nothing was sent, the first batch is still to come, or the last one has come.
            if (cursor.id === undefined || cursor.id.isZero()) return Effect.void
            return Effect.exit(
              calls.run({
                operation: "killCursors",
                kind: "read",
                timeoutMillis: closeWithin,
                decode: Exit.succeed,
                send: () => cursor.close()
              })
            )
          })
      )
      const next = calls.run({
        operation,
        kind: "read",
        passage,
        decode: Exit.succeed,
        send: () =>
          cursor.hasNext().then((more) => {
            // The first batch came after the stream had ended, and with it a cursor that nobody will read.
            if (released) return cursor.close().then(() => [])
            return more ? cursor.readBufferedDocuments() : []
          })
      })
      return { next }
    })

  const call = <A>(operation: string, kind: CallKind, send: (limits: CommandLimits) => Promise<A>) =>
    calls.run({ operation, kind, send, decode: Exit.succeed })

  return {
    insertOne: (operation, document) =>
      call(operation, "write", (limits) =>
        collection()
          .insertOne({ ...document }, limits)
          .then(({ insertedId }) => insertedId)
      ),
    insertMany: (operation, documents) =>
      call(operation, "writes", (limits) =>
        collection()
          .insertMany(
            documents.map((document) => ({ ...document })),
            limits
          )
          .then(({ insertedIds }) => documents.map((_, i) => insertedIds[i]))
      ),
    findOne: (operation, find, decode) =>
      calls.run({
        operation,
        kind: "read",
        decode,
        send: (limits) => {
          const options = findOptions(find, limits)
          options.limit = 1
          options.singleBatch = true
          const cursor = collection().find(find.filter, options)
          // What the driver's findOne does, but for its second closing of a cursor that the only batch has closed.
          return cursor.next().then((found) => (cursor.closed ? found : cursor.close().then(() => found)))
        }
      }),
    findAll: (operation, find) =>
      call(operation, "read", (limits) => collection().find(find.filter, findOptions(find, limits)).toArray()),
    openFind: (operation, find) =>
      openCursor(operation, (signal) => {
        return collection().find(find.filter, findOptions(find, { signal }))
      }),
    update: (operation, which, filter, update) =>
      call(operation, which === "one" ? "write" : "writes", (limits) =>
        (which === "one"
          ? collection().updateOne(filter, update, limits)
          : collection().updateMany(filter, update, limits)
        ).then(({ matchedCount, modifiedCount }) => ({ matched: matchedCount, modified: modifiedCount }))
      ),
    remove: (operation, which, filter) =>
      call(operation, which === "one" ? "write" : "writes", (limits) =>
        (which === "one" ? collection().deleteOne(filter, limits) : collection().deleteMany(filter, limits)).then(
          ({ deletedCount }) => deletedCount
        )
      ),
    count: (operation, filter) => call(operation, "read", (limits) => collection().countDocuments(filter, limits)),
    aggregateAll: (operation, pipeline) =>
      call(operation, "read", (limits) =>
        collection()
          .aggregate<BsonDocument>([...pipeline], limits)
          .toArray()
      ),
    openAggregate: (operation, pipeline, batchSize) =>
      openCursor(operation, (signal) => collection().aggregate<BsonDocument>([...pipeline], { signal, batchSize })),
    ensureIndexes: (operation, indexes) =>
      indexes.length === 0
        ? Effect.void
        : Effect.asVoid(
            call(operation, "write", (limits) =>
              collection().createIndexes(
                indexes.map((index) => ({ ...index, key: { ...index.key } })),
                limits
              )
            )
          )
  }
}
