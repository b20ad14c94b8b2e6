import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Calls } from "../../core/Calls.ts"
import type { PostgresConfig } from "../../core/DatabaseConfig.ts"
import { Deadline } from "../../core/Deadline.ts"
import type { PoolHooks } from "../../core/Instrumentation.ts"
import { makeAcquireTimes, poolStats } from "../../core/Pool.ts"
import { unavailable } from "../../core/StartUp.ts"
import { type Reason, StoreError, Timeout } from "../../core/StoreError.ts"
import { makeBeginAhead } from "./BeginAhead.ts"
import { makePoolCheck } from "./PoolCheck.ts"
import { exhausted } from "./PoolExhaustion.ts"
import { makePoolGrowth } from "./PoolGrowth.ts"
import { makePoolLine } from "./PoolLine.ts"
import {
  expiry,
  giveBack,
  grant,
  isFresh,
  isIdle,
  type Kind,
  type Lease,
  lentOut,
  newLease,
  newSlot,
  pick,
  type Slot
} from "./PoolSlots.ts"
import { poolUpkeep } from "./PoolUpkeep.ts"
import type { LeasedConnection, NoteStatement, PostgresPool, SendOnce } from "./PoolShape.ts"
import { makeRowWatch } from "./RowWatch.ts"
import { graceMillis, makeStatementWatch } from "./StatementWatch.ts"
import { isReadOnlySession } from "../failures/ServerError.ts"
import { type PostgresTarget, sessionOpener } from "../session/PostgresSession.ts"
import { makeStatementLog } from "../statements/StatementLog.ts"

