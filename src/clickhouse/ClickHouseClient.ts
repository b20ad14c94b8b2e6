import type { ClickHouseSettings } from "@clickhouse/client"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Calls, makeCalls } from "../core/Calls.ts"
import {
  type ClickHouseConfig,
  type ClickHouseOptions,
  type ClickHousePreset,
  sections
} from "../core/DatabaseConfig.ts"
import { within } from "../core/Deadline.ts"
import { withClientSpan } from "../core/Instrumentation.ts"
import { poolStats } from "../core/Pool.ts"
import type { Probe } from "../core/Probe.ts"
import { makeRetryBudget, retrying } from "../core/Retry.ts"
import type { ConfigInvalid } from "../core/Setting.ts"
import { startUp } from "../core/StartUp.ts"
import { InvalidData, StoreError } from "../core/StoreError.ts"
import { collectLines, decodeRows, rowsOf } from "./Answer.ts"
import { type Driver, makeConnections } from "./Connections.ts"
import { makeExchange, type Request } from "./Exchange.ts"
import { makeSlots } from "./Slots.ts"

/** A statement that reads. */
export interface Query<A> {
  /**
   * SQL without a FORMAT clause; values come in as `{name:Type}`, names as `{name:Identifier}`.
   */
  readonly query: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
  /** `JSONEachRow` (default): a row is an object; `JSONCompactEachRow`: an array in the order of the columns. */
  readonly format?: "JSONEachRow" | "JSONCompactEachRow" | undefined
  /**
   * What a row is. 64-bit integers and decimals come as strings, dates with time as ISO strings in UTC.
   */
  readonly schema: Schema.ConstraintDecoder<A>
  readonly settings?: ClickHouseSettings | undefined
}

/** A statement that changes something and returns no rows. */
export interface Command {
  readonly query: string
  readonly params?: Readonly<Record<string, unknown>> | undefined
  readonly settings?: ClickHouseSettings | undefined
  /** Running it twice is harmless (`CREATE TABLE IF NOT EXISTS`): it is sent again when its answer is lost. */
  readonly idempotent?: boolean | undefined
}

/** How rows are inserted. */
export interface InsertOptions {
  /**
   * Deduplication token of this batch. With it a lost answer is asked for again with the same rows, and a table that keeps
   * a window of tokens (`non_replicated_deduplication_window`, or a Replicated engine) stores them once. Without it a
   * batch is sent once.
   */
  readonly token?: string | undefined
  readonly settings?: ClickHouseSettings | undefined
}

/**
 * One ClickHouse server through its HTTP interface.
 *
 * `operation` names the call in errors and spans. Every call ends by the configured timeout or the Context's Deadline,
 * whichever is sooner, retries included; the server is given the same limit as `max_execution_time`, and a call nobody
 * waits for any more is ended on the server by KILL QUERY. The user must be allowed to change settings (`readonly` 0 or 2).
 * All calls fail with `StoreError`.
 */
