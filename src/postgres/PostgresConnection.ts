import type { PgConnection, Result, Row } from "@effect/sql-pg/PgConnection"
import { Effect, Stream } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import { Deadline } from "../core/Deadline.ts"
import { isServerError } from "./PostgresError.ts"
import type { LeasedConnection } from "./PostgresPool.ts"

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

/** How the statements that open and end a transaction fail. */
export interface TransactionControl {
  readonly begin: (error: SqlError) => SqlError
  readonly commit: (error: SqlError) => SqlError
  /** PostgreSQL answered COMMIT with ROLLBACK, because a statement inside had failed. */
  readonly rolledBack: () => SqlError
  /** The connection had ended before COMMIT could be sent. */
  readonly lost: () => SqlError
}

/**
 * The connection of a transaction: what opens and ends it is told apart from the statements inside.
 *
 * A ROLLBACK that cannot be sent has happened all the same, because the server ends the transaction with the session; Effect's
 * client would make a defect of it. A RELEASE that is refused leaves a transaction that COMMIT will find out about.
 */
export const transactionConnection = (
  { alive, connection, retire }: Pick<LeasedConnection, "alive" | "connection" | "retire">,
  run: RunStatement,
  control: TransactionControl
): Connection => {
  const inside = sqlConnection(connection, run)
  const none: ReadonlyArray<Row> = []
  const open = (sql: string) => Effect.mapError(inside.execute(sql, [], undefined), control.begin)
  const commit = Effect.suspend(() =>
    alive()
      ? Effect.flatMap(
          Effect.mapError(
            Effect.tapError(run(connection.query("COMMIT"), "COMMIT"), (error) =>
              Effect.sync(() => {
                if (!isServerError(error.reason.cause)) retire()
              })
            ),
            control.commit
          ),
          ({ command, rows }) => (command === "ROLLBACK" ? Effect.fail(control.rolledBack()) : Effect.succeed(rows))
        )
      : Effect.fail(control.lost())
  )
  const undo = (sql: string) =>
    Effect.catch(
      Effect.provideService(inside.execute(sql, [], undefined), Deadline, Number.POSITIVE_INFINITY),
      (error) =>
        Effect.sync(() => {
          if (!isServerError(error.reason.cause)) retire()
          return none
        })
    )
  const execute: Connection["execute"] = (sql, params, transform) => {
    if (sql === "COMMIT") return commit
    if (sql === "ROLLBACK" || sql.startsWith("ROLLBACK TO SAVEPOINT") || sql.startsWith("RELEASE SAVEPOINT")) {
      return undo(sql)
    }
    if (sql.startsWith("BEGIN") || sql.startsWith("SAVEPOINT")) return open(sql)
    return inside.execute(sql, params, transform)
  }
  return {
    ...inside,
    execute,
    // A transaction that was asked to begin otherwise than by BEGIN alone comes this way.
    executeUnprepared: (sql, params, transform) =>
      sql.startsWith("BEGIN") ? open(sql) : inside.executeUnprepared(sql, params, transform)
  }
}
