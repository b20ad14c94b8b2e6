import { Effect, Schema, Stream } from "effect"
import { decodeInput } from "../core/Decode.ts"
import { type Page, PageSize, streamPages } from "../core/KeysetPage.ts"
import type { StoreError } from "../core/StoreError.ts"

/** How many items a stream reads at once, and holds in memory: 1 to 1000, 500 where nothing is said. */
export interface StreamPages {
  readonly pageSize?: number | undefined
}

/** Reads one page of a list. */
export type ListPage<A, Cursor> = (page: {
  readonly limit: number
  readonly after: Cursor | undefined
}) => Effect.Effect<Page<A, Cursor>, StoreError>

const pages = decodeInput(Schema.Struct({ pageSize: Schema.optional(PageSize) }))

/** Items of one page, where nothing is said. */
const streamPageSize = 500

/** Streams a repository's list, page by page. */
export const streamList = <A, Cursor>(
  operation: string,
  pageSize: unknown,
  list: ListPage<A, Cursor>
): Stream.Stream<A, StoreError> =>
  Stream.unwrap(
    Effect.map(
      pages({ store: "postgresql", operation, subject: "input" }, { pageSize }),
      ({ pageSize: limit = streamPageSize }) =>
        streamPages(list({ limit, after: undefined }), (after) => list({ limit, after }))
    )
  )