export class ClickHouseClient extends Context.Service<
  ClickHouseClient,
  Probe & {
    /** Database of every statement that names none. */
    readonly database: string
    /** How long closing waits for what is under way. */
    readonly shutdownTimeout: Duration.Duration
    /** The driver's client: no deadline, no retry, no decoding, and its own errors. Closed with the scope. */
    readonly raw: Effect.Effect<Driver, StoreError>
    /**
     * Reads rows into memory. Sent under `readonly=2`, so the server refuses a statement that writes (`InvalidStatement`), and a
     * lost answer may be asked for again.
     *
     * @example
     * ```ts
     * client.query("Reports.top", {
     *   query: "SELECT service, count() AS n FROM workflow_events WHERE user_id = {user:String} GROUP BY service",
     *   params: { user },
     *   schema: Schema.Struct({ service: Schema.String, n: Schema.FiniteFromString })
     * })
     * ```
     */
    readonly query: <A>(operation: string, query: Query<A>) => Effect.Effect<ReadonlyArray<A>, StoreError>
    /**
     * Reads rows as they come, in constant memory; the server waits for a slow consumer.
     *
     * The timeout bounds the silence of the server, not the whole stream. A stream holds one connection until it ends; one
     * that is left early is ended on the server. Rows given out before a failure stay given out: it is never retried
     * after the first.
     */
    readonly stream: <A>(operation: string, query: Query<A>) => Stream.Stream<A, StoreError>
    /**
     * Inserts rows as one INSERT and returns how many were sent; unknown fields are refused. `async_insert=0`: success
     * means stored. `table` is `name` or `database.name`.
     */
    readonly insert: (
      operation: string,
      table: string,
      rows: ReadonlyArray<Readonly<Record<string, unknown>>>,
      options?: InsertOptions
    ) => Effect.Effect<number, StoreError>
    /** Runs a statement for its effect: DDL, INSERT SELECT, ALTER, SYSTEM. */
    readonly command: (operation: string, command: Command) => Effect.Effect<void, StoreError>
  }
>()("@ai-core/database/clickhouse/ClickHouseClient") {}

/** What the embedded engine knows of its server beyond what a connection tells. */
export interface Hooks {
  readonly outage: () => string | undefined
}

const readSettings = {
  readonly: "2",
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_decimals: 1,
  date_time_output_format: "iso",
  http_write_exception_in_output_format: 0,
  // A result nobody reads any more ends its query even where KILL QUERY is not granted.
  cancel_http_readonly_queries_on_client_close: 1
} satisfies ClickHouseSettings

const insertSettings = {
  async_insert: 0,
  date_time_input_format: "best_effort",
  input_format_skip_unknown_fields: 0
} satisfies ClickHouseSettings

/** Quotes `name` or `database.name`. */
const identifier = (name: string): string =>
  name
    .split(".")
    .map((part) => `\`${part.replace(/[\\`]/g, "\\$&")}\``)
    .join(".")

const encodeRows = (
  operation: string,
  rows: ReadonlyArray<Readonly<Record<string, unknown>>>
): Effect.Effect<string, StoreError> =>
  Effect.try({
    try: () => rows.map((row) => JSON.stringify(row)).join("\n"),
    catch: () =>
      new StoreError({
        store: "clickhouse",
        operation,
        outcome: "not-applied",
        reason: new InvalidData({
          subject: "input",
          problems: [{ field: "", problem: "holds a value that JSON cannot express (a bigint: write it as a string)" }]
        })
      })
  })

