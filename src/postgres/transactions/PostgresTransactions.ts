import type { PgConnection, Result, Row } from "@effect/sql-pg/PgConnection"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TracerEnabled } from "effect/References"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import type { Calls } from "../../core/Calls.ts"
import { Deadline } from "../../core/Deadline.ts"
import { invalidData } from "../../core/Decode.ts"
import {
  ConnectionLost,
  InvalidStatement,
  isStoreError,
  type Reason,
  StoreError,
  Timeout
} from "../../core/StoreError.ts"
import { type RunStatement, SqlConnection } from "../session/PostgresConnection.ts"
import { commitFailure, isServerError, leavesOpen } from "../PostgresError.ts"
import { CurrentHolder } from "../pool/Holder.ts"
import type { LeasedConnection, PostgresPool } from "../pool/PostgresPool.ts"
import { refusedInTransaction, refusedOnShared } from "../statements/RefusedStatement.ts"
import { type SessionStatement, sessionStatement } from "../statements/SessionStatement.ts"
import { CurrentTenant } from "../Tenant.ts"
import { newTurn, TransactionLevel, type Turn } from "./TransactionLevel.ts"

/** A StoreError of ours, in the shape that Effect's client fails with. */
export const asSqlError = (error: StoreError): SqlError =>
  new SqlError({ reason: new ConnectionError({ cause: error, message: error.message, operation: error.operation }) })

/** The same for what may be a failure of the pool's own. */
export const poolFailure = <E>(error: E | StoreError): E | SqlError => (isStoreError(error) ? asSqlError(error) : error)

const failure = (operation: string, reason: Reason): StoreError =>
  new StoreError({ store: "postgresql", operation, outcome: "not-applied", reason })

const lostBefore = (): SqlError =>
  asSqlError(failure("Transaction.commit", new ConnectionLost({ detail: "it ended before COMMIT was sent" })))

/** PostgreSQL answers COMMIT with ROLLBACK where a statement inside had failed. */
const rolledBack = (): SqlError =>
  asSqlError(
    failure(
      "Transaction.commit",
      new InvalidStatement({
        code: "25P02",
        detail: "a statement inside had failed, so PostgreSQL rolled the transaction back"
      })
    )
  )

/** The failure of a call whose transaction has ended before it. */
export const ended = (operation: string): StoreError =>
  failure(operation, new InvalidStatement({ detail: "the transaction around this call has ended" }))

const wrongTenant = (operation: string, problem: string): StoreError =>
  invalidData({ store: "postgresql", operation, subject: "input" }, [{ field: "tenant", problem }])

