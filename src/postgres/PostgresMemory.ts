import { Clock, Context, Effect, Exit, Layer, type Result, Semaphore } from "effect"
import { Deadline } from "../core/Deadline.ts"
import { InvalidStatement, NotPrimary, PoolExhausted, StoreError, Timeout } from "../core/StoreError.ts"

/** One piece of the memory that stands in for PostgreSQL, most often a table. */
export interface MemoryCell<A> {
  /** What the caller may see: inside a transaction its own writes, outside only what is committed. */
  readonly read: (operation: string) => Effect.Effect<A, StoreError>
  /**
   * Replaces the value, or leaves it where `change` fails.
   *
   * Outside a transaction it waits for the one that is open, as long as a caller would wait for a connection.
   */
  readonly modify: <B, E>(
    operation: string,
    change: (current: A) => Result.Result<readonly [result: B, next: A], E>
  ) => Effect.Effect<B, E | StoreError>
}

/** An open transaction. */
interface MemoryTransaction {
  readonly readOnly: boolean
  /** Takes back the writes, last first. */
  readonly undo: Array<() => void>
  /** Makes the writes of each cell seen by all. */
  readonly commits: Set<() => void>
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
    /** Makes a cell; it begins with this value. */
    readonly cell: <A>(initial: A) => MemoryCell<A>
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

  const cell = <A>(initial: A): MemoryCell<A> => {
    let committed = initial
    const working = new WeakMap<MemoryTransaction, { value: A }>()

    const commitOf = (transaction: MemoryTransaction, own: { value: A }) => {
      transaction.commits.add(() => {
        committed = own.value
      })
      working.set(transaction, own)
      return own
    }

    return {
      read: (operation) =>
        inTime(
          operation,
          Effect.flatMap(Current, (level) => {
            if (level === undefined) return Effect.succeed(committed)
            const { transaction } = level
            if (!isOpen(level)) return Effect.fail(ended(operation))
            const own = working.get(transaction)
            return Effect.succeed(own === undefined ? committed : own.value)
          })
        ),
      modify: (operation, change) =>
        inTime(
          operation,
          Effect.flatMap(Current, (level) => {
            if (level === undefined) {
              const write = Effect.suspend(() =>
                Effect.map(Effect.fromResult(change(committed)), ([result, next]) => {
                  committed = next
                  return result
                })
              )
              return Effect.suspend(() => (taken ? asWriter(operation, write) : write))
            }
            const { transaction } = level
            if (transaction.readOnly) return Effect.fail(readOnly(operation))
            const write = Effect.suspend(() => {
              const own = working.get(transaction) ?? commitOf(transaction, { value: committed })
              return Effect.map(Effect.fromResult(change(own.value)), ([result, next]) => {
                const before = own.value
                own.value = next
                transaction.undo.push(() => {
                  own.value = before
                })
                return result
              })
            })
            return inTurn(operation, level, write)
          })
        )
    }
  }

  const outermost = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    isReadOnly: boolean
  ): Effect.Effect<A, E | StoreError, R> =>
    asWriter(
      "Transaction.begin",
      Effect.suspend(() => {
        const transaction: MemoryTransaction = { readOnly: isReadOnly, undo: [], commits: new Set() }
        const level = levelOf(transaction)
        return Effect.onExit(Effect.provideService(effect, Current, level), (exit) =>
          Effect.sync(() => {
            level.open = false
            if (Exit.isSuccess(exit)) for (const commit of transaction.commits) commit()
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
        const kept = transaction.undo.length
        return Effect.onExit(Effect.provideService(effect, Current, level), (exit) =>
          Effect.sync(() => {
            level.open = false
            if (Exit.isSuccess(exit)) return
            for (const undo of transaction.undo.splice(kept).toReversed()) undo()
          })
        )
      })
    )

  return PostgresMemory.of({
    cell,
    outside: Effect.provideService(Current, undefined),
    transaction: (effect, options) =>
      Effect.flatMap(Current, (outer) =>
        outer === undefined ? outermost(effect, options?.readOnly === true) : savepoint(outer, effect)
      )
  })
})

/** An empty memory. */
export const layer: Layer.Layer<PostgresMemory> = Layer.effect(PostgresMemory, make)
