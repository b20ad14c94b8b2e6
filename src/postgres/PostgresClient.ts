import * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import { makeCalls } from "../core/Calls.ts"
import { currentCredential } from "../core/Credential.ts"
import { type PostgresConfig, type PostgresOptions, type PostgresPreset, sections } from "../core/DatabaseConfig.ts"
import { PoolInstrumentation, SlowQueryThreshold } from "../core/Instrumentation.ts"
import type { Probe } from "../core/Probe.ts"
import { defaultRetryPolicy, makeRetryBudget, retrying } from "../core/Retry.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import { startUp } from "../core/StartUp.ts"
import type { StoreCall } from "../core/StoreCall.ts"
import type { Reason, StoreError } from "../core/StoreError.ts"
import { makeConflictBudget, makeConflictRetry } from "./transactions/ConflictRetry.ts"
import { makeUnit, type RunUnit } from "./statements/PipelinedUnit.ts"
import { fromSqlError } from "./PostgresError.ts"
import { type ListenEvent, makePostgresListener } from "./PostgresListener.ts"
import { CurrentHolder } from "./pool/Holder.ts"
import type { PostgresPool } from "./pool/PoolShape.ts"
import { makePostgresPool } from "./pool/PostgresPool.ts"
import { parseAddress } from "./session/PostgresAddress.ts"
import { noSession, type PostgresTarget, sessionOpener } from "./session/PostgresSession.ts"
import { makeTransactions } from "./transactions/PostgresTransactions.ts"
import { asSqlError, poolFailure } from "./transactions/TransactionFailure.ts"
import { makeCompiler } from "./statements/StatementCompiler.ts"
import { markStatements, runStatement } from "./statements/StatementRunner.ts"
import { CurrentTenant } from "./Tenant.ts"

/** A session of one's own, for what belongs to a session: a lock, a setting. */
export interface PostgresSession {
  /** As the client's `query`, on this session. */
  readonly query: PostgresClient["Service"]["query"]
  /** Succeeds when the connection has ended, and with it all that the session held. */
  readonly ended: Effect.Effect<void>
  /** Says that nobody may have the connection after this one: the session may still hold something. */
  readonly retire: Effect.Effect<void>
}

