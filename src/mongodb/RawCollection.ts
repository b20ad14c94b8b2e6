import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { StoreError } from "../core/StoreError.ts"
import type { Document, IndexSpec, Updated } from "./MongoCollection.ts"

/** How a find is to run. */
export interface RawFind {
  readonly filter: Document
  readonly sort?: Readonly<Record<string, 1 | -1>> | undefined
  readonly limit?: number | undefined
  readonly skip?: number | undefined
  readonly batchSize?: number | undefined
}

/** A cursor: each `next` is one batch, empty at the end. */
export interface RawCursor {
  readonly next: Effect.Effect<ReadonlyArray<Document>, StoreError>
}

export type One = "one" | "many"

/** What a collection needs of the thing that stores its documents, a server or memory; all of it in encoded form. */
export interface RawCollection {
  readonly insertOne: (operation: string, document: Document) => Effect.Effect<unknown, StoreError>
  readonly insertMany: (
    operation: string,
    documents: ReadonlyArray<Document>
  ) => Effect.Effect<ReadonlyArray<unknown>, StoreError>
  readonly findOne: <A>(
    operation: string,
    find: RawFind,
    decode: (found: Document | null) => Exit.Exit<A, StoreError>
  ) => Effect.Effect<A, StoreError>
  readonly findAll: (operation: string, find: RawFind) => Effect.Effect<ReadonlyArray<Document>, StoreError>
  readonly openFind: (operation: string, find: RawFind) => Effect.Effect<RawCursor, StoreError, Scope.Scope>
  readonly update: (
    operation: string,
    which: One,
    filter: Document,
    update: Document
  ) => Effect.Effect<Updated, StoreError>
  readonly remove: (operation: string, which: One, filter: Document) => Effect.Effect<number, StoreError>
  readonly count: (operation: string, filter: Document) => Effect.Effect<number, StoreError>
  readonly aggregateAll: (
    operation: string,
    pipeline: ReadonlyArray<Document>
  ) => Effect.Effect<ReadonlyArray<Document>, StoreError>
  readonly openAggregate: (
    operation: string,
    pipeline: ReadonlyArray<Document>,
    batchSize: number
  ) => Effect.Effect<RawCursor, StoreError, Scope.Scope>
  readonly ensureIndexes: (operation: string, indexes: ReadonlyArray<IndexSpec>) => Effect.Effect<void, StoreError>
}
