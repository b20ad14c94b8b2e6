import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type { Statement } from "effect/sql/Statement"
import { Deadline } from "../../core/Deadline.ts"
import type { StoreError } from "../../core/StoreError.ts"
import { CurrentHolder } from "../pool/Holder.ts"
import { RowPatience } from "../pool/RowWatch.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import { fromSqlError } from "../PostgresError.ts"
import type { RowReader } from "./Row.ts"

/** A statement whose rows are streamed. */
export interface StreamRowsSpec<A> {
  /** The method that the caller knows: `Users.export`. */
  readonly operation: string
  readonly statement: Statement<object>
  readonly rows: RowReader<A>
  /** Longest wait for the next rows; 30 seconds. The statement itself may run as long as its rows keep coming. */
  readonly timeout?: Duration.Input | undefined
}

/** A transaction that only reads, for as long as the stream lasts: the session's timeout would end a long one. */
const reading = (sql: PostgresClient["Service"]["sql"]): Effect.Effect<Connection, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = yield* sql.reserve
    yield* Effect.acquireRelease(connection.executeUnprepared("BEGIN READ ONLY", [], undefined), () =>
      Effect.ignore(
        Effect.provideService(connection.execute("ROLLBACK", [], undefined), Deadline, Number.POSITIVE_INFINITY)
      )
    )
    yield* connection.executeUnprepared("SET LOCAL statement_timeout = 0", [], undefined)
    return connection
  })

/**
 * Streams the rows of a statement that reads, with the memory of a few hundred of them; each chunk is decoded as it comes.
 *
 * It has a connection to itself until the consumer ends; in the transaction around it, that one's. The embedded engine has one
 * connection, so there the consumer cannot query meanwhile: lists are read by pages (`streamPages`) everywhere. When the
 * consumer stops, fails or is interrupted, the server is told to stop; a transaction around it goes on, because the stream is a
 * savepoint there, for four round trips.
 *
 * Fails with `StoreError`: `Timeout` at the Context's Deadline, or where no row came within `timeout`.
 *
 * @example
 * ```ts
 * streamRows(client, { operation: "Notes.export", statement: client.sql`select * from notes`, rows: rowReader(Note) })
 * ```
 */
export const streamRows = <A>(
  client: Pick<PostgresClient["Service"], "endpoint" | "sql">,
  { operation, rows, statement, timeout = "30 seconds" }: StreamRowsSpec<A>
): Stream.Stream<A, StoreError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { endpoint, sql } = client
      const call = { operation, kind: "read" } as const
      const clock = yield* Clock.Clock
      const startedAt = clock.currentTimeMillisUnsafe()
      const [text, values] = statement.compile()

      const told = (error: SqlError): StoreError =>
        fromSqlError(
          error,
          call,
          {
            endpoint,
            elapsedMillis: clock.currentTimeMillisUnsafe() - startedAt,
            // The session's own timeout does not hold for it.
            statementMillis: Number.POSITIVE_INFINITY
          },
          [text, values]
        )

      const around = yield* Effect.serviceOption(sql.transactionService)
      const connection = Option.isSome(around)
        ? around.value[0]
        : yield* Effect.mapError(Effect.provideService(reading(sql), CurrentHolder, { operation }), told)
      return connection.executeStream(text, values, undefined).pipe(
        Stream.provideService(RowPatience, timeout),
        Stream.mapError(told),
        Stream.chunks,
        Stream.mapEffect((chunk) => rows.all(call, chunk)),
        Stream.filter(Arr.isReadonlyArrayNonEmpty),
        Stream.flattenArray
      )
    })
  )