/** A client of one PostgreSQL server or embedded engine. */
export class PostgresClient extends Context.Service<
  PostgresClient,
  Probe & {
    /**
     * Effect's own client: each statement has a connection to itself and is cancelled on the server when its fiber is
     * interrupted. Fails with `SqlError`.
     *
     * A statement's `stream` ends with a `Timeout` where no row came within `statementTimeout`, and at the Context's Deadline.
     * Outside a transaction the server ends it too where the whole of it takes longer than `statementTimeout`, which counts what
     * the consumer takes: `streamRows` is for long ones. Inside one it is a savepoint: whoever stops early, or meets its failure,
     * goes on in the transaction, and what its statement wrote is kept only where the consumer saw its end.
     */
    readonly sql: PgClient.PgClient
    /**
     * The same for short statements that find their rows by key: up to 8 of them share a connection, pipelined, under the
     * session's `statement_timeout`. An interrupted one runs to its end on the server. Inside a transaction it is as `sql`.
     */
    readonly keyed: PgClient.PgClient
    /**
     * Runs a statement of `sql` or `keyed` for a capability.
     *
     * Ends by the Context's Deadline, and is sent again after a failure that this may mend: a read, or a write that is known
     * not to have been applied or that `idempotent` says is harmless. Fails with `StoreError`, which shows the statement.
     */
    readonly query: <A>(
      call: StoreCall,
      statement: Statement.Statement<A>
    ) => Effect.Effect<ReadonlyArray<A>, StoreError>
    /**
     * Runs statements that are declared beforehand as one transaction: all of them, or none. Gives what each did.
     *
     * BEGIN, the statements and COMMIT are sent in one go, which takes one round trip where a `Transaction` takes one for each.
     * So no statement may depend on the rows of another. Inside a transaction the statements are a savepoint of it.
     *
     * Where all of them are `keyed`, up to 8 units share a connection, pipelined: for those that are short and rarely wait for a
     * lock. Otherwise the unit has a connection to itself.
     *
     * It ends by the Context's Deadline, and is sent again as `query` is, after a serialization failure or a deadlock as a
     * `Transaction` is run again. Fails with `StoreError`, which shows the statement that was refused; `CommitUnknown` says that the answer never came, `Timeout` of unknown outcome that it was not awaited.
     * Interrupted after it was sent, it runs to its end.
     * (Only BEGIN itself cancelled on the server, by an administrator, may leave a part of it: an unknown outcome.)
     *
     * @example
     * ```ts
     * yield* client.unit({ operation: "Accounts.move", kind: "write" }, [
     *   keyed`update accounts set balance = balance - ${amount} where id = ${from}`,
     *   keyed`update accounts set balance = balance + ${amount} where id = ${to}`
     * ])
     * ```
     */
    readonly unit: RunUnit
    /**
     * Listens to a channel (LISTEN) until the stream is closed, over one connection beside the pool that all channels share.
     *
     * Begins with `Listening`. A connection that is lost, also one that fell silent, is told as `Lost` and opened anew for as
     * long as it takes; `Reconnected` then says for how long nothing was heard. Notifications wait in memory until they are
     * taken. Fails with `StoreError` where it cannot begin: `InvalidData` where there is no session to listen in (a pooler,
     * the embedded engine).
     */
    readonly listen: (channel: string) => Stream.Stream<ListenEvent, StoreError>
    /**
     * Fails where statements have no session in common, because a pooler in transaction mode stands in between.
     *
     * Asked first by what relies on one: `listen`, `session`, the lock of migrations, and what lasts over `sql.reserve` (SET,
     * temporary tables). The failure says how else to get one: `past`.
     */
    readonly needsSession: (operation: string, past?: string) => Effect.Effect<void, StoreError>
    /**
     * Takes a connection out of the pool until the scope closes; one that was left in a transaction, or changed by a statement
     * whose text says so (SET, LISTEN, PREPARE, a temporary table), is closed then.
     *
     * What hides from the text lasts for whoever gets the connection next: `select pg_advisory_lock(…)`,
     * `select set_config(…, …, false)`, `select … into temp`, what a function does inside. Undo it, or `retire` the session.
     * The same holds for `sql.reserve`.
     *
     * Fails with `StoreError`: `InvalidData` behind a pooler in transaction mode, `PoolExhausted`.
     */
    readonly session: Effect.Effect<PostgresSession, StoreError, Scope.Scope>
  }
>()("@ai-core/database/postgres/PostgresClient") {}

/** The tags that a PostgreSQL layer provides: ours, and Effect's own beside it. */
export type PostgresTags = PostgresClient | PgClient.PgClient | SqlClient.SqlClient

const PgJson = Statement.custom<PgClient.PgCustom>("PgJson")

/**
 * Whether trying again would take as long again: the pool has tried to connect for as long as a caller may wait, and the server
 * has worked on the statement for as long as it may.
 */
const hasTakenItsTime = (reason: Reason): boolean => {
  switch (reason._tag) {
    case "PoolExhausted":
    case "Unavailable":
    case "Overloaded":
      return true
    case "Timeout":
      // One with a code is the server's own; without, the connection fell silent, and another may answer.
      return reason.code !== undefined
    default:
      return false
  }
}

