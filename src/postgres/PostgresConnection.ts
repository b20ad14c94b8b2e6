import type { PgConnection, Result, Row } from "@effect/sql-pg/PgConnection"
import { Effect, Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

type TransformRows = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** Runs one statement, which is told by its text; where a connection is held for longer than a statement, bounds it. */
export type RunStatement = <A>(statement: Effect.Effect<A, SqlError>, text: string) => Effect.Effect<A, SqlError>

const asIs: RunStatement = (statement) => statement

/** A PostgreSQL session in the shape that Effect's SqlClient works with. */
export const sqlConnection = (connection: PgConnection, run: RunStatement = asIs): Connection => {
  const rows = (
    sql: string,
    params: ReadonlyArray<unknown>,
    prepare: boolean,
    transform?: TransformRows
  ): Effect.Effect<ReadonlyArray<Row>, SqlError> =>
    Effect.map(run(connection.query(sql, params, prepare), sql), (result) =>
      transform === undefined ? result.rows : transform(result.rows)
    )
  return {
    execute: (sql, params, transform) => rows(sql, params, true, transform),
    executeUnprepared: (sql, params, transform) => rows(sql, params, false, transform),
    executeRaw: (sql, params): Effect.Effect<Result, SqlError> => run(connection.query(sql, params), sql),
    executeValues: (sql, params) => run(connection.queryValues(sql, params), sql),
    executeValuesUnprepared: (sql, params) => run(connection.queryValues(sql, params, false), sql),
    executeStream: (sql, params, transform) => {
      const stream = connection.stream(sql, params)
      return transform === undefined
        ? stream
        : Stream.mapArray(stream, (chunk) => transform(chunk) as NonEmptyReadonlyArray<Row>)
    }
  }
}
