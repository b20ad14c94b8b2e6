import * as Duration from "effect/Duration"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"
import { assertStatesDiffer } from "./assertStatesDiffer.ts"
import { leaseEnded, type LeaseToken, type WorkStates } from "./WorkItem.ts"

/** The table whose rows are work, and how. */
export interface ClaimsSpec<State extends string> {
  /** With its schema: `ai_core.workflow_steps`. It has the columns that {@link makeClaims} shows. */
  readonly table: string
  readonly states: WorkStates<State>
}

/** The statements and conditions by which several workers share the rows of a table, which they know as `w`. */
export interface Claims {
  /**
   * Takes up to `limit` rows that are ready, oldest first, and leases them for this long; gives `returning`.
   *
   * Rows that another worker is taking at the same moment are skipped, so that nobody waits and nobody gets the same row. The
   * server's clock decides. `where` narrows the choice. The rows are given in no particular order.
   */
  readonly take: <Row extends object>(options: {
    readonly limit: number
    readonly lease: Duration.Input
    /** An interval that cuts the lease short. */
    readonly atMost?: Statement.Fragment | undefined
    /** Says who has them; a new one each time, of `makeIdsOf(LeaseToken)`. */
    readonly token: LeaseToken
    readonly where?: Statement.Fragment | undefined
    /** What else is set. */
    readonly set?: Statement.Fragment | undefined
    readonly returning: Statement.Fragment
  }) => Statement.Statement<Row>
  /** Condition of the rows whose last lease ended without a word: what `bury` ends. */
  readonly spent: Statement.Fragment
  /**
   * Ends the rows whose last lease ended without a word; gives `returning`.
   *
   * A statement of its own: run it before `take`, which leaves such rows as they are.
   */
  readonly bury: <Row extends object>(
    returning: Statement.Fragment,
    options?: { readonly where?: Statement.Fragment; readonly set?: Statement.Fragment }
  ) => Statement.Statement<Row>
  /** Condition of an update by the holder: the row is its own still. */
  readonly heldBy: (id: string, token: LeaseToken) => Statement.Fragment
  /** What follows `set` to keep the row longer, at most until a time. */
  readonly renewed: (lease: Duration.Input, atMost?: Statement.Fragment) => Statement.Fragment
  /** What follows `set` beside a final state, which the statement sets itself: `set state = 'done', ${claims.released}`. */
  readonly released: Statement.Fragment
  /** What follows `set` after a failed try: it waits for the next one, or is dead where it was the last. */
  readonly failed: (error: string, pause: Duration.Input) => Statement.Fragment
}

/**
 * Lets workers take rows of a table as work, each row by one of them at a time, with a lease, attempts and an end.
 *
 * At least once: a worker that outlives its lease may have done the work that another one takes, but only the holder of the
 * lease can finish the row. Two states of one name are a defect. In memory `memoryClaims` does the same.
 *
 * The table has these columns, beside its own, and these indexes: rows are taken in the order of the first one, and burying finds
 * the leases that have ended by the second. The states are yours, and may be more than these; `state` is the work's alone.
 *
 * ```sql
 * create table app.jobs (
 *   id uuid not null,
 *   state text not null default 'waiting',
 *   attempts integer not null default 0,
 *   max_attempts integer not null default 5,
 *   available_at timestamptz(3) not null,
 *   lease_token uuid,
 *   lease_until timestamptz(3),
 *   last_error text,
 *   constraint jobs_pkey primary key (id),
 *   constraint jobs_state_check check (state in ('waiting', 'running', 'done', 'dead'))
 * );
 * create index jobs_available_at_id_idx on app.jobs (available_at, id) where state in ('waiting', 'running');
 * create index jobs_lease_until_idx on app.jobs (lease_until) where state = 'running';
 * ```
 *
 * @example
 * ```ts
 * const claims = makeClaims(sql, { table: "app.jobs", states: { waiting: "waiting", running: "running", dead: "dead" } })
 * ```
 */
export const makeClaims = <State extends string>(
  sql: SqlClient.SqlClient,
  { states, table }: ClaimsSpec<State>
): Claims => {
  assertStatesDiffer(table, states)
  const name = sql(table)
  // Written out, because a partial index is used only where the statement itself says that its condition holds.
  const literal = (state: State) => sql.literal(`'${state.replaceAll("'", "''")}'`)
  const [waiting, running, dead] = [literal(states.waiting), literal(states.running), literal(states.dead)]
  const interval = (duration: Duration.Input) => sql`${Duration.toMillis(duration)}::float8 * interval '1 millisecond'`
  // Columns keep milliseconds: rounded up, what is ready now would not be for half of one.
  const now = sql`date_trunc('milliseconds', clock_timestamp())`
  const later = (duration: Duration.Input) => sql`${now} + ${interval(duration)}`
  const also = (set: Statement.Fragment | undefined) => (set === undefined ? sql`` : sql`, ${set}`)
  // Of a case PostgreSQL guesses that it holds for half of the rows: so it reads the queue in its order and stops when it has
  // enough, also where it does not know yet how long the queue has grown. Of comparisons it would guess that few rows meet
  // them, and sort them all.
  const ready = sql`case when w.state = ${waiting} then w.available_at <= clock_timestamp()
      else w.lease_until <= clock_timestamp() and w.attempts < w.max_attempts end`
  // The time at which the statement came in, which an index on leases can be asked for: clock_timestamp() may differ from row to
  // row, so PostgreSQL would read every row in flight. Unlike now(), it goes on within a transaction.
  const spent = sql`w.state = ${running} and w.lease_until <= statement_timestamp() and w.attempts >= w.max_attempts`
  const released = sql`lease_token = null, lease_until = null`
  // Both name no column as the table does, so that what is returned may name the table's as it likes.
  return {
    spent,
    take: ({ atMost, lease, limit, returning, set, token, where }) => sql`update ${name} as w set
        state = ${running}, attempts = w.attempts + 1, lease_token = ${token}::uuid,
        lease_until = ${now} + ${atMost === undefined ? interval(lease) : sql`least(${interval(lease)}, ${atMost})`}${also(set)}
      from (
        select w.id as picked_id from ${name} as w
        where w.state in (${waiting}, ${running}) and ${ready} and ${where ?? sql`true`}
        order by w.available_at, w.id limit ${limit}::int for update skip locked
      ) as picked
      where w.id = picked_id
      returning ${returning}`,
    bury: (returning, { set, where } = {}) => sql`update ${name} as w set
        state = ${dead}, ${released}, last_error = ${leaseEnded}${also(set)}
      from (
        select w.id as spent_id from ${name} as w
        where ${spent} and ${where ?? sql`true`} for update skip locked
      ) as spent
      where w.id = spent_id
      returning ${returning}`,
    heldBy: (id, token) => sql`(id = ${id}::uuid and state = ${running} and lease_token = ${token}::uuid
      and lease_until > clock_timestamp())`,
    renewed: (lease, atMost) =>
      sql`lease_until = ${atMost === undefined ? later(lease) : sql`least(${later(lease)}, ${atMost})`}`,
    released,
    failed: (error, pause) => sql`${released}, last_error = ${error},
      state = case when attempts < max_attempts then ${waiting} else ${dead} end,
      available_at = case when attempts < max_attempts then ${later(pause)} else available_at end`
  }
}
