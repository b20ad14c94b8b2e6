import type { PgConnection } from "@effect/sql-pg/PgConnection"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as RcRef from "effect/RcRef"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SqlError } from "effect/sql/SqlError"
import { backoff } from "../core/Retry.ts"
import { InvalidData, StoreError } from "../core/StoreError.ts"
import type { PostgresSession } from "./session/PostgresSession.ts"

/** What happens to somebody who listens. */
export type ListenEvent =
  /** PostgreSQL has confirmed: what is notified from now on arrives. */
  | { readonly _tag: "Listening" }
  | { readonly _tag: "Notification"; readonly payload: string; readonly processId: number }
  /** The connection has gone; a new one is being opened, for as long as that takes. */
  | { readonly _tag: "Lost"; readonly failure: StoreError }
  /** It listens again. What was notified in between is lost: read anew whatever the notifications tell of. */
  | { readonly _tag: "Reconnected"; readonly deafMillis: number }

/** LISTEN, over a connection of its own beside the pool's, which all channels share. */
export interface PostgresListener {
  readonly listen: (channel: string) => Stream.Stream<ListenEvent, StoreError>
  /** The connection, for as long as the scope. */
  readonly connection: Effect.Effect<PgConnection, StoreError, Scope.Scope>
}

interface Shared {
  readonly connection: PgConnection
  /** Whether it was found dead, so that the next to listen opens another one. */
  gone: boolean
}

const validChannel = (channel: string): Effect.Effect<void, StoreError> => {
  const bytes = Buffer.byteLength(channel)
  return bytes >= 1 && bytes <= 63 && !channel.includes("\0")
    ? Effect.void
    : Effect.fail(
        new StoreError({
          store: "postgresql",
          operation: "listen",
          outcome: "not-applied",
          reason: new InvalidData({
            subject: "input",
            problems: [{ field: "channel", problem: "must be 1 to 63 bytes of UTF-8 without NUL" }]
          })
        })
      )
}

/** Makes the listener; opens nothing before somebody listens, and closes it when nobody does any more. */
export const makePostgresListener = (options: {
  readonly openSession: Effect.Effect<PostgresSession, StoreError>
  readonly failure: (error: SqlError) => StoreError
  /** Pause between two questions whether the connection is alive: where nobody notifies, it says nothing by itself. */
  readonly heartbeat: Duration.Input
  /** Longest wait for the answer to one. */
  readonly patience: Duration.Input
}): Effect.Effect<PostgresListener, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { failure, heartbeat, openSession, patience } = options

    const shared = yield* RcRef.make({
      acquire: Effect.gen(function* () {
        const session = yield* Effect.acquireRelease(openSession, ({ scope }) => Scope.close(scope, Exit.void))
        const connection = yield* session.connection.pin
        const end = Effect.sync(() => session.socket.destroy())
        // An interrupted question would wait for its answer; one whose connection ends does not.
        const impatience = Effect.sleep(patience).pipe(Effect.andThen(end), Effect.andThen(Effect.never))
        const ask = Effect.raceFirst(connection.query("SELECT 1", [], false), impatience)
        yield* Effect.forkScoped(Effect.catch(Effect.forever(Effect.andThen(Effect.sleep(heartbeat), ask)), () => end))
        const made: Shared = { connection, gone: false }
        return made
      })
    })

    /** Tells what arrives until the connection fails. */
    const hear = (
      channel: string,
      begun: Effect.Effect<unknown>,
      tell: (event: ListenEvent) => Effect.Effect<unknown>
    ) =>
      Effect.scoped(
        Effect.gen(function* () {
          const session = yield* RcRef.get(shared)
          const arriving = Effect.gen(function* () {
            const queue = yield* session.connection.listen(channel)
            yield* begun
            while (true) {
              const { payload, processId } = yield* Queue.take(queue)
              yield* tell({ _tag: "Notification", payload, processId })
            }
          })
          return yield* Effect.catch(arriving, (error) =>
            Effect.gen(function* () {
              // Each channel finds out by itself; the connection is replaced once.
              const first = !session.gone
              session.gone = true
              if (first) yield* RcRef.invalidate(shared)
              return yield* failure(error)
            })
          )
        })
      )

    const listen = (channel: string): Stream.Stream<ListenEvent, StoreError> =>
      Stream.callback((queue) =>
        Effect.gen(function* () {
          yield* validChannel(channel)
          const clock = yield* Clock.Clock
          const now = () => clock.currentTimeMillisUnsafe()
          const tell = (event: ListenEvent) => Queue.offer(queue, event)
          let lostAt: number | undefined
          let heard = false
          let tries = 0
          const begun = Effect.suspend(() => {
            const since = lostAt
            lostAt = undefined
            heard = true
            tries = 0
            return tell(
              since === undefined ? { _tag: "Listening" } : { _tag: "Reconnected", deafMillis: now() - since }
            )
          })
          while (true) {
            const lost = yield* Effect.flip(hear(channel, begun, tell))
            if (!heard || !lost.isRetryable({ idempotent: true })) return yield* lost
            if (lostAt === undefined) {
              lostAt = now()
              yield* tell({ _tag: "Lost", failure: lost })
            }
            yield* Effect.sleep(yield* backoff(50, 1000, tries++))
          }
        })
      )

    return { listen, connection: Effect.map(RcRef.get(shared), ({ connection }) => connection) }
  })
