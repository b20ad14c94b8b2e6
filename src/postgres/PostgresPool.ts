import type { PgConnection } from "@effect/sql-pg/PgConnection"
import * as PgConnections from "@effect/sql-pg/PgConnection"
import { Cause, Clock, Duration, Effect, Exit, Random, type Redacted, Scope } from "effect"
import type { SqlError } from "effect/sql/SqlError"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { Call, Calls } from "../core/Calls.ts"
import { type Credential, currentCredential } from "../core/Credential.ts"
import type { PostgresConfig } from "../core/DatabaseConfig.ts"
import { Deadline } from "../core/Deadline.ts"
import { poolStats, type PoolStats } from "../core/Pool.ts"
import type { Endpoint } from "../core/StartUp.ts"
import { unavailable } from "../core/StartUp.ts"
import { PoolExhausted, type Reason, StoreError, Timeout } from "../core/StoreError.ts"
import { connectFailure, StatementExpired } from "./PostgresError.ts"

/** How the pool reaches its server. */
export interface PostgresTarget {
  readonly endpoint: Endpoint
  /** Read for each new connection. */
  readonly url: Credential
  /** Opens the transport where it is not a socket to the endpoint; the embedded engine's own stream. */
  readonly stream?: (() => Duplex) | undefined
  readonly applicationName: string
}

