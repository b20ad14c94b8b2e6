import type { PgConnection } from "@effect/sql-pg/PgConnection"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { PoolStats } from "../../core/Pool.ts"
import type { StoreError } from "../../core/StoreError.ts"
import type { Holder } from "./Holder.ts"
import type { Begun } from "./PoolSlots.ts"

/** A connection that one holder has to itself. */
export interface LeasedConnection {
  /** Not pinned: what is sent in one tick goes out together, and is not cancelled by interruption. */
  readonly connection: PgConnection
  /** Bounds a statement by its timeout and the Context's deadline; not sent where that has passed. */
  readonly watched: <A, E, R>(
    statement: Effect.Effect<A, E, R>,
    text?: string,
    operation?: string
  ) => Effect.Effect<A, E | StoreError, R>
  /** Notes a stream, and bounds each wait for its rows as `RowPatience` and the Context's deadline say. */
  readonly streamed: <A, E, R>(rows: Stream.Stream<A, E, R>, text: string) => Stream.Stream<A, E | StoreError, R>
  /**
   * Whether somebody in line waits to begin a transaction, so that BEGIN may go along with the end of this one; `beginNext` sends
   * it. One round trip less for each transaction, while all connections are taken.
   */
  readonly mayBeginNext: () => boolean
  readonly beginNext: () => void
  /** Takes the answer to a BEGIN that has been sent for this holder. */
  readonly takeBegun: () => Begun | undefined
  readonly alive: () => boolean
  /** Succeeds when the connection has ended, however that came. */
  readonly ended: Effect.Effect<void>
  /** Says that nobody may have it again: what was begun on it may still be open. */
  readonly retire: () => void
}

/** Notes a statement that is sent over a borrowed connection, so that a report can tell. */
export type NoteStatement = <A, E, R>(statement: Effect.Effect<A, E, R>, text: string) => Effect.Effect<A, E, R>

/** Lends a connection while it is used; the operation names the borrower, unless his fiber has announced one. */
export type Borrow = <A, E, R>(
  use: (connection: PgConnection, note: NoteStatement) => Effect.Effect<A, E, R>,
  operation?: string
) => Effect.Effect<A, E | StoreError, R>

/** Sends all that there is to send over the connection, and tells once it has been answered. */
export type SendOnce<A> = (connection: PgConnection, done: (answer: A) => void) => void

/**
 * Connections to one PostgreSQL server, lent in two ways.
 *
 * `shared` lends a connection to several short statements at once, which are pipelined; `exclusive` and `lease` lend one to a
 * single holder; `unit` does as it is asked. A caller is served in the order of asking, at the latest after `acquireTimeout` or the Context's Deadline:
 * then it fails with `StoreError`, `Unavailable` where no connection could be opened, else `PoolExhausted`.
 */
export interface PostgresPool {
  readonly stats: () => PoolStats
  readonly shared: Borrow
  readonly exclusive: Borrow
  /**
   * Lends a connection for statements that are sent all at once, to one such unit or to several. Its caller may go: it keeps its
   * place until all is answered.
   */
  readonly unit: <A>(
    send: SendOnce<A>,
    unit: { readonly kind: "units" | "exclusive"; readonly text: string; readonly operation: string }
  ) => Effect.Effect<A, StoreError>
  /**
   * An exclusive connection until the scope closes; its statements run `watched`, so that none outlives its timeout. The
   * operation names its holder where others wait in vain; one that `begins` will send BEGIN without options first.
   */
  readonly lease: (holder: Holder, begins?: boolean) => Effect.Effect<LeasedConnection, StoreError, Scope.Scope>
  /** Opens one connection beforehand; how a layer finds out whether the server is there. */
  readonly warm: Effect.Effect<void, StoreError>
  /** Waits for what is lent, at most this long, then closes every connection. */
  readonly close: (timeout: Duration.Input) => Effect.Effect<void>
}
