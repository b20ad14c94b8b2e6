import type { PgConnection, Result, Row } from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

type TransformRows = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined
type Values = ReadonlyArray<unknown>

/**
 * Runs one statement, which is told by its text, and by the operation where its caller has one; where a connection is held for
 * longer than a statement, bounds it.
 */
export type RunStatement = <A>(
  statement: Effect.Effect<A, SqlError>,
  text: string,
  operation?: string
) => Effect.Effect<A, SqlError>

/** A PostgreSQL session in the shape that Effect's SqlClient works with. */
export class SqlConnection implements Connection {
  readonly connection: PgConnection
  readonly run: RunStatement

  constructor(connection: PgConnection, run: RunStatement) {
    this.connection = connection
    this.run = run
  }

  #rows(sql: string, params: Values, prepare: boolean, transform: TransformRows): Effect.Effect<Values, SqlError> {
    return Effect.map(this.run(this.connection.query(sql, params, prepare), sql), ({ rows }) =>
      transform === undefined ? rows : transform(rows)
    )
  }

  /** Runs a statement of this operation. */
  executeAs(operation: string, sql: string, params: Values): Effect.Effect<ReadonlyArray<Row>, SqlError> {
    return Effect.map(this.run(this.connection.query(sql, params), sql, operation), ({ rows }) => rows)
  }

  execute(sql: string, params: Values, transform: TransformRows) {
    return this.#rows(sql, params, true, transform)
  }

  executeUnprepared(sql: string, params: Values, transform: TransformRows) {
    return this.#rows(sql, params, false, transform)
  }

  executeRaw(sql: string, params: Values): Effect.Effect<Result, SqlError> {
    return this.run(this.connection.query(sql, params), sql)
  }

  executeValues(sql: string, params: Values) {
    return this.run(this.connection.queryValues(sql, params), sql)
  }

  executeValuesUnprepared(sql: string, params: Values) {
    return this.run(this.connection.queryValues(sql, params, false), sql)
  }

  executeStream(sql: string, params: Values, transform: TransformRows): Stream.Stream<Row, SqlError> {
    const stream = this.connection.stream(sql, params)
    return transform === undefined
      ? stream
      : Stream.mapArray(stream, (chunk) => transform(chunk) as NonEmptyReadonlyArray<Row>)
  }
}
