import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Order from "effect/Order"
import * as Result from "effect/Result"
import type { StoreError } from "../../core/StoreError.ts"
import { assertStatesDiffer } from "../repository/assertStatesDiffer.ts"
import type { MemoryWriter } from "./MemoryDatabase.ts"
import type { MemoryTable } from "./MemoryTable.ts"
import {
  failed,
  isHeldBy,
  isReady,
  isSpent,
  leaseEnded,
  type LeaseToken,
  taken,
  unleased,
  type WorkItem,
  type WorkStates
} from "../repository/WorkItem.ts"

/** The memory table whose rows are work, and how. */
export interface MemoryClaimsSpec<Row extends WorkItem> {
  readonly table: MemoryTable<Row>
  readonly states: WorkStates<Row["state"]>
}

/** What `Claims` does, on the rows of a memory table; `now` is the Clock's time. */
export interface MemoryClaims<Row extends WorkItem> {
  /** The order in which rows are taken: by the time from which on they may be, then by their key. */
  readonly byTurn: Order.Order<Row>
  /** Takes up to `limit` rows that are ready, oldest first, and leases them for this long; gives them as they are now. */
  readonly take: (
    db: MemoryWriter,
    options: {
      readonly limit: number
      readonly lease: Duration.Input
      /** Cuts the lease of a row short. */
      readonly atMost?: ((row: Row) => Duration.Input) | undefined
      /** Says who has them. */
      readonly token: LeaseToken
      readonly now: DateTime.Utc
      readonly where?: ((row: Row) => boolean) | undefined
      /** What else is set. */
      readonly set?: ((row: Row) => Partial<Row>) | undefined
    }
  ) => Result.Result<ReadonlyArray<Row>, StoreError>
  /** Ends the rows whose last lease ended without a word; gives them as they are now, oldest first. Run it before `take`. */
  readonly bury: (
    db: MemoryWriter,
    options: {
      readonly now: DateTime.Utc
      readonly where?: ((row: Row) => boolean) | undefined
      readonly set?: ((row: Row) => Partial<Row>) | undefined
    }
  ) => Result.Result<ReadonlyArray<Row>, StoreError>
  /** True of the rows that the holder of this token has still. */
  readonly heldBy: (token: LeaseToken, now: DateTime.Utc) => (row: Row) => boolean
  /** What is set to keep a row longer, at most until a time. */
  readonly renewed: (
    lease: Duration.Input,
    now: DateTime.Utc,
    atMost?: DateTime.Utc
  ) => { readonly leaseUntil: DateTime.Utc }
  /** What is set beside a final state. */
  readonly released: typeof unleased
  /** The row after a failed try: it waits for the next one, or is dead where it was the last. */
  readonly failed: (row: Row, error: string, pause: Duration.Input, now: DateTime.Utc) => Row
}

/**
 * Lets workers take rows of a memory table as work, as `makeClaims` does on PostgreSQL.
 *
 * Two states of one name are a defect. Call it once, beside the table.
 *
 * @example
 * ```ts
 * const claims = memoryClaims({ table: jobs, states: { waiting: "waiting", running: "running", dead: "dead" } })
 * write("Jobs.claim", (db) => Result.andThen(claims.bury(db, { now }), () => claims.take(db, { limit, lease, token, now })))
 * ```
 */
export const memoryClaims = <Row extends WorkItem>({ states, table }: MemoryClaimsSpec<Row>): MemoryClaims<Row> => {
  assertStatesDiffer(table.name, states)
  const byTurn: Order.Order<Row> = Order.combine(
    Order.mapInput(DateTime.Order, ({ availableAt }: Row) => availableAt),
    Order.mapInput(Order.String, table.key)
  )
  const both = (is: (row: Row) => boolean, where: ((row: Row) => boolean) | undefined) => (row: Row) =>
    is(row) && (where === undefined || where(row))
  const changed = (db: MemoryWriter, rows: ReadonlyArray<Row>, change: (row: Row) => Row) =>
    Result.gen(function* () {
      const after: Array<Row> = []
      for (const before of rows) {
        const row = change(before)
        yield* db.replace(table, row)
        after.push(row)
      }
      return after
    })
  return {
    byTurn,
    take: (db, { atMost, lease, limit, now, set, token, where }) => {
      const shortest = (row: Row) =>
        atMost === undefined
          ? lease
          : Duration.min(Duration.fromInputUnsafe(lease), Duration.fromInputUnsafe(atMost(row)))
      const ready = db
        .rows(table, both(isReady(states, now), where))
        .sort(byTurn)
        .slice(0, limit)
      return changed(db, ready, (row) => ({ ...taken(states, row, token, shortest(row), now), ...set?.(row) }))
    },
    bury: (db, { now, set, where }) => {
      const ended = { ...unleased, state: states.dead, lastError: leaseEnded }
      const spent = db.rows(table, both(isSpent(states, now), where)).sort(byTurn)
      return changed(db, spent, (row) => ({ ...row, ...ended, ...set?.(row) }))
    },
    heldBy: (token, now) => isHeldBy(states, token, now),
    renewed: (lease, now, atMost) => {
      const until = DateTime.addDuration(now, lease)
      return { leaseUntil: atMost === undefined ? until : DateTime.min(until, atMost) }
    },
    released: unleased,
    failed: (row, error, pause, now) => failed(states, row, error, pause, now)
  }
}
