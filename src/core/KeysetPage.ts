import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Order from "effect/Order"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Stream from "effect/Stream"
import { nullInKey } from "./nullInKey.ts"

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

/** In SQL nothing is before or behind null, so that a later page would leave out every row that has it. */
type WithoutNull = Readonly<Record<string, NonNullable<unknown>>>

const admitsNull = (type: SchemaAST.AST): boolean =>
  SchemaAST.isUnion(type) ? type.types.some(admitsNull) : SchemaAST.isNull(type)

/** The first field of a key that admits null, looked for in the schema's form: to ask its parsers would delay every import. */
const nullableField = (key: Schema.Top): string | undefined => {
  const type = SchemaAST.toType(key.ast)
  if (!SchemaAST.isObjects(type)) return undefined
  const found = type.propertySignatures.find((field) => admitsNull(field.type))
  return found === undefined ? undefined : String(found.name)
}

/**
 * A cursor as text that a program may hand to its own callers: base64url over JSON.
 *
 * It holds the name of its list, which refuses the cursors of all others, and the key of the last item of a page, so that rows
 * added or removed elsewhere move nothing. `text` is the branded string that callers hold. Where a list runs in several orders,
 * or is one owner's, that is part of the key, and `cursorAgrees` checks it.
 *
 * No field of the key admits null, which is a defect that names it: the key holds what stands in columns that are `not null`.
 *
 * @example
 * ```ts
 * const noteCursor = cursor("notes", NoteCursor, Schema.Struct({ createdAt: MomentFromMillis, id: NoteId }))
 * ```
 */
export const cursor = <Text extends string, Key extends WithoutNull>(
  list: string,
  text: Schema.Codec<Text, string>,
  key: Schema.Codec<Key, unknown>
): {
  /** Decodes the text of a cursor to its key. */
  readonly key: Schema.Codec<Key, string>
  readonly text: Schema.Codec<Text, string>
  /** Makes the cursor that continues after this key. */
  readonly after: (last: Key) => Text
} => {
  const nullable = nullableField(key)
  if (nullable !== undefined) throw nullInKey(`the cursor of "${list}"`, nullable)
  const written = Schema.StringFromBase64Url.pipe(
    Schema.decodeTo(Schema.fromJsonString(Schema.Tuple([Schema.Literal(list), key])))
  )
  const encode = Schema.encodeSync(written)
  const decode = Schema.decodeOption(written)
  const brand = Schema.decodeUnknownSync(text)
  // A cursor is opaque to its holder: what is wrong inside it would tell nothing.
  const expected = `the \`next\` of a page of the list "${list}"`
  const opaque = SchemaTransformation.transformEffect<Key, string>({
    decode: (cursor, options) =>
      Option.match(decode(cursor), {
        onNone: () => Effect.fail(new SchemaIssue.InvalidValue({ expected }, cursor, options)),
        onSome: ([, last]) => Effect.succeed(last)
      }),
    encode: (last) => Effect.succeed(encode([list, last]))
  })
  return {
    key: Schema.String.pipe(Schema.decodeTo(Schema.toType(key), opaque)),
    text,
    after: (last) => brand(encode([list, last]))
  }
}

/** What the cursor's key holds. */
type Held<Field extends string> = { readonly [_ in Field]: unknown }

/** A list's options, or the arguments of a method that has them as `options`. */
type Continued<Field extends string> = { readonly [_ in Field]?: unknown } & {
  readonly after?: Held<Field> | undefined
  readonly options?: { readonly after?: Held<Field> | undefined } | undefined
}

/**
 * Checks that a cursor is asked to continue the list that it came from: the same owner's, of the same state.
 *
 * The fields are texts or numbers, of the cursor's key and beside it.
 *
 * @example
 * ```ts
 * Schema.Struct({ owner: UserId, after: Schema.optional(noteCursor.key) }).check(cursorAgrees("owner"))
 * ```
 */
export const cursorAgrees = <const Field extends string>(...fields: ReadonlyArray<Field>) =>
  Schema.makeFilter((given: Continued<Field>) => {
    const [after, path] =
      given.after === undefined ? [given.options?.after, ["options", "after"]] : [given.after, ["after"]]
    const other = after && fields.find((field) => after[field] !== given[field])
    return other === undefined ? undefined : { path, issue: `Expected the \`next\` of a page of the same ${other}` }
  })

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
 * `after` is what the order looks at in the last row of the page before; a null in it is a defect that names the field, as it is
 * where SQL reads the page.
 */
export const pageOfSorted = <Place, A extends Place, Cursor>(
  sorted: ReadonlyArray<A>,
  order: Order.Order<Place>,
  after: Place | undefined,
  size: number,
  cursorOf: (last: A) => Cursor
): Page<A, Cursor> => {
  const unknown = Object.entries(after ?? {}).find(([, value]) => value === null)
  if (unknown !== undefined) throw nullInKey("`after`", unknown[0])
  const from = after === undefined ? 0 : sorted.findIndex((row) => order(row, after) === 1)
  return pageOf(from === -1 ? [] : sorted.slice(from, from + size + 1), size, cursorOf)
}

/**
 * Reads a list to its end, one page at a time, as the consumer asks for more: the first page, then each by the `next` before.
 *
 * It holds one page in memory and no connection between pages, so the consumer may query the same store.
 *
 * @example
 * ```ts
 * streamPages(notes.list({ limit: 500 }), (after) => notes.list({ limit: 500, after }))
 * ```
 */
export const streamPages = <A, Cursor, E, R>(
  first: Effect.Effect<Page<A, Cursor>, E, R>,
  following: (after: Cursor) => Effect.Effect<Page<A, Cursor>, E, R>
): Stream.Stream<A, E, R> =>
  Stream.paginate(first, (page) => Effect.map(page, ({ items, next }) => [items, Option.map(next, following)] as const))