/** Makes a client of a target; how live and embedded PostgreSQL share their code. */
export const makeFor = (
  target: PostgresTarget,
  config: PostgresConfig
): Effect.Effect<Context.Context<PostgresTags>, StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { endpoint } = target
    const clock = yield* Clock.Clock
    const calls = yield* makeCalls(endpoint)
    const hooks = (yield* PoolInstrumentation)(endpoint)
    const slowMillis = Duration.toMillis(yield* SlowQueryThreshold)
    const pool = yield* makePostgresPool({ target, config, calls, hooks, slowMillis })
    yield* Effect.addFinalizer(() => pool.close(config.shutdownTimeout))
    yield* startUp(endpoint, config.connectTimeout, pool.warm)

    const statementMillis = Duration.toMillis(config.statementTimeout)
    const budget = makeRetryBudget()
    const retry = retrying(budget, { ...defaultRetryPolicy, except: hasTakenItsTime })
    const storeError = (
      call: StoreCall,
      error: SqlError,
      startedAt: number,
      statement?: Statement.Statement<unknown>
    ) =>
      fromSqlError(
        error,
        call,
        { endpoint, statementMillis, elapsedMillis: clock.currentTimeMillisUnsafe() - startedAt },
        statement?.compile()
      )

    // ---- Effect's client, over our pool

    // ---- what needs a session

    const sessionless = (operation: string, past = "use a client that connects past it"): StoreError | undefined =>
      config.pooler === "none"
        ? undefined
        : noSession(operation, "pooler", `must be none: a pooler in transaction mode keeps no session; ${past}`)
    const needsSession: PostgresClient["Service"]["needsSession"] = (operation, past) => {
      const failure = sessionless(operation, past)
      return failure === undefined ? Effect.void : Effect.fail(failure)
    }
    const canListen =
      target.stream === undefined
        ? needsSession("listen")
        : Effect.fail(noSession("listen", "", "the embedded engine has one session, and listening needs its own"))
    const listener = yield* makePostgresListener({
      openSession: sessionOpener(target, config)(),
      failure: (error) => storeError({ operation: "listen", kind: "read" }, error, clock.currentTimeMillisUnsafe()),
      heartbeat: "10 seconds",
      patience: "5 seconds"
    })
    const listen: PostgresClient["Service"]["listen"] = (channel) =>
      Stream.unwrap(Effect.as(canListen, listener.listen(channel)))

    const spanAttributes: ReadonlyArray<readonly [string, unknown]> = [
      ["db.system.name", "postgresql"],
      ["server.address", endpoint.host],
      ...(endpoint.port === undefined ? [] : [["server.port", endpoint.port] as const])
    ]
    const transactions = makeTransactions({
      lease: pool.lease,
      calls,
      clock,
      acquireMillis: Duration.toMillis(config.acquireTimeout),
      sessionless,
      spanAttributes,
      failed: (operation, kind, error, startedAt) => storeError({ operation, kind }, error, startedAt)
    })
    const reactivity = yield* Reactivity.make
    const effectClient = (borrow: PostgresPool["shared"]): Effect.Effect<SqlClient.SqlClient> =>
      Effect.map(
        SqlClient.make({
          driver: "pg",
          compiler: makeCompiler(),
          acquirer: transactions.reserve("stream"),
          borrower: transactions.lending(borrow),
          transactionService: transactions.service,
          spanAttributes
        }).pipe(Effect.provideService(Reactivity.Reactivity, reactivity)),
        (client) => Object.assign(client, { withTransaction: transactions.withTransaction })
      )
    const pgClient = (client: SqlClient.SqlClient): PgClient.PgClient =>
      Object.assign(client, {
        [PgClient.TypeId]: PgClient.TypeId,
        config: { applicationName: target.applicationName, host: endpoint.host, port: endpoint.port },
        json: (value: unknown) => Statement.fragment([PgJson(value)]),
        reserve: transactions.reserve("sql.reserve"),
        listen: (channel: string) =>
          Effect.flatMap(Effect.mapError(Effect.andThen(canListen, listener.connection), asSqlError), (connection) =>
            connection.listen(channel)
          ),
        notify: (channel: string, payload: string) => Effect.asVoid(client`SELECT pg_notify(${channel}, ${payload})`)
      })
    const sql = markStatements(pgClient(yield* effectClient(pool.exclusive)), pool.exclusive)
    const keyed = markStatements(pgClient(yield* effectClient(pool.shared)), pool.shared)

    // ---- ours

    const run = runStatement(sql)

    const query: PostgresClient["Service"]["query"] = (call, statement) => {
      const once = Effect.withFiber((fiber) => {
        const startedAt = clock.currentTimeMillisUnsafe()
        return Effect.mapError(run(fiber, statement, call.operation), (error) =>
          storeError(call, poolFailure(error), startedAt, statement)
        )
      })
      return Effect.withFiber((fiber) => {
        const around = Context.getOrUndefined(fiber.context, transactions.service)
        if (around === undefined) {
          return retry(once, { idempotent: call.kind === "read" || call.idempotent === true })
        }
        // A transaction in which a statement has failed can only be run again as a whole: its COMMIT was not sent.
        const [, level] = around
        return level < 0 ? once : Effect.mapError(once, (error) => error.during(call.operation, "not-applied"))
      })
    }

    const session: PostgresClient["Service"]["session"] = Effect.map(
      Effect.flatMap(CurrentHolder, (holder) =>
        Effect.andThen(needsSession(holder?.operation ?? "session"), transactions.session("session"))
      ),
      ({ connection, leased: { ended, retire } }) => ({
        ended,
        retire: Effect.sync(retire),
        query: (call, statement) =>
          query(call, statement).pipe(
            // No transaction is open on it.
            Effect.provideService(transactions.service, [connection, -1]),
            Effect.provideService(CurrentTenant, undefined)
          )
      })
    )

    const unit = makeUnit({
      pool,
      sql,
      retry,
      repeated: makeConflictRetry(makeConflictBudget()),
      storeError: (call, error, statement) => storeError(call, error, clock.currentTimeMillisUnsafe(), statement)
    })

    const ping = Effect.asVoid(query({ operation: "ping", kind: "read" }, keyed`SELECT 1`))

    return Context.make(
      PostgresClient,
      PostgresClient.of({
        endpoint,
        sql,
        keyed,
        query,
        unit,
        session,
        listen,
        needsSession,
        ping,
        stats: Effect.sync(pool.stats)
      })
    ).pipe(Context.add(PgClient.PgClient, sql), Context.add(SqlClient.SqlClient, sql))
  })

