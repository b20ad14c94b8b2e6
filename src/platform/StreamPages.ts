import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { decodeInput, type Subject } from "../core/Decode.ts"
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

const Pages = Schema.Struct({ pageSize: Schema.optional(PageSize) })
const pages = decodeInput(Pages)
const pagesOfOptions = decodeInput(Schema.Struct({ options: Pages }))

const checked = (at: Subject, pageSize: unknown, called: "pageSize" | "options.pageSize") =>
  called === "pageSize"
    ? pages(at, { pageSize })
    : Effect.map(pagesOfOptions(at, { options: { pageSize } }), ({ options }) => options)

/** Items of one page, where nothing is said. */
const streamPageSize = 500

/** Streams a repository's list, page by page; a refusal names the size as it is called. */
export const streamList = <A, Cursor>(
  operation: string,
  pageSize: unknown,
  list: ListPage<A, Cursor>,
  called: "pageSize" | "options.pageSize" = "pageSize"
): Stream.Stream<A, StoreError> =>
  Stream.unwrap(
    Effect.map(
      checked({ store: "postgresql", operation, subject: "input" }, pageSize, called),
      ({ pageSize: limit = streamPageSize }) =>
        streamPages(list({ limit, after: undefined }), (after) => list({ limit, after }))
    )
  )
