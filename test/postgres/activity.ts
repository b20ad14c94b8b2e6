/** What the sessions of a database are at, waited for: how long they take to come to it is the machine's affair. */
import { Effect } from "effect"
import assert from "node:assert/strict"
import type { SqlError } from "effect/sql/SqlError"
import type { PostgresClient } from "../../src/postgres/PostgresClient.ts"
import { until } from "../until.ts"

type Sql = PostgresClient["Service"]["sql"]

interface Session {
  readonly pid: number
  readonly state: string | null
  readonly query: string
}

/** The sessions of clients in this database, but for the one that asks: autovacuum's come and go as they like. */
const others = (sql: Sql, which: string): Effect.Effect<ReadonlyArray<Session>, SqlError> =>
  sql<Session>`select pid, state, query from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
      and (${sql.literal(which)})`

/** Waits until so many sessions are within `pg_sleep`; gives them. */
export const untilAsleep = (sql: Sql, count = 1): Effect.Effect<ReadonlyArray<Session>, SqlError> =>
  Effect.tap(
    until(others(sql, "wait_event = 'PgSleep'"), (sessions) => sessions.length >= count),
    (sessions) => Effect.sync(() => assert.equal(sessions.length, count, "sessions asleep"))
  )

/** Waits until so many sessions wait for a lock. */
export const untilLocked = (sql: Sql, count = 1): Effect.Effect<void, SqlError> =>
  Effect.map(
    until(others(sql, "wait_event_type = 'Lock'"), (sessions) => sessions.length >= count),
    (sessions) => assert.equal(sessions.length, count, "sessions that wait for a lock")
  )

/** Waits until no session is at anything, or in a transaction: what was abandoned runs to its end on the server. */
export const untilIdle = (sql: Sql): Effect.Effect<void, SqlError> =>
  Effect.map(
    until(others(sql, "state <> 'idle'"), (sessions) => sessions.length === 0),
    (sessions) => assert.deepEqual(sessions, [])
  )
