import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { StoreError } from "../core/StoreError.ts"
import type { Filter } from "./MongoFilter.ts"

/** A document, or a stage, as it is sent. */
export type Document = Readonly<Record<string, unknown>>

/** The Schema of a collection's documents: a Struct, or a Class, that needs no services. */
export type DocumentSchema<T> = Schema.ConstraintCodec<T, unknown> & { readonly fields: Schema.Struct.Fields }

/** The Schema of what a pipeline makes. */
export type ResultSchema<A> = Schema.ConstraintDecoder<A>

type Dotted = `${string}.${string}`
type KeysOf<T, Value> = { readonly [K in keyof T & string]: T[K] extends Value ? K : never }[keyof T & string]
type OptionalKeys<T> = {
  readonly [K in keyof T & string]: Record<never, never> extends Pick<T, K> ? K : never
}[keyof T & string]
type Element<A> = A extends ReadonlyArray<infer E> ? E : never

/** What an update does to each document that it finds; at least one of these. */
export interface Update<T> {
  /** Fields, or dotted paths, and their new values. */
  readonly $set?: { readonly [K in keyof T]?: T[K] } & { readonly [path: Dotted]: unknown }
  /** Numbers to add; a missing field counts as 0. */
  readonly $inc?: { readonly [K in KeysOf<T, number | undefined>]?: number } & { readonly [path: Dotted]: number }
  /** Fields to take away. */
  readonly $unset?: ReadonlyArray<OptionalKeys<T> | Dotted>
  /** Elements to put at the end of arrays. */
  readonly $push?: { readonly [K in KeysOf<T, ReadonlyArray<unknown> | undefined>]?: Element<T[K]> }
}

/** What an update found and changed. */
export interface Updated {
  readonly matched: number
  /** Of these, the ones that are now different. */
  readonly modified: number
}

export interface FindOptions<T> {
  /** Fields or dotted paths, the first one first; 1 upwards, -1 downwards. Natural order where nothing is said. */
  readonly sort?: { readonly [K in (keyof T & string) | "_id"]?: 1 | -1 } & { readonly [path: Dotted]: 1 | -1 }
  readonly limit?: number
  readonly skip?: number
  /** Documents fetched at a time by a stream; 1000. */
  readonly batchSize?: number
}

/** An index that a collection needs. */
export interface IndexSpec {
  /** Fields or dotted paths, in order. */
  readonly key: Readonly<Record<string, 1 | -1>>
  readonly name: string
  readonly unique?: boolean
  /** Leaves out documents that lack the fields. */
  readonly sparse?: boolean
  /** Documents go once this many seconds have passed since the date in the index's only field. */
  readonly expireAfterSeconds?: number
}

/**
 * A collection whose documents are typed by a Schema: encoded on the way in, decoded on the way out.
 *
 * Every method fails with `StoreError`. `InvalidData` names the wrong field of what was given (`input`, nothing was sent), or
 * the document and the path of what was read. Reads leave nothing behind when they are interrupted; a write that was sent
 * is carried out, interrupted or not.
 */
export interface MongoCollection<T> {
  readonly name: string
  /** Stores a document and answers its `_id`: its own, or a new ObjectId. Sent again after a lost reply, it is stored once. */
  readonly insertOne: (document: T) => Effect.Effect<unknown, StoreError>
  /** Stores documents in order, up to the first that is refused; those before it stay. */
  readonly insertMany: (documents: ReadonlyArray<T>) => Effect.Effect<ReadonlyArray<unknown>, StoreError>
  readonly findOne: (filter: Filter<T>, options?: FindOptions<T>) => Effect.Effect<Option.Option<T>, StoreError>
  /** Reads documents as the consumer asks for them, a batch at a time, on one cursor that ends with the stream. */
  readonly find: (filter: Filter<T>, options?: FindOptions<T>) => Stream.Stream<T, StoreError>
  /** Reads all documents into memory. */
  readonly findAll: (filter: Filter<T>, options?: FindOptions<T>) => Effect.Effect<ReadonlyArray<T>, StoreError>
  readonly updateOne: (filter: Filter<T>, update: Update<T>) => Effect.Effect<Updated, StoreError>
  /** Updates every document found, each atomically; not sent again by itself, because some may have been updated. */
  readonly updateMany: (filter: Filter<T>, update: Update<T>) => Effect.Effect<Updated, StoreError>
  /** Answers how many documents went: 0 or 1. */
  readonly deleteOne: (filter: Filter<T>) => Effect.Effect<number, StoreError>
  readonly deleteMany: (filter: Filter<T>) => Effect.Effect<number, StoreError>
  readonly countDocuments: (filter: Filter<T>) => Effect.Effect<number, StoreError>
  /** The `$match` stage of a filter: how values from outside enter a pipeline. */
  readonly match: (filter: Filter<T>) => Effect.Effect<Document, StoreError>
  /** Runs a pipeline and decodes what it makes. Its stages are sent as they are: values from outside enter by `match`. */
  readonly aggregate: <A>(
    pipeline: ReadonlyArray<Document>,
    result: ResultSchema<A>
  ) => Effect.Effect<ReadonlyArray<A>, StoreError>
  /** `aggregate` as a stream, a batch at a time. */
  readonly aggregateStream: <A>(
    pipeline: ReadonlyArray<Document>,
    result: ResultSchema<A>,
    options?: { readonly batchSize?: number }
  ) => Stream.Stream<A, StoreError>
  /** Creates the indexes that are not there yet; one of the same name and another key or option is an error. */
  readonly ensureIndexes: (indexes: ReadonlyArray<IndexSpec>) => Effect.Effect<void, StoreError>
}
