import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type { StoreError } from "../../core/StoreError.ts"
import type { Direction } from "../../postgres/repository/Keyset.ts"
import { type MemoryTable, memoryTable } from "../../postgres/memory/MemoryTable.ts"
import type { ComposedLookupSpec, Lookup } from "../../postgres/repository/LookupShape.ts"
import { type RowReader, rowReader } from "../../postgres/repository/Row.ts"
import type { Transaction } from "../../postgres/Transaction.ts"
import type { UserId, UserNotFound } from "../users/Users.ts"

/** A value of a row that a statement may compare. */
export type Value = DateTimeLike | string | number | boolean | null
interface DateTimeLike {
  readonly epochMilliseconds: number
}

/** A condition that rows are chosen by often enough to have an index of their own. */
export interface Condition<Row> {
  /** As the partial index has it. */
  readonly sql: string
  readonly holds: (row: Row) => boolean
}

/** A table of the schema `ai_core`: its columns are the fields of its rows, in snake case. */
export interface Table<Row> extends MemoryTable<Row> {
  readonly rows: RowReader<Row>
  readonly fields: ReadonlyArray<string & keyof Row>
  readonly keyFields: ReadonlyArray<string & keyof Row>
}

/** Describes a table by its row, decoded from what the driver gives, and its rules, for PostgreSQL and for memory. */
export const table = <const Fields extends Schema.Struct.Fields, Key extends string & keyof Fields>(
  name: string,
  row: Schema.Struct<Fields> & Schema.ConstraintDecoder<Schema.Struct<Fields>["Type"]>,
  keyFields: ReadonlyArray<Key & keyof Schema.Struct<Fields>["Type"]>,
  rules: Pick<Partial<MemoryTable<Schema.Struct<Fields>["Type"]>>, "references" | "unique"> = {}
): Table<Schema.Struct<Fields>["Type"]> => ({
  ...memoryTable<Schema.Struct<Fields>["Type"]>({
    name,
    key: (stored) => keyFields.map((field) => String(stored[field])).join("/"),
    ...rules
  }),
  rows: rowReader(row),
  fields: Object.keys(row.fields) as Array<string & keyof Schema.Struct<Fields>["Type"]>,
  keyFields: keyFields as ReadonlyArray<string & keyof Schema.Struct<Fields>["Type"]>
})

type Some<Row> = { readonly [Field in keyof Row]?: Row[Field] | undefined }

/** Which rows, in which order. What is `undefined` asks for nothing. */
export interface Query<Row> {
  /** Fields that are equal to these; `null` is equal to `null`. */
  readonly where?: Some<Row> | undefined
  /** Fields that are equal to one of these. */
  readonly oneOf?: { readonly [Field in keyof Row]?: ReadonlyArray<Row[Field]> | undefined } | undefined
  /** Fields that are lists of texts, and hold this one. */
  readonly includes?: { readonly [Field in keyof Row]?: string | undefined } | undefined
  /** Fields that are at least these. */
  readonly from?: Some<Row> | undefined
  /** Fields that are less than these. */
  readonly below?: Some<Row> | undefined
  /** Fields that are null, or are not. */
  readonly isNull?: { readonly [Field in keyof Row]?: boolean | undefined } | undefined
  readonly only?: Condition<Row> | undefined
  readonly order?: ReadonlyArray<string & keyof Row> | undefined
  readonly direction?: Direction | undefined
  /** The fields of `order` in the last row of the page before. */
  readonly after?: ReadonlyArray<Value> | undefined
  readonly limit?: number | undefined
  /** Holds the rows until the transaction ends: against every other writer, or against writers only. */
  readonly lock?: "update" | "share" | undefined
}

/** The rows of tables, on PostgreSQL or in memory: all that the rules of billing need of a store. */
export interface Tables {
  /** Runs the effect in a transaction, or inside one in a savepoint. */
  readonly run: Transaction["Service"]["run"]
  /**
   * Runs the effect as `run` does, where it sees what others commit before each of its statements; inside a transaction that
   * does not, fails with `InvalidData` naming `isolation`.
   */
  readonly runSeeingOthers: <A, E, R>(
    operation: string,
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
  /** Fails where there is no such user, or it is erased; holds it against both until the transaction ends. */
  readonly present: (operation: string, user: UserId) => Effect.Effect<void, UserNotFound | StoreError>
  readonly many: <Row>(
    operation: string,
    table: Table<Row>,
    query: Query<Row>
  ) => Effect.Effect<ReadonlyArray<Row>, StoreError>
  readonly one: <Row>(
    operation: string,
    table: Table<Row>,
    query: Query<Row>
  ) => Effect.Effect<Option.Option<Row>, StoreError>
  /** Finds rows by id; on PostgreSQL those that are asked for at once go together. Made once for each operation. */
  readonly lookup: <Row extends { readonly id: string }>(operation: string, table: Table<Row>) => Lookup<Row["id"], Row>
  /** Finds what is made of several tables; as `lookup` does. */
  readonly composed: <Key extends string, A>(spec: ComposedLookupSpec<Key, A>) => Lookup<Key, A>
  /** The sum of a field that holds whole numbers; fails with `InvalidData` where it is beyond what a number holds exactly. */
  readonly sum: <Row>(
    operation: string,
    table: Table<Row>,
    field: string & keyof Row,
    query: Query<Row>
  ) => Effect.Effect<number, StoreError>
  /** Stores rows, leaving out those that a unique index refuses; gives those that are stored. */
  readonly insertNew: <Row>(
    operation: string,
    table: Table<Row>,
    rows: ReadonlyArray<Row>
  ) => Effect.Effect<ReadonlyArray<Row>, StoreError>
  /** Puts the row in the place of the one with its key. */
  readonly replace: <Row>(operation: string, table: Table<Row>, row: Row) => Effect.Effect<void, StoreError>
  /** Removes the rows with these fields. */
  readonly remove: <Row>(operation: string, table: Table<Row>, where: Some<Row>) => Effect.Effect<void, StoreError>
}
