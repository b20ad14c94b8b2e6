import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeStored } from "../../core/Decode.ts"
import type { AppliedMigration, HistoryChange, Migration, MigrationState } from "../../core/MigrationDriver.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { PostgresClient } from "../PostgresClient.ts"
import { leaseTable } from "../PostgresLease.ts"
import { schemaSnapshot } from "./SchemaSnapshot.ts"
import type { Transactions } from "./Transactions.ts"
import type { Which } from "./Which.ts"

const historyTable = "schema_migrations"
const journalTable = "schema_migrations_journal"
/** Not part of the schema that migrations make. */
export const ownTables: ReadonlyArray<string> = [historyTable, journalTable, leaseTable]

const HistoryRow = Schema.Struct({
  version: Schema.BigInt,
  name: Schema.String,
  checksum: Schema.String,
  kind: Schema.Literals(["migrated", "baseline"]),
  appliedAt: Schema.DateTimeUtcFromDate,
  elapsedMillis: Schema.Int
})
const decodeApplied = decodeStored(HistoryRow)
const decodeHistory = decodeStored(Schema.Array(HistoryRow))
const decodeUnfinished = decodeStored(
  Schema.Array(Schema.Struct({ version: Schema.BigInt, direction: Schema.Literals(["up", "down"]), done: Schema.Int }))
)

/** A statement that was begun without a transaction around its migration. */
export interface JournalEntry {
  readonly statement: number
  readonly checksum: string
  readonly done: boolean
}

