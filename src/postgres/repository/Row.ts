import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { decodeStored, invalidData, type Subject } from "../../core/Decode.ts"
import { decodedBy } from "../../core/DirectDecoder.ts"
import { NumericFromText } from "../../core/Numeric.ts"
import type { StoreCall } from "../../core/StoreCall.ts"
import type { StoreError } from "../../core/StoreError.ts"

const fromDate = (date: unknown): DateTime.Utc | undefined =>
  date instanceof Date && !Number.isNaN(date.getTime()) ? DateTime.fromDateUnsafe(date) : undefined

/** A `timestamptz` as the driver gives it; `infinity`, which it makes an invalid Date, is refused. */
export const Timestamp = decodedBy(Schema.DateTimeUtcFromDate, fromDate)

/** The same, or null; `NullOr(Timestamp)` takes six times as long to find out that it is null. */
export const NullableTimestamp = decodedBy(Schema.NullOr(Schema.DateTimeUtcFromDate), (date) =>
  date === null ? null : fromDate(date)
)

const IntFromBigInt = Schema.BigInt.check(
  Schema.isBetweenBigInt({ minimum: BigInt(Number.MIN_SAFE_INTEGER), maximum: BigInt(Number.MAX_SAFE_INTEGER) })
).pipe(Schema.decodeTo(Schema.Int, SchemaTransformation.transform({ decode: Number, encode: BigInt })))

const fromBigInt = (integer: unknown): number | undefined =>
  typeof integer === "bigint" && Number.isSafeInteger(Number(integer)) ? Number(integer) : undefined

/** A `bigint` as the driver gives it, as a number where that holds it exactly; larger ones are refused. */
export const SafeInteger = decodedBy(IntFromBigInt, fromBigInt)

/** The same, or null. */
export const NullableSafeInteger = decodedBy(Schema.NullOr(IntFromBigInt), (integer) =>
  integer === null ? null : fromBigInt(integer)
)

const fromText = (text: unknown): BigDecimal.BigDecimal | undefined =>
  typeof text === "string"
    ? Option.getOrUndefined(Option.map(BigDecimal.fromString(text), BigDecimal.normalize))
    : undefined

/** A `numeric` as the driver gives it, in the one form that equal numbers have; `NaN` and `Infinity` are refused. */
export const Decimal = decodedBy(NumericFromText, fromText)

/** The same, or null. */
export const NullableDecimal = decodedBy(Schema.NullOr(NumericFromText), (text) =>
  text === null ? null : fromText(text)
)

/** Whose rows are read: the call that gave them, or its operation alone. */
export type RowsOf = string | Pick<StoreCall, "kind" | "operation">

/**
 * Reads the rows that a kind of statement gives.
 *
 * Fails with `StoreError` (`InvalidData`), which names row and column. Its outcome is `unknown` unless the call is named and only
 * reads: what a write gives may not fit, and is written all the same.
 */
export interface RowReader<A> {
  readonly all: (of: RowsOf, rows: ReadonlyArray<unknown>) => Exit.Exit<ReadonlyArray<A>, StoreError>
  /** The first row, if there is one. */
  readonly option: (of: RowsOf, rows: ReadonlyArray<unknown>) => Exit.Exit<Option.Option<A>, StoreError>
  /** The row that the statement always gives. */
  readonly one: (of: RowsOf, rows: ReadonlyArray<unknown>) => Exit.Exit<A, StoreError>
}

const subjectOf = (of: RowsOf): Subject =>
  typeof of === "string"
    ? { store: "postgresql", operation: of, subject: "row", outcome: "unknown" }
    : {
        store: "postgresql",
        operation: of.operation,
        subject: "row",
        outcome: of.kind === "read" ? "not-applied" : "unknown"
      }

/**
 * Makes a reader of rows; `schema` decodes one row as the driver gives it.
 *
 * @example
 * ```ts
 * const notes = rowReader(Note.mapFields((fields) => ({ ...fields, createdAt: Timestamp })))
 * ```
 */
export const rowReader = <A>(schema: Schema.ConstraintDecoder<A>): RowReader<A> => {
  const decode = decodeStored(schema)
  const decodeAll = decodeStored(Schema.Array(schema))
  const none = Exit.succeed(Option.none<A>())
  return {
    all: (of, rows) => (rows.length === 0 ? Exit.succeed([]) : decodeAll(subjectOf(of), rows)),
    option: (of, [row]) => (row === undefined ? none : Exit.map(decode(subjectOf(of), row), Option.some)),
    one: (of, [row]) =>
      row === undefined
        ? Exit.fail(invalidData(subjectOf(of), [{ field: "", problem: "is missing" }]))
        : decode(subjectOf(of), row)
  }
}