/** Connects by checked settings; `hooks` belong to the embedded engine. */
export const fromConfig = (
  config: ClickHouseConfig,
  hooks: Hooks = { outage: () => undefined }
): Effect.Effect<ClickHouseClient["Service"], StoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = yield* makeConnections(config)
    const { database, endpoint } = yield* connection
    const calls: Calls = yield* makeCalls(endpoint)
    const slots = makeSlots(config.poolSize)
    const budget = makeRetryBudget()
    const retry = retrying(budget)
    const clock = yield* Clock.Clock
    // Queries that nobody waits for are killed by fibers of the client, so that closing it waits for them.
    const killers = yield* FiberSet.make<void>()
    const exchange = makeExchange({
      endpoint,
      connection,
      calls,
      slots,
      clock,
      timeoutMillis: Duration.toMillis(config.timeout),
      outage: hooks.outage,
      fork: yield* FiberSet.runtime(killers)<never>()
    })
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        calls.drain(config.shutdownTimeout),
        Effect.timeoutOption(FiberSet.awaitEmpty(killers), "2 seconds")
      )
    )

    const call = <A>(
      request: Request,
      attempt: Effect.Effect<A, StoreError>,
      idempotent: boolean
    ): Effect.Effect<A, StoreError> =>
      retry(attempt, { idempotent }).pipe(within(config.timeout), (self) =>
        withClientSpan(self, "clickhouse", request.operation)
      )

    const read = <A>(operation: string, query: Query<A>): Request => ({
      operation,
      access: "read",
      query: query.query,
      params: query.params,
      settings: { ...readSettings, default_format: query.format ?? "JSONEachRow", ...query.settings }
    })

    const query = <A>(operation: string, query: Query<A>): Effect.Effect<ReadonlyArray<A>, StoreError> => {
      const request = read(operation, query)
      return call(
        request,
        Effect.flatMap(exchange.send(request, collectLines), ({ attempt, lines }) =>
          decodeRows(attempt, query.schema, lines, 0)
        ),
        true
      )
    }

    const run = (request: Request, idempotent: boolean): Effect.Effect<void, StoreError> =>
      call(request, Effect.asVoid(exchange.send(request, collectLines)), idempotent)

    const ping = Effect.asVoid(
      exchange.send(
        { operation: "ping", access: "read", query: "SELECT 1", params: undefined, settings: readSettings },
        collectLines
      )
    )

    yield* startUp(endpoint, config.connectTimeout, ping)

    return ClickHouseClient.of({
      endpoint,
      database,
      shutdownTimeout: config.shutdownTimeout,
      ping,
      stats: Effect.sync(() =>
        poolStats({ size: slots.inUse(), inUse: slots.inUse(), waiting: slots.waiting(), max: slots.limit })
      ),
      raw: Effect.map(connection, ({ driver }) => driver),
      query,
      stream: (operation, query) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const request = { ...read(operation, query), streamed: true }
            // Opened without the call's own deadline: what follows may take longer.
            const answer = yield* retry(exchange.open(request), { idempotent: true })
            return rowsOf(answer, query.schema)
          })
        ),
      insert: (operation, table, rows, options = {}) =>
        rows.length === 0
          ? Effect.succeed(0)
          : Effect.flatMap(encodeRows(operation, rows), (values) =>
              Effect.as(
                run(
                  {
                    operation,
                    access: "write",
                    query: `INSERT INTO ${identifier(table)} FORMAT JSONEachRow`,
                    params: undefined,
                    values,
                    settings: {
                      ...insertSettings,
                      ...(options.token === undefined ? {} : { insert_deduplication_token: options.token }),
                      ...options.settings
                    }
                  },
                  options.token !== undefined
                ),
                rows.length
              )
            ),
      command: (operation, { idempotent = false, params, query, settings = {} }) =>
        run({ operation, access: "write", query, params, settings }, idempotent)
    })
  })

/**
 * Connects to ClickHouse and closes with the scope: requests under way are waited for (`shutdownTimeout`), then ended.
 *
 * Waits for a server that is still starting until `connectTimeout`. A user, password or database in the URL wins over the
 * setting of its own. Fails with `ConfigInvalid`, or with `StoreError`: `Unavailable`, `Timeout`, `AuthenticationFailed`,
 * `InvalidStatement` (no such database).
 */
export const make = (
  options: ClickHouseOptions
): Effect.Effect<ClickHouseClient["Service"], StoreError | ConfigInvalid, Scope.Scope> =>
  Effect.flatMap(sections.clickhouse.make(options), (config) => fromConfig(config))

/** A client of the server that these options name; see {@link make}. */
export const layer = (options: ClickHouseOptions): Layer.Layer<ClickHouseClient, StoreError | ConfigInvalid> =>
  Layer.effect(ClickHouseClient, make(options))

/** A client of the server that the environment names (`CLICKHOUSE_URL` …); `preset` takes the place of the defaults. */
export const layerConfig = (preset?: ClickHousePreset): Layer.Layer<ClickHouseClient, StoreError | ConfigInvalid> =>
  Layer.effect(
    ClickHouseClient,
    Effect.flatMap(sections.clickhouse.fromEnvironment(preset), (config) => fromConfig(config))
  )
