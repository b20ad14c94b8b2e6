/**
 * What a PostgreSQL server is busy with, from its own statistics. Everything is read, nothing is changed; texts hide values.
 *
 * All fail with `StoreError`: `InvalidData` names a `limit` that is no number of rows, and a length of time that is none.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Statement } from "effect/sql/Statement"
import { decodeInput, decodeStored } from "../core/Decode.ts"
import { durationBetween } from "../core/DurationInput.ts"
import type { StoreError } from "../core/StoreError.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { summaryOf } from "./statements/StatementSummary.ts"

/** Connections of this database in one state. */
export const ConnectionState = Schema.Struct({
  /** `active`, `idle`, `idle in transaction`, …; `unknown` where the user may not see it. */
  state: Schema.String,
  count: Schema.Number,
  /** How long the one that is longest in it has been. */
  longestMillis: Schema.Number
})
export type ConnectionState = typeof ConnectionState.Type

/** A statement that many calls share, by `pg_stat_statements`. */
export const StatementUse = Schema.Struct({
  statement: Schema.String,
  calls: Schema.Number,
  totalMillis: Schema.Number,
  meanMillis: Schema.Number,
  maxMillis: Schema.Number,
  rows: Schema.Number
})
export type StatementUse = typeof StatementUse.Type

/** Somebody who waits for a lock, and who keeps it from them. */
export const LockWait = Schema.Struct({
  pid: Schema.Number,
  statement: Schema.String,
  waitedMillis: Schema.Number,
  /** The table, where the lock is on one. */
  relation: Schema.NullOr(Schema.String),
  mode: Schema.String,
  /** In transaction for this long; without statements since `idleMillis`, which is 0 while one runs. */
  blockers: Schema.Array(
    Schema.Struct({
      pid: Schema.Number,
      application: Schema.String,
      state: Schema.String,
      statement: Schema.String,
      transactionMillis: Schema.Number,
      idleMillis: Schema.Number
    })
  )
})
export type LockWait = typeof LockWait.Type

/** A transaction that is open. */
export const OpenTransaction = Schema.Struct({
  pid: Schema.Number,
  user: Schema.String,
  application: Schema.String,
  state: Schema.String,
  ageMillis: Schema.Number,
  /** What it runs, or ran last. */
  statement: Schema.String
})
export type OpenTransaction = typeof OpenTransaction.Type

/** How a table is used since the statistics were reset. */
export const TableUse = Schema.Struct({
  table: Schema.String,
  /** Estimates of the statistics. */
  rows: Schema.Number,
  deadRows: Schema.Number,
  /** With indexes and TOAST. */
  bytes: Schema.Number,
  sequentialScans: Schema.Number,
  indexScans: Schema.Number,
  lastVacuum: Schema.NullOr(Schema.Date),
  lastAnalyze: Schema.NullOr(Schema.Date)
})
export type TableUse = typeof TableUse.Type

/** How an index is used since the statistics were reset. */
export const IndexUse = Schema.Struct({
  index: Schema.String,
  table: Schema.String,
  bytes: Schema.Number,
  scans: Schema.Number,
  /** Whether it keeps a rule, so that it is needed even where nothing reads it. */
  unique: Schema.Boolean
})
export type IndexUse = typeof IndexUse.Type

/** How much of a table is space that its rows would not need. */
export const TableBloat = Schema.Struct({
  table: Schema.String,
  bytes: Schema.Number,
  /** An estimate from ANALYZE's row widths; tens of percent off where rows vary in length. */
  bloatBytes: Schema.Number,
  /** `bloatBytes / bytes`, from 0 to 1. */
  share: Schema.Number
})
export type TableBloat = typeof TableBloat.Type

type Sql = PostgresClient["Service"]["sql"]

const ask = <A, I>(
  operation: string,
  schema: Schema.Codec<A, I>,
  statement: (sql: Sql) => Statement<object>
): Effect.Effect<ReadonlyArray<A>, StoreError, PostgresClient> => {
  const decode = decodeStored(Schema.Array(schema))
  return Effect.flatMap(PostgresClient, ({ query, sql }) =>
    Effect.flatMap(query({ operation, kind: "read" }, statement(sql)), (rows) =>
      decode({ store: "postgresql", operation, subject: "row" }, rows)
    )
  )
}

const input = (operation: string) => ({ store: "postgresql", operation, subject: "input" }) as const

