import type { PgConnection, Result, Row } from "@effect/sql-pg/PgConnection"
import { Effect, Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"

type TransformRows = (<A extends object>(row: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** Runs one statement; where a connection is held for longer than a statement, bounds it. */
export type RunStatement = <A>(statement: Effect.Effect<A, SqlError>) => Effect.Effect<A, SqlError>

const asIs: RunStatement = (statement) => statement

/** A PostgreSQL session in the shape that Effect's SqlClient works with. */
export const sqlConnection = (connection: PgConnection, run: RunStatement = asIs): Connection => {
  const rows = (
    sql: string,
    params: ReadonlyArray<unknown>,
    prepare: boolean,
    transform?: TransformRows
  ): Effect.Effect<ReadonlyArray<Row>, SqlError> =>
    Effect.map(run(connection.query(sql, params, prepare)), (result) =>
      transform === undefined ? result.rows : transform(result.rows)
    )
  return {
    execute: (sql, params, transform) => rows(sql, params, true, transform),
    executeUnprepared: (sql, params, transform) => rows(sql, params, false, transform),
    executeRaw: (sql, params): Effect.Effect<Result, SqlError> => run(connection.query(sql, params)),
    executeValues: (sql, params) => run(connection.queryValues(sql, params)),
    executeValuesUnprepared: (sql, params) => run(connection.queryValues(sql, params, false)),
    executeStream: (sql, params, transform) => {
      const stream = connection.stream(sql, params)
      return transform === undefined
        ? stream
        : Stream.mapArray(stream, (chunk) => transform(chunk) as NonEmptyReadonlyArray<Row>)
    }
  }
}

/** How the statements that open and end a transaction fail. */
export interface TransactionControl {
  readonly begin: (error: SqlError) => SqlError
  readonly commit: (error: SqlError) => SqlError
  /** PostgreSQL answered COMMIT with ROLLBACK, because a statement inside had failed. */
  readonly rolledBack: () => SqlError
}

/**
 * The connection of a transaction: what opens and ends it is told apart from the statements inside.
 *
 * A ROLLBACK that cannot be sent has happened all the same, because the server ends the transaction with the session; Effect's
 * client would make a defect of it.
 */
export const transactionConnection = (
  connection: PgConnection,
  run: RunStatement,
  control: TransactionControl
): Connection => {
  const inside = sqlConnection(connection, run)
  const none: ReadonlyArray<Row> = []
  const begin = (sql: string) => Effect.mapError(inside.execute(sql, [], undefined), control.begin)
  const commit = Effect.flatMap(
    Effect.mapError(run(connection.query("COMMIT")), control.commit),
    ({ command, rows }) => (command === "ROLLBACK" ? Effect.fail(control.rolledBack()) : Effect.succeed(rows))
  )
  const rollback = (sql: string) => Effect.catch(inside.execute(sql, [], undefined), () => Effect.succeed(none))
  const execute: Connection["execute"] = (sql, params, transform) => {
    if (sql === "COMMIT") return commit
    if (sql === "ROLLBACK" || sql.startsWith("ROLLBACK TO SAVEPOINT")) return rollback(sql)
    if (sql.startsWith("BEGIN")) return begin(sql)
    return inside.execute(sql, params, transform)
  }
  return {
    ...inside,
    execute,
    // A transaction that was asked to begin otherwise than by BEGIN alone comes this way.
    executeUnprepared: (sql, params, transform) =>
      sql.startsWith("BEGIN") ? begin(sql) : inside.executeUnprepared(sql, params, transform)
  }
}
