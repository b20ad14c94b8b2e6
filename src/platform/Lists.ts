import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { cursor, type Page, PageSize, streamPages } from "../core/KeysetPage.ts"
import { MomentFromMillis } from "../core/Moment.ts"
import type { StoreError } from "../core/StoreError.ts"
import { TimeOrderedId } from "../core/TimeOrderedId.ts"

/** By the time they were made; those of one millisecond by id. */
export const ListOrder = Schema.Literals(["oldest-first", "newest-first"])
export type ListOrder = typeof ListOrder.Type

/** Which page of a list. */
export interface PageOptions<Cursor> {
  /** Items of a page: 1 to 1000, 50 where nothing is said. */
  readonly limit?: number | undefined
  /** The `next` of the page before. */
  readonly after?: Cursor | undefined
}

/** Which page of a list that runs either way; a cursor belongs to one order. */
export interface ListOptions<Cursor> extends PageOptions<Cursor> {
  /** `oldest-first` where nothing is said. */
  readonly order?: ListOrder | undefined
}

/** How a list is streamed. */
export interface StreamOptions {
  /** `oldest-first` where nothing is said. */
  readonly order?: ListOrder | undefined
  /** Items read at once, and held in memory: 1 to 1000, 500 where nothing is said. */
  readonly pageSize?: number | undefined
}

/** The options of every list, as fields of its schema; `key` is what its cursors hold. */
export const listFields = <Key extends Schema.Top>(key: Key) => ({
  order: Schema.optional(ListOrder),
  limit: Schema.optional(PageSize),
  after: Schema.optional(key)
})

/** The options of every stream, as fields of its schema. */
export const streamFields = { order: Schema.optional(ListOrder), pageSize: Schema.optional(PageSize) }

/** A cursor of the other order would lead elsewhere. */
export const sameOrder = Schema.makeFilter(
  ({
    after,
    order
  }: {
    readonly after?: { readonly order: ListOrder } | undefined
    readonly order?: ListOrder | undefined
  }) =>
    after === undefined || after.order === (order ?? "oldest-first")
      ? undefined
      : { path: ["after"], issue: "Expected the `next` of a page in the same order" }
)

/** What the cursors of a list by a time and the id hold. */
export const timePlace = { order: ListOrder, at: MomentFromMillis, id: TimeOrderedId }

/** Cursors of a list by a time and the id. */
export const timeCursor = <Text extends string>(list: string, text: Schema.Codec<Text, string>) =>
  cursor(list, text, Schema.Struct(timePlace))

/** Items of one page of a stream, where nothing is said. */
const streamPageSize = 500

/** Makes a stream of an implementation's own list; `check` decodes its options. */
export const streamOf =
  <Options extends StreamOptions, A, Cursor, E>(
    check: (given: unknown) => Effect.Effect<Options, StoreError>,
    list: (options: Omit<Options, "pageSize"> & PageOptions<Cursor>) => Effect.Effect<Page<A, Cursor>, E>
  ): ((given?: Options) => Stream.Stream<A, E | StoreError>) =>
  (given) =>
    Stream.unwrap(
      Effect.map(check(given ?? {}), ({ pageSize: limit = streamPageSize, ...options }) =>
        streamPages(list({ ...options, limit }), (after) => list({ ...options, limit, after }))
      )
    )