/** A connection that one holder has to itself. */
export interface LeasedConnection {
  readonly connection: PgConnection
  /** Bounds a statement by its timeout and the Context's deadline; not sent where that has passed. */
  readonly watched: <A, E, R>(statement: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StoreError, R>
  readonly alive: () => boolean
  /** Says that nobody may have it again: what was begun on it may still be open. */
  readonly retire: () => void
}

/**
 * Connections to one PostgreSQL server, lent in two ways.
 *
 * `shared` lends a connection to several short statements at once, which are pipelined; `exclusive`, `unit` and `lease` lend one
 * to a single holder. A caller is served in the order of asking, at the latest after `acquireTimeout` or the Context's Deadline:
 * then it fails with `StoreError`, `Unavailable` where no connection could be opened, else `PoolExhausted`.
 */
export interface PostgresPool {
  readonly stats: () => PoolStats
  readonly shared: <A, E, R>(
    use: (connection: PgConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
  readonly exclusive: <A, E, R>(
    use: (connection: PgConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
  /** Lends a connection to one holder for statements that it sends all at once; he cannot be interrupted while he has it. */
  readonly unit: <A, E, R>(
    use: (connection: PgConnection) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StoreError, R>
  /** An exclusive connection until the scope closes; its statements run `watched`, so that none outlives its timeout. */
  readonly lease: Effect.Effect<LeasedConnection, StoreError, Scope.Scope>
  /** Opens one connection beforehand; how a layer finds out whether the server is there. */
  readonly warm: Effect.Effect<void, StoreError>
  /** Waits for what is lent, at most this long, then closes every connection. */
  readonly close: (timeout: Duration.Input) => Effect.Effect<void>
}

/**
 * Statements that may share a connection.
 *
 * At 8 a point SELECT gains as much as at 32 while durable INSERTs still commit in groups and p99 stays low: at 32, one slow
 * statement holds up 31 others. Measured in bench/postgres.
 */
const sharedDepth = 8

type Kind = "shared" | "exclusive"

interface Slot {
  readonly connection: PgConnection
  readonly scope: Scope.Closeable
  readonly socket: Duplex
  /** Clock milliseconds after which it is replaced once nobody holds it. */
  readonly expiresAt: number
  idleSince: number
  /** Statements that share it now. */
  sharers: number
  exclusive: boolean
  /** Not to be lent again. */
  retired: boolean
  /** Cancel requests sent for it; one that comes late would hit the next statement. */
  cancels: number
}

interface Lease {
  readonly kind: Kind
  slot: Slot | undefined
  call: Call | undefined
  /** Its caller has gone, and its statement still runs. */
  abandoned: boolean
}

interface Waiter {
  readonly lease: Lease
  readonly resume: (granted: Effect.Effect<Slot, StoreError>) => void
  call: Call | undefined
}

const maintenanceInterval = Duration.seconds(1)

/** Makes the pool; opens nothing before it is asked to. */
export const makePostgresPool = (options: {
  readonly target: PostgresTarget
  readonly config: Pick<
    PostgresConfig,
    | "maxConnections"
    | "minConnections"
    | "acquireTimeout"
    | "idleTimeout"
    | "maxLifetime"
    | "connectTimeout"
    | "statementTimeout"
  >
  readonly calls: Calls
}): Effect.Effect<PostgresPool, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { calls, config, target } = options
    const { endpoint } = target
    const clock = yield* Clock.Clock
    const scope = yield* Effect.scope
    const fork = Effect.runForkWith(yield* Effect.context<never>())
    const now = () => clock.currentTimeMillisUnsafe()
    const max = config.maxConnections
    const acquireMillis = Duration.toMillis(config.acquireTimeout)
    const idleMillis = Duration.toMillis(config.idleTimeout)
    const lifetimeMillis = Duration.toMillis(config.maxLifetime)
    const statementMillis = Duration.toMillis(config.statementTimeout)

    const slots = new Set<Slot>()
    const waiters = new Set<Waiter>()
    let opening = 0
    let closing = false
    let lastFailure: StoreError | undefined
    let backoffMillis = 0
    /** Nothing is opened for a while, because opening failed; one pause for all who wait. */
    let pausing = false
    let onReturned: (() => void) | undefined

    const inUse = (slot: Slot) => slot.exclusive || slot.sharers > 0
    const lentOut = () => {
      let n = 0
      for (const slot of slots) if (inUse(slot)) n++
      return n
    }

    // ---- opening and closing

    const startupParameters = { statement_timeout: String(Math.ceil(statementMillis)) }

    const connect = (url: Redacted.Redacted, slotScope: Scope.Closeable) => {
      const opened: { socket: Duplex | undefined; cancels: () => void } = {
        socket: undefined,
        cancels: () => undefined
      }
      const socket = (): Duplex => {
        if (target.stream !== undefined) return target.stream()
        const { host, port = 5432 } = endpoint
        const plain = host.startsWith("/")
          ? Net.connect({ path: `${host}/.s.PGSQL.${port}` })
          : Net.connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
        // An error may come before anybody listens, and again after the last listener left.
        return plain.on("error", () => undefined)
      }
      return Effect.map(
        Scope.provide(
          PgConnections.make({
            url,
            applicationName: target.applicationName,
            connectTimeout: Duration.infinity,
            multiplex: true,
            ...(target.stream === undefined ? { startupParameters } : {}),
            // The first call makes the session's own transport, each later one a cancel request's.
            stream: () => {
              const made = socket()
              if (opened.socket === undefined) opened.socket = made
              else opened.cancels()
              return made
            }
          }),
          slotScope
        ),
        (connection) => ({ connection, opened })
      )
    }

    const silent = new StoreError({
      store: "postgresql",
      operation: "connect",
      outcome: "not-applied",
      reason: new Timeout({
        afterMillis: Duration.toMillis(config.connectTimeout),
        detail: `${endpoint.host}:${endpoint.port} does not answer`
      })
    })

    const open: Effect.Effect<void, StoreError> = Effect.gen(function* () {
      const slotScope = yield* Scope.make()
      const jitter = 1 - 0.1 * (yield* Random.next)
      const { connection, opened } = yield* Effect.flatMap(currentCredential(target.url), (url) =>
        connect(url, slotScope)
      ).pipe(
        Effect.onError((cause) => Scope.close(slotScope, Exit.failCause(cause))),
        Effect.mapError((error: SqlError) => connectFailure(endpoint, error)),
        Effect.timeoutOrElse({ duration: config.connectTimeout, orElse: () => Effect.fail(silent) })
      )
      const socket = opened.socket
      if (socket === undefined) return yield* Effect.die("a PostgreSQL connection was made without its transport")
      const slot: Slot = {
        connection,
        scope: slotScope,
        socket,
        expiresAt: lifetimeMillis === 0 ? Number.POSITIVE_INFINITY : now() + lifetimeMillis * jitter,
        idleSince: now(),
        sharers: 0,
        exclusive: false,
        retired: false,
        cancels: 0
      }
      opened.cancels = () => {
        slot.cancels++
      }
      if (closing) return yield* Scope.close(slotScope, Exit.void)
      slots.add(slot)
      socket.once("close", () => discard(slot))
      lastFailure = undefined
      backoffMillis = 0
    })

    const openOne = () => {
      opening++
      const opened = Effect.matchEffect(open, {
        onSuccess: () =>
          Effect.sync(() => {
            opening--
            serve()
          }),
        onFailure: (failure) =>
          Effect.suspend(() => {
            opening--
            lastFailure = failure
            if (!failure.isRetryable()) {
              for (const waiter of waiters) settle(waiter, Effect.fail(failure))
              return Effect.void
            }
            if (pausing) return Effect.void
            pausing = true
            backoffMillis = Math.min(1000, Math.max(50, backoffMillis * 2))
            return Effect.andThen(
              Effect.sleep(backoffMillis),
              Effect.sync(() => {
                pausing = false
                grow()
              })
            )
          })
      })
      fork(Effect.forkIn(opened, scope))
    }

    /** Opens as many connections as those who wait can use. */
    const grow = () => {
      if (closing || pausing) return
      let exclusive = 0
      let shared = 0
      for (const { lease } of waiters) {
        if (lease.kind === "exclusive") exclusive++
        else shared++
      }
      const wanted = Math.max(exclusive + Math.ceil(shared / sharedDepth), config.minConnections - slots.size)
      while (opening < wanted && slots.size + opening < max) openOne()
    }

    /** Takes a slot out of the pool; those who hold it are told by their connection. */
    const discard = (slot: Slot) => {
      if (!slots.delete(slot)) return
      slot.retired = true
      fork(Scope.close(slot.scope, Exit.void))
      if (waiters.size > 0) serve()
    }

    // ---- lending

    const usable = (slot: Slot) => !slot.retired && slot.socket.writable

    const pick = (kind: Kind): Slot | undefined => {
      let best: Slot | undefined
      for (const slot of slots) {
        if (slot.exclusive || !usable(slot)) continue
        if (kind === "exclusive") {
          if (slot.sharers === 0) return slot
        } else if (slot.sharers < sharedDepth && (best === undefined || slot.sharers < best.sharers)) {
          best = slot
          if (best.sharers === 0) return best
        }
      }
      return best
    }

    const grant = (lease: Lease, slot: Slot) => {
      lease.slot = slot
      if (lease.kind === "shared") slot.sharers++
      else slot.exclusive = true
    }

    /**
     * Ends a statement that its server neither finished nor stopped in time: the connection goes, and says why.
     *
     * Only a statement that shares its connection is not ended by the Context's deadline in this way.
     */
    const watch = (lease: Lease, slot: Slot, contextDeadline: number) => {
      const startedAt = now()
      const limit = startedAt + statementMillis + graceMillis
      lease.call = calls.begin("statement", Math.min(limit, contextDeadline), () => {
        lease.call = undefined
        // Its close takes it out of the pool, once those who wait on it have been told why.
        slot.retired = true
        // The server would run it on to its own timeout, whoever has gone.
        if (contextDeadline < limit) fork(slot.connection.interrupt)
        slot.socket.destroy(new StatementExpired(now() - startedAt))
      })
    }

    const release = (lease: Lease) => {
      if (lease.call !== undefined) {
        calls.end(lease.call)
        lease.call = undefined
      }
      const slot = lease.slot
      if (slot === undefined) return
      lease.slot = undefined
      if (lease.kind === "shared") slot.sharers--
      else slot.exclusive = false
      if (!inUse(slot)) {
        slot.idleSince = now()
        if (slot.retired || slot.cancels > 0 || slot.idleSince >= slot.expiresAt || closing) discard(slot)
      }
      if (waiters.size > 0) serve()
      if (closing && lentOut() === 0) onReturned?.()
    }

    const settle = (waiter: Waiter, granted: Effect.Effect<Slot, StoreError>) => {
      waiters.delete(waiter)
      if (waiter.call !== undefined) calls.end(waiter.call)
      waiter.resume(granted)
    }

    const serve = () => {
      for (const waiter of waiters) {
        const slot = pick(waiter.lease.kind)
        // Those behind wait too, so that short statements never keep a caller from a connection of its own.
        if (slot === undefined) break
        grant(waiter.lease, slot)
        settle(waiter, Effect.succeed(slot))
      }
      if (waiters.size > 0) grow()
    }

    const failure = (reason: Reason, cause?: unknown): StoreError =>
      new StoreError({
        store: "postgresql",
        operation: "acquire",
        outcome: "not-applied",
        reason,
        ...(cause === undefined ? {} : { cause })
      })

    const gaveUp = (waitedMillis: number): StoreError => {
      if (lastFailure === undefined || slots.size > 0) {
        return failure(new PoolExhausted({ limit: max, waiting: waiters.size + 1, waitedMillis }))
      }
      return lastFailure.reason._tag === "Timeout"
        ? failure(unavailable(endpoint, { detail: lastFailure.reason.detail }), lastFailure.cause)
        : lastFailure
    }

    const shutDown = () => failure(unavailable(endpoint, { detail: "this client is shutting down" }))

    const wait = (lease: Lease, contextDeadline: number): Effect.Effect<Slot, StoreError> =>
      Effect.callback((resume) => {
        const since = now()
        const waiter: Waiter = { lease, resume, call: undefined }
        waiter.call = calls.begin("acquire", Math.min(since + acquireMillis, contextDeadline), () => {
          waiter.call = undefined
          waiters.delete(waiter)
          resume(Effect.fail(gaveUp(now() - since)))
        })
        waiters.add(waiter)
        grow()
        return Effect.sync(() => {
          waiters.delete(waiter)
          if (waiter.call !== undefined) calls.end(waiter.call)
        })
      })

    const expired = (): StoreError => failure(new Timeout({ afterMillis: 0, detail: "the deadline had passed before" }))

    /** Puts a connection into the lease: at once where one is free and nobody waits. */
    const acquire = (lease: Lease, contextDeadline: number): Effect.Effect<Slot, StoreError> =>
      Effect.suspend(() => {
        if (closing) return Effect.fail(shutDown())
        if (contextDeadline !== Number.POSITIVE_INFINITY && contextDeadline <= now()) return Effect.fail(expired())
        if (waiters.size === 0) {
          const slot = pick(lease.kind)
          if (slot !== undefined) {
            grant(lease, slot)
            return Effect.succeed(slot)
          }
        }
        return wait(lease, contextDeadline)
      })

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

    const newLease = (kind: Kind): Lease => ({ kind, slot: undefined, call: undefined, abandoned: false })

    const lend = <A, E, R>(
      kind: Kind,
      use: (slot: Slot, lease: Lease, contextDeadline: number) => Effect.Effect<A, E, R>,
      onReturn: (lease: Lease, exit: Exit.Exit<A, E | StoreError>) => void
    ): Effect.Effect<A, E | StoreError, R> =>
      Effect.withFiber((fiber) => {
        const lease = newLease(kind)
        const contextDeadline = fiber.getRef(Deadline)
        // The lease is taken inside the frame that gives it back, so that no interruption falls between the two.
        return Effect.onExitPrimitive(
          Effect.flatMap(acquire(lease, contextDeadline), (slot) => {
            watch(lease, slot, kind === "shared" ? Number.POSITIVE_INFINITY : contextDeadline)
            return use(slot, lease, contextDeadline)
          }),
          (exit) => {
            onReturn(lease, exit)
            return undefined
          }
        )
      })

    /** An abandoned statement still runs: its place is free once an empty one behind it has been answered. */
    const releaseShared = (lease: Lease, exit: Exit.Exit<unknown, unknown>) => {
      const { slot } = lease
      if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause)) lease.abandoned = true
      if (slot === undefined || !lease.abandoned) return release(lease)
      fork(
        Effect.ensuring(
          Effect.ignore(slot.connection.query("", [], false)),
          Effect.sync(() => release(lease))
        )
      )
    }

    const shared: PostgresPool["shared"] = (use) =>
      lend(
        "shared",
        (slot, lease, contextDeadline) => abandonAt(lease, contextDeadline, use(slot.connection)),
        releaseShared
      )

    // Only a pinned session is cancelled on the server when its fiber is interrupted.
    const exclusive: PostgresPool["exclusive"] = (use) =>
      lend("exclusive", (slot) => Effect.scoped(Effect.flatMap(slot.connection.pin, use)), release)

    const unit: PostgresPool["unit"] = (use) =>
      lend("exclusive", (slot) => Effect.uninterruptible(use(slot.connection)), release)

    const lease: PostgresPool["lease"] = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const held = newLease("exclusive")
        yield* Effect.addFinalizer(() => Effect.sync(() => release(held)))
        const slot = yield* restore(acquire(held, yield* Deadline))
        const connection = yield* slot.connection.pin
        return {
          connection,
          alive: () => usable(slot),
          retire: () => {
            slot.retired = true
          },
          watched: <A, E, R>(statement: Effect.Effect<A, E, R>) =>
            Effect.withFiber<A, E | StoreError, R>((fiber) => {
              const contextDeadline = fiber.getRef(Deadline)
              if (contextDeadline !== Number.POSITIVE_INFINITY && contextDeadline <= now())
                return Effect.fail(expired())
              const call = newLease("exclusive")
              return Effect.onExitPrimitive(
                Effect.suspend(() => {
                  watch(call, slot, contextDeadline)
                  return statement
                }),
                () => {
                  release(call)
                  return undefined
                }
              )
            })
        }
      })
    )