const providing = <E>(
  made: Effect.Effect<Context.Context<PostgresTags>, E, Scope.Scope>
): Layer.Layer<PostgresTags, E> => Layer.effectContext(made)

const targetOf = (config: PostgresConfig): Effect.Effect<PostgresTarget, StoreError> =>
  Effect.map(
    Effect.flatMap(currentCredential(config.url), parseAddress),
    ({ applicationName = "@ai-core/database", host, port }) => ({
      url: config.url,
      endpoint: { store: "postgresql", host, port },
      applicationName
    })
  )

/** Makes a client from a configuration that is already checked. */
export const makeFromConfig = (
  config: PostgresConfig
): Effect.Effect<Context.Context<PostgresTags>, StoreError, Scope.Scope> =>
  Effect.flatMap(targetOf(config), (target) => makeFor(target, config))

/**
 * Makes a client: opens one connection, waiting for the server up to `connectTimeout`, and keeps `minConnections` open.
 *
 * Closing the scope waits up to `shutdownTimeout` for the statements under way. Fails with `ConfigInvalid`, which lists every
 * wrong option, or `StoreError` (`Unavailable`, `Timeout`, `AuthenticationFailed`, `InvalidStatement` where there is no such
 * database).
 */
export const make = (
  options: PostgresOptions
): Effect.Effect<Context.Context<PostgresTags>, ConfigInvalid | StoreError, Scope.Scope> =>
  Effect.flatMap(sections.postgresql.make(options), makeFromConfig)

/**
 * A client as a layer.
 *
 * @example
 * ```ts
 * PostgresClient.layer({ url: Redacted.make("postgresql://app:secret@localhost/ai_core"), maxConnections: 10 })
 * ```
 */
export const layer = (options: PostgresOptions): Layer.Layer<PostgresTags, ConfigInvalid | StoreError> =>
  providing(make(options))

/**
 * A client configured by the environment (`DATABASE_URL`, `DB_MAX_CONNECTIONS` …, `DB_SLOW_QUERY_THRESHOLD_MS`); `preset` takes
 * the place of the defaults.
 */
export const layerConfig = (preset?: PostgresPreset): Layer.Layer<PostgresTags, ConfigInvalid | StoreError> =>
  providing(
    Effect.gen(function* () {
      const config = yield* sections.postgresql.fromEnvironment(preset)
      const { slowQueryThreshold } = yield* sections.monitoring.fromEnvironment()
      return yield* Effect.provideService(makeFromConfig(config), SlowQueryThreshold, slowQueryThreshold)
    })
  )
