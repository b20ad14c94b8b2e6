import type { PgConnection, Result } from "@effect/sql-pg/PgConnection"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { TracerEnabled } from "effect/References"
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type { Calls } from "../../core/Calls.ts"
import { isStoreError, type StoreError } from "../../core/StoreError.ts"
import { type RunStatement, SqlConnection } from "../session/PostgresConnection.ts"
import { isServerError, isStale, leavesOpen } from "../failures/ServerError.ts"
import { commitFailure } from "../PostgresError.ts"
import { CurrentHolder } from "../pool/Holder.ts"
import type { LeasedConnection, PostgresPool } from "../pool/PoolShape.ts"
import { refusedInTransaction, refusedOnShared } from "../statements/RefusedStatement.ts"
import { type SessionStatement, sessionStatement } from "../statements/SessionStatement.ts"
import { CurrentTenant } from "../Tenant.ts"
import { control, HeldConnection, inSavepoint, type Session, undo } from "./HeldConnection.ts"
import { asSqlError, lostBefore, poolFailure, rolledBack, wrongTenant } from "./TransactionFailure.ts"
import { newTurn, TransactionLevel } from "./TransactionLevel.ts"
import { makeTurns } from "./Turns.ts"

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

/** Whether a statement of the transaction was stale, or of those that begin it. */
const isStaleFailure = (error: unknown): boolean => {
  const cause = isSqlError(error) ? error.reason.cause : undefined
  return isStale(cause) || (isStoreError(cause) && cause.reason._tag === "Conflict" && cause.reason.stale === true)
}

/** How often a statement is sent again that is stale on each connection it gets. */
const staleRetries = 9

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
  const { clock } = options
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

  const { inTurn, scopedTurn, take } = makeTurns(options.calls, options.acquireMillis)

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
        const told = failed("Transaction.commit", "write", clock.currentTimeMillisUnsafe())
        // One that is dead says to the next statement why, and sends nothing.
        if (!leased.alive()) {
          return Effect.matchEffect(leased.watched(leased.connection.query("", [], false)), {
            onFailure: (error) => Effect.fail(lostBefore(told(error))),
            onSuccess: () => Effect.fail(lostBefore())
          })
        }
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
        : Effect.retry(
            withTransaction(
              Effect.withFiber((inside) => {
                const entry = around(inside)
                return entry === undefined ? Effect.die("a transaction has no connection") : use(entry[0])
              })
            ),
            // Where it has no transaction of its own, the driver sends a stale one again by itself.
            { times: staleRetries, while: isStaleFailure }
          )
    )

  return { service, withTransaction, reserve, session, lending }
}
