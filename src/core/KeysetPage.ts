import { Effect, Option, type Order, Schema, SchemaIssue, SchemaTransformation, Stream } from "effect"

/** One page of a list, and the cursor that continues it. */
export interface Page<A, Cursor> {
  readonly items: ReadonlyArray<A>
  /** Where the next page begins; none on the last page. */
  readonly next: Option.Option<Cursor>
}

/** How many items a page may hold: 1 to 1000. */
export const PageSize = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))

/** Items of a page where the caller does not say: 50. */
export const defaultPageSize = 50

/**
 * A cursor as text that a program may hand to its own callers: base64url over JSON.
 *
 * It holds the key of the last item of a page, so that rows added or removed elsewhere move nothing. `text` is the branded
 * string that callers hold; the key's Schema refuses the cursor of another list.
 */
export const cursor = <Text extends string, Key>(
  text: Schema.Codec<Text, string>,
  key: Schema.Codec<Key, unknown>
): {
  /** Decodes the text of a cursor to its key. */
  readonly key: Schema.Codec<Key, string>
  readonly text: Schema.Codec<Text, string>
  /** Makes the cursor that continues after this key. */
  readonly after: (last: Key) => Text
} => {
  const written = Schema.StringFromBase64Url.pipe(Schema.decodeTo(Schema.fromJsonString(key)))
  const encode = Schema.encodeSync(written)
  const decode = Schema.decodeOption(written)
  const brand = Schema.decodeUnknownSync(text)
  // A cursor is opaque to its holder: what is wrong inside it would tell nothing.
  const opaque = SchemaTransformation.transformEffect<Key, string>({
    decode: (cursor, options) =>
      Option.match(decode(cursor), {
        onNone: () => Effect.fail(new SchemaIssue.InvalidValue({ expected: "a cursor of this list" }, cursor, options)),
        onSome: Effect.succeed
      }),
    encode: (last) => Effect.succeed(encode(last))
  })
  return {
    key: Schema.String.pipe(Schema.decodeTo(Schema.toType(key), opaque)),
    text,
    after: (last) => brand(encode(last))
  }
}

/**
 * Makes a page of the rows that a query for one more than `size` found.
 *
 * The extra row only tells that there is a next page.
 */
export const pageOf = <A, Cursor>(
  rows: ReadonlyArray<A>,
  size: number,
  cursorOf: (last: A) => Cursor
): Page<A, Cursor> => {
  if (rows.length <= size) return { items: rows, next: Option.none() }
  const items = rows.slice(0, size)
  return { items, next: Option.map(Option.fromUndefinedOr(items[size - 1]), cursorOf) }
}

/**
 * Makes a page of rows in memory, sorted by an order that tells every two of them apart.
 *
 * `after` is what the order looks at in the last row of the page before.
 */
export const pageOfSorted = <Place, A extends Place, Cursor>(
  sorted: ReadonlyArray<A>,
  order: Order.Order<Place>,
  after: Place | undefined,
  size: number,
  cursorOf: (last: A) => Cursor
): Page<A, Cursor> => {
  const from = after === undefined ? 0 : sorted.findIndex((row) => order(row, after) === 1)
  return pageOf(from === -1 ? [] : sorted.slice(from, from + size + 1), size, cursorOf)
}

/**
 * Reads a list to its end, one page at a time, as the consumer asks for more.
 *
 * It holds one page in memory and no connection between pages, so the consumer may query the same store.
 */
export const streamPages = <A, Cursor, E, R>(
  page: (after: Cursor | undefined) => Effect.Effect<Page<A, Cursor>, E, R>
): Stream.Stream<A, E, R> =>
  Stream.paginate<Cursor | undefined, A, E, R>(undefined, (after) =>
    Effect.map(page(after), ({ items, next }) => [items, next])
  )
