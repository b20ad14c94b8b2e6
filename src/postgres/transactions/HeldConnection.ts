import type { PgConnection, Row } from "@effect/sql-pg/PgConnection"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { Deadline } from "../../core/Deadline.ts"
import type { LeasedConnection } from "../pool/PoolShape.ts"
import { isServerError } from "../failures/ServerError.ts"
import { type RunStatement, SqlConnection } from "../session/PostgresConnection.ts"
import { poolFailure } from "./TransactionFailure.ts"
import type { TransactionLevel } from "./TransactionLevel.ts"

/** What is held between the start and the end of a transaction, or of a reservation. */
export interface Session {
  readonly leased: LeasedConnection
  readonly pinned: PgConnection
  /** Ends the pinning, so that what is sent next is not awaited one by one. */
  readonly unpin: Effect.Effect<void>
  readonly tenant: string | undefined
  readonly readOnly: boolean
  /** It was taken for longer than a transaction: BEGIN and COMMIT are sent over it like any statement. */
  readonly reserved: boolean
  /** A transaction that its holder began by a statement of his own is open, or may be. */
  begun: boolean
  /** The level of the transaction; where there is none of ours, of its statements. */
  readonly level: TransactionLevel
}

/** Makes the rows of a statement ready to be taken, for as long as the scope is open. */
type OpenStream = (
  fiber: Fiber.Fiber<unknown, unknown>,
  text: string,
  rows: Stream.Stream<Row, SqlError>
) => Effect.Effect<Stream.Stream<Row, SqlError>, SqlError, Scope.Scope>

/** The connection of a session, as its statements see it. */
export class HeldConnection extends SqlConnection {
  readonly session: Session
  readonly #stream: OpenStream

  constructor(session: Session, run: RunStatement, stream: OpenStream) {
    super(session.pinned, run)
    this.session = session
    this.#stream = stream
  }

  override executeStream(...statement: Parameters<SqlConnection["executeStream"]>) {
    const [text] = statement
    const rows = this.session.leased.streamed(super.executeStream(...statement), text)
    return Stream.unwrap(Effect.withFiber((fiber) => this.#stream(fiber, text, Stream.mapError(rows, poolFailure))))
  }
}

/** Sends what begins, marks or ends a transaction. */
export const control = ({ leased, pinned }: Session, sql: string, prepare = true) =>
  Effect.mapError(leased.watched(pinned.query(sql, [], prepare), sql), poolFailure)

/**
 * A ROLLBACK that cannot be sent has happened all the same, because the server ends the transaction with the session; Effect's
 * client would make a defect of it. A savepoint's that is refused leaves a transaction that COMMIT will find out about.
 *
 * None has a prepared form, which the server may have forgotten.
 */
export const undo = (session: Session, sql: string): Effect.Effect<void> =>
  Effect.catch(
    Effect.asVoid(Effect.provideService(control(session, sql, false), Deadline, Number.POSITIVE_INFINITY)),
    (error) =>
      Effect.sync(() => {
        if (sql === "ROLLBACK" || !isServerError(error.reason.cause)) session.leased.retire()
      })
  )

/**
 * Puts a savepoint around a stream, because the statement of one whose consumer stops early is cancelled, and without one the
 * transaction would be spoilt by it. Inside, the server's timeout does not count what the consumer takes.
 *
 * Only one that came to its end keeps what it wrote: of any other nobody can say how far its statement got.
 */
export const inSavepoint = (
  session: Session,
  level: TransactionLevel,
  rows: Stream.Stream<Row, SqlError>
): Effect.Effect<Stream.Stream<Row, SqlError>, SqlError, Scope.Scope> =>
  Effect.gen(function* () {
    const name = "ai_core_stream"
    let finish = `ROLLBACK TO SAVEPOINT ${name}`
    yield* Effect.acquireRelease(control(session, `SAVEPOINT ${name}`), () =>
      Effect.suspend(() =>
        // What has ended around it has undone it.
        level.over ? Effect.void : Effect.andThen(undo(session, finish), undo(session, `RELEASE SAVEPOINT ${name}`))
      )
    )
    const before = yield* control(
      session,
      "select current_setting('statement_timeout') as timeout, set_config('statement_timeout', '0', true)"
    )
    return Stream.onEnd(
      rows,
      Effect.sync(() => {
        finish = `SET LOCAL statement_timeout = '${String(before.rows[0]?.["timeout"])}'`
      })
    )
  })
