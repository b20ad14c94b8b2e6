import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { Deadline } from "../core/Deadline.ts"
import { InvalidStatement, NotPrimary, PoolExhausted, StoreError, Timeout } from "../core/StoreError.ts"

import {
  emptyDatabase,
  type MemoryDatabase,
  type MemoryReader,
  type MemoryWriter,
  readerOf,
  writeTo
} from "./memory/MemoryDatabase.ts"
import type { MemoryTable } from "./memory/MemoryTable.ts"
import { type MemoryTables, register } from "./memory/MemoryTables.ts"

/** An open transaction. */
interface MemoryTransaction {
  readonly readOnly: boolean
  /** What the transaction sees; seen by all once it is committed. */
  database: MemoryDatabase
}

/** Where in a transaction a fiber is. */
interface Level {
  readonly transaction: MemoryTransaction
  readonly parent: Level | undefined
  open: boolean
  /** Writes and savepoints of one level follow each other: a rollback takes back all that was written since. */
  readonly turn: Semaphore.Semaphore
}

/** Somebody who waits to write. */
interface Waiter {
  served: boolean
  wake: () => void
}

/** How long a caller waits for another's transaction: the default of `DB_ACQUIRE_TIMEOUT`. */
const acquireMillis = 10_000

const levelOf = (transaction: MemoryTransaction, parent?: Level): Level => ({
  transaction,
  parent,
  open: true,
  turn: Semaphore.makeUnsafe(1)
})

const isOpen = (level: Level): boolean => level.open && (level.parent === undefined || isOpen(level.parent))

let serial = 0

/**
 * The state of every memory repository of PostgreSQL, in which a transaction covers all of them.
 *
 * There is one writer at a time: transactions follow each other, and what one has written is seen by others once it is
 * committed. So there are no dirty reads, no lost updates and no serialization failures; what needs several sessions at once
 * (isolation levels, SKIP LOCKED, deadlocks) is tested on servers.
 */
export class PostgresMemory extends Context.Service<
  PostgresMemory,
  {
    /**
     * Tells of the tables that a layer is about to use; the same ones may be told again by others.
     *
     * A table of the same name that is another one is a defect, and so is a write to a table of which a foreign key leads to
     * one that nobody has told of.
     */
    readonly register: (...tables: ReadonlyArray<MemoryTable<unknown>>) => Effect.Effect<void>
    /** Reads what the caller may see: inside a transaction its own writes, outside only what is committed. */
    readonly read: <A>(operation: string, look: (reader: MemoryReader) => A) => Effect.Effect<A, StoreError>
    /**
     * Does a piece of work on the tables: all of it, or nothing where it fails.
     *
     * Outside a transaction it waits for the one that is open, as long as a caller would wait for a connection.
     */
    readonly write: <A, E>(
      operation: string,
      work: (writer: MemoryWriter) => Result.Result<A, E>
    ) => Effect.Effect<A, E | StoreError>
    /** Runs the effect in a transaction, or inside one in a savepoint; see `Transaction`. */
    readonly transaction: <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      options?: { readonly readOnly?: boolean | undefined }
    ) => Effect.Effect<A, E | StoreError, R>
    /** Runs the effect as if there were no transaction around it. */
    readonly outside: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  }
>()("@ai-core/database/postgres/PostgresMemory") {}

const exhausted = (operation: string, waiting: number, waitedMillis: number): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new PoolExhausted({ limit: 1, waiting, waitedMillis })
  })

const ended = (operation: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new InvalidStatement({ detail: "the transaction around this call has ended" })
  })

const readOnly = (operation: string): StoreError =>
  new StoreError({
    store: "postgresql",
    operation,
    outcome: "not-applied",
    reason: new NotPrimary({ code: "25006", detail: "the transaction is read-only" })
  })

/** Waits for a turn in its level as long as a caller would wait for a connection. */
const inTurn = <A, E, R>(
  operation: string,
  level: Level,
  use: Effect.Effect<A, E, R>
): Effect.Effect<A, E | StoreError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      const limit = Math.max(0, Math.min(acquireMillis, (yield* Deadline) - startedAt))
      const taken = yield* level.turn.takeIfAvailable(1)
      if (!taken && (yield* restore(Effect.timeoutOption(level.turn.take(1), limit)))._tag === "None") {
        return yield* new StoreError({
          store: "postgresql",
          operation,
          outcome: "not-applied",
          reason: new Timeout({
            afterMillis: limit,
            detail: "another statement, stream or nested transaction of this transaction was still open"
          })
        })
      }
      const whileOpen: Effect.Effect<A, E | StoreError, R> = isOpen(level)
        ? restore(use)
        : Effect.fail(ended(operation))
      return yield* Effect.ensuring(whileOpen, level.turn.release(1))
    })
  )

