import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { Deadline, within } from "../core/Deadline.ts"
import { decodeStored } from "../core/Decode.ts"
import type { StoreError } from "../core/StoreError.ts"
import { AdvisoryLocks, type LockLease } from "./AdvisoryLocks.ts"
import { makeLease, named, outsideTransaction, untilTaken } from "./LockWait.ts"
import { CurrentHolder } from "./pool/Holder.ts"
import { PostgresClient } from "./PostgresClient.ts"
import { noSession } from "./session/PostgresSession.ts"

/** Advisory locks are named by a 64-bit number. */
const numberOf = (key: string): bigint =>
  createHash("sha256").update(`@ai-core/database/lock/${key}`).digest().readBigInt64BE(0)

const decodeTaken = decodeStored(Schema.Struct({ taken: Schema.Boolean }))

const heartbeatMillis = 2000

/** A lease keeps a connection; where there is no other, the work that it guards could not run. */
const noneToSpare = (operation: string): StoreError =>
  noSession(
    operation,
    "maxConnections",
    "must be at least 2, because a lease keeps a connection to itself; the embedded engine has 1: take withinTransaction"
  )

/** Advisory locks of a PostgreSQL server; on the embedded engine, which is one session, within transactions only. */
export const layer: Layer.Layer<AdvisoryLocks, never, PostgresClient> = Layer.effect(
  AdvisoryLocks,
  Effect.map(PostgresClient, ({ query, session, sql, stats }) => {
    const isTaken = (operation: string, rows: ReadonlyArray<object>): Effect.Effect<boolean, StoreError> =>
      Effect.map(decodeTaken({ store: "postgresql", operation, subject: "row" }, rows[0]), ({ taken }) => taken)

    const tryWithinTransaction = (operation: string, key: string): Effect.Effect<boolean, StoreError> =>
      Effect.flatMap(Effect.serviceOption(sql.transactionService), (around) =>
        Option.isNone(around)
          ? Effect.fail(outsideTransaction(operation))
          : Effect.flatMap(
              query(
                { operation, kind: "write" },
                sql<object>`select pg_try_advisory_xact_lock(${numberOf(key)}::bigint) as taken`
              ),
              (rows) => isTaken(operation, rows)
            )
      )

    /** One attempt at a lock of a session's own; the connection goes back at once where somebody else holds it. */
    const attempt = (operation: string, key: string): Effect.Effect<LockLease | undefined, StoreError, Scope.Scope> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          if ((yield* stats).max < 2) return yield* noneToSpare(operation)
          const number = numberOf(key)
          const own = yield* Scope.make()
          const taken = yield* Effect.exit(
            Effect.gen(function* () {
              const holder = yield* restore(Effect.provideService(session, CurrentHolder, { operation, lasting: true }))
              const rows = yield* Effect.onExit(
                restore(
                  holder.query(
                    { operation, kind: "write" },
                    sql<object>`select pg_try_advisory_lock(${number}::bigint) as taken`
                  )
                ),
                // Nobody knows whether an interrupted or unanswered question was granted.
                (exit) => (Exit.isSuccess(exit) ? Effect.void : holder.retire)
              )
              return { holder, taken: yield* isTaken(operation, rows) }
            }).pipe(Scope.provide(own))
          )
          if (Exit.isFailure(taken)) {
            yield* Scope.close(own, taken)
            return yield* Effect.failCause(taken.cause)
          }
          if (!taken.value.taken) {
            yield* Scope.close(own, taken)
            return undefined
          }
          const { holder } = taken.value
          const unlock = Effect.catch(
            Effect.flatMap(
              holder.query(
                { operation: "AdvisoryLocks.release", kind: "write" },
                sql<object>`select pg_advisory_unlock(${number}::bigint) as taken`
              ),
              (rows) => Effect.flatMap(isTaken(operation, rows), (was) => (was ? Effect.void : holder.retire))
            ),
            () => holder.retire
          ).pipe(Effect.provideService(Deadline, Number.POSITIVE_INFINITY))
          yield* Scope.addFinalizer(own, unlock)
          yield* Effect.addFinalizer(() => Scope.close(own, Exit.void))

          const gone = Latch.makeUnsafe(false)
          // A connection that has fallen silent is found out by asking, one that was closed by itself.
          const silent = holder
            .query({ operation: "AdvisoryLocks.heartbeat", kind: "read" }, sql<object>`select true as heartbeat`)
            .pipe(
              within(heartbeatMillis),
              Effect.repeat(Schedule.spaced(heartbeatMillis)),
              Effect.ignore,
              Effect.provideService(Deadline, Number.POSITIVE_INFINITY)
            )
          yield* Effect.forkIn(
            Effect.andThen(
              Effect.raceFirst(holder.ended, silent),
              Effect.sync(() => gone.openUnsafe())
            ),
            own
          )
          return makeLease(key, gone.await)
        })
      )

    return AdvisoryLocks.of({
      withinTransaction: (key, options) => {
        const operation = "AdvisoryLocks.withinTransaction"
        const taken = Effect.map(tryWithinTransaction(operation, key), (is) => (is ? true : undefined))
        return named(operation, key, Effect.asVoid(untilTaken(operation, taken, options)))
      },
      tryWithinTransaction: (key) => {
        const operation = "AdvisoryLocks.tryWithinTransaction"
        return named(operation, key, tryWithinTransaction(operation, key))
      },
      lease: (key, options) =>
        named(
          "AdvisoryLocks.lease",
          key,
          untilTaken("AdvisoryLocks.lease", attempt("AdvisoryLocks.lease", key), options)
        ),
      tryLease: (key) =>
        named("AdvisoryLocks.tryLease", key, Effect.map(attempt("AdvisoryLocks.tryLease", key), Option.fromUndefinedOr))
    })
  })
)