    // ---- upkeep

    const upkeep = Effect.sync(() => {
      const at = now()
      for (const slot of slots) {
        if (inUse(slot)) continue
        const idleTooLong = idleMillis > 0 && at - slot.idleSince >= idleMillis && slots.size > config.minConnections
        if (idleTooLong || at >= slot.expiresAt || !usable(slot)) discard(slot)
      }
      if (lastFailure === undefined) grow()
    })
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(maintenanceInterval), upkeep)))

    const close: PostgresPool["close"] = (timeout) =>
      Effect.gen(function* () {
        closing = true
        for (const waiter of waiters) settle(waiter, Effect.fail(shutDown()))
        if (lentOut() > 0) {
          const returned = Effect.callback<void>((resume) => {
            onReturned = () => resume(Effect.void)
          })
          yield* Effect.timeoutOption(returned, timeout)
        }
        for (const slot of slots) {
          slots.delete(slot)
          slot.retired = true
          yield* Scope.close(slot.scope, Exit.void)
        }
      })

    return {
      stats: () => poolStats({ size: slots.size, inUse: lentOut(), waiting: waiters.size, max }),
      shared,
      exclusive,
      unit,
      lease,
      warm: Effect.andThen(open, Effect.sync(grow)),
      close
    }
  })

/** How long after its own timeout a server may still answer before its connection is given up. */
const graceMillis = 1000