/** Refuses a call whose deadline has passed, as a server's client does. */
const inTime = <A, E>(operation: string, call: Effect.Effect<A, E | StoreError>): Effect.Effect<A, E | StoreError> =>
  Effect.withFiber((fiber) => {
    const deadline = fiber.getRef(Deadline)
    if (deadline === Number.POSITIVE_INFINITY) return call
    return Effect.flatMap(Clock.currentTimeMillis, (now) =>
      now < deadline
        ? call
        : Effect.fail(
            new StoreError({
              store: "postgresql",
              operation,
              outcome: "not-applied",
              reason: new Timeout({ afterMillis: 0, detail: "the deadline had passed before" })
            })
          )
    )
  })

const make = Effect.sync(() => {
  const Current = Context.Reference<Level | undefined>(
    `@ai-core/database/postgres/PostgresMemory/Transaction/${++serial}`,
    { defaultValue: () => undefined }
  )
  const tables: MemoryTables = new Map()
  let committed = emptyDatabase
  let taken = false
  const queue = new Set<Waiter>()

  /**
   * Waits to become the writer, in the order of asking.
   *
   * A waiter may be served in the very moment it gives up; then it passes the turn on, or keeps it if only its time was up.
   */
  const take = (operation: string, restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>) =>
    Effect.gen(function* () {
      if (!taken) {
        taken = true
        return undefined
      }
      const startedAt = yield* Clock.currentTimeMillis
      const limit = Math.max(0, Math.min(acquireMillis, (yield* Deadline) - startedAt))
      const waiter: Waiter = { served: false, wake: () => undefined }
      queue.add(waiter)
      const turn = Effect.callback<void>((resume) => {
        waiter.wake = () => resume(Effect.void)
        if (waiter.served) waiter.wake()
      })
      const exit = yield* Effect.exit(restore(Effect.timeoutOption(turn, limit)))
      const waiting = queue.size
      queue.delete(waiter)
      if (Exit.isFailure(exit)) {
        if (waiter.served) release()
        return yield* exit
      }
      if (waiter.served) return undefined
      return yield* exhausted(operation, waiting, (yield* Clock.currentTimeMillis) - startedAt)
    })

  const release = (): void => {
    const [next] = queue
    if (next === undefined) {
      taken = false
      return
    }
    queue.delete(next)
    next.served = true
    next.wake()
  }

  const asWriter = <A, E, R>(operation: string, use: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(take(operation, restore), () => Effect.onExit(restore(use), () => Effect.sync(release)))
    )

  const read: PostgresMemory["Service"]["read"] = (operation, look) =>
    inTime(
      operation,
      Effect.flatMap(Current, (level) => {
        if (level === undefined) return Effect.sync(() => look(readerOf(tables, () => committed)))
        return isOpen(level)
          ? Effect.sync(() => look(readerOf(tables, () => level.transaction.database)))
          : Effect.fail(ended(operation))
      })
    )

  const write: PostgresMemory["Service"]["write"] = (operation, work) =>
    inTime(
      operation,
      Effect.flatMap(Current, (level) => {
        if (level === undefined) {
          const alone = Effect.suspend(() =>
            Effect.map(Effect.fromResult(writeTo(tables, committed, operation, work)), ([result, next]) => {
              committed = next
              return result
            })
          )
          return Effect.suspend(() => (taken ? asWriter(operation, alone) : alone))
        }
        const { transaction } = level
        if (transaction.readOnly) return Effect.fail(readOnly(operation))
        const inside = Effect.suspend(() =>
          Effect.map(Effect.fromResult(writeTo(tables, transaction.database, operation, work)), ([result, next]) => {
            transaction.database = next
            return result
          })
        )
        return inTurn(operation, level, inside)
      })
    )

  const outermost = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    isReadOnly: boolean
  ): Effect.Effect<A, E | StoreError, R> =>
    asWriter(
      "Transaction.begin",
      Effect.suspend(() => {
        const transaction: MemoryTransaction = { readOnly: isReadOnly, database: committed }
        const level = levelOf(transaction)
        return Effect.onExit(Effect.provideService(effect, Current, level), (exit) =>
          Effect.sync(() => {
            level.open = false
            if (Exit.isSuccess(exit)) committed = transaction.database
          })
        )
      })
    )

  const savepoint = <A, E, R>(outer: Level, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreError, R> =>
    inTurn(
      "Transaction.begin",
      outer,
      Effect.suspend(() => {
        const { transaction } = outer
        const level = levelOf(transaction, outer)
        const before = transaction.database
        return Effect.onExit(Effect.provideService(effect, Current, level), (exit) =>
          Effect.sync(() => {
            level.open = false
            if (Exit.isFailure(exit)) transaction.database = before
          })
        )
      })
    )

  return PostgresMemory.of({
    register: (...given) => Effect.sync(() => given.forEach((table) => register(tables, table))),
    read,
    write,
    outside: Effect.provideService(Current, undefined),
    transaction: (effect, options) =>
      Effect.flatMap(Current, (outer) =>
        outer === undefined ? outermost(effect, options?.readOnly === true) : savepoint(outer, effect)
      )
  })
})

/** An empty memory. */
export const layer: Layer.Layer<PostgresMemory> = Layer.effect(PostgresMemory, make)