/** What is held between the start and the end of a transaction, or of a reservation. */
interface Session {
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
class HeldConnection extends SqlConnection {
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

/** Transactions of one client, over connections that it leases. */
export interface PostgresTransactions {
  /** Where a fiber finds the transaction around it. */
  readonly service: SqlClient.SqlClient["transactionService"]
  readonly withTransaction: SqlClient.SqlClient["withTransaction"]
  /** A connection of one's own, outside a transaction; refused under a tenant. The operation names its holder. */
  readonly reserve: (operation: string) => Effect.Effect<Connection, SqlError, Scope.Scope>
  /** The same, with what tells of the connection itself. */
  readonly session: (
    operation: string
  ) => Effect.Effect<{ readonly connection: Connection; readonly leased: LeasedConnection }, StoreError, Scope.Scope>
  /** Lends a connection for one statement; under a tenant in a transaction of its own. */
  readonly lending: (
    borrow: PostgresPool["shared"]
  ) => <A, E, R>(use: (connection: Connection) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
}

/** Sends what may be sent over a connection that is shared. */
const unlessRefused =
  (send: RunStatement): RunStatement =>
  (statement, text, operation) => {
    const refused = refusedOnShared(text)
    return refused === undefined ? send(statement, text, operation) : Effect.fail(asSqlError(refused))
  }

let serial = 0

/**
 * Makes the transactions of a client.
 *
 * BEGIN and the tenant's setting, and COMMIT and the question for the transaction's id, are each sent together: they cannot be
 * interrupted, so they need no connection that is pinned. Statements inside run pinned, so that an interrupted one is cancelled
 * on the server.
 */
export const makeTransactions = (options: {
  readonly lease: PostgresPool["lease"]
  readonly calls: Calls
  readonly clock: Clock.Clock
  /** Longest wait for a turn. */
  readonly acquireMillis: number
  /** Why nothing lasts in a session, where a pooler keeps none. */
  readonly sessionless: (operation: string) => StoreError | undefined
  readonly spanAttributes: ReadonlyArray<readonly [string, unknown]>
  /** How BEGIN and COMMIT fail. */
  readonly failed: (operation: string, kind: "read" | "write", error: SqlError, startedAt: number) => StoreError
}): PostgresTransactions => {
  const { calls, clock } = options
  const service: PostgresTransactions["service"] = Context.Service(`@ai-core/database/postgres/Transaction/${++serial}`)
  type Entry = SqlClient.TransactionConnection.Service
  /** The levels of savepoints, and of transactions that a session of one's own is reserved for longer than. */
  const levels = new WeakMap<Entry, TransactionLevel>()

  const around = (fiber: Fiber.Fiber<unknown, unknown>): Entry | undefined =>
    Context.getOrUndefined(fiber.context, service)
  const sessionOf = (connection: Connection): Session => {
    if (!(connection instanceof HeldConnection)) throw new Error("this connection was not reserved from this client")
    return connection.session
  }
  const isOutermost = ([connection, id]: Entry): boolean => id === 0 && !sessionOf(connection).reserved
  const levelOf = (entry: Entry): TransactionLevel => levels.get(entry) ?? sessionOf(entry[0]).level

  // ---- turns

  const stillBusy = (error: StoreError): StoreError =>
    error.reason._tag === "Timeout"
      ? failure(
          error.operation,
          new Timeout({
            afterMillis: error.reason.afterMillis,
            detail: "another statement, stream or nested transaction of this transaction was still open"
          })
        )
      : error

  const wait = (level: TransactionLevel, turn: Turn): Effect.Effect<void, SqlError> =>
    Effect.mapError(
      calls.run<void>({
        operation: "Transaction.turn",
        timeoutMillis: options.acquireMillis,
        outcome: "not-applied",
        start: (done) => {
          turn.wake = () => done(Effect.void)
          return level.queue(turn)
        }
      }),
      (error) => asSqlError(stillBusy(error))
    )

  /** Takes the turn and goes on, or refuses where there is nothing left to take it in. */
  const take = <A, E, R>(
    level: TransactionLevel,
    turn: Turn,
    use: () => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError, R> =>
    Effect.suspend((): Effect.Effect<A, E | SqlError, R> => {
      const unlessOver = (): Effect.Effect<A, E | SqlError, R> =>
        level.over ? Effect.fail(asSqlError(ended("Transaction.turn"))) : use()
      return level.over || level.take(turn) ? unlessOver() : Effect.flatMap(wait(level, turn), unlessOver)
    })

  /** The turn is taken inside the frame that gives it back, so that no interruption falls between the two. */
  const inTurn = <A, E, R>(
    level: TransactionLevel,
    use: () => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError, R> =>
    Effect.suspend(() => {
      const turn = newTurn()
      return Effect.onExitPrimitive(take(level, turn, use), () => {
        level.release(turn)
        return undefined
      })
    })

  const scopedTurn = (level: TransactionLevel): Effect.Effect<void, SqlError, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const turn = newTurn()
        return Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => level.release(turn))),
          restore(take(level, turn, () => Effect.void))
        )
      })
    )

  // ---- one session

  const wrongTenantFor = (tenant: string | undefined): SqlError =>
    asSqlError(
      wrongTenant(
        "Transaction.statement",
        tenant === undefined
          ? "needs a transaction that was begun inside Tenant.within"
          : "is another than that of the transaction around"
      )
    )

  const open = (
    leased: LeasedConnection,
    pinned: PgConnection,
    given: Pick<Session, "tenant" | "readOnly" | "reserved" | "unpin">
  ): HeldConnection => {
    const session: Session = { leased, pinned, level: new TransactionLevel(undefined), begun: false, ...given }
    const { reserved, tenant } = given
    const levelFor = (fiber: Fiber.Fiber<unknown, unknown>): TransactionLevel => {
      const entry = around(fiber)
      return entry === undefined || entry[0] !== connection ? session.level : levelOf(entry)
    }
    const inTransaction = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
      const entry = around(fiber)
      return !reserved || (entry !== undefined && entry[0] === connection && entry[1] >= 0)
    }
    /** Why the statement may not be sent. */
    const refused = (
      fiber: Fiber.Fiber<unknown, unknown>,
      text: string,
      found: SessionStatement | undefined
    ): SqlError | undefined => {
      if (fiber.getRef(CurrentTenant) !== tenant) return wrongTenantFor(tenant)
      if (found === undefined) return undefined
      // A session of one's own may be changed, and nobody gets it afterwards.
      if (!reserved || (found.effect !== "lasts" && inTransaction(fiber))) {
        const refusal = refusedInTransaction(text, found)
        return refusal === undefined ? undefined : asSqlError(refusal)
      }
      const failure = found.effect === "lasts" ? options.sessionless("statement") : undefined
      return failure === undefined ? undefined : asSqlError(failure)
    }
    /** Notes what the statement leaves behind; in its turn, or the answer to one before it would take it back. */
    const noteSent = (found: SessionStatement | undefined): void => {
      if (found?.effect === "lasts") leased.retire()
      else if (found?.effect === "begins") session.begun = true
    }
    const ending = <A>(statement: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
      Effect.map(statement, (answer) => {
        session.begun = false
        return answer
      })
    const connection: HeldConnection = new HeldConnection(
      session,
      (statement, text, operation) =>
        Effect.withFiber((fiber) => {
          const found = sessionStatement(text)
          const refusal = refused(fiber, text, found)
          if (refusal !== undefined) return Effect.fail(refusal)
          const sent = found?.effect === "ends" ? ending(statement) : statement
          return inTurn(levelFor(fiber), () => {
            noteSent(found)
            return Effect.mapError(leased.watched(sent, text, operation), poolFailure)
          })
        }),
      (fiber, text, rows) => {
        const found = sessionStatement(text)
        const refusal = refused(fiber, text, found)
        if (refusal !== undefined) return Effect.fail(refusal)
        const level = levelFor(fiber)
        return Effect.flatMap(scopedTurn(level), () => {
          noteSent(found)
          return inTransaction(fiber) ? inSavepoint(session, level, rows) : Effect.succeed(rows)
        })
      }
    )
    return connection
  }

  // ---- begin, savepoint, commit, rollback

  const failed =
    (operation: string, kind: "read" | "write", startedAt: number) =>
    (error: SqlError | StoreError): StoreError =>
      isStoreError(error) ? error : options.failed(operation, kind, error, startedAt)

  const control = ({ leased, pinned }: Session, sql: string, prepare = true) =>
    Effect.mapError(leased.watched(pinned.query(sql, [], prepare), sql), poolFailure)

  /**
   * A ROLLBACK that cannot be sent has happened all the same, because the server ends the transaction with the session; Effect's
   * client would make a defect of it. A savepoint's that is refused leaves a transaction that COMMIT will find out about.
   *
   * None has a prepared form, which the server may have forgotten.
   */
  const undo = (session: Session, sql: string): Effect.Effect<void> =>
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
  const inSavepoint = (
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

  /** Nothing is applied by what opens a transaction, so it fails like a read. */
  const began = <A>(effect: Effect.Effect<A, SqlError | StoreError>): Effect.Effect<A, SqlError> =>
    Effect.suspend(() => {
      const toStoreError = failed("Transaction.begin", "read", clock.currentTimeMillisUnsafe())
      return Effect.mapError(effect, (error) => asSqlError(toStoreError(error)))
    })

  const setTenant = (
    { connection, retire }: LeasedConnection,
    begin: Effect.Effect<Result, SqlError>,
    tenant: string
  ) =>
    Effect.gen(function* () {
      const beginning = yield* Effect.forkChild(begin, { startImmediately: true })
      const set = yield* Effect.exit(connection.query("select set_config('ai_core.tenant', $1, true)", [tenant]))
      yield* Fiber.join(beginning)
      if (Exit.isSuccess(set)) return
      yield* Effect.catch(connection.query("ROLLBACK"), () => Effect.sync(retire))
      yield* set
    })

  const acquireTransaction = (
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ): Effect.Effect<Connection, SqlError, Scope.Scope> =>
    Effect.withFiber((fiber) => {
      const tenant = fiber.getRef(CurrentTenant)
      if (tenant === "" || tenant?.includes("\0") === true) {
        return Effect.fail(
          asSqlError(wrongTenant("Transaction.begin", "must be text that is not empty and has no zero byte"))
        )
      }
      const statement = fiber.getRef(SqlClient.BeginTransaction) ?? "BEGIN"
      const plain = statement === "BEGIN"
      const readOnly = !plain && /\bREAD ONLY\b/i.test(statement)
      const lease = options.lease({ operation: "Transaction" }, plain && tenant === undefined)
      return Effect.flatMap(Effect.mapError(restore(lease), asSqlError), (leased) => {
        const begin = Effect.suspend(() => {
          // Taken only when it is awaited: a BEGIN that nobody has taken is undone.
          const begun = leased.takeBegun()
          // What is sent along with it must not come before it, as it would where the server had forgotten a prepared one.
          return begun === undefined ? leased.connection.query(statement, [], tenant === undefined) : Fiber.join(begun)
        })
        const sent: Effect.Effect<unknown, SqlError> = tenant === undefined ? begin : setTenant(leased, begin, tenant)
        const pin = Scope.makeUnsafe()
        return Effect.map(
          Effect.flatMap(began(leased.watched(sent, statement)), () => Scope.provide(leased.connection.pin, pin)),
          (pinned) => open(leased, pinned, { tenant, readOnly, reserved: false, unpin: Scope.close(pin, Exit.void) })
        )
      })
    })

  /**
   * Commits, and asks for the transaction's id in the same breath.
   *
   * The id is answered before COMMIT begins, so that it is known where only COMMIT's answer is lost. Nobody waits for it.
   */
  const commit = (connection: Connection): Effect.Effect<void, SqlError> =>
    Effect.suspend(() => {
      const session = sessionOf(connection)
      const { leased, pinned, readOnly, reserved } = session
      let id: string | undefined
      const question = Effect.matchCauseEager(
        leased.connection.queryValues("select pg_current_xact_id_if_assigned()::text"),
        {
          onFailure: () => undefined,
          onSuccess: ([row]) => {
            const text = row?.[0]
            if (typeof text === "string") id = text
          }
        }
      )
      const sent = Effect.suspend(() => {
        if (!leased.alive()) return Effect.fail(lostBefore())
        const told = failed("Transaction.commit", "write", clock.currentTimeMillisUnsafe())
        const commit = reserved ? pinned.query("COMMIT", [], false) : leased.connection.query("COMMIT")
        const committing = reserved
          ? commit
          : Effect.suspend(() => {
              if (!leased.mayBeginNext()) return commit
              return Effect.flatMap(Effect.forkChild(commit, { startImmediately: true }), (sent) => {
                leased.beginNext()
                return Fiber.join(sent)
              })
            })
        const asked =
          readOnly || reserved
            ? committing
            : Effect.flatMap(Effect.forkChild(question, { startImmediately: true }), () => committing)
        return Effect.mapError(leased.watched(asked, "COMMIT"), (error) => {
          if (isStoreError(error)) {
            leased.retire()
            return asSqlError(error.during("Transaction.commit"))
          }
          const { cause } = error.reason
          // Only a server that carried it out, or answered why not, has ended the transaction.
          if (!isServerError(cause) || leavesOpen(cause)) leased.retire()
          const failure = commitFailure(told(error), id)
          return asSqlError(leavesOpen(cause) ? failure.during(failure.operation, "not-applied") : failure)
        })
      })
      return Effect.flatMap(
        Effect.flatMap(session.unpin, () => sent),
        ({ command }) => (command === "ROLLBACK" ? Effect.fail(rolledBack()) : Effect.void)
      )
    })

  const raw = SqlClient.makeWithTransaction({
    transactionService: service,
    spanAttributes: options.spanAttributes,
    acquireConnection: acquireTransaction,
    begin: (connection) => {
      const session = sessionOf(connection)
      // One that was acquired for a transaction has begun with that.
      return session.reserved ? began(Effect.asVoid(control(session, "BEGIN"))) : Effect.void
    },
    savepoint: (connection, id) => began(Effect.asVoid(control(sessionOf(connection), `SAVEPOINT effect_sql_${id}`))),
    releaseSavepoint: (connection, id) => undo(sessionOf(connection), `RELEASE SAVEPOINT effect_sql_${id}`),
    commit,
    rollback: (connection) => {
      const session = sessionOf(connection)
      return Effect.andThen(undo(session, "ROLLBACK"), session.unpin)
    },
    rollbackSavepoint: (connection, id) => undo(sessionOf(connection), `ROLLBACK TO SAVEPOINT effect_sql_${id}`)
  })

  /** Runs the effect of a transaction as a level of it, which ends once no call of it is under way. */
  const asLevel = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    parent: TransactionLevel | undefined
  ): Effect.Effect<A, E | SqlError, R> =>
    Effect.withFiber((fiber) => {
      const entry = around(fiber)
      // A transaction's own level is its session's: noting it for each one would cost the garbage collector more.
      const outermost = entry !== undefined && isOutermost(entry)
      const level = outermost ? levelOf(entry) : new TransactionLevel(parent)
      if (entry !== undefined && !outermost) levels.set(entry, level)
      return Effect.onExitPrimitive(effect, (exit) => {
        if (Exit.isFailure(exit) || !level.busy) {
          level.end()
          return undefined
        }
        const turn = newTurn()
        return Effect.onExit(
          take(level, turn, () => Effect.void),
          () =>
            Effect.sync(() => {
              level.end()
              level.release(turn)
            })
        )
      })
    })

  /** Makes no span of a transaction where no tracer would ever read it; the effect inside may bring one. */
  const outermost = <A, E, R>(
    fiber: Fiber.Fiber<unknown, unknown>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | SqlError, R> => {
    const level = asLevel(effect, undefined)
    const unread = fiber.getRef(TracerEnabled) && fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
    return unread ? Effect.withTracerEnabled(raw(Effect.withTracerEnabled(level, true)), false) : raw(level)
  }

  const withTransaction: PostgresTransactions["withTransaction"] = (effect) =>
    Effect.withFiber((fiber) => {
      const entry = around(fiber)
      if (entry === undefined) return outermost(fiber, effect)
      if (fiber.getRef(CurrentTenant) !== sessionOf(entry[0]).tenant) {
        return Effect.fail(
          asSqlError(wrongTenant("Transaction.begin", "is another than that of the transaction around"))
        )
      }
      const level = levelOf(entry)
      return inTurn(level, () => raw(asLevel(effect, level)))
    })

  const session: PostgresTransactions["session"] = (operation) =>
    Effect.gen(function* () {
      const leased = yield* options.lease((yield* CurrentHolder) ?? { operation })
      const pinned = yield* leased.connection.pin
      const connection = open(leased, pinned, {
        tenant: undefined,
        readOnly: false,
        reserved: true,
        unpin: Effect.void
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          if (connection.session.begun) leased.retire()
        })
      )
      return { connection, leased }
    })

  const reserve: PostgresTransactions["reserve"] = (operation) =>
    Effect.flatMap(CurrentTenant, (tenant) =>
      tenant === undefined
        ? Effect.mapBoth(session(operation), { onFailure: asSqlError, onSuccess: ({ connection }) => connection })
        : Effect.fail(
            asSqlError(
              wrongTenant(
                "acquire",
                "has no reserved connections, nor streams outside a transaction: begin one around it"
              )
            )
          )
    )

  const lending: PostgresTransactions["lending"] = (borrow) => (use) =>
    Effect.withFiber((fiber) =>
      fiber.getRef(CurrentTenant) === undefined
        ? Effect.mapError(
            borrow((connection, note) => use(new SqlConnection(connection, unlessRefused(note)))),
            poolFailure
          )
        : withTransaction(
            Effect.withFiber((inside) => {
              const entry = around(inside)
              return entry === undefined ? Effect.die("a transaction has no connection") : use(entry[0])
            })
          )
    )

  return { service, withTransaction, reserve, session, lending }
}