const checkLimit = decodeInput(
  Schema.Struct({
    limit: Schema.Int.check(
      Schema.isBetween({ minimum: 0, maximum: 2_147_483_647 }, { expected: "a whole number from 0 to 2^31 - 1" })
    )
  })
)

const checkAge = decodeInput(Schema.Struct({ atLeast: durationBetween(0, "36500 days") }))

/** Asks for so many rows at most, once that is a number that PostgreSQL takes. */
const askFor = <A, I>(
  limit: number,
  operation: string,
  schema: Schema.Codec<A, I>,
  statement: (sql: Sql) => Statement<object>
) => Effect.andThen(checkLimit(input(operation), { limit }), ask(operation, schema, statement))

/** Rows with their statements as a log may show them. */
const summarised = <A extends { readonly statement: string }>(rows: ReadonlyArray<A>): ReadonlyArray<A> =>
  rows.map((row) => Object.assign({}, row, { statement: summaryOf(row.statement) }))

/** Connections to this database by state, most first. */
export const connections: Effect.Effect<ReadonlyArray<ConnectionState>, StoreError, PostgresClient> = ask(
  "PostgresInsight.connections",
  ConnectionState,
  (sql) => sql`
    select coalesce(state, 'unknown') as state, count(*)::float8 as count,
      coalesce(max(extract(epoch from clock_timestamp() - state_change) * 1000), 0)::float8 as "longestMillis"
    from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend'
    group by 1 order by 2 desc, 1`
)

/** Those who wait for a lock, longest first, each with those who block them. */
export const lockWaits: Effect.Effect<ReadonlyArray<LockWait>, StoreError, PostgresClient> = Effect.map(
  ask(
    "PostgresInsight.lockWaits",
    LockWait,
    (sql) => sql`
      select waiting.pid, coalesce(waiting.query, '') as statement,
        extract(epoch from clock_timestamp() - coalesce(wanted.waitstart, waiting.query_start))::float8 * 1000 as "waitedMillis",
        wanted.relation::regclass::text as relation, wanted.mode,
        (select coalesce(json_agg(json_build_object(
            'pid', blocking.pid, 'application', blocking.application_name, 'state', coalesce(blocking.state, 'unknown'),
            'statement', coalesce(blocking.query, ''),
            'transactionMillis', coalesce(extract(epoch from clock_timestamp() - blocking.xact_start) * 1000, 0)::float8,
            'idleMillis', case when blocking.state = 'active' then 0
              else coalesce(extract(epoch from clock_timestamp() - blocking.state_change) * 1000, 0) end::float8
          ) order by blocking.xact_start), '[]'::json)
          from pg_stat_activity blocking where blocking.pid = any(pg_blocking_pids(waiting.pid))) as blockers
      from pg_stat_activity waiting
      join lateral (
        select relation, mode, waitstart from pg_locks
        where pid = waiting.pid and not granted order by waitstart limit 1
      ) wanted on true
      where waiting.datname = current_database() and waiting.wait_event_type = 'Lock'
      order by 3 desc`
  ),
  (rows) => summarised(rows).map((row) => Object.assign({}, row, { blockers: summarised(row.blockers) }))
)

/**
 * Transactions that have been open for at least this long, longest first; the one that asks is not among them.
 * 36,500 days are the longest to ask for.
 */
export const longTransactions = (
  atLeast: Duration.Input
): Effect.Effect<ReadonlyArray<OpenTransaction>, StoreError, PostgresClient> =>
  Effect.gen(function* () {
    const operation = "PostgresInsight.longTransactions"
    const { atLeast: least } = yield* checkAge(input(operation), { atLeast })
    const rows = yield* ask(
      operation,
      OpenTransaction,
      (sql) => sql`
        select pid, coalesce(usename, '') as user, application_name as application, coalesce(state, 'unknown') as state,
          extract(epoch from clock_timestamp() - xact_start)::float8 * 1000 as "ageMillis", query as statement
        from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
          and xact_start <= clock_timestamp() - ${Duration.toMillis(least) / 1000}::float8 * interval '1 second'
        order by xact_start`
    )
    return summarised(rows)
  })

/** What `pg_stat_statements` knows, or why it knows nothing. */
export type SlowStatements =
  | { readonly _tag: "Statements"; readonly statements: ReadonlyArray<StatementUse> }
  /** The extension is not there: `fix` says how to get it. */
  | { readonly _tag: "NotInstalled"; readonly fix: string }