/** Makes the pool; opens nothing before it is asked to. */
export const makePostgresPool = (options: {
  readonly target: PostgresTarget
  readonly config: PostgresConfig
  readonly calls: Calls
  readonly hooks: PoolHooks
  readonly slowMillis: number
}): Effect.Effect<PostgresPool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { calls, config, hooks, slowMillis, target } = options
    const { endpoint } = target
    const clock = yield* Clock.Clock
    const scope = yield* Effect.scope
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const forkHere = (effect: Effect.Effect<void>) => {
      fork(Effect.forkIn(effect, scope))
    }
    const now = () => clock.currentTimeMillisUnsafe()
    const max = config.maxConnections
    const acquireMillis = Duration.toMillis(config.acquireTimeout)
    const lifetimeMillis = Duration.toMillis(config.maxLifetime)
    const leakMillis = Duration.toMillis(config.leakDetectionThreshold) || Number.POSITIVE_INFINITY
    const statementMillis = Duration.toMillis(config.statementTimeout)
    // What runs in this process cannot go silent behind our back.
    const trusts = target.stream !== undefined

    const slots = new Set<Slot>()
    const acquireTimes = makeAcquireTimes()
    const log = makeStatementLog(slowMillis)
    const watchRows = makeRowWatch({ calls, now, limitMillis: statementMillis + graceMillis })
    const statementWatch = makeStatementWatch({
      calls,
      now,
      fork,
      statementMillis,
      // A session behind a pooler has no statement_timeout.
      serverKeepsTimeout: config.pooler === "none"
    })
    const openSession = sessionOpener(target, config)
    let closing = false
    let onReturned: (() => void) | undefined

    const failure = (reason: Reason, cause?: unknown): StoreError =>
      new StoreError({
        store: "postgresql",
        operation: "acquire",
        outcome: "not-applied",
        reason,
        ...(cause === undefined ? {} : { cause })
      })
    const shutDown = () => failure(unavailable(endpoint, { detail: "this client is shutting down" }))
    const expired = (): StoreError => failure(new Timeout({ afterMillis: 0, detail: "the deadline had passed before" }))

    // ---- the connections

    const open: Effect.Effect<void, StoreError> = Effect.gen(function* () {
      const startedAt = now()
      let slot: Slot | undefined
      const session = yield* openSession(() => {
        if (slot !== undefined) slot.cancels++
      })
      if (closing) return yield* Scope.close(session.scope, Exit.void)
      const at = now()
      const made = newSlot(session, at, expiry(at, lifetimeMillis, yield* Random.next))
      slot = made
      slots.add(made)
      made.socket.once("close", () => discard(made))
      hooks.opened?.(at - startedAt)
    })

    const remove = (slot: Slot) => {
      if (!slots.delete(slot)) return
      slot.retired = true
      fork(Scope.close(slot.scope, Exit.void))
      hooks.closed?.()
    }

    /** Takes a slot out of the pool; those who hold it are told by their connection. */
    const discard = (slot: Slot) => {
      remove(slot)
      serve()
    }

    const check = makePoolCheck({
      fork: forkHere,
      acquireTimeout: config.acquireTimeout,
      alive: (slot) => {
        slot.idleSince = now()
        serve()
      },
      // Where one has died unseen, those that were idle for as long have too.
      dead: (slot) => {
        slot.socket.destroy()
        const at = now()
        for (const other of slots) if (other === slot || (isIdle(other) && !isFresh(other, at))) remove(other)
        serve()
      }
    })

    const checking = (): number => {
      let n = 0
      for (const slot of slots) if (slot.checking) n++
      return n
    }

    const growth = makePoolGrowth({
      open,
      now,
      fork: forkHere,
      wanted: () => (closing ? 0 : Math.max(line.wanted() - checking(), config.minConnections - slots.size)),
      room: () => max - slots.size,
      opened: () => serve(),
      // While one is open, those who wait may get that.
      refused: (refusal) => {
        if (slots.size > 0) return false
        line.failAll(refusal)
        return true
      }
    })

    /** Sees to it that those who wait get a connection: one that is idle and may be dead, or a new one. */
    const grow = () => {
      const at = now()
      let missing = line.wanted() - checking()
      for (const slot of slots) {
        if (missing <= 0) break
        if (!isIdle(slot) || trusts || isFresh(slot, at)) continue
        check(slot)
        missing--
      }
      growth.grow()
    }

    // ---- lending

    const gaveUp = (waitedMillis: number): StoreError => {
      acquireTimes.gaveUp()
      hooks.timedOut?.(waitedMillis)
      const at = now()
      const lastFailure = growth.failureSince(at - waitedMillis)
      if (lentOut(slots) > 0) {
        const waiting = line.size() + 1
        return failure(exhausted({ slots, at, limit: max, waiting, waitedMillis, leakMillis, slowMillis, lastFailure }))
      }
      return lastFailure !== undefined && lastFailure.reason._tag !== "Timeout"
        ? lastFailure
        : failure(
            unavailable(endpoint, { detail: `it has not answered for ${Math.round(waitedMillis)} ms` }),
            lastFailure?.cause
          )
    }

    const line = makePoolLine({ calls, now, gaveUp, joined: () => grow() })
    const beginAhead = makeBeginAhead({ slots, line, fork })

    const lendTo = (lease: Lease, at: number, waitedMillis: number): Slot | undefined => {
      const slot = pick(slots, lease.kind, at, trusts, check)
      if (slot === undefined) return undefined
      grant(lease, slot, at)
      beginAhead.handOver(lease, slot)
      acquireTimes.lent(waitedMillis)
      hooks.acquired?.(waitedMillis)
      return slot
    }

    const serve = () => {
      if (line.size() === 0) return
      line.serve(lendTo)
      if (line.size() > 0) grow()
    }

    /** Puts a connection into the lease: at once where one is free and nobody waits. */
    const acquire = (lease: Lease, contextDeadline: number): Effect.Effect<Slot, StoreError> =>
      Effect.suspend(() => {
        if (closing) return Effect.fail(shutDown())
        const at = now()
        if (contextDeadline <= at) return Effect.fail(expired())
        const slot = line.size() === 0 ? lendTo(lease, at, 0) : undefined
        return slot === undefined
          ? line.wait(lease, Math.min(at + acquireMillis, contextDeadline))
          : Effect.succeed(slot)
      })

    const release = (lease: Lease, at: number) => {
      statementWatch.end(lease)
      const slot = giveBack(lease, at)
      if (slot === undefined) return
      hooks.released?.(at - lease.since)
      beginAhead.undoUntaken(lease, slot)
      if (slot.holders.length === 0 && (slot.retired || slot.cancels > 0 || at >= slot.expiresAt || closing)) {
        discard(slot)
      }
      serve()
      beginAhead.undoIdle(slot)
      if (closing && lentOut(slots) === 0) onReturned?.()
    }

    /** A session that may not write is not lent again, so that a call that is sent again gets another one. */
    const retireReadOnly = (slot: Slot | undefined, exit: Exit.Exit<unknown, unknown>) => {
      if (slot !== undefined && Exit.isFailure(exit) && isReadOnlySession(Cause.squash(exit.cause))) slot.retired = true
    }

    /** Leaves a shared statement to itself at the Context's deadline: its connection is others' too. */
    const abandonAt = <A, E, R>(
      lease: Lease,
      contextDeadline: number,
      statement: Effect.Effect<A, E, R>
    ): Effect.Effect<A, E | StoreError, R> => {
      if (contextDeadline === Number.POSITIVE_INFINITY) return statement
      const startedAt = now()
      return Effect.timeoutOrElse(statement, {
        duration: Math.max(0, contextDeadline - startedAt),
        orElse: () => {
          lease.abandoned = true
          const reason = new Timeout({ afterMillis: now() - startedAt })
          return Effect.fail(
            new StoreError({ store: "postgresql", operation: "statement", outcome: "unknown", reason })
          )
        }
      })
    }

    const lend = <A, E, R>(
      kind: Kind,
      use: (slot: Slot, lease: Lease, contextDeadline: number) => Effect.Effect<A, E, R>,
      onReturn: (lease: Lease, at: number, exit: Exit.Exit<A, E | StoreError>) => void,
      operation = "statement"
    ): Effect.Effect<A, E | StoreError, R> =>
      Effect.withFiber((fiber) => {
        const lease = newLease(kind, fiber, operation)
        const contextDeadline = fiber.getRef(Deadline)
        // The lease is taken inside the frame that gives it back, so that no interruption falls between the two.
        return Effect.onExitPrimitive(
          Effect.flatMap(acquire(lease, contextDeadline), (slot) => {
            statementWatch.begin(
              lease,
              slot,
              lease.since,
              kind === "exclusive" ? contextDeadline : Number.POSITIVE_INFINITY
            )
            return use(slot, lease, contextDeadline)
          }),
          (exit) => {
            const at = now()
            retireReadOnly(lease.slot, exit)
            onReturn(lease, at, exit)
            return log(fiber, lease, at - lease.since, exit)
          }
        )
      })

    /** An abandoned statement still runs: its place is free once an empty one behind it has been answered. */
    const releaseShared = (lease: Lease, at: number, exit: Exit.Exit<unknown, unknown>) => {
      const { slot } = lease
      if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)) lease.abandoned = true
      if (slot === undefined || !lease.abandoned) return release(lease, at)
      fork(
        Effect.ensuring(
          Effect.ignore(slot.connection.query("", [], false)),
          Effect.sync(() => release(lease, now()))
        )
      )
    }

    const noteOf =
      (lease: Lease): NoteStatement =>
      (statement, text) => {
        lease.statement = text
        return statement
      }

    const shared: PostgresPool["shared"] = (use, operation) =>
      lend(
        "statements",
        (slot, lease, contextDeadline) => abandonAt(lease, contextDeadline, use(slot.connection, noteOf(lease))),
        releaseShared,
        operation
      )

    // Only a pinned session is cancelled on the server when its fiber is interrupted.
    const exclusive: PostgresPool["exclusive"] = (use, operation) =>
      lend(
        "exclusive",
        (slot, lease) =>
          Effect.scoped(Effect.flatMap(slot.connection.pin, (connection) => use(connection, noteOf(lease)))),
        release,
        operation
      )

    const unit: PostgresPool["unit"] = <A>(
      send: SendOnce<A>,
      { kind, operation, text }: Parameters<PostgresPool["unit"]>[1]
    ) =>
      lend(
        kind,
        (slot, lease, contextDeadline) => {
          const answered = Effect.callback<A>((resume) => {
            lease.statement = text
            lease.sending = true
            send(slot.connection, (answer) => {
              lease.sending = false
              if (lease.abandoned) release(lease, now())
              else resume(Effect.succeed(answer))
            })
          })
          return kind === "exclusive" ? answered : abandonAt(lease, contextDeadline, answered)
        },
        (lease, at) => {
          if (lease.sending) lease.abandoned = true
          else release(lease, at)
        },
        operation
      )

    /** A statement of a holder that keeps its connection. */
    const watchedOn =
      (held: Lease, slot: Slot, longestMillis: number | undefined): LeasedConnection["watched"] =>
      <A, E, R>(statement: Effect.Effect<A, E, R>, text?: string, operation = held.operation) =>
        Effect.withFiber<A, E | StoreError, R>((fiber) => {
          const contextDeadline = fiber.getRef(Deadline)
          const startedAt = now()
          if (contextDeadline <= startedAt) return Effect.fail(expired())
          const call = newLease("exclusive", fiber, operation)
          call.statement = text
          held.statement = text
          return Effect.onExitPrimitive(
            Effect.suspend(() => {
              statementWatch.begin(call, slot, startedAt, contextDeadline, longestMillis)
              return statement
            }),
            (exit) => {
              const at = now()
              retireReadOnly(slot, exit)
              release(call, at)
              return log(fiber, call, at - startedAt, exit)
            }
          )
        })

    const ended = ({ socket }: Slot): Effect.Effect<void> =>
      Effect.callback((resume) => {
        if (socket.closed) return resume(Effect.void)
        const onClose = () => resume(Effect.void)
        socket.once("close", onClose)
        return Effect.sync(() => socket.off("close", onClose))
      })

    const leased = (held: Lease, slot: Slot, statementMillis: number | undefined): LeasedConnection => ({
      connection: slot.connection,
      mayBeginNext: () => !closing && beginAhead.wanted(),
      beginNext: () => beginAhead.send(slot),
      takeBegun: () => {
        const { begun } = held
        held.begun = undefined
        return begun
      },
      // One that is not to be lent again goes on for the one who has it.
      alive: () => slot.socket.writable,
      ended: ended(slot),
      retire: () => {
        slot.retired = true
      },
      watched: watchedOn(held, slot, statementMillis),
      streamed: (rows, text) =>
        Stream.suspend(() => {
          held.statement = text
          return watchRows(rows, {
            asked: (at) => {
              held.usedAt = at
            },
            giveUp: (waitedMillis) => statementWatch.abandon(slot, waitedMillis, true)
          })
        })
    })

    const lease: PostgresPool["lease"] = ({ lasting, operation, statementMillis }, begins) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.withFiber((fiber) => {
          const held = newLease("exclusive", fiber, operation, begins, lasting)
          return Effect.flatMap(
            Effect.addFinalizer(() => Effect.sync(() => release(held, now()))),
            () =>
              Effect.map(restore(acquire(held, fiber.getRef(Deadline))), (slot) => leased(held, slot, statementMillis))
          )
        })
      )

    // ---- upkeep

    yield* Effect.forkScoped(
      poolUpkeep({
        slots,
        now,
        minConnections: config.minConnections,
        idleMillis: Duration.toMillis(config.idleTimeout),
        leakMillis,
        acquireTimes,
        discard,
        // A refusal that time does not mend is found out again by the next caller only.
        grow: () => {
          if (growth.failureSince(0)?.isRetryable() !== false) growth.grow()
        }
      })
    )

    const close: PostgresPool["close"] = (timeout) =>
      Effect.gen(function* () {
        closing = true
        line.failAll(shutDown())
        if (lentOut(slots) > 0) {
          const returned = Effect.callback<void>((resume) => {
            onReturned = () => resume(Effect.void)
          })
          yield* Effect.timeoutOption(returned, timeout)
        }
        for (const slot of slots) {
          slots.delete(slot)
          slot.retired = true
          yield* Scope.close(slot.scope, Exit.void)
          hooks.closed?.()
        }
      })

    return {
      stats: () =>
        poolStats({
          size: slots.size,
          inUse: lentOut(slots),
          waiting: line.size(),
          max,
          acquire: acquireTimes.stats()
        }),
      shared,
      exclusive,
      unit,
      lease,
      warm: Effect.andThen(open, Effect.sync(grow)),
      close
    }
  })