/** The tables that remember what was migrated, in `schema`, and the schema that `covers` hold. */
export const makeHistory = (
  { query, sql }: PostgresClient["Service"],
  { inTransaction }: Transactions,
  { covers, schema }: { readonly covers: ReadonlyArray<string>; readonly schema: string }
) => {
  const history = sql`${sql(schema)}.${sql(historyTable)}`
  const journal = sql`${sql(schema)}.${sql(journalTable)}`

  const tablesThere = Effect.map(
    query(
      { operation: "Migrations.history", kind: "read" },
      sql<{
        readonly schema: boolean
        readonly history: boolean
        readonly whole: boolean
        readonly journal: boolean
      }>`select
        to_regnamespace(quote_ident(${schema})) is not null as schema,
        h.oid is not null as history,
        exists (select from pg_attribute a where a.attrelid = h.oid and a.attname = 'schema_after') as whole,
        to_regclass(quote_ident(${schema}) || '.' || ${journalTable}) is not null as journal
        from (select to_regclass(quote_ident(${schema}) || '.' || ${historyTable}) as oid) as h`
    ),
    ([row]) => row ?? { schema: false, history: false, whole: false, journal: false }
  )

  const createHistory = sql`create table ${history} (
    version bigint not null primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz(3) not null default current_timestamp,
    elapsed_ms integer not null,
    kind text not null default 'migrated',
    schema_after text[]
  )`
  const completeHistory = sql`alter table ${history}
    add column if not exists kind text not null default 'migrated',
    add column if not exists schema_after text[]`
  const createJournal = sql`create table if not exists ${journal} (
    version bigint not null,
    direction text not null,
    statement integer not null,
    checksum text not null,
    done boolean not null,
    primary key (version, direction, statement)
  )`

  // Asked first, because CREATE … IF NOT EXISTS wants the privilege also where there is nothing to create.
  const prepareHistory = Effect.gen(function* () {
    const there = yield* tablesThere
    const call = { operation: "Migrations.history", kind: "write" } as const
    if (!there.schema) yield* query(call, sql`create schema ${sql(schema)}`)
    if (!there.history) yield* query(call, createHistory)
    else if (!there.whole) yield* query(call, completeHistory)
  })

  const at = { store: "postgresql", operation: "Migrations.history", subject: "history" } as const
  const nothing: MigrationState = { applied: [], unfinished: [], schema: undefined }

  const state: Effect.Effect<MigrationState, StoreError> = Effect.gen(function* () {
    const there = yield* tablesThere
    if (!there.history) return nothing
    const call = { operation: "Migrations.history", kind: "read" } as const
    const kind = there.whole ? sql`kind` : sql`'migrated' as kind`
    const rows = yield* query(
      call,
      sql<object>`select version, name, checksum, ${kind}, applied_at as "appliedAt", elapsed_ms as "elapsedMillis"
        from ${history} order by version`
    )
    const [last] = there.whole
      ? yield* query(
          call,
          sql<{ readonly lines: ReadonlyArray<string> | null }>`select schema_after as lines from ${history}
            order by applied_at desc, version desc limit 1`
        )
      : []
    const entries = there.journal
      ? yield* query(
          call,
          sql<object>`select version, direction, (count(*) filter (where done))::int as done from ${journal}
            group by version, direction order by version`
        )
      : []
    return {
      applied: yield* decodeHistory(at, rows),
      unfinished: yield* decodeUnfinished(at, entries),
      schema: last?.lines ?? undefined
    }
  })

  /** Names are written in full only where the search path is empty. */
  const snapshot: Effect.Effect<ReadonlyArray<string>, StoreError> = inTransaction(
    Effect.gen(function* () {
      const call = { operation: "Migrations.schema", kind: "read" } as const
      const [before] = yield* query(call, sql<{ readonly path: string }>`select current_setting('search_path') as path`)
      yield* query(call, sql<object>`select set_config('search_path', '', true)`)
      const rows = yield* query(call, sql.unsafe<{ readonly line: string }>(schemaSnapshot, [covers, ownTables]))
      yield* query(call, sql<object>`select set_config('search_path', ${before?.path ?? ""}, true)`)
      return rows.map(({ line }) => line)
    })
  )

  /** Keeps the schema with the row that was entered last, where `state` looks for it. */
  const expectSchema = (lines: ReadonlyArray<string>) =>
    query(
      { operation: "Migrations.schema", kind: "write" },
      sql<object>`update ${history} set schema_after = ${lines}::text[]
        where version = (select version from ${history} order by applied_at desc, version desc limit 1)`
    )
  const keepSchema = Effect.flatMap(snapshot, expectSchema)

  const enter = (
    operation: string,
    migration: Migration<unknown>,
    elapsedMillis: number,
    kind: AppliedMigration["kind"]
  ) =>
    Effect.flatMap(
      query(
        { operation, kind: "write" },
        // Not the transaction's own time: the newest row is the one that was entered last.
        sql<object>`insert into ${history} (version, name, checksum, applied_at, elapsed_ms, kind)
          values (${migration.version}::bigint, ${migration.name}, ${migration.checksum}, clock_timestamp(),
            ${elapsedMillis}::int, ${kind})
          returning version, name, checksum, kind, applied_at as "appliedAt", elapsed_ms as "elapsedMillis"`
      ),
      (rows) => decodeApplied({ store: "postgresql", operation, subject: "history" }, rows[0])
    )

  const leave = (operation: string, versions: ReadonlyArray<bigint>) =>
    query(
      { operation, kind: "write" },
      sql<object>`delete from ${history} where version = any (${versions.map(String)}::text[]::bigint[])`
    )

  /** What a run of this direction has begun, and what of it is done, by the statement's number. */
  const journaled = (operation: string, { direction, version }: Which) =>
    Effect.flatMap(tablesThere, ({ journal: there }) =>
      there
        ? query(
            { operation, kind: "read" },
            sql<JournalEntry>`select statement, checksum, done from ${journal}
              where version = ${version}::bigint and direction = ${direction} order by statement`
          )
        : Effect.succeed([])
    )

  /** Whatever becomes of a migration, what had been done of it before does not matter any more. */
  const forgetJournal = (operation: string, versions: ReadonlyArray<bigint>) =>
    Effect.flatMap(tablesThere, ({ journal: there }) =>
      there && versions.length > 0
        ? query(
            { operation, kind: "write" },
            sql<object>`delete from ${journal} where version = any (${versions.map(String)}::text[]::bigint[])`
          )
        : Effect.void
    )

  const change = (changes: HistoryChange): Effect.Effect<void, StoreError> =>
    inTransaction(
      Effect.gen(function* () {
        const operation = "Migrations.change"
        const { schema: expected } = yield* state
        const { abandon = [], baseline = [], forget = [] } = changes
        for (const migration of baseline) yield* enter(operation, migration, 0, "baseline")
        for (const { checksum, name, version } of changes.realign ?? []) {
          yield* query(
            { operation, kind: "write" },
            sql<object>`update ${history} set checksum = ${checksum}, name = ${name} where version = ${version}::bigint`
          )
        }
        if (forget.length > 0) yield* leave(operation, forget)
        yield* forgetJournal(operation, [...abandon, ...forget, ...baseline.map(({ version }) => version)])
        yield* changes.acceptSchema === true || expected === undefined ? keepSchema : expectSchema(expected)
      })
    )

  return {
    journal,
    prepareHistory,
    prepareJournal: query({ operation: "Migrations.history", kind: "write" }, createJournal),
    state,
    snapshot,
    keepSchema,
    enter,
    leave,
    journaled,
    forgetJournal,
    change
  }
}