const Extension = Schema.Struct({ loaded: Schema.Boolean, schema: Schema.NullOr(Schema.String) })

/** The statements that took the server longest in all, most first; 20 unless told otherwise. */
export const slowStatements = (limit = 20): Effect.Effect<SlowStatements, StoreError, PostgresClient> =>
  Effect.gen(function* () {
    const operation = "PostgresInsight.slowStatements"
    yield* checkLimit(input(operation), { limit })
    const [extension] = yield* ask(
      operation,
      Extension,
      (sql) => sql`
        select current_setting('pg_stat_statements.max', true) is not null as loaded,
          (select nspname::text from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
            where extname = 'pg_stat_statements') as schema`
    )
    const schema = extension?.schema
    if (extension?.loaded !== true) {
      return { _tag: "NotInstalled", fix: "shared_preload_libraries = 'pg_stat_statements' and restart the server" }
    }
    if (typeof schema !== "string") {
      return { _tag: "NotInstalled", fix: "create extension pg_stat_statements" }
    }
    const statements = yield* ask(
      operation,
      StatementUse,
      (sql) => sql`
        select query as statement, calls::float8, total_exec_time as "totalMillis", mean_exec_time as "meanMillis",
          max_exec_time as "maxMillis", rows::float8
        from ${sql(schema)}.pg_stat_statements
        where dbid = (select oid from pg_database where datname = current_database())
        order by total_exec_time desc limit ${limit}::int`
    )
    return { _tag: "Statements", statements: summarised(statements) }
  })

/** The largest tables with their use; 50 unless told otherwise. */
export const tables = (limit = 50): Effect.Effect<ReadonlyArray<TableUse>, StoreError, PostgresClient> =>
  askFor(
    limit,
    "PostgresInsight.tables",
    TableUse,
    (sql) => sql`
      select relid::regclass::text as table, n_live_tup::float8 as rows, n_dead_tup::float8 as "deadRows",
        pg_total_relation_size(relid)::float8 as bytes, seq_scan::float8 as "sequentialScans",
        coalesce(idx_scan, 0)::float8 as "indexScans",
        greatest(last_vacuum, last_autovacuum) as "lastVacuum", greatest(last_analyze, last_autoanalyze) as "lastAnalyze"
      from pg_stat_user_tables order by 4 desc, 1 limit ${limit}::int`
  )

/** The largest indexes with their use; 50 unless told otherwise. */
export const indexes = (limit = 50): Effect.Effect<ReadonlyArray<IndexUse>, StoreError, PostgresClient> =>
  askFor(
    limit,
    "PostgresInsight.indexes",
    IndexUse,
    (sql) => sql`
      select indexrelid::regclass::text as index, relid::regclass::text as table,
        pg_relation_size(indexrelid)::float8 as bytes, idx_scan::float8 as scans, indisunique as unique
      from pg_stat_user_indexes join pg_index using (indexrelid) order by 3 desc, 1 limit ${limit}::int`
  )

/**
 * The tables with the most space that their rows would not need; 50 unless told otherwise.
 *
 * Rows are counted and measured as ANALYZE last saw them, so that a table which it never saw is not among them.
 */
export const bloat = (limit = 50): Effect.Effect<ReadonlyArray<TableBloat>, StoreError, PostgresClient> =>
  askFor(
    limit,
    "PostgresInsight.bloat",
    TableBloat,
    // A row costs its header of 24 bytes, its line pointer of 4, and its width rounded up to 8.
    (sql) => sql`
      with width as (
        select format('%I.%I', schemaname, tablename)::regclass as relid, sum((1 - null_frac) * avg_width) as bytes
        from pg_stats where schemaname not in ('pg_catalog', 'information_schema') group by 1
      ), size as (
        select oid::regclass::text as table, relpages * current_setting('block_size')::float8 as bytes,
          ceil(reltuples * (28 + 8 * ceil(width.bytes / 8)) / (current_setting('block_size')::float8 - 24)
            / coalesce((select option_value::float8 / 100 from pg_options_to_table(reloptions)
              where option_name = 'fillfactor'), 1)) * current_setting('block_size')::float8 as needed
        from pg_class join width on width.relid = oid where relkind in ('r', 'm') and reltuples >= 0 and relpages > 0
      )
      select "table", bytes, greatest(bytes - needed, 0) as "bloatBytes", greatest(bytes - needed, 0) / bytes as share
      from size order by 3 desc, 1 limit ${limit}::int`
  )
