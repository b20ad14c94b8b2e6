import * as PgTypes from "@effect/sql-pg/PgTypes"
import * as Arr from "effect/Array"
import * as BigDecimal from "effect/BigDecimal"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Fragment, Statement } from "effect/sql/Statement"
import { Day } from "../../core/Day.ts"
import { invalidData } from "../../core/Decode.ts"
import { hasDigits } from "../../core/Numeric.ts"
import type { FieldProblem, StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"

/** What a column of each type is given; `date` as `Day` has it. */
interface ColumnValues {
  readonly text: string
  readonly uuid: string
  readonly bool: boolean
  readonly int4: number
  readonly int8: number | bigint
  readonly float8: number
  readonly timestamptz: Date | DateTime.DateTime
  readonly date: string
  readonly numeric: BigDecimal.BigDecimal
  readonly jsonb: unknown
  readonly bytea: Uint8Array
  readonly "text[]": ReadonlyArray<string>
}

type ColumnType = keyof ColumnValues

/** The columns of a table that rows are put into, each with its type and its value of a row; null for undefined. */
export interface BulkColumns<Row> {
  readonly [column: string]: {
    readonly [Type in ColumnType]: readonly [type: Type, value: (row: Row) => ColumnValues[Type] | null | undefined]
  }[ColumnType]
}

/** What JSON.stringify writes for NUL and for half of a surrogate pair, which `jsonb` refuses; a text's own backslash is two. */
const unstorable = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

interface Encoding {
  /** The value as the driver writes it; undefined where it is not of the type. */
  readonly encode: (value: unknown) => unknown
  readonly expected: string
  /** The value in SQL, of the column that was sent; that itself where nothing is said. */
  readonly read?: (sent: string) => string
}

const isText = (value: unknown): value is string =>
  typeof value === "string" && !value.includes("\0") && value.isWellFormed()

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

const [least, most] = [-(2n ** 63n), 2n ** 63n - 1n]

const isDay = Schema.is(Day)

/** Up to 131,072 digits before the decimal point, and 16,383 behind it: PostgreSQL's documentation, 8.1.2. */
const isNumeric = (value: unknown): value is BigDecimal.BigDecimal =>
  BigDecimal.isBigDecimal(value) && hasDigits(value, 131_072, 16_383)

const encodings: Record<ColumnType, Encoding> = {
  text: {
    encode: (value) => (isText(value) ? value : undefined),
    expected: "text without NUL and without broken Unicode"
  },
  uuid: { encode: (value) => (typeof value === "string" && uuid.test(value) ? value : undefined), expected: "a UUID" },
  bool: { encode: (value) => (typeof value === "boolean" ? value : undefined), expected: "true or false" },
  int4: {
    encode: (value) => (typeof value === "number" && (value | 0) === value ? value : undefined),
    expected: "an integer of 32 bits"
  },
  int8: {
    encode: (value) => {
      const integer = Number.isSafeInteger(value) ? BigInt(value as number) : value
      return typeof integer === "bigint" && integer >= least && integer <= most ? integer : undefined
    },
    expected: "an integer of 64 bits"
  },
  float8: { encode: (value) => (typeof value === "number" ? value : undefined), expected: "a number" },
  timestamptz: {
    encode: (value) => {
      const date = DateTime.isDateTime(value) ? DateTime.toDateUtc(value) : value
      return date instanceof Date && !Number.isNaN(date.getTime()) ? date : undefined
    },
    expected: "a finite time"
  },
  date: {
    encode: (value) => (isDay(value) ? value : undefined),
    expected: "a day of the calendar, like 2026-05-01"
  },
  numeric: {
    encode: (value) => (isNumeric(value) ? BigDecimal.format(value) : undefined),
    expected: "a BigDecimal that numeric holds"
  },
  jsonb: {
    encode: (value) => {
      const json = Result.getOrUndefined(Result.try(() => JSON.stringify(value)))
      return json !== undefined && !unstorable.test(json) ? value : undefined
    },
    expected: "a JSON value without NUL and without broken Unicode"
  },
  bytea: { encode: (value) => (value instanceof Uint8Array ? value : undefined), expected: "bytes" },
  // Sent as jsonb: of a list of lists `unnest` would make one row for each text.
  "text[]": {
    encode: (value) => (Array.isArray(value) && value.every(isText) ? value : undefined),
    expected: "a list of texts without NUL and without broken Unicode",
    read: (sent) => `case when ${sent} is null then null else array(select jsonb_array_elements_text(${sent})) end`
  }
}

/** What a bulk insert is told of its table. */
export interface BulkInsertSpec<Row> {
  /** The method that the caller knows: `Users.createMany`. */
  readonly operation: string
  /** The table, with its schema: `ai_core.users`. */
  readonly table: string
  readonly columns: BulkColumns<Row>
  /** A row that a unique rule refuses fails all of them, or is skipped; or a clause `on conflict …`. `fail`. */
  readonly onConflict?: "fail" | "skip" | Fragment | undefined
  /** Rows of a statement; 5000. */
  readonly chunkSize?: number | undefined
}

/** Puts many rows into a table. */
export interface BulkInsert<Row> {
  /**
   * Inserts all rows, or none, and gives how many were stored: less than there are where a conflict skips some.
   *
   * All of them are in memory at once; for more than that holds there is `chunks`.
   */
  readonly all: (rows: ReadonlyArray<Row>) => Effect.Effect<number, StoreError>
  /** Inserts the rows of each chunk, all or none, as the stream comes; after each it tells how many were stored. */
  readonly chunks: <E, R>(rows: Stream.Stream<Row, E, R>) => Stream.Stream<number, StoreError | E, R>
}

/** Wrong values that a failure names at most. */
const mostProblems = 20

/**
 * Makes a bulk insert: one array for each column, which `unnest` makes rows of again.
 *
 * Fails with `StoreError` as `PostgresClient.unit` does, `all` with `CommitUnknown` where its answer never came; `InvalidData`
 * names row and column of values that are not of their type, before anything is sent.
 *
 * @example
 * ```ts
 * const notes = makeBulkInsert(client, {
 *   operation: "Notes.createMany",
 *   table: "notebook.notes",
 *   columns: { id: ["uuid", (note: Note) => note.id], created_at: ["timestamptz", (note: Note) => note.createdAt] },
 *   onConflict: "skip"
 * })
 * const stored = yield* notes.all(many)
 * ```
 */
export const makeBulkInsert = <Row>(
  client: Pick<PostgresClient["Service"], "keyed" | "unit">,
  { chunkSize = 5000, columns, onConflict = "fail", operation, table }: BulkInsertSpec<Row>
): BulkInsert<Row> => {
  const { keyed } = client
  const entries = Object.entries(columns)
  const head = keyed`insert into ${keyed.literal(
    table
      .split(".")
      .map((name) => `"${name.replaceAll('"', '""')}"`)
      .join(".")
  )}
    (${keyed.csv(entries.map(([name]) => keyed`${keyed(name)}`))})`
  const names = keyed.literal(entries.map((_, i) => `c${i}`).join(", "))
  const body = keyed.literal(entries.map(([, [type]], i) => encodings[type].read?.(`c${i}`) ?? `c${i}`).join(", "))
  const tail =
    onConflict === "fail"
      ? keyed.literal("")
      : onConflict === "skip"
        ? keyed.literal("on conflict do nothing")
        : onConflict

  const statement = (rows: ReadonlyArray<Row>, first: number): Effect.Effect<Statement<object>, StoreError> =>
    Effect.suspend(() => {
      const problems: Array<FieldProblem> = []
      const arrays = entries.map(([name, [type, valueOf]]) => {
        const { encode, expected } = encodings[type]
        const values = rows.map((row, i) => {
          const value = valueOf(row) ?? null
          if (value === null) return null
          const encoded = encode(value)
          if (encoded === undefined) problems.push({ field: `[${first + i}].${name}`, problem: `must be ${expected}` })
          return encoded
        })
        return Result.getOrThrow(PgTypes.array(values, PgTypes.OID[type === "text[]" ? "jsonb" : type]))
      })
      return problems.length > 0
        ? Effect.fail(
            invalidData({ store: "postgresql", operation, subject: "input" }, problems.slice(0, mostProblems))
          )
        : Effect.succeed(
            keyed`${head} select ${body} from unnest(${keyed.csv(arrays.map((array) => keyed`${array}`))}) as sent (${names}) ${tail}`
          )
    })

  const insert = (rows: ReadonlyArray<Row>, first = 0): Effect.Effect<number, StoreError> =>
    Effect.flatMap(
      Effect.forEach(Arr.chunksOf(rows, chunkSize), (chunk, i) => statement(chunk, first + i * chunkSize)),
      (statements) =>
        statements.length === 0
          ? Effect.succeed(0)
          : Effect.map(client.unit({ operation, kind: "write" }, statements), (results) =>
              results.reduce((sum, { count }) => sum + count, 0)
            )
    )

  return {
    all: (rows) => insert(rows),
    chunks: (rows) =>
      Stream.rechunk(rows, chunkSize).pipe(
        Stream.chunks,
        Stream.zipWithIndex,
        Stream.mapEffect(([chunk, i]) => insert(chunk, i * chunkSize))
      )
  }
}
